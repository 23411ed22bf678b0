"""Rows of results: their columns, and the forms in which they are written."""

import contextlib
import csv
import io
import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hf_transferability.errors import TransferabilityError, UsageError

Row = dict[str, Any]
FORMATS = ("table", "json", "csv")
ENDINGS = (".json", ".csv", ".parquet")
_PACKAGES = (
    "hf-transferability", "torch", "transformers", "timm", "datasets", "accelerate", "huggingface-hub",
    "scikit-learn", "scipy", "numpy", "pillow", "torchvision",
)  # fmt: skip


def ranked_rows(rows: Sequence[Row]) -> list[Row]:
    """The candidates with a score, if there are two or more, as one alone has no ranking."""
    scored = [row for row in rows if row["score"] is not None]
    return scored if len(scored) > 1 else []


def package_versions() -> dict[str, str]:
    """Versions of everything that can change a number."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def hardware(device: str = "cpu", processes: int = 1) -> str:
    """What networks run on, in words: the model of the GPU or CPU, and how many of them share the work."""
    name = ""
    if device == "cuda":
        import torch

        name = torch.cuda.get_device_name()
    elif device == "cpu":
        with contextlib.suppress(OSError):
            found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
            name = found[1].strip() if found else ""
        name = name or platform.processor() or platform.machine()
    return f"{f'{processes} x ' if processes > 1 else ''}{f'{name} ({device})' if name else device}"


def now() -> str:
    """The time in UTC, ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


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
