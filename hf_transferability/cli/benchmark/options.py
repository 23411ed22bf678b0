"""Options that the benchmark's commands share, and how their tables are read."""

import argparse
from typing import TYPE_CHECKING

from hf_transferability.benchmark.tables import MEASURES
from hf_transferability.cli.options import seed

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("table", "json", "csv", "markdown")


def add_tables(command: argparse.ArgumentParser) -> None:
    """Where the figures come from, and which of them."""
    data = command.add_argument_group(
        "figures",
        "Those of a benchmark that comes with the package, or tables of one's own as .parquet, .csv or .json files.",
    )
    data.add_argument(
        "--benchmark",
        metavar="NAME",
        default="paper",
        help="paper (the default); small networks on open datasets: open (ResNet), open_regnet; other published studies: "
        "chaves2024, medmnistplus; see their README; `compare` also takes all",
    )
    data.add_argument("--ground-truth", metavar="FILE", help="table of fine-tuned performance")
    data.add_argument("--scores", metavar="FILE", help="table of scores, or a ranking that was saved with --output")
    data.add_argument("--runs", metavar="FILE", help="table of fine-tuning runs, for the noise ceiling and other selections")
    data.add_argument("--sources", metavar="FILE", help="table of facts about the sources")
    data.add_argument(
        "--selection", metavar="NAME",
        help="ground truth: lowest_validation_loss, as in the paper (the default), or mean_of_best_K, which is less noisy; "
        "other published studies have others",
    )  # fmt: skip
    data.add_argument(
        "--measure", choices=tuple(MEASURES), help="fine-tuned performance, where there are several (default: auc)"
    )
    data.add_argument("--scenario", action="append", choices=("source_dataset", "architecture"), help="only this; repeatable")
    data.add_argument("--seed", type=seed, default=0, help="of everything random (default: 0)")


def read_tables(
    options: argparse.Namespace,
) -> tuple["pd.DataFrame | None", "pd.DataFrame | None", "pd.DataFrame"]:
    """Ground truth (None where it is to be taken from the runs), runs (None where there are none) and sources."""
    from hf_transferability.benchmark import bundled, ground_truth, tables

    truth = runs = None
    if options.runs:
        runs = tables.read(options.runs, "runs")
    if options.ground_truth:
        truth = tables.read(options.ground_truth, "ground_truth")
    elif runs is None:
        truth = bundled.load("ground_truth", options.benchmark)
        runs = bundled.load("runs", options.benchmark) if options.benchmark in bundled.with_table("runs") else None
    if runs is not None:
        runs = ground_truth.with_shared_runs(runs)
    sources = tables.read(options.sources, "sources") if options.sources else bundled.load("sources", options.benchmark)
    return truth, runs, sources
