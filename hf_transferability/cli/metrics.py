"""`hf-transferability metrics`: list the metrics."""

import argparse
import json
import sys
from typing import Any


def add(commands: Any) -> None:
    """Add the command."""
    metrics = commands.add_parser("metrics", help="list the metrics", description="List the metrics.", allow_abbrev=False)
    metrics.set_defaults(run=_metrics)
    metrics.add_argument("--format", choices=("table", "json", "markdown"), default="table", help="default: table")


def _metrics(options: argparse.Namespace) -> int:
    from hf_transferability import listing, table

    if options.format == "json":
        print(json.dumps(listing.metric_rows(), indent=2))
    elif options.format == "markdown":
        print(listing.to_markdown())
    else:
        table.print_rows(listing.COLUMNS, [listing.as_text(row) for row in listing.metric_rows()], sys.stdout)
    return 0
