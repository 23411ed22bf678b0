"""What people read in place of the names in the tables of a benchmark."""

import pytest

from hf_transferability.benchmark import bundled
from hf_transferability.benchmark.foreign_metrics import FOREIGN_METRICS
from hf_transferability.benchmark.leaderboard import COLUMNS, bundled_leaderboard
from hf_transferability.metrics import all_metrics
from hf_transferability.reporting import benchmark_words


def test_no_method_of_the_bundled_benchmarks_has_an_underscore_or_shares_its_words():
    names = {row["metric"] for row in bundled_leaderboard()["rows"]} | set(all_metrics()) | set(FOREIGN_METRICS)
    shown = [benchmark_words.method(name) for name in names]
    assert not [text for text in shown if "_" in text]
    assert len(set(shown)) == len(names) > 20


@pytest.mark.parametrize(
    ("variant", "several", "text"),
    [
        ("default", True, "logme"), ("published", True, "logme (published form)"),
        ("published", False, "logme"), ("baseline", True, "logme"),
    ],
)  # fmt: skip
def test_the_form_of_a_metric_is_named_only_beside_another(variant, several, text):
    assert benchmark_words.method("logme", variant, several) == text


def test_kinds_are_plain_words():
    kinds = [benchmark_words.kind(variant) for variant in ("default", "published", "baseline", "ceiling")]
    assert kinds == ["metric, this package's form", "metric, published form", "baseline", "noise ceiling"]


def test_names_of_datasets_become_words_and_names_of_networks_stay():
    names = bundled.load("ground_truth", "open")
    assert "_" not in " ".join(map(benchmark_words.target, names["target"]))
    assert benchmark_words.target("mean") == "all targets"
    assert benchmark_words.source("skin_lesion", "source_dataset") == "skin lesion"
    assert benchmark_words.source("vit_b_16", "architecture") == "vit_b_16"
    assert not [column for column in COLUMNS if "_" in benchmark_words.column(column.name)]
