"""`hf-transferability benchmark compare`: scores against fine-tuned performance, beside baselines."""

import argparse
import sys
from typing import Any

from hf_transferability.cli.benchmark.leaderboard import ALL, compare_all
from hf_transferability.cli.benchmark.options import FORMATS, add_tables
from hf_transferability.cli.options import taken
from hf_transferability.cli.output import print_result, working
from hf_transferability.names import ORIENTATIONS


def add(commands: Any) -> None:
    """Add the command."""
    compare = commands.add_parser(
        "compare",
        help="scores against fine-tuned performance, beside baselines that look at no target data",
        description="Compare scores with fine-tuned performance, per target and on average, beside baselines that look at no "
        "target data and the noise of the ground truth itself. Without options: the paper's own figures.",
        allow_abbrev=False,
    )
    compare.set_defaults(run=_compare)
    add_tables(compare)
    compare.add_argument("--target", action="append", default=[], metavar="NAME", help="only this target; repeatable")
    compare.add_argument("--metric", action="append", default=[], metavar="NAME", help="only this metric; repeatable")
    compare.add_argument(
        "--orientation", choices=ORIENTATIONS,
        help="across architectures the paper counts lower as better for some published variants; 'natural' never does "
        "(default: published, and natural over all benchmarks)",
    )  # fmt: skip
    compare.add_argument("--format", choices=FORMATS, default="table", help="on stdout (default: table)")
    compare.add_argument(
        "--output", metavar="FILE", help="also write the rows, with their provenance, to a .json, .csv or .parquet file"
    )


def _compare(options: argparse.Namespace) -> int:
    from hf_transferability import files

    if options.output:
        files.check_output(options.output)
    if options.benchmark == ALL:
        return compare_all(options)
    from hf_transferability.benchmark.compare import compare
    from hf_transferability.benchmark.figures import FigureFiles, read_figures
    from hf_transferability.reporting.comparison import print_markdown, print_table

    with working("comparing scores with fine-tuning"):
        figures = read_figures(taken(FigureFiles, options), options.scenario, options.target)
        comparison = compare(
            figures.ground_truth,
            figures.scores,
            sources=figures.known_sources,
            runs=figures.runs,
            selection=str(figures.chosen["selection"].iloc[0]),
            measure=options.measure,
            scenarios=options.scenario,
            targets=options.target,
            metrics=options.metric,
            orientation=figures.orientation(options.orientation or ORIENTATIONS[0]),
            seed=options.seed,
        )
    comparison.notes[1:1] = figures.score_notes
    print_result(
        options,
        comparison.to_dict(),
        lambda: print_table(comparison, sys.stdout),
        lambda: print_markdown(comparison, sys.stdout),
        comparison.to_dict(provenance=True),
    )
    return 0
