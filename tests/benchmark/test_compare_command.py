"""Comparing from the command line, and with saved rankings."""

import json

import pandas as pd
import pytest
from helpers.tables import AUCS, ground_truth, scores

from hf_transferability.benchmark import tables
from hf_transferability.benchmark.given_scores import read_scores
from hf_transferability.cli import main
from hf_transferability.errors import UsageError

FEW = {"resamples": 50}
RANKING = {
    "dataset": {"id": "somebody/Skin"},
    "scenario": "source_dataset",
    "metric": "leep",
    "rows": [
        {"checkpoint": "hub/a@main", "score": 3.0, "leep": 3.0, "knn": 0.1, "variant": "default"},
        {"checkpoint": "folder/B", "score": 2.0, "leep": 2.0, "knn": 0.2, "variant": "default"},
        {"checkpoint": "c", "score": 1.0, "leep": 1.0, "knn": None, "variant": "default"},
        {"checkpoint": "hub/unknown", "score": 0.0, "leep": 0.0, "knn": 0.3, "variant": "default"},
    ],
}


def test_a_saved_ranking_tells_the_sizes_of_its_candidates(tmp_path, capsys):
    rows = [row | {"parameters": 10 * k, "n_features": 8} for k, row in enumerate(RANKING["rows"], start=1)]
    (tmp_path / "ranking.json").write_text(json.dumps(RANKING | {"rows": rows}))
    ground_truth().to_parquet(tmp_path / "truth.parquet")
    words = ["benchmark", "compare", "--ground-truth", str(tmp_path / "truth.parquet"), "--format", "json"]
    assert main([*words, "--scores", str(tmp_path / "ranking.json")]) == 0
    found = [row for row in json.loads(capsys.readouterr().out)["rows"] if row["statistic"] == "weighted_tau"]
    values = {row["metric"]: row["value"] for row in found if row["target"] == "skin"}
    assert values["parameter_count"] == pytest.approx(-1)  # the larger, the worse
    assert values["feature_width"] is None  # the same for all


def test_a_saved_ranking_is_matched_by_name(tmp_path):
    (tmp_path / "ranking.json").write_text(json.dumps(RANKING))
    table, notes, sources = read_scores(tmp_path / "ranking.json", ground_truth())
    assert set(sources.source) == {"a", "b", "c"} and sources.parameters.isna().all()
    assert table[table.metric == "leep"].set_index("source").score.to_dict() == {"a": 3, "b": 2, "c": 1}
    assert table[table.metric == "knn"].set_index("source").score.to_dict() == {"a": 0.1, "b": 0.2}
    assert set(table.target) == {"skin"}
    assert "3 of 4 checkpoints" in notes[0]
    assert "hub/unknown" in notes[1]


def test_a_saved_csv_ranking_needs_its_target(tmp_path):
    path = tmp_path / "ranking.csv"
    pd.DataFrame(RANKING["rows"]).to_csv(path, index=False)
    with pytest.raises(UsageError, match=r"ranking for an unnamed dataset.*--target: lung, skin"):
        read_scores(path, ground_truth())
    table, _, _ = read_scores(path, ground_truth(), target="skin")
    assert set(table.scenario) == {"source_dataset"}  # the only one
    with pytest.raises(UsageError, match="has no target moon; it has lung, skin"):
        read_scores(path, ground_truth(), target="moon")
    both = pd.concat([ground_truth(), ground_truth(scenario="architecture")])
    with pytest.raises(UsageError, match="does not say its scenario"):
        read_scores(path, both, target="skin")


def test_rankings_that_cannot_be_matched(tmp_path):
    path = tmp_path / "ranking.json"
    path.write_text(json.dumps(RANKING | {"rows": RANKING["rows"][3:]}))
    with pytest.raises(UsageError, match=r"none of its checkpoints is a source.*hub/unknown.*a, b, c, d"):
        read_scores(path, ground_truth())
    twice = [RANKING["rows"][0], RANKING["rows"][0] | {"checkpoint": "other/a"}]
    path.write_text(json.dumps(RANKING | {"rows": twice}))
    with pytest.raises(UsageError, match="hub/a@main and other/a are both called a"):
        read_scores(path, ground_truth())


def test_the_command_with_files_of_ones_own(command, tmp_path):
    truth, given, out = tmp_path / "truth.csv", tmp_path / "scores.parquet", tmp_path / "agreement.parquet"
    ground_truth().to_csv(truth, index=False)
    scores({target: {"a": 4, "b": 3, "c": 2, "d": 1} for target in AUCS}).to_parquet(given)
    status, text, hint = command("compare", "--ground-truth", truth, "--scores", given, "--output", out)
    assert status == 0
    assert "benchmark mine, ground truth lowest_validation_loss" in text
    assert "mean over 2 targets, 4 sources each" in text
    assert "split_half" not in text  # no runs
    assert f"written: {out}" in hint
    rows = tables.check_provenance(tables.read(out, "agreement"), "agreement")  # as it may be published
    assert len(rows) == 6 * 6 * 3
    assert set(rows.dataset) == {"ground_truth of mine, scores of mine"}
    status, text, _ = command("compare", "--ground-truth", truth, "--scores", given, "--format", "csv", "--target", "skin")
    assert text.splitlines()[0].startswith("benchmark,scenario,metric,variant,target,selection,statistic,value,low,high")
    assert {line.split(",")[4] for line in text.splitlines()[1:]} == {"skin", "mean"}


def test_the_command_with_a_ranking_takes_its_own_order(command, tmp_path):
    (tmp_path / "ranking.json").write_text(json.dumps(RANKING))
    ground_truth().to_csv(tmp_path / "truth.csv", index=False)
    words = ["compare", "--ground-truth", tmp_path / "truth.csv", "--scores", tmp_path / "ranking.json"]
    status, text, _ = command(*words, "--format", "json")
    found = json.loads(text)
    assert status == 0
    assert any("hub/unknown" in note for note in found["notes"])
    (row,) = [
        row for row in found["rows"] if (row["metric"], row["target"], row["statistic"]) == ("leep", "skin", "weighted_tau")
    ]
    assert row["value"] == pytest.approx(1)
    assert row["n_sources"] == 3


def test_the_command_on_the_papers_figures(command):
    status, text, _ = command("compare", "--scenario", "architecture", "--metric", "leep", "--selection", "mean_of_best_5")
    assert status == 0
    assert "ground truth mean_of_best_5" in text
    assert "parameter_count" in text
    assert "nan" not in text.lower().replace("undefined", "")
    status, text, _ = command("compare", "--scenario", "architecture", "--metric", "leep", "--format", "markdown")
    assert "| architecture | mean | leep | 11 | 0.280 |" in text


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--metric", "nothing"], "there are no scores of nothing"),
        (["--target", "nothing"], "there is no target nothing"),
        (["--selection", "best"], "must be lowest_validation_loss or mean_of_best_K"),
        (["--scores", "missing.csv"], "there is no file missing.csv"),
        (["--output", "table.txt"], "must end in .json, .csv or .parquet"),
    ],
)
def test_wrong_usage_names_the_remedy(command, words, text):
    status, out, hint = command("compare", *words)
    assert (status, out) == (2, "")
    assert text in hint


def test_without_a_command_the_group_says_what_there_is(command):
    status, _, hint = command()
    assert status == 2
    assert "COMMAND" in hint
