"""Cells of CSV files: a text that a spreadsheet would take for a formula is quoted; numbers stay numbers."""

import contextlib
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_ENCODING = "utf-8"


def cell(value: Any) -> Any:
    """A cell's value; a text that begins like a formula, and is no number, gets an apostrophe before it.

    Characters that UTF-8 lacks (undecodable bytes of a file's name) are written as escapes.
    """
    if not isinstance(value, str):
        return value
    value = value.encode(_ENCODING, "backslashreplace").decode(_ENCODING)
    return f"'{value}" if value.startswith(_FORMULA) and not _is_number(value) else value


def original(text: str) -> str:
    """The text of a cell as it was before `cell`."""
    return text[1:] if text[:1] == "'" and text[1:2] in _FORMULA else text


def _is_number(text: str) -> bool:
    with contextlib.suppress(ValueError):
        float(text)
        return text.isascii() and not text[-1:].isspace() and not text[:1].isspace()
    return False
