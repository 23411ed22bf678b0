"""`hf-transferability benchmark reproduce`: the paper's comparison, recomputed and checked."""

import argparse
import json
import math
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hf_transferability.benchmark.reproduce import Check


def add(commands: Any) -> None:
    """Add the command."""
    reproduce = commands.add_parser(
        "reproduce",
        help="recompute the paper's comparison from its published figures",
        description="Recompute the paper's comparison from its published figures, and hold every value against it.",
        epilog="exit status: 0 everything matches, 1 something differs, 2 wrong usage",
        allow_abbrev=False,
    )
    reproduce.set_defaults(run=_reproduce)
    reproduce.add_argument("--scores", metavar="FILE", help="a table of scores in place of the published one")
    reproduce.add_argument("--format", choices=("table", "json"), default="table", help="on stdout (default: table)")


def _reproduce(options: argparse.Namespace) -> int:
    from hf_transferability import results
    from hf_transferability.benchmark import tables
    from hf_transferability.benchmark.reproduce import FRIEDMAN_NOTE, reproduce
    from hf_transferability.table import print_figures, print_notes

    scores = tables.read(options.scores, "scores") if options.scores else None
    checks = reproduce(scores)
    differing = [check for check in checks if not check.matches]
    if options.format == "json":
        document = {
            "checks": [_finite(check.to_dict()) for check in checks],
            "matching": len(checks) - len(differing),
            "differing": len(differing),
            "notes": [FRIEDMAN_NOTE],
            "versions": results.package_versions(),
        }
        print(json.dumps(document, indent=2, allow_nan=False))
    else:
        for group in dict.fromkeys(check.group for check in checks):
            own = [check for check in checks if check.group == group]
            print_figures([group, "expected", "found", "outcome"], [_line(check) for check in own], sys.stdout)
            print()
        notes = [f"{check.group}, {check.name}: {check.remark}." for check in checks if check.remark]
        notes += [f"differs: {check.group}, {check.name}." for check in differing]
        print_notes([*notes, FRIEDMAN_NOTE], sys.stdout)
        print(f"\n{len(checks) - len(differing)} of {len(checks)} match, {len(differing)} differ")
    return 1 if differing else 0


def _line(check: "Check") -> list[str]:
    outcome = "match" if check.matches else "differs"
    digits = 0 if check.tolerance == 0 else max(0, round(-math.log10(2 * check.tolerance)))  # that the expected value has
    found = _finite(check.to_dict())["found"]
    return [check.name, _text(check.expected, digits), _text(found, max(6, digits) if digits else 0), outcome]


def _finite(check: dict[str, Any]) -> dict[str, Any]:
    """The check with nothing in place of a value that could not be computed."""
    return {**check, "found": None if check["found"] == float("inf") else check["found"]}


def _text(value: float | None, digits: int) -> str:
    return "undefined" if value is None else f"{value:.{digits}f}"
