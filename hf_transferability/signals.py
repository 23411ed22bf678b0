"""Ctrl-C and a polite kill end the program with one line and the usual exit status, from its first moment on.

Nothing that takes time is imported here: until `install` Python itself answers, with a traceback.
"""

import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

PROGRAM = "hf-transferability"
_KEPT = "Finished checkpoints are kept; run the same command again to continue."
_SHOW_CURSOR = b"\x1b[?25h"  # a live display hides it
_WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


class Stopped(KeyboardInterrupt):
    """The program was asked to stop; a KeyboardInterrupt, so that libraries clean up as they do for one."""


class _State:
    running = False  # whether `main` of the command line catches what the handler raises
    number: int | None = None  # the signal that came


def install() -> None:
    """Handle both signals in this process, unless its parent wants them ignored."""
    for number in _WORDS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
    sys.unraisablehook = _unraisable


def begin() -> None:
    """From now on a signal is raised as an exception, so that the work can clean up."""
    _State.running, _State.number = True, None


def end() -> None:
    """The work is done: a signal that comes while the interpreter closes changes nothing."""
    if _State.running:
        _State.running = False
        for number in _WORDS:
            if signal.getsignal(number) is _stop:
                signal.signal(number, signal.SIG_IGN)


def received() -> bool:
    """Whether a signal came, also where a library turned it into an error of its own."""
    return _State.number is not None


def line() -> str:
    """What the user is told."""
    return f"{PROGRAM}: {_WORDS[signal.Signals(_State.number or signal.SIGINT)]}. {_KEPT}"


def status() -> int:
    """The exit status: 130 after Ctrl-C, 143 after a kill."""
    return 128 + (_State.number or signal.SIGINT)


def _stop(number: int, frame: "FrameType | None") -> None:
    first, _State.number = _State.number is None, number
    if not (first and _State.running):
        _leave()
    raise Stopped


def _leave() -> None:
    try:
        if os.isatty(2):
            os.write(2, _SHOW_CURSOR)
        os.write(2, f"{line()}\n".encode())
    finally:
        os._exit(status())


def _unraisable(found: "Any") -> None:
    """A signal in the middle of a clean-up, where Python would print a traceback and go on."""
    if found.exc_type is Stopped:
        _leave()
    sys.__unraisablehook__(found)
