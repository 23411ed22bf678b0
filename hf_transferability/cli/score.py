"""`hf-transferability score`: rank arrays that the user already has."""

import argparse
import sys
from dataclasses import asdict
from typing import Any

from hf_transferability.cli.options import MetricOptions, OutputOptions, add_metric_options, add_output, seed, taken
from hf_transferability.cli.output import check_files, print_ranking


def add(commands: Any) -> None:
    """Add the command."""
    score = commands.add_parser(
        "score",
        help="rank arrays that you have extracted yourself",
        description="Rank candidates by arrays in files, one file each, all of one sample of images in one order. Arrays: "
        "features [images, features], labels [images], source_probabilities [images, classes], gradient_norms [batches, 2].",
        allow_abbrev=False,
    )
    score.set_defaults(run=_score)
    score.add_argument("files", metavar="FILE", nargs="+", help=".npz or .safetensors")
    add_metric_options(score, "all that the arrays allow")
    score.add_argument("--seed", type=seed, default=0, help="decides half-samples and shuffled labels (default: 0)")
    add_output(score)


def _score(options: argparse.Namespace) -> int:
    output = taken(OutputOptions, options)
    check_files(output)
    from hf_transferability.ranking.arrays import rank_features

    ranking = rank_features(
        options.files,
        metrics=options.metrics or ("all",),
        seed=options.seed,
        **asdict(taken(MetricOptions, options)),
    )
    for note in ranking.notes:
        print(note, file=sys.stderr)
    return print_ranking(ranking, output)
