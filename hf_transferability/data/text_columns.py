"""Columns of texts, as CSV files hold them: numbers where nothing is lost, so that 01, 1 and 001 stay three names."""

import re
from collections.abc import Sequence

_WHOLE = re.compile(r"-?[0-9]+")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_BEYOND_64_BITS = 2**63
_LONGEST_NUMBER = 40  # characters


def numbers_of(texts: Sequence[str | None]) -> list[int | None] | list[float | None] | None:
    """The texts as integers or floats, None staying None; None as a whole where they are to stay texts.

    Integers must be written as Python writes them, so that no zero or sign is lost, and fit 64 bits. Decimal numbers may end in
    zeros, as long as different texts stay different numbers.
    """
    distinct = {text for text in texts if text is not None}
    if not distinct or any(len(text) > _LONGEST_NUMBER for text in distinct):
        return None
    if all(_WHOLE.fullmatch(text) for text in distinct):
        whole = {text: int(text) for text in distinct}
        if any(str(value) != text or abs(value) >= _BEYOND_64_BITS for text, value in whole.items()):
            return None
        return [None if text is None else whole[text] for text in texts]
    if not all(_DECIMAL.fullmatch(text) for text in distinct):
        return None
    decimal = {text: float(text) for text in distinct}
    if len(set(decimal.values())) < len(distinct) or float("inf") in map(abs, decimal.values()):
        return None
    return [None if text is None else decimal[text] for text in texts]


def is_number(text: str) -> bool:
    """Whether a text is a finite number, written in any usual way."""
    try:
        return abs(float(text)) < float("inf")
    except ValueError:
        return False
