"""`hf-transferability benchmark ...`: ground truth and published results. One module per command, each with an `add`."""

from typing import Any

from hf_transferability.cli.benchmark import compare, factors, publish, reproduce

COMMANDS = (compare, reproduce, factors, publish)  # the order of --help


def add(commands: Any) -> None:
    """Add the group and its commands."""
    group = commands.add_parser(
        "benchmark",
        help="compare scores with fine-tuned performance, reproduce the paper, explain transfer, publish results",
        description="Compare scores with fine-tuned performance, reproduce the paper's comparison, explain transfer, publish.",
        allow_abbrev=False,
    )
    own = group.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(own)
