"""`hf-transferability register`: let `evaluate.load("transferability")` find the metric."""

import argparse
from typing import Any

from hf_transferability.cli.options import add_publishing, check_publishing
from hf_transferability.cli.streams import say


def add(commands: Any) -> None:
    """Add the command."""
    register = commands.add_parser(
        "register",
        help='let evaluate.load("transferability") find the metric',
        description='Write a script into your Hugging Face cache, so that evaluate.load("transferability") finds the metric by '
        "its bare name, online and offline. Safe to repeat. Or put the metric on the Hub as a Space.",
        allow_abbrev=False,
    )
    register.set_defaults(run=_register)
    add_publishing(register, "OWNER/transferability")


def _register(options: argparse.Namespace) -> int:
    check_publishing(options)
    if options.publish:
        from hf_transferability.space.publishing import publish

        print(publish("metrics/transferability", options.publish, wheel=options.wheel, private=options.private))
        return 0
    from hf_transferability.registration import register

    print(register())
    say(
        'registered: evaluate.load("transferability") now finds the metric, also without network. Next: hf-transferability demo'
    )
    return 0
