"""A ranking for the visitors of the page: summary, table and legend."""

import re
import shlex

import pytest
from helpers.rankings import ranking_of

from hf_transferability.metrics import all_metrics
from hf_transferability.reporting.columns import flag_cells
from hf_transferability.space import answer, work


@pytest.fixture(scope="module")
def example():
    return work.example()


def test_the_table_begins_with_what_one_decides_by(example):
    titles = list(answer.table(example).data.columns)
    decisive = ["rank", "checkpoint", "score", "90% interval", "tie group", "first share", "flags", "parameters", "licence"]
    assert titles[: len(decisive)] == decisive
    labels = {metric.label for metric in all_metrics().values()}
    assert len(titles) > len(decisive) and set(titles[len(decisive) :]) <= labels
    assert "failed" not in titles
    assert len(answer.widths(example)) == len(titles)
    assert sum(answer.widths(example)[: len(decisive)]) < 1200  # they are seen at the width of a desk


def test_numbers_sort_as_numbers_and_are_shown_in_short(example):
    frame, shown = answer.table(example).data, answer.table(example).to_html()
    assert frame["checkpoint"].iloc[0] == example["rows"][0]["checkpoint"]
    assert all(frame[column].dtype.kind in "if" for column in ("score", "feature quality", "parameters"))
    low, high = example["rows"][1]["interval"]
    assert frame["90% interval"].iloc[1] == f"{low:.2f} to {high:.2f}"
    assert f">{frame['score'].iloc[1]:.2f}<" in shown  # with the digits of its interval
    assert ">311k<" in shown
    assert "311,200" not in shown and "nan" not in shown


def test_the_legend_explains_each_title_and_each_flag_of_the_table(example):
    text = answer.legend(example)
    explained = re.findall(r"^- (?:Flag )?\*\*(.+?)\*\*", text, re.MULTILINE)
    known = {"checkpoint", "flags", "parameters", "licence"}  # which say it themselves
    assert set(answer.table(example).data.columns) - known <= set(explained)
    flags = {flag for cell in flag_cells(example["rows"]) for flag in cell.split(", ") if flag}
    assert flags and flags <= set(explained)
    assert "consensus" in explained


def test_a_flag_that_all_candidates_have_is_in_the_legend_alone():
    document = ranking_of(3)
    for row in document["rows"]:
        row["flags"] = ["no_source_head"]
    assert "flags" not in answer.table(document).data
    assert "Flag **no head** (all candidates): " in answer.legend(document)


def test_notes_are_sentences_and_the_next_command_can_be_copied(example):
    text = answer.summary(example)
    assert "\n\n**First**: digits.\n\n" in text
    assert "source_dataset" not in text  # words of the program
    (block,) = re.findall(r"\*\*Next\*\*: .*\n\n```sh\n(.*?)```", text, re.DOTALL)
    assert max(map(len, block.splitlines())) < 60  # a phone shows whole options
    words = shlex.split(block.replace("\\\n", ""))
    assert words == shlex.split(example["advice"]["command"])


def test_a_short_command_stays_on_its_line_and_quotes_survive_in_a_long_one():
    assert answer._lines("hf-transferability  finetune --dataset a/b") == "hf-transferability finetune --dataset a/b"
    command = f"hf-transferability finetune --dataset 'my --data' --checkpoint {'c' * 80}"
    broken = answer._lines(command)
    assert broken.count("\\\n") == 2
    assert shlex.split(broken.replace("\\\n", "")) == shlex.split(command)


def test_an_alarm_about_the_labels_comes_first():
    document = ranking_of(2)
    alarm = "check the labels: they look shuffled."
    document |= {"notes": ["another note.", alarm], "label_check": {"p_value": 0.4, "alarm": alarm}}
    text = answer.summary(document)
    assert text.startswith("**Check the labels: they look shuffled.**\n\n") and text.count("heck the labels") == 1


def test_the_table_and_the_summary_show_failures_as_text():
    document = ranking_of(2, 1)
    document["rows"][-1]["checkpoint"] = "a/`b`](http://x)"
    text = answer.summary(document)
    assert "Failed: `` a/`b`](http://x) ``" in text
    assert "`model <script>alert(0)</script> is gated" in text
    table = answer.table(document).data
    assert table["failed"].notna().sum() == 1
    assert table.columns[-1] == "failed"


def test_the_data_are_told_in_words_and_no_name_is_markup():
    document = ranking_of(2)
    document["dataset"]["account"] = {
        "rows": {"train": 40, "test": -1}, "split": "train", "classes": {"digit 2": 28, "<b>`x`": 12},
        "left_out": {"hidden files": 2}, "notes": ["1 `name` is odd."],
    }  # fmt: skip
    told = r"2 classes: digit 2: 28 images, \<b\>\`x\`: 12 images. Left out: 2 hidden files."
    assert told in answer.summary(document)
    assert "splits train (40 images), test (of unknown size), of which train is used." in answer.summary(document)


def test_an_account_of_an_earlier_version_is_its_line():
    document = ranking_of(2)
    document["dataset"]["account"] = {"line": "split train 40; left out: nothing."}
    assert "**Data**: split train 40; left out: nothing." in answer.summary(document)
