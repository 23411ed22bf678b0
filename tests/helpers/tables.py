"""Small tables of an invented benchmark."""

import pandas as pd

from hf_transferability.benchmark import tables

AUCS = {
    "skin": {"a": 0.90, "b": 0.80, "c": 0.70, "d": 0.60},
    "lung": {"a": 0.95, "b": 0.85, "c": 0.75, "d": 0.86},
}


def ground_truth(aucs=None, *, scenario="source_dataset", selection="lowest_validation_loss", benchmark="mine"):
    """A table of ground truth from target -> source -> AUC."""
    rows = [
        {"source": source, "target": target, "performance": auc}
        for target, own in (aucs or AUCS).items()
        for source, auc in own.items()
    ]
    frame = pd.DataFrame(rows).assign(benchmark=benchmark, scenario=scenario, selection=selection, measure="auc")
    return tables.check(frame, "ground_truth")


def scores(values, metric="leep", *, scenario="source_dataset", variant="default", benchmark="mine"):
    """A table of scores from target -> source -> score."""
    rows = [
        {"source": source, "target": target, "score": score} for target, own in values.items() for source, score in own.items()
    ]
    frame = pd.DataFrame(rows).assign(benchmark=benchmark, scenario=scenario, metric=metric, variant=variant)
    return tables.check(frame, "scores")


def runs(figures, *, scenario="source_dataset", benchmark="mine"):
    """A table of runs from (source, target) -> list of (validation loss, test AUC), one learning rate each; None: it failed."""
    rows = []
    for (source, target), own in figures.items():
        for number, figure in enumerate(own):
            loss, auc = figure or (None, None)
            rows.append(
                {
                    "benchmark": benchmark, "scenario": scenario, "source": source, "target": target, "run": number,
                    "batch_size": 32, "learning_rate": 0.1 / (number + 1), "momentum": 0.9, "weight_decay": 0.0, "epochs": 10,
                    "validation_loss": loss, "test_auc": auc, "status": "ok" if figure else "failed",
                }
            )  # fmt: skip
    return tables.check(pd.DataFrame(rows), "runs")


def value(comparison, metric, target="mean", statistic="weighted_tau", column="value"):
    """One figure of a comparison."""
    rows = comparison.rows
    row = rows[(rows.metric == metric) & (rows.target == target) & (rows.statistic == statistic)]
    assert len(row) == 1
    return row[column].iloc[0]
