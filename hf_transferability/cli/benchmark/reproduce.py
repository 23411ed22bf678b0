"""`hf-transferability benchmark reproduce`: the paper's comparison, recomputed and checked."""

import argparse
import json
import math
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

from hf_transferability.cli.output import working

if TYPE_CHECKING:
    from hf_transferability.benchmark.reproduce import Check


def add(commands: Any) -> None:
    """Add the command."""
    reproduce = commands.add_parser(
        "reproduce",
        help="recompute the paper's comparison from its published figures",
        description="Recompute the paper's comparison from its published figures, and check every value.",
        epilog="exit status: 0 everything matches or is a known difference, 1 something differs, 2 wrong usage",
        allow_abbrev=False,
    )
    reproduce.set_defaults(run=_reproduce)
    reproduce.add_argument("--scores", metavar="FILE", help="a table of scores to use instead of the published one")
    reproduce.add_argument("--format", choices=("table", "json"), default="table", help="on stdout (default: table)")


def _reproduce(options: argparse.Namespace) -> int:
    from hf_transferability import provenance
    from hf_transferability.benchmark import tables
    from hf_transferability.benchmark.reproduce import reproduce
    from hf_transferability.reporting.terminal import print_figures, print_notes

    with working("computing the published figures"):
        checks = reproduce(tables.read(options.scores, "scores") if options.scores else None)
    outcomes = Counter(check.outcome for check in checks)
    if options.format == "json":
        document = {
            "checks": [_finite(check.to_dict()) for check in checks],
            "matching": outcomes["match"],
            "differing": outcomes["differs"],
            "known_differences": outcomes["known difference"],
            "versions": provenance.package_versions(),
        }
        print(json.dumps(document, indent=2, allow_nan=False))
    else:
        for group in dict.fromkeys(check.group for check in checks):
            lines = [_line(check) for check in checks if check.group == group]
            print_figures([group, "expected", "found", "outcome"], lines, sys.stdout)
            print()
        remarks: dict[tuple[str, str], list[str]] = {}
        for check in checks:
            if check.remark:
                remarks.setdefault((check.group, check.remark), []).append(check.name)
        notes = [f"{group}, {'; '.join(names)}: {remark}." for (group, remark), names in remarks.items()]
        notes += [f"differs: {check.group}, {check.name}." for check in checks if check.outcome == "differs"]
        print_notes(notes, sys.stdout)
        known = outcomes["known difference"]
        print(
            f"\n{outcomes['match']} of {len(checks)} match, {known} {'is a' if known == 1 else 'are'} known "
            f"difference{'' if known == 1 else 's'}, {outcomes['differs']} differ"
        )
    return 1 if outcomes["differs"] else 0


def _line(check: "Check") -> list[str]:
    # As many digits as the expected value has.
    digits = 0 if check.tolerance == 0 else max(0, math.ceil(-math.log10(2 * check.tolerance) - 1e-6))
    recomputed = _finite(check.to_dict())["found"]
    return [check.name, _text(check.expected, digits), _text(recomputed, max(6, digits) if digits else 0), check.outcome]


def _finite(check: dict[str, Any]) -> dict[str, Any]:
    """The check as a dict, with None for a value that could not be computed."""
    return {**check, "found": None if check["found"] == float("inf") else check["found"]}


def _text(value: float | None, digits: int) -> str:
    return "undefined" if value is None else f"{value:.{digits}f}"
