"""The command line: parsing and printing only. Data on stdout, everything else on stderr.

Each command is a module of this package with a function `add`. Exit status: 0 all went well, 1 something failed (the rest
is still ranked), 2 wrong usage, 130 interrupted, 143 terminated.
"""

import argparse
import errno
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

from hf_transferability import __version__, signals
from hf_transferability.cli import (
    benchmark,
    candidates,
    choose,
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
    streams,
)
from hf_transferability.cli.output import never_silent
from hf_transferability.errors import TransferabilityError, UsageError, nearest, shown
from hf_transferability.escaping.terminal import printable

PROGRAM = signals.PROGRAM
# One module each, in the order of --help.
COMMANDS = (
    candidates,
    rank,
    choose,
    score,
    report,
    plot,
    metrics,
    explain,
    benchmark,
    pretrain,
    finetune,
    register,
    space,
    demo,
)
_WHOLE_NUMBERS = ("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT")  # variables that the Hub's client reads
_LOST = "stdout cannot be written: {}. Free some space, or send it elsewhere."
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


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
    words = _with_negative_windows(words)
    ended: SystemExit | None = None
    signals.begin()
    try:
        status = _status(words)
    except SystemExit as end:  # argparse, after --help or a wrong option
        status, ended = 2, end
    finally:
        signals.end()
    if lost := streams.flush():
        if not isinstance(lost, BrokenPipeError):
            streams.say(f"{PROGRAM}: {_LOST.format(lost.strerror)}")
        return 1
    if ended is not None:
        raise ended
    return status


def _with_negative_windows(words: Sequence[str]) -> list[str]:
    """`--window -1024,506` as one word, since argparse takes the value for an option; negative windows are usual in CT."""
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] == "--window" and re.match(r"-[\d.]", word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _status(words: list[str]) -> int:
    """Run the command; every error becomes a line on stderr and an exit status."""
    try:
        streams.prepare()
        return _run(words)
    except UsageError as error:
        streams.say(f"{PROGRAM}: {error}")
        return 2
    except TransferabilityError as error:
        streams.say(f"{PROGRAM}: {error}")
        return 1
    except KeyboardInterrupt:
        streams.say(signals.line())
        return signals.status()
    except BrokenPipeError:  # the reader of stdout has gone, as `| head` does
        streams.discard()
        return 1
    except Exception as error:
        if signals.received():
            streams.say(signals.line())
            return signals.status()
        if os.environ.get("HF_TRANSFERABILITY_TRACEBACK"):
            raise
        streams.say(f"{PROGRAM}: {_explained(error)}")
        return 1


def _run(words: list[str]) -> int:
    if not words:
        print(FIRST_STEPS, file=sys.stderr)
        return 2
    parser = _parser()
    try:
        options = parser.parse_args(words)
    except RecursionError:
        parser.error("an option holds too many nested values")
    _check_environment()
    _quiet_libraries()
    with never_silent():
        return options.run(options)


def _explained(error: Exception) -> str:
    """An error that no module has explained: what the system refused, or an error in the program."""
    if isinstance(error, OSError) and error.errno in _FULL:
        place = f"{error.filename} " if error.filename else "a file "
        return f"{place}cannot be written: {error.strerror}. Free some space, or choose another place."
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return f"too many files are open: {error.strerror}. Allow more by `ulimit -n`."
    if isinstance(error, MemoryError):
        return "the memory is full. Take fewer or smaller images, or another machine."
    return (
        f"unexpected {type(error).__name__}: {error}\n"
        "This is an error in the program. Set HF_TRANSFERABILITY_TRACEBACK=1 to see where it happens, and report it."
    )


def _check_environment() -> None:
    """Refuse what the libraries would fail on while they are imported.

    Raises:
        UsageError: names the variable.
    """
    for name in _WHOLE_NUMBERS:
        value = os.environ.get(name, "")
        if value and not value.strip().isdecimal():
            raise UsageError(f"{name} must be a whole number of seconds; got {shown(value)}. Unset it, or correct it.")


def _quiet_libraries() -> None:
    """Turn off messages of the libraries, before they are imported: ours say the same once, and what to do."""
    for name, level in (("HF_HUB_VERBOSITY", "error"), ("DATASETS_VERBOSITY", "error"), ("TORCH_CPP_LOG_LEVEL", "ERROR")):
        os.environ.setdefault(name, level)
    for name in ("HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS"):
        if not sys.stderr.isatty():  # bars would fill a log
            os.environ.setdefault(name, "1")


class _Parser(argparse.ArgumentParser):
    """A parser that answers an unknown choice or command with the one that was probably meant, as Python 3.14 can.

    With `intermixed`, options may stand between positional words, also where these may be none.
    """

    intermixed = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self._subparsers is None:
            self._refuse_unknown_options(args or [])
        if not self.intermixed:
            return super().parse_known_args(args, namespace)
        self.intermixed = False  # what follows calls this method again
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self.intermixed = True

    def _refuse_unknown_options(self, words: Sequence[str]) -> None:
        """Before a missing option is: it may be the one that is misspelt."""
        options = words[: words.index("--")] if "--" in words else words
        for word in options:
            name = word.partition("=")[0]
            if re.match(r"--[a-zA-Z]", name) and name not in self._option_string_actions:
                meant = nearest(name, self._option_string_actions)
                self.error(f"unrecognized arguments: {name}." + (f" Did you mean {meant}?" if meant else ""))

    def _print_message(self, message: str, file: Any = None) -> None:
        super()._print_message(printable(message) if file is sys.stderr else message, file)

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
