"""A grid of fine-tuning runs in a few lines: one per source checkpoint."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hf_transferability.benchmark.ground_truth import PUBLISHED, in_words
from hf_transferability.training.run_tables import BEST_FEW

if TYPE_CHECKING:
    import pandas as pd

TITLES = ("source", "lowest loss", "mean of best", "finished", "diverged", "failed")


@dataclass(frozen=True)
class Summary:
    """What a grid found.

    Attributes:
        target: name of the target dataset.
        lines: one per source: its name, test AUC by two selections, and how many runs finished, diverged and failed (TITLES).
        notes: what the two selections are.
        sample_notes: what the reader should know about the images.
        failures: why runs failed, one line per source and reason.
    """

    target: str
    lines: list[list[str]]
    notes: list[str]
    sample_notes: list[str]
    failures: list[str]


def summarise(truth: "pd.DataFrame", runs: "pd.DataFrame") -> Summary:
    """The summary of a grid.

    Args:
        truth: the ground truth that the runs gave, a table of that name.
        runs: a table of that name, for one target.
    """
    failed = runs["status"] == "failed"
    performance = truth.pivot_table(index="source", columns="selection", values="performance")
    lines = []
    for source, runs_of_source in runs.groupby("source", sort=False):
        known = source in performance.index
        aucs = [f"{performance[selection][source]:.4f}" if known else "-" for selection in (PUBLISHED, BEST_FEW)]
        counts = [str((runs_of_source["status"] == status).sum()) for status in ("ok", "diverged", "failed")]
        lines.append([str(source), *aucs, *counts])
    n_runs = runs["source"].value_counts().to_dict()
    failures = [
        f"{source}, {len(group)} of {n_runs[source]} runs: {reason}"
        for (source, reason), group in runs[failed].groupby(["source", "note"])
    ]
    finished = truth["n_runs"].tolist()
    notes = [f"lowest loss: {in_words(PUBLISHED)}.", f"mean of best: {in_words(BEST_FEW, finished)}."]
    if not finished:
        notes = ["no run finished, so there is no ground truth."]
    sample_notes = sorted(set(runs["note"][~failed].dropna()))
    return Summary(str(runs["target"].iloc[0]), lines, notes, sample_notes, failures)
