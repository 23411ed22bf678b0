"""`hf-transferability explain`: what a flag, a metric, a scenario or a column means."""

import argparse
from typing import Any


def add(commands: Any) -> None:
    """Add the command."""
    explain = commands.add_parser(
        "explain",
        help="say what a flag, a metric, a scenario or a column means",
        description="Print the definition, the formula and the caveats of a flag, a metric, a scenario, a column of a table or "
        "a term of a benchmark. Without a name: list what can be explained.",
        allow_abbrev=False,
    )
    explain.set_defaults(run=_explain)
    explain.add_argument("name", metavar="NAME", nargs="*", help="such as 'n<=d', logme, architecture or tie_group")


def _explain(options: argparse.Namespace) -> int:
    from hf_transferability.reporting.explain import explain, known_names

    if options.name:
        print(explain(" ".join(options.name)))
        return 0
    for kind, names in known_names().items():
        print(f"{kind}: {', '.join(names)}")
    return 0
