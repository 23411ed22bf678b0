"""The meaning of every word of a table."""

import json
from pathlib import Path

import pandas as pd
import pytest
from helpers.rankings import ranking_of

from hf_transferability import UsageError
from hf_transferability.benchmark import bundled, tables
from hf_transferability.metrics import FLAGS, all_metrics
from hf_transferability.names import SCENARIOS
from hf_transferability.registration import hub_folder
from hf_transferability.reporting import explanations
from hf_transferability.reporting.columns import columns
from hf_transferability.reporting.explain import WIDTH, explain, known_names
from hf_transferability.space import benchmarks


def test_every_name_is_explained_in_lines_that_fit():
    for kind, names in known_names().items():
        for name in names:
            text = explain(name)
            assert text.startswith(f"{name} ({kind})\n\n")
            assert len(text.split("\n\n", 1)[1]) > 10
            assert all(len(line) <= WIDTH or "https://" in line for line in text.splitlines()), name


def test_no_name_means_two_things():
    names = [name for names in known_names().values() for name in names]
    assert len(set(names)) == len(names)
    assert not set(explanations.ALIASES) & set(names)
    assert set(explanations.ALIASES.values()) <= set(names)


def test_a_flag_has_its_meaning_and_what_to_do():
    text = explain("n<=d")
    assert FLAGS["n<=d"][1:40] in text
    assert "Take more images" in text


@pytest.mark.parametrize("name", all_metrics())
def test_a_metric_has_its_paper_its_facts_and_no_code(name):
    text = explain(name)
    for part in ("paper: ", "needs: ", "range: ", "cost: "):
        assert part in text
    for part in (">>>", "Args:", "np.ndarray"):
        assert part not in text


def test_a_pool_relative_metric_has_its_formula():
    assert "m(FQ)" in explain("transferability")


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_has_its_formula_and_caveats(name):
    text = explain(name)
    assert "Formula: score = " in text
    assert "Caveats: " in text


def test_every_title_of_a_table_is_explained():
    document = ranking_of(4)
    document["rows"][0] |= {"known_elsewhere": 0.7, "known_targets": 3}
    for row in document["rows"]:
        row |= {"logme": 0.5, "logme_floor": 0.1, "flags": ["n<=d"]}
    document["rows"][0]["flags"] = ["n<=d", "unstable"]  # a flag that all have needs no column
    shown = columns(document["rows"], "transferability", wide=True)
    titles = [title for column in shown for title in (column.title, column.short_title)]
    assert {"90% interval", "tie", "flags", "update ratio", "logme floor", "commit"} <= set(titles)
    for title in titles:
        assert explain(title)
        assert explain(title.upper())


def test_every_word_of_a_saved_ranking_is_explained():
    document = json.loads(Path(hub_folder("space"), "example.json").read_text("utf-8"))
    words = [*document, *document["dataset"], *document["dataset"]["account"], *document["advice"], *document["known"]]
    words += [name for row in document["rows"] for name in row]
    assert {"near_duplicates", "advice", "known_elsewhere", "first_share", "weights_used"} <= set(words)
    for word in set(words):
        assert explain(word)


@pytest.mark.parametrize(
    "word",
    ["check the labels", "chance", "next", "compare", "splits", "used", "half-sample", "candidates", "no ranking", "ranked by"],
)
def test_words_of_the_lines_around_a_table_are_explained(word):
    assert len(explain(word).splitlines()) > 2


def test_every_word_of_a_benchmark_is_explained():
    words = {*tables.PROVENANCE, *(column for table in tables.TABLES.values() for column in table.columns)}
    for name in bundled.with_table("ground_truth"):
        truth = bundled.load("ground_truth", name)
        words |= {*truth["selection"], *truth["measure"], *truth["scenario"]}
    agreement = pd.read_parquet(benchmarks.AGREEMENT)
    words |= {*agreement["metric"], *agreement["variant"], *agreement["statistic"]}
    assert {"lowest_validation_loss", "split_half", "weighted_tau", "ceiling", "mean_of_3_seeds", "tmi"} <= words
    words |= {f"{name}_{part}" for name, metric in all_metrics().items() for part in metric.components}
    words |= {"kendall_tau", "pearson", "regret_at_1", "mean_of_best_7", "friedman", "interval_level", "90% low", "kind"}
    assert "ncti_seli" in words
    for word in words:
        assert explain(word)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("at flor", "Did you mean at_floor?"),
        ("leap", "Did you mean leep?"),
        ("xyzzy", "Run `hf-transferability explain` for a list."),
    ],
)
def test_an_unknown_name_gets_the_nearest(name, remedy):
    with pytest.raises(UsageError, match="must be a flag, a metric, a scenario or a column") as caught:
        explain(name)
    assert str(caught.value).endswith(remedy)
