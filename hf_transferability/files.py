"""Result files: rows as JSON, CSV or parquet, and atomic writing of any file."""

import contextlib
import csv
import io
import json
import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_transferability import arguments
from hf_transferability.errors import TransferabilityError, UsageError, shown
from hf_transferability.escaping import csv as csv_escaping
from hf_transferability.escaping.terminal import ERRORS
from hf_transferability.names import expanded
from hf_transferability.results import Row

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("table", "json", "csv")
ENDINGS = (".json", ".csv", ".parquet")
_LONGEST_NAME = 200  # bytes of a file's name; file systems take 255, and a file in progress has a longer one


def to_json(document: Mapping[str, Any]) -> str:
    """The ranking as JSON text.

    Raises:
        ValueError: a number is not finite; JSON has no form for it.
    """
    return json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False)


def to_csv(rows: Sequence[Row]) -> str:
    """The rows as CSV text: one column per key, lists joined by ";", nothing for a missing value.

    A text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows([{key: csv_escaping.cell(_flat(value)) for key, value in row.items()} for row in rows])
    return text.getvalue()


def read_csv(path: Path, texts: Mapping[str, str] | None = None) -> "pd.DataFrame":
    """The rows of a CSV file, with texts as they were before `to_csv` quoted them; "None" and "NA" are texts.

    Args:
        path: the file.
        texts: column -> "str" where a text may look like a number.

    Raises:
        ValueError, OSError: it cannot be read.
    """
    import pandas as pd

    frame = pd.read_csv(path, dtype=texts, keep_default_na=False, na_values=[""])
    return frame.map(lambda value: csv_escaping.original(value) if isinstance(value, str) else value)


def check_output(path: str | Path, option: str = "output", endings: Sequence[str] = ENDINGS) -> Path:
    """Check, before a long computation, that a file can be written.

    Args:
        path: file to write later.
        option: name of the option, for the error.
        endings: allowed endings; default those of `save`.

    Returns:
        The path.

    Raises:
        UsageError: another ending, a missing folder, or a place without write access.
    """
    arguments.text(option, path, path=True)
    path = Path(path)
    if len(os.fsencode(path.name)) > _LONGEST_NAME:
        raise UsageError(f"`{option}` must have a name of at most {_LONGEST_NAME} bytes; got {shown(path.name)}. Shorten it.")
    if path.suffix.lower() not in endings:
        *others, last = endings
        allowed = f"{', '.join(others)} or {last}" if others else last
        raise UsageError(f"`{option}` must end in {allowed}; got {str(path)!r}. Choose one of these.")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise UsageError(f"`{option}` must lie in an existing folder; there is no {path.parent}. Make it first.")
    if path.is_dir() or not os.access(folder, os.W_OK):
        raise UsageError(f"`{option}` must be a file that can be written; got {str(path)!r}. Choose another.")
    return path


def make_folder(path: Path, option: str) -> Path:
    """Make a folder to write to, with those above it; one that exists stays as it is.

    Raises:
        UsageError: it cannot be made; `option` is what the caller knows its place by.
    """
    if str(path).startswith("~") and expanded(path) == path:
        raise UsageError(f"`{option}` must name a folder; there is no home {path.parts[0]}. Choose another.")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"`{option}` must be a folder that can be written to; {shown(str(path))}: {error.strerror}. Choose another."
        ) from error
    return path


def check_new_folder(path: Path, option: str) -> None:
    """Check, before a long computation, that a folder can be made; the folders above it are made.

    Raises:
        UsageError: it exists, its name is too long, or its place cannot be written to.
    """
    if os.path.lexists(path):
        raise UsageError(f"`{option}` must be a new folder; {path} exists. Choose another, or remove it.")
    if len(os.fsencode(path.name)) > _LONGEST_NAME:
        raise UsageError(f"`{option}` must have a name of at most {_LONGEST_NAME} bytes; got {shown(path.name)}. Shorten it.")
    if not os.access(make_folder(path.parent, option), os.W_OK):
        raise UsageError(f"`{option}` must lie in a folder that can be written to; got {str(path)!r}. Choose another.")


def save(document: Mapping[str, Any], path: str | Path) -> None:
    """Write a ranking atomically: the whole document to .json, its rows to .csv or .parquet.

    Raises:
        UsageError: another ending, or a place without write access.
        TransferabilityError: the file cannot be written.
    """
    path = check_output(path)
    ending = path.suffix.lower()
    if ending == ".parquet":
        import pandas as pd

        flat = [{key: _encodable(_flat(value)) for key, value in row.items()} for row in document["rows"]]
        write_file(path, pd.DataFrame(flat).to_parquet(None, index=False))
    else:
        text = (to_json(document) + "\n") if ending == ".json" else to_csv(document["rows"])
        write_file(path, text.encode("utf-8", ERRORS))


def write_file(path: Path, content: bytes) -> None:
    """Write a file atomically, with an error for the user.

    Raises:
        TransferabilityError: it cannot be written.
    """
    try:
        replace_file(path, content)
    except OSError as error:
        raise TransferabilityError(f"{path} cannot be written: {error.strerror}. Choose another place for it.") from error


def replace_file(path: Path, content: bytes, durable: bool = False) -> None:
    """Write a file atomically: readers see the old content or the new, and a killed process leaves the old.

    Args:
        path: the file; its folder must exist.
        content: all of its bytes.
        durable: wait until the bytes are on the disk, so that the file is also complete after a power failure.

    Raises:
        OSError: it cannot be written; the old file is as it was.
    """
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _flat(value: Any) -> Any:
    if isinstance(value, list):
        return ";".join(str(item) for item in value)
    return json.dumps(value) if isinstance(value, dict) else value


def _encodable(value: Any) -> Any:
    """A text without the undecodable bytes of a file's name, which Parquet has no form for."""
    return value.encode("utf-8", ERRORS).decode() if isinstance(value, str) else value
