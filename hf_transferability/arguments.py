"""Checks of arguments of the public functions: a wrong type is a named error, and nothing is guessed."""

import math
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from hf_transferability.errors import UsageError, shown

LARGEST_SEED = 2**32 - 1  # what NumPy, PyTorch and scikit-learn all take
LARGEST_WHOLE = 2**63 - 1  # of 64 bits


def whole(name: str, value: object, smallest: int = 0, largest: int = LARGEST_WHOLE) -> int:
    """A whole number within limits.

    Raises:
        UsageError: something else.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or not smallest <= int(value) <= largest:
        raise UsageError(f"`{name}` must be a whole number from {smallest} to {largest}; got {shown(value)}. Pass another.")
    return int(value)


def number(name: str, value: object, smallest: float = 0.0, largest: float = math.inf) -> float:
    """A finite number within limits.

    Raises:
        UsageError: something else.
    """
    try:
        good = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
        good = good and smallest <= float(value) <= largest  # type: ignore[arg-type]
    except OverflowError:
        good = False
    if not good:
        limit = "" if largest == math.inf else f" to {largest:g}"
        raise UsageError(f"`{name}` must be a finite number from {smallest:g}{limit}; got {shown(value)}. Pass another.")
    return float(value)  # type: ignore[arg-type]


def text(name: str, value: object, *, path: bool = False, empty: bool = True) -> None:
    """Refuse what is no text (with `path` also a Path), holds a NUL, or (without `empty`) only blanks.

    Raises:
        UsageError: something else.
    """
    if not isinstance(value, (str, Path) if path else str) or "\0" in str(value) or not (empty or str(value).strip()):
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
