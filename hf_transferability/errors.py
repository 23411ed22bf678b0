"""Errors, named after what the caller can do about them. Each text ends with the remedy."""

import difflib
from collections.abc import Iterable

_LONGEST_NAME = 80  # characters of a name in an error
_LONGEST_LINE = 500  # characters of another program's error, which may quote a whole file


class TransferabilityError(Exception):
    """Base of every error that this package raises on purpose; the command line prints its text without a traceback."""


class UsageError(TransferabilityError, ValueError):
    """An argument is wrong: an unknown split or column, one class only, too few images. Change the call."""


class TargetError(TransferabilityError):
    """The target dataset cannot be read: corrupt images, no access, no network. Fix the data or the connection."""


class CheckpointError(TransferabilityError):
    """A checkpoint cannot be scored, while the rest of the pool still is; the text says why and what to change."""


class ImageSizeError(CheckpointError):
    """A network that cannot take images of the size that was asked for. Choose another size."""


class PublishError(TransferabilityError):
    """Results cannot be published: not logged in, no access, a name in use, no network. Nothing was changed."""


class JobError(TransferabilityError):
    """Jobs cannot be started or watched: no credit, no login, no network. What has started goes on."""


class UndefinedAgreement(TransferabilityError, ValueError):
    """Two orders cannot be compared: one is constant, or there are too few candidates. The text says which."""


class UnknownArgument(UsageError, TypeError):
    """A keyword argument that the function does not have; Python's own error for this is a TypeError."""


def first_line(error: BaseException) -> str:
    """The first line of an error's text, short and without its full stop; the name of its type if the text is empty."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    line = lines[0].rstrip().rstrip(".")
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}..."


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant; None if no known name is similar."""
    by_lower_case = {known_name.lower(): known_name for known_name in known}
    matches = difflib.get_close_matches(name.lower(), by_lower_case, n=1)
    return by_lower_case[matches[0]] if matches else None


def shown(name: object) -> str:
    """A name for an error: short, and even where an object has no text of its own."""
    try:
        text = repr(name)
    except Exception:  # any object may be passed, and its code may fail
        return f"an object of type {type(name).__name__}"
    return text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}..."


def unknown_name(argument: str, name: object, known: Iterable[str]) -> str:
    """The text of an error about a name that is not one of the known names."""
    known = list(known)
    suggestion = nearest(name, known) if isinstance(name, str) else None
    remedy = f"Did you mean {suggestion}?" if suggestion else "Choose one of these."
    return f"`{argument}` must be one of {', '.join(known)}; got {shown(name)}. {remedy}"
