"""Short texts about foreign errors and weights."""

from collections.abc import Collection


def first_line(error: Exception) -> str:
    """The first line of an error's text without its full stop; the error's type where it has no text."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def some_of(names: Collection[str], shown: int = 6) -> str:
    """The first names in order, and how many more there are."""
    ordered = sorted(names)
    return ", ".join(ordered[:shown]) + (f" and {len(ordered) - shown} more" if len(ordered) > shown else "")
