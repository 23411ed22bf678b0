"""Checks of arguments of the public functions: a wrong type is a named error, and nothing is guessed."""

import functools
import inspect
import math
import os
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeVar

from hf_transferability.errors import UnknownArgument, UsageError, nearest, shown

F = TypeVar("F", bound=Callable[..., Any])

LARGEST_SEED = 2**32 - 1  # what NumPy, PyTorch and scikit-learn all take
LARGEST_WHOLE = 2**63 - 1  # of 64 bits


def whole(name: str, value: object, smallest: int = 0, largest: int = LARGEST_WHOLE) -> int:
    """A whole number within limits.

    Raises:
        UsageError: something else.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or not smallest <= int(value) <= largest:
        limits = f"{smallest} or more" if largest == LARGEST_WHOLE else f"from {smallest} to {largest}"
        raise UsageError(f"`{name}` must be a whole number, {limits}; got {shown(value)}. Pass another.")
    return int(value)


def number(name: str, value: object, smallest: float = 0.0, largest: float = math.inf, *, above: bool = False) -> float:
    """A finite number within limits; with `above` larger than the smallest.

    Raises:
        UsageError: something else.
    """
    try:
        good = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
        good = good and smallest <= float(value) <= largest and not (above and value == smallest)  # type: ignore[arg-type]
    except OverflowError:
        good = False
    if not good:
        limit = "" if largest == math.inf else f" to {largest:g}"
        start = "above" if above else "from"
        raise UsageError(f"`{name}` must be a finite number {start} {smallest:g}{limit}; got {shown(value)}. Pass another.")
    return float(value)  # type: ignore[arg-type]


def text(name: str, value: object, *, path: bool = False, empty: bool = True) -> None:
    """Refuse what is no text (with `path` also a Path), holds a NUL, or (without `empty`) only blanks.

    Raises:
        UsageError: something else.
    """
    good = isinstance(value, (str, Path) if path else str) and "\0" not in str(value) and (empty or str(value).strip())
    if not good or (path and not _is_encodable(str(value))):
        kind = ("a path" if path else "a text") + ("" if empty else " that is not empty")
        raise UsageError(f"`{name}` must be {kind}; got {shown(value)}. Pass another.")


def flag(name: str, value: object) -> None:
    """Refuse what is neither True nor False.

    Raises:
        UsageError: something else.
    """
    if not isinstance(value, bool):
        raise UsageError(f"`{name}` must be True or False; got {shown(value)}. Pass one of these.")


def texts(name: str, values: Any, *, paths: bool = False) -> list:
    """Texts (with `paths` also Paths) from any collection but a single text, also from a generator.

    Raises:
        UsageError: something else.
    """
    if isinstance(values, str | bytes | Path | Mapping) or not isinstance(values, Iterable):
        raise UsageError(
            f"`{name}` must be a list of {'names' if not paths else 'paths'}; got {shown(values)}. Put it in a list."
        )
    try:
        items = list(values)
    except TypeError as error:  # an array without axes
        raise UsageError(f"`{name}` must be a list; got {shown(values)}. Put it in a list.") from error
    for item in items:
        text(f"{name}[...]", item, path=paths)
    return items


def _is_encodable(path: str) -> bool:
    """Whether a file may have this name; halves of characters have no bytes."""
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True


def checked_names(function: F) -> F:
    """The function, with an error of this package for a keyword argument that it does not have."""
    known = names_of(function)

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        for name in options:
            if name not in known:
                raise unknown_argument(function.__name__, name, known)
        return function(*arguments, **options)

    return call  # type: ignore[return-value]


def names_of(function: Callable[..., Any]) -> list[str]:
    """The names of the arguments that a function has itself."""
    return [name for name, parameter in inspect.signature(function).parameters.items() if parameter.kind.name != "VAR_KEYWORD"]


def unknown_argument(function: str, name: str, known: Iterable[str]) -> UnknownArgument:
    """The error for a keyword argument that a function does not have, with the one that was probably meant."""
    meant = nearest(name, known)
    remedy = f"Did you mean {meant}?" if meant else "Leave it out."
    return UnknownArgument(f"{function}() got an unexpected keyword argument {shown(name)}. {remedy}")
