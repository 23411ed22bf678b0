"""`hf-transferability space`: start the page, or put it on the Hub."""

import argparse
import importlib.util
from typing import Any

from hf_transferability.cli.options import add_publishing, check_publishing, port
from hf_transferability.cli.output import silent_from_now
from hf_transferability.errors import UsageError


def add(commands: Any) -> None:
    """Add the command."""
    space = commands.add_parser(
        "space",
        help="start the page for ranking on this machine, or publish it as a Space",
        description="Start the page on this machine: rank checkpoints, look at the benchmark. Or put it on the Hub as a Space.",
        allow_abbrev=False,
    )
    space.set_defaults(run=_space)
    space.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine only)")
    space.add_argument("--port", type=port, metavar="N", help="default: the first free one from 7860")
    add_publishing(space, "OWNER/NAME")


def _space(options: argparse.Namespace) -> int:
    check_publishing(options)
    if options.publish:
        from hf_transferability.space.publishing import publish

        print(publish("space", options.publish, wheel=options.wheel, private=options.private))
        return 0
    for package in ("gradio", "matplotlib"):
        if importlib.util.find_spec(package) is None:
            raise UsageError(f"the page needs {package}. Install it: pip install 'hf-transferability[space]'.")
    from hf_transferability.space.page import launch

    silent_from_now()
    launch(options.host, options.port)
    return 0
