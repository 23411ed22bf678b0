"""Files of results: the forms in which rows are written, whole or not at all."""

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_transferability.errors import TransferabilityError, UsageError
from hf_transferability.results import Row

FORMATS = ("table", "json", "csv")
ENDINGS = (".json", ".csv", ".parquet")


def to_json(document: Mapping[str, Any]) -> str:
    """The ranking as JSON text; a number that is not finite is an error, never `NaN`."""
    return json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False)


def to_csv(rows: Sequence[Row]) -> str:
    """The rows as CSV text: one column per key, lists joined by ";", nothing for a missing value."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows([{key: _flat(value) for key, value in row.items()} for row in rows])
    return text.getvalue()


def check_output(path: str | Path, option: str = "output", endings: Sequence[str] = ENDINGS) -> Path:
    """The path, if it has one of the endings, by default those that `save` knows, and can be written.

    Raises:
        UsageError: otherwise; names the option that the path came from.
    """
    path = Path(path)
    if path.suffix.lower() not in endings:
        *others, last = endings
        known = f"{', '.join(others)} or {last}" if others else last
        raise UsageError(f"`{option}` must end in {known}; got {str(path)!r}. Choose one of these.")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise UsageError(f"`{option}` must lie in an existing folder; there is no {path.parent}. Make it first.")
    if path.is_dir() or not os.access(folder, os.W_OK):
        raise UsageError(f"`{option}` must be a file that can be written; got {str(path)!r}. Choose another.")
    return path


def save(document: Mapping[str, Any], path: str | Path) -> None:
    """Write a ranking to .json (all of it), .csv or .parquet (its rows), atomically.

    Raises:
        UsageError: another ending, or not a place to write to.
        TransferabilityError: the file cannot be written.
    """
    path = check_output(path)
    ending = path.suffix.lower()
    if ending == ".parquet":
        import pandas as pd

        flat = [{key: _flat(value) for key, value in row.items()} for row in document["rows"]]
        write_file(path, pd.DataFrame(flat).to_parquet(None, index=False))
    else:
        text = (to_json(document) + "\n") if ending == ".json" else to_csv(document["rows"])
        write_file(path, text.encode())


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        TransferabilityError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    except OSError as error:
        raise TransferabilityError(f"{path} cannot be written: {error.strerror}. Choose another place for it.") from error
    finally:
        part.unlink(missing_ok=True)


def _flat(value: Any) -> Any:
    if isinstance(value, list):
        return ";".join(str(item) for item in value)
    return json.dumps(value) if isinstance(value, dict) else value
