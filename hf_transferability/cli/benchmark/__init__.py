"""`hf-transferability benchmark ...`: fine-tuned ground truth and published results. One module per sub-command."""

from typing import Any

from hf_transferability.cli.benchmark import compare, factors, publish, reproduce

COMMANDS = (compare, reproduce, factors, publish)  # in the order of --help


def add(commands: Any) -> None:
    """Add the group and its sub-commands."""
    group = commands.add_parser(
        "benchmark",
        help="compare scores with fine-tuned performance, reproduce the paper, explain transfer, publish results",
        description="Compare scores with fine-tuning, reproduce the paper's comparison, explain transfer, publish results.",
        allow_abbrev=False,
    )
    subcommands = group.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(subcommands)
