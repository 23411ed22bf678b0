"""Where the figures of a comparison come from."""

import json

import pytest
from helpers.tables import ground_truth

from hf_transferability import UsageError
from hf_transferability.benchmark import bundled
from hf_transferability.benchmark.figures import FigureFiles, check_scenarios, read_figures
from hf_transferability.benchmark.ground_truth import PUBLISHED
from hf_transferability.benchmark.leaderboard import bundled_leaderboard
from hf_transferability.space import lookup


@pytest.fixture
def files(tmp_path):
    """Ground truth of one's own, and a ranking of its sources."""
    truth = ground_truth({"scans": {"x": 0.9, "y": 0.8}})
    truth.to_csv(tmp_path / "truth.csv", index=False)
    rows = [
        {"checkpoint": name, "score": score, "logme": score, "parameters": 5, "n_features": 3}
        for name, score in (("x", 1), ("y", 0))
    ]
    document = {"dataset": {"id": "scans"}, "scenario": truth.scenario[0], "metric": "logme", "rows": rows}
    (tmp_path / "ranking.json").write_text(json.dumps(document))
    return FigureFiles(ground_truth=str(tmp_path / "truth.csv"), scores=str(tmp_path / "ranking.json"))


def test_the_bundled_benchmark_gives_what_no_file_gives():
    figures = read_figures(FigureFiles())
    assert figures.ground_truth.equals(bundled.load("ground_truth", "paper"))
    assert figures.orientation("published") == "published"
    assert figures.known_sources.equals(bundled.load("sources", "paper"))


def test_a_ranking_is_judged_in_its_own_order_and_brings_its_sizes(files):
    figures = read_figures(files)
    assert figures.orientation("published") == "natural"
    assert figures.known_sources["parameters"].tolist() == [5, 5]
    assert figures.score_notes


def test_a_scenario_that_the_ground_truth_lacks(files):
    chosen = read_figures(files).chosen
    check_scenarios(chosen, list(chosen.scenario.unique()))
    with pytest.raises(UsageError, match=r"the ground truth has no scenario nothing; it has .*Choose one of these\."):
        check_scenarios(chosen, ["nothing"])


@pytest.mark.parametrize("name", ["paper", "chaves2024", "open", "open_regnet"])
def test_every_door_takes_the_same_ground_truth(name):
    """Of a benchmark with several: this, and so the command line, the table over all benchmarks, and the page."""
    (taken,) = set(read_figures(FigureFiles(benchmark=name)).chosen["selection"])
    assert taken == lookup.chosen_benchmark(name).selections[0]
    columns = [column for column in bundled_leaderboard()["columns"] if column["benchmarks"] == [name] and column["scored"]]
    assert taken in {column["selection"] for column in columns}


def test_the_recommended_ground_truth_is_not_asked_of_tables_of_ones_own(tmp_path):
    truth = bundled.load("ground_truth", "open")
    truth[truth["selection"] == PUBLISHED].to_parquet(tmp_path / "truth.parquet")
    files = FigureFiles(benchmark="open", ground_truth=str(tmp_path / "truth.parquet"))
    assert set(read_figures(files).chosen["selection"]) == {PUBLISHED}
    asked = FigureFiles(benchmark="open", selection=PUBLISHED)
    assert set(read_figures(asked).chosen["selection"]) == {PUBLISHED}
