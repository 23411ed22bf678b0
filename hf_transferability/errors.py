"""Errors, named after what the caller can do about them. Each text ends with the remedy."""

import difflib
from collections.abc import Iterable


class TransferabilityError(Exception):
    """Base of every error that this package raises on purpose; the command line prints its text without a traceback."""


class UsageError(TransferabilityError, ValueError):
    """An argument is wrong: an unknown split or column, one class only, too few images. Change the call."""


class TargetError(TransferabilityError):
    """The target dataset cannot be read: corrupt images, no access, no network. Mend the data or the connection."""


class CheckpointError(TransferabilityError):
    """A checkpoint cannot be scored. The rest of the pool still is; the text says why and what to change."""


class PublishError(TransferabilityError):
    """Results cannot be published: not logged in, no access, a name that is taken, no network. Nothing was changed."""


class UndefinedAgreement(TransferabilityError, ValueError):
    """Two orders cannot be compared: one of them is constant, or there are too few candidates. The text says which."""


def nearest(given: str, known: Iterable[str]) -> str | None:
    """Which of the known names was probably meant; None where none is near."""
    by_form = {name.lower(): name for name in known}
    found = difflib.get_close_matches(given.lower(), by_form, n=1)
    return by_form[found[0]] if found else None


def unknown_name(argument: str, given: object, known: Iterable[str]) -> str:
    """The text of an error about a name that is none of the known ones."""
    known = list(known)
    meant = nearest(str(given), known)
    remedy = f"Did you mean {meant}?" if meant else "Choose one of these."
    return f"`{argument}` must be one of {', '.join(known)}; got {given!r}. {remedy}"
