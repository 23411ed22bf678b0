"""Links to a view of the page."""

import pytest

from hf_transferability.space import links, work

READING = dict.fromkeys(work.READING, "")


def test_a_form_comes_back_from_its_link():
    reading = {**READING, "split": "train[:50%]", "class_level": 2, "window": "-160,240", "keep_masks": True}
    link = links.form_link("a/data", ["b/one", "c/two@v1"], 100, "architecture", "logme", reading)
    values, refused = links.form(links.asked(link))
    assert refused == []
    assert values == {
        "dataset": "a/data", "checkpoints": ["b/one", "c/two@v1"], "images": 100, "scenario": "architecture",
        "metric": "logme", "split": "train[:50%]", "class_level": 2, "window": "-160,240",
        "keep_masks": True,
    }  # fmt: skip
    assert links.form_link("", [], links.SAMPLE_SIZE, "auto", "consensus", READING) == "?tab=rank"


def test_no_path_of_this_machine_gets_into_a_link():
    link = links.form_link("/home/ann/scans", ["../x", "b/one"], 200, "auto", "consensus", READING)
    assert link == "?tab=rank&checkpoint=b/one"


def test_a_view_of_a_benchmark_comes_back_from_its_link():
    view = ["open", "source_dataset", "mean_of_best_5", "logme", "mean"]
    query = links.asked(links.benchmark_link(*view))
    assert (links.tab(query), links.looked_up(query)) == ("benchmark", view)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("?dataset=/etc/passwd", "dataset"),
        ("?dataset=a/b&dataset=%3Cscript%3E", "dataset"),
        ("?checkpoint=file:///x", "checkpoint"),
        ("?checkpoint=a%0Ab/c", "checkpoint"),
        ("?metric=moon", "metric"),
        ("?scenario=moon", "scenario"),
        ("?images=501", "images"),
        ("?images=1e2", "images"),
        ("?class_level=-1", "class_level"),
        ("?split=a%00b", "split"),
        ("?keep_masks=yes", "keep_masks"),
        (f"?window={'1' * 300}", "window"),
    ],
)
def test_foreign_text_is_left_out_and_named(query, name):
    values, refused = links.form(links.asked(query))
    assert refused == [name]
    assert name not in values


def test_what_is_no_query_of_ours_asks_for_nothing():
    for query in ("", "?", "?x", f"?dataset={'a' * 5000}", "?" + "&".join(f"a{i}=1" for i in range(100)), None):
        assert links.form(links.asked(query)) == ({}, [])
    assert links.tab(links.asked("?tab=moon")) == "rank"
