"""`hf-transferability plot`: draw a saved ranking."""

import argparse
from pathlib import Path
from typing import Any

from hf_transferability.cli.streams import say


def add(commands: Any) -> None:
    """Add the command."""
    plot = commands.add_parser(
        "plot",
        help="draw a saved ranking",
        description="Draw a ranking that was saved as .json: scores, their parts, size, and ranks by each metric.",
        allow_abbrev=False,
    )
    plot.set_defaults(run=_plot)
    plot.add_argument("ranking", metavar="RANKING.json", help="written by --output, or a folder of `choose`")
    plot.add_argument(
        "--output", metavar="FILE", help="a .png or .svg file (default: beside the ranking, with the ending .png)"
    )


def _plot(options: argparse.Namespace) -> int:
    from hf_transferability.reporting import plots
    from hf_transferability.reporting.saved import find_ranking, read_ranking

    ranking = find_ranking(options.ranking)
    document = read_ranking(ranking)
    path = Path(options.output or ranking.with_suffix(".png"))
    plots.check_picture(path)
    plots.save(plots.ranking(document), path)
    say(f"written: {path}")
    return 0
