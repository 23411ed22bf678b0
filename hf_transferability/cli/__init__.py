"""The command line: parsing and printing only. Data on stdout, everything else on stderr.

Each command is a module of this package with a function `add`. Exit status: 0 all went well, 1 something failed (the rest
is still ranked), 2 wrong usage, 130 interrupted.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from hf_transferability import __version__
from hf_transferability.cli import (
    benchmark,
    candidates,
    demo,
    explain,
    finetune,
    metrics,
    plot,
    pretrain,
    rank,
    register,
    report,
    score,
    space,
)
from hf_transferability.errors import TransferabilityError, UsageError, nearest

PROGRAM = "hf-transferability"
# One module each, in the order of --help.
COMMANDS = (candidates, rank, score, report, plot, metrics, explain, benchmark, pretrain, finetune, register, space, demo)


FIRST_STEPS = f"""\
Rank pretrained checkpoints for a labelled image dataset, without fine-tuning them. Start with one of these:

  {PROGRAM} demo                          see it work on this machine, in minutes, without an account
  {PROGRAM} rank DATASET CHECKPOINT ...   rank checkpoints of the Hub, or folders, for your images
  {PROGRAM} explain NAME                  what a flag, a metric or a column of the table means

All commands: {PROGRAM} --help. All options of one: {PROGRAM} COMMAND --help."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["--"]:  # `hf extensions exec transferability -- ...` passes the dashes on
        words = words[1:]
    if not words:
        print(FIRST_STEPS, file=sys.stderr)
        return 2
    parser = _parser()
    options = parser.parse_args(words)
    _quiet_libraries()
    try:
        return options.run(options)
    except UsageError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    except TransferabilityError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            f"{PROGRAM}: interrupted. Finished checkpoints are kept; run the same command again to continue.", file=sys.stderr
        )
        return 130
    except BrokenPipeError:  # the reader of stdout has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if os.environ.get("HF_TRANSFERABILITY_TRACEBACK"):
            raise
        print(
            f"{PROGRAM}: unexpected {type(error).__name__}: {error}\n"
            "This is an error in the program. Set HF_TRANSFERABILITY_TRACEBACK=1 to see where it happens, and report it.",
            file=sys.stderr,
        )
        return 1


def _quiet_libraries() -> None:
    """Turn off messages of the libraries, before they are imported: ours say the same once, and what to do."""
    for name, level in (("HF_HUB_VERBOSITY", "error"), ("DATASETS_VERBOSITY", "error"), ("TORCH_CPP_LOG_LEVEL", "ERROR")):
        os.environ.setdefault(name, level)
    for name in ("HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS"):
        if not sys.stderr.isatty():  # bars would fill a log
            os.environ.setdefault(name, "1")


class _Parser(argparse.ArgumentParser):
    """A parser that answers an unknown choice or command with the one that was probably meant, as Python 3.14 can."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            if meant := nearest(str(value), map(str, action.choices or ())):
                error.message += f". Did you mean {meant}?"
            raise


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROGRAM,
        description="Rank pretrained checkpoints for a labelled image dataset, without fine-tuning them.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return parser
