"""stdout and stderr of the program: usable whatever they are connected to and whatever their encoding lacks."""

import contextlib
import io
import os
import sys
from typing import TextIO

from hf_transferability.errors import TransferabilityError
from hf_transferability.escaping.terminal import ERRORS, printable


def prepare() -> None:
    """Make the streams take every character, and stderr take everything where it is closed.

    Raises:
        TransferabilityError: stdout is closed.
    """
    closed = sys.stdout is None
    if closed:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  takes the place of descriptor 1, which a file would get
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    sys.stdout, sys.stderr = _taking_all(sys.stdout), _taking_all(sys.stderr)
    if closed:
        raise TransferabilityError("stdout is closed, so no result can be printed. Open it, or send it to /dev/null.")


def _taking_all(stream: TextIO) -> TextIO:
    """A stream that writes what its encoding lacks as escapes; any other object, such as one of a notebook, as it is."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    try:
        stream.reconfigure(errors=ERRORS)
    except OSError:  # the descriptor now leads elsewhere than when Python opened it
        buffering = 1 if stream.line_buffering else -1
        return open(stream.fileno(), "w", buffering, stream.encoding, ERRORS, closefd=False)
    return stream


def say(text: str) -> None:
    """Print a line for people to stderr, with control characters visible; nothing where nobody can read it."""
    with contextlib.suppress(OSError, ValueError):
        print(printable(text), file=sys.stderr, flush=True)


def flush() -> OSError | None:
    """Write what the streams still hold; the error of stdout if that is not possible.

    A stream that cannot be written is left to nobody, so that the interpreter does not try again at its end.
    """
    errors = {stream: _flushed(stream) for stream in (sys.stderr, sys.stdout)}
    return errors[sys.stdout]


def _flushed(stream: TextIO) -> OSError | None:
    try:
        stream.flush()
    except OSError as error:
        discard(stream)
        return error
    return None


def discard(stream: TextIO | None = None) -> None:
    """Send what a stream, by default stdout, still holds nowhere."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), (stream or sys.stdout).fileno())
