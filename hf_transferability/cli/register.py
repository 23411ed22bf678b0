"""`hf-transferability register`: let `evaluate.load("transferability")` find the metric."""

import argparse
from typing import Any


def add(commands: Any) -> None:
    """Add the command."""
    register = commands.add_parser(
        "register",
        help='let evaluate.load("transferability") find the metric',
        description='Write a script into your Hugging Face cache, so that evaluate.load("transferability") finds the metric by '
        "its bare name, with and without a network. Safe to repeat.",
        allow_abbrev=False,
    )
    register.set_defaults(run=_register)


def _register(options: argparse.Namespace) -> int:
    from hf_transferability.registration import register

    print(register())
    return 0
