"""A grid in a few lines."""

import pandas as pd

from hf_transferability.benchmark.ground_truth import PUBLISHED
from hf_transferability.training.grids import BEST_FEW
from hf_transferability.training.summary import TITLES, summarise

RUNS = pd.DataFrame(
    [
        {"source": source, "target": "scans", "status": status, "note": note}
        for source, status, note in [
            ("one", "ok", "few images"), ("one", "ok", "few images"), ("one", "diverged", None),
            ("two", "failed", "no memory"), ("two", "failed", "no memory"),
        ]
    ]
)  # fmt: skip


def test_one_line_per_source():
    truth = pd.DataFrame(
        [
            {"source": "one", "selection": name, "performance": auc, "n_runs": 2}
            for name, auc in ((PUBLISHED, 0.81), (BEST_FEW, 0.8))
        ]
    )
    summary = summarise(truth, RUNS)
    assert [dict(zip(TITLES, line, strict=True)) for line in summary.lines] == [
        {"source": "one", "lowest loss": "0.8100", "mean of best": "0.8000", "finished": "2", "diverged": "1", "failed": "0"},
        {"source": "two", "lowest loss": "-", "mean of best": "-", "finished": "0", "diverged": "0", "failed": "2"},
    ]
    assert summary.failures == ["two, 2 of 2 runs: no memory"]
    assert summary.sample_notes == ["few images"]
    assert summary.target == "scans"


def test_a_grid_without_a_finished_run():
    summary = summarise(
        pd.DataFrame(columns=["source", "selection", "performance", "n_runs"]), RUNS[RUNS["status"] == "failed"]
    )
    assert summary.notes == ["no run finished, so there is no ground truth."]
    assert [line[1] for line in summary.lines] == ["-"]
