"""`hf-transferability candidates`: list checkpoints to rank, from the bundled catalogue or from the Hub."""

import argparse
import json
import sys
from typing import Any

from hf_transferability.cli.options import parameter_count, positive

_LIMIT = 20
_TITLES = ("id", "for", "task", "parameters", "licence", "gated", "format", "ImageNet top-1", "downloads")


def add(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser(
        "candidates",
        help="list checkpoints to rank, by size, licence and domain",
        description="List checkpoints from the bundled catalogue, or with --online from the Hub. An unknown fact is shown "
        "as ?. A checkpoint of which a filter's fact is unknown is left out and counted.",
        epilog="rank them: hf-transferability rank DATASET --candidates medical, or --candidates 'timm:params<30M,top=12'",
        allow_abbrev=False,
    )
    command.set_defaults(run=_candidates)
    command.add_argument("--for", dest="audience", metavar="DOMAIN", help="medical, general, pathology, radiology, ...")
    command.add_argument("--max-params", metavar="N", type=parameter_count, help="most parameters, such as 50M")
    command.add_argument("--licence", metavar="NAME", nargs="+", default=[], help="licences in the Hub's names, such as mit")
    command.add_argument("--task", metavar="NAME", help="the Hub's name of a task, such as image-classification")
    command.add_argument("--search", metavar="TEXT", help="words of the id")
    command.add_argument("--online", action="store_true", help="ask the Hub instead of the bundled catalogue")
    command.add_argument("--limit", metavar="N", type=positive, default=_LIMIT, help=f"most checkpoints (default: {_LIMIT})")
    command.add_argument("--format", choices=("table", "json", "ids"), default="table", help="default: table")


def _candidates(options: argparse.Namespace) -> int:
    from hf_transferability.catalogue.entries import bundled
    from hf_transferability.catalogue.filters import Filters, select

    filters = Filters(options.audience, options.max_params, options.licence, options.task, options.search)
    if options.online:
        from hf_transferability.catalogue.online import search

        entries = search(filters, options.limit)
    else:
        entries = list(bundled())
    selected = select(entries, filters)
    listed = selected.entries[: options.limit]
    if options.format == "json":
        print(json.dumps([entry.to_dict() for entry in listed], indent=2, ensure_ascii=False))
    elif options.format == "ids":
        print("\n".join(entry.id for entry in listed))
    else:
        from hf_transferability.reporting.terminal import print_rows

        print_rows(_TITLES, [_cells(entry) for entry in listed], sys.stdout)
    if (more := len(selected.entries) - len(listed)) > 0:
        print(f"{more} more: raise --limit, or filter.", file=sys.stderr)
    if selected.unknown:
        print(f"{selected.unknown} more might pass, but the catalogue lacks a fact that a filter needs.", file=sys.stderr)
    return 0


def _cells(entry: Any) -> list[str]:
    from hf_transferability.catalogue.filters import in_short
    from hf_transferability.escaping.terminal import printable

    values = (
        entry.id,
        entry.domain,
        entry.task,
        in_short(entry.parameters) if entry.parameters else None,
        entry.licence,
        None if entry.gated is None else ("yes" if entry.gated else "no"),
        entry.format,
        None if entry.imagenet_top1 is None else f"{entry.imagenet_top1:.1f}",
        None if entry.downloads is None else f"{entry.downloads:,}",
    )
    return [printable(str(value)) if value is not None else "?" for value in values]
