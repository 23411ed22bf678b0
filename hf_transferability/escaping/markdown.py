"""Text for Markdown: cells of tables, and lines of cards."""

import re
from collections.abc import Iterable, Sequence

from hf_transferability.escaping.terminal import one_line

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~$])")
_ADDRESS = re.compile(r"(?i)\b(https?|ftp|mailto|javascript|data|file)(:)|(www)(\.)|(@)")
_START = re.compile(r"^(\s*)([#+=-]|\d+(?=[.)]))")


def text(value: object) -> str:
    """A value as plain text in one line: no markup, HTML, link or table comes of it.

    Underscores within a word, as in names of metrics, are left as they are, which Markdown reads as such.
    """
    return _START.sub(lambda found: f"{found[1]}{_started(found[2])}", _inline(value))


def cell(value: object) -> str:
    """A value as a cell of a table: its pipes and line breaks cannot end the cell, and nothing in it is markup."""
    return _inline(value)


def line(value: object) -> str:
    """A line of our own words that may hold names from elsewhere: code spans stay, but no HTML, link or break comes of it."""
    return one_line(str(value)).replace("&", "&amp;").replace("<", "&lt;").replace("](", "]&#40;").replace("![", "&#33;[")


def table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; the titles are our own, the cells may hold anything."""
    lines = [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(cell, row))} |" for row in rows)])


def _inline(value: object) -> str:
    shown = re.sub(r"(?<=\w)\\_(?=\w)", "_", _SPECIAL.sub(r"\\\1", one_line(str(value)).replace("&", "&amp;")))
    return _ADDRESS.sub(lambda found: "".join(_entity(part) for part in found.groups() if part), shown)


def _entity(part: str) -> str:
    return {":": "&#58;", ".": "&#46;", "@": "&#64;"}.get(part, part)


def _started(mark: str) -> str:
    """The first mark of a line, which would make a heading, a list or a rule; numbers are left, as cells hold them."""
    return mark if mark.isdigit() else f"\\{mark}"
