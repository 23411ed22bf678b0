"""Options that the benchmark's commands share: those of `benchmark.figures.FigureFiles`, and which figures are used."""

import argparse

from hf_transferability.benchmark.tables import MEASURES
from hf_transferability.cli.options import seed
from hf_transferability.names import SCENARIOS

FORMATS = ("table", "json", "csv", "markdown")


def add_tables(command: argparse.ArgumentParser) -> None:
    """Add the options that say where the figures come from, and which of them are used."""
    data = command.add_argument_group(
        "figures",
        "Those of a benchmark that comes with the package, or your own tables as .parquet, .csv or .json files.",
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
        help="ground truth: lowest_validation_loss, as in the paper, or mean_of_best_K, which is less noisy (default: "
        "mean_of_best_5 for open and open_regnet, as in the table over all benchmarks, the study's own for other published "
        "studies, or else lowest_validation_loss)",
    )  # fmt: skip
    data.add_argument(
        "--measure", choices=tuple(MEASURES), help="fine-tuned performance, where there are several (default: auc)"
    )
    data.add_argument("--scenario", action="append", choices=SCENARIOS, default=[], help="only this; repeatable")
    data.add_argument("--seed", type=seed, default=0, help="decides everything random (default: 0)")
