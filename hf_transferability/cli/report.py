"""`hf-transferability report`: write a saved ranking as a page."""

import argparse
from pathlib import Path
from typing import Any

from hf_transferability.cli.streams import say


def add(commands: Any) -> None:
    """Add the command."""
    report = commands.add_parser(
        "report",
        help="write a saved ranking as a page",
        description="Write a ranking that was saved as .json as one page of HTML: table, pictures and what was run.",
        allow_abbrev=False,
    )
    report.set_defaults(run=_report)
    report.add_argument("ranking", metavar="RANKING.json", help="written by --output, or a folder of `choose`")
    report.add_argument("--output", metavar="FILE", help="a .html file (default: beside the ranking, with the ending .html)")


def _report(options: argparse.Namespace) -> int:
    from hf_transferability.reporting import html
    from hf_transferability.reporting.saved import find_ranking, read_ranking

    ranking = find_ranking(options.ranking)
    document = read_ranking(ranking)
    path = Path(options.output or ranking.with_suffix(".html"))
    html.check_page(path)
    html.save(document, path)
    say(f"written: {path}")
    return 0
