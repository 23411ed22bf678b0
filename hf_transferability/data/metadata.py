"""Metadata files beside images (metadata.csv, .jsonl, .parquet): a row for each image file, its columns as they are written."""

import csv
import json
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet

from hf_transferability.data.delimiters import NAMES as NAMES_OF_DELIMITERS
from hf_transferability.data.delimiters import delimiter_note, delimiter_of
from hf_transferability.data.foreign import check_own_path, is_own_path
from hf_transferability.data.path_remedies import cutting, is_of_a_machine
from hf_transferability.data.text_columns import numbers_of
from hf_transferability.data.text_encoding import not_utf8
from hf_transferability.errors import TargetError
from hf_transferability.escaping.terminal import printable

NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_FILE_NAME = "file_name"
_LARGEST_WHOLE = 2**63 - 1


@dataclass
class Metadata:
    """The rows of all metadata files of a folder.

    Attributes:
        rows: image file, relative to the dataset's folder -> column -> value, without file_name.
        columns: all columns but file_name, in order of appearance.
        repeated: rows that say of a file what a row before says.
        absent: rows whose file is not among the images.
        first_absent: the first of these files; "" without any.
        notes: how they were read where that is not obvious, one sentence each.
    """

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    columns: list[str] = field(default_factory=list)
    repeated: int = 0
    absent: int = 0
    first_absent: str = ""
    notes: list[str] = field(default_factory=list)

    def types(self) -> dict[str, Any]:
        """The feature of each column.

        Raises:
            TargetError: a column of values of several types.
        """
        found = {}
        for column in self.columns:
            try:
                array = pa.array([row.get(column) for row in self.rows.values()])
                found[column] = datasets.Features.from_arrow_schema(pa.schema({column: array.type}))[column]
            except (pa.ArrowException, ValueError, TypeError, OverflowError):
                raise TargetError(
                    f"column {printable(column[:80])} of the metadata holds values of several types. Make them of one type."
                ) from None
        return found


def read_metadata(folder: Path, names: Sequence[str], images: Collection[str]) -> Metadata | None:
    """The rows of the metadata files; None where a file names several images a row, which `datasets` reads.

    Args:
        folder: the dataset's folder.
        names: the metadata files, relative to it.
        images: the image files, relative to it.

    Raises:
        TargetError: a file that cannot be read or names files elsewhere, or two rows that say different things of a file.
    """
    metadata, files = Metadata(), set(images)
    lines: dict[str, str] = {}
    kinds: dict[str, set[str]] = {}
    for name in names:
        if name.endswith(".csv") and (delimiter := delimiter_of(folder / name)) in NAMES_OF_DELIMITERS:
            metadata.notes = [delimiter_note(delimiter)]
        for number, (line, row) in enumerate(_rows(folder / name)):
            if _names_several(row) or (number == 0 and _FILE_NAME not in row):
                return None
            file_name = row.pop(_FILE_NAME, None)
            path = "" if file_name is None else _inside(name, file_name, files)
            for column in row:
                kinds.setdefault(column, set()).add(os.path.splitext(name)[1])
            if path not in files:
                metadata.absent += 1
                metadata.first_absent = metadata.first_absent or path
            elif path not in metadata.rows:
                metadata.rows[path], lines[path] = row, f"{name} {line}"
            elif metadata.rows[path] == row:
                metadata.repeated += 1
            else:
                raise TargetError(
                    f"the metadata say different things of {printable(path[-80:])} ({lines[path]} and {name} {line}). "
                    "Delete one of the two rows."
                )
    metadata.columns = list(kinds)
    for column in metadata.columns:
        _settle(metadata.rows.values(), column, only_texts=kinds[column] == {".csv"})
    return metadata


def _names_several(row: dict[str, Any]) -> bool:
    return any(name.endswith(("_file_name", "_file_names")) or name in ("file_names", "image") for name in row)


def _settle(rows: Collection[dict[str, Any]], column: str, only_texts: bool) -> None:
    """Make numbers of texts where nothing is lost, and texts of whole numbers that no column holds."""
    values = [row.get(column) for row in rows]
    changed: Sequence[Any] | None = None
    if only_texts:
        changed = numbers_of(values)
    elif _are_beyond_64_bits(values):
        changed = [None if value is None else str(value) for value in values]
    if changed is not None:
        for row, value in zip(rows, changed, strict=True):
            row[column] = value


def _are_beyond_64_bits(values: Sequence[Any]) -> bool:
    """Whether values are whole numbers, and some are too large for a column of numbers."""
    whole = [value for value in values if value is not None]
    if not all(isinstance(value, int) and not isinstance(value, bool) for value in whole):
        return False
    return any(abs(value) > _LARGEST_WHOLE for value in whole)


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where each row stands ("line 3"), and the row.

    Raises:
        TargetError: the file cannot be read.
    """
    read = {".csv": _csv_rows, ".jsonl": _json_rows, ".parquet": _parquet_rows}[path.suffix]
    try:
        yield from read(path)
    except UnicodeDecodeError as error:
        raise not_utf8(str(path)) from error
    except (ValueError, OSError, csv.Error, RecursionError, pa.ArrowException) as error:
        reason = printable((str(error).splitlines() or [type(error).__name__])[0][:120])
        raise TargetError(f"{path.name} cannot be read: {reason}. Check that it is whole.") from error


def _csv_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter_of(path), strict=True)
        header = next(reader, None)
        if header is None:
            raise ValueError("it is empty")
        if len(set(header)) < len(header):
            raise ValueError("it names a column twice")
        if _FILE_NAME not in header:
            yield "line 1", dict.fromkeys(header)
        for cells in reader:
            if not cells:
                continue
            if len(cells) > len(header):
                raise ValueError(f"line {reader.line_num} has {len(cells)} cells for {len(header)} columns")
            filled = cells + [""] * (len(header) - len(cells))
            yield f"line {reader.line_num}", {name: cell or None for name, cell in zip(header, filled, strict=True)}


def _json_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    if not path.stat().st_size:
        raise ValueError("it is empty")
    with open(path, encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise ValueError(f"line {number} is no object")
                yield f"line {number}", row


def _parquet_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    table = pyarrow.parquet.read_table(path)
    for number, row in enumerate(table.to_pylist()):
        yield f"row {number} (counted from 0)", row


def _inside(metadata: str, file_name: Any, images: Collection[str]) -> str:
    """The path, relative to the dataset's folder, of a file that a metadata file names.

    Args:
        metadata: its path.
        file_name: what it names.
        images: the image files, relative to the dataset's folder.

    Raises:
        TargetError: a URL, an absolute path, or one that leads out of the metadata's folder.
    """
    name, folder = str(file_name), os.path.dirname(metadata)
    if not is_own_path(name) and is_of_a_machine(name):
        start, own = cutting([name], {os.path.relpath(image, folder or ".") for image in images})
        if own:
            remedy = f"Cut {start} from file_name, which is relative to the metadata file, such as {own}."
            check_own_path(name, metadata, remedy)
    check_own_path(name, metadata)
    return os.path.normpath(os.path.join(folder, name))
