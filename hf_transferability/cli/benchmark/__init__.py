"""`hf-transferability benchmark ...`: ground truth and published results. One module per sub-command."""

from typing import Any

from hf_transferability.cli.benchmark import publish

COMMANDS = (publish,)  # the order of --help


def add(commands: Any) -> None:
    """Add the group and its sub-commands."""
    group = commands.add_parser(
        "benchmark",
        help="results that were fine-tuned or published: publish them",
        description="Results of fine-tuning and published results.",
        allow_abbrev=False,
    )
    own = group.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(own)
