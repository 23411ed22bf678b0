"""`hf-transferability benchmark ...`: what concerns fine-tuned ground truth. A module per command, with a function `add`."""

from typing import Any

from hf_transferability.cli.benchmark import compare, factors, reproduce

COMMANDS = (
    compare,
    reproduce,
    factors,
)


def add(commands: Any) -> None:
    """Add the group."""
    group = commands.add_parser(
        "benchmark",
        help="compare scores with fine-tuned performance, reproduce the paper, explain transfer",
        description="Compare scores with fine-tuned performance, reproduce the paper's comparison, explain transfer.",
        allow_abbrev=False,
    )
    own = group.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(own)
