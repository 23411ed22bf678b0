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
    from hf_transferability.reporting import metric_table, terminal

    if options.format == "json":
        print(json.dumps(metric_table.metric_rows(), indent=2))
    elif options.format == "markdown":
        print(metric_table.to_markdown())
    else:
        terminal.print_rows(metric_table.COLUMNS, [metric_table.as_text(row) for row in metric_table.metric_rows()], sys.stdout)
    return 0
