"""Rows of results."""

from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]


def ranked_rows(rows: Sequence[Row]) -> list[Row]:
    """The candidates with a score, if there are two or more, as one alone has no ranking."""
    scored = [row for row in rows if row["score"] is not None]
    return scored if len(scored) > 1 else []
