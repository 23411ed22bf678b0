"""`hf-transferability score`: rank arrays that the user already has."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from hf_transferability.cli.options import (
    MetricOptions,
    OutputOptions,
    add_metric_options,
    add_output,
    parameters,
    seed,
    taken,
)
from hf_transferability.cli.output import check_files, print_ranking
from hf_transferability.cli.streams import say
from hf_transferability.errors import UsageError


def add(commands: Any) -> None:
    """Add the command."""
    score = commands.add_parser(
        "score",
        help="rank arrays that you have extracted yourself",
        description="Rank candidates by arrays in files, one file each, all of one sample of images in one order. Arrays: "
        "features [images, features], labels [images], source_probabilities [images, classes], gradient_norms [batches, 2], "
        "groups [images] (patients, for example). "
        "A file may also hold the number of the network's `parameters`: an entry of .npz, or of the metadata of .safetensors.",
        allow_abbrev=False,
    )
    score.set_defaults(run=_score)
    score.add_argument("files", metavar="FILE", nargs="+", help=".npz or .safetensors")
    add_metric_options(score, "all that the arrays allow, consensus first")
    score.add_argument(
        "--parameters", metavar="[FILE=]N", action="append", type=parameters, default=[],
        help="parameters of a file's network without its head, as resnet.npz=11.2M, repeatable, or 11.2M,25.6M in the files' "
        "order (default: what the files say)",
    )  # fmt: skip
    score.add_argument("--seed", type=seed, default=0, help="decides half-samples and shuffled labels (default: 0)")
    add_output(score)


def _score(options: argparse.Namespace) -> int:
    output = taken(OutputOptions, options)
    check_files(output)
    from hf_transferability.ranking.arrays import rank_features

    ranking = rank_features(
        options.files,
        metrics=options.metrics or ("all",),
        parameters=_sizes(options.parameters),
        seed=options.seed,
        **asdict(taken(MetricOptions, options)),
    )
    for note in (ranking.dataset["account"]["line"], *ranking.notes):
        say(note)
    return print_ranking(ranking, output)


def _sizes(given: Sequence[Sequence[tuple[str | None, int]]]) -> dict[str, int] | list[int]:
    """The values of `--parameters`, by file or in the order of the files.

    Raises:
        UsageError: some values name a file and some do not.
    """
    entries = [entry for group in given for entry in group]
    named = {name: size for name, size in entries if name is not None}
    if named and any(name is None for name, _ in entries):
        raise UsageError("`--parameters` must name a file each time or never; got both. Write FILE=NUMBER for every file.")
    return named or [size for _, size in entries]
