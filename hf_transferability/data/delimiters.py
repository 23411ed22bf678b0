"""What separates the columns of a table in a text file: a comma, or the semicolon or tab that some spreadsheets write."""

from pathlib import Path

NAMES = {";": "semicolons", "\t": "tabs"}
_LONGEST_LINE = 100_000  # bytes


def delimiter_of(table: Path) -> str:
    """The character between the names of the columns: a comma, unless the first line has none, but semicolons or tabs."""
    try:
        with table.open("rb") as file:
            line = file.readline(_LONGEST_LINE).decode("utf-8", "replace")
    except OSError:  # is told when it is read
        return ","
    if "," in line:
        return ","
    return next((sign for sign in NAMES if sign in line), ",")


def delimiter_note(delimiter: str) -> str:
    """A note for a table that is read with another delimiter than the comma."""
    return f"The columns of the table are separated by {NAMES[delimiter]}, and read so."
