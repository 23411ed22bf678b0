"""Rows of a table that name one image file several times: they count once, and are refused where their labels differ."""

import os
from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hf_transferability.data.image_files import LONGEST_PATH, Place, absolute, file_and_folder, is_inside
from hf_transferability.errors import TargetError
from hf_transferability.escaping.terminal import printable

_ROWS = 1000  # read at once
_LONGEST_NAME = 255  # characters of a file's name; longer texts may be the image itself, which is not printed


def named_files(table: datasets.Dataset, column: str, place: Place | None) -> list[str] | None:
    """The file that each row names, "" for none; None where the column does not hold paths, but the images themselves.

    Args:
        table: one split.
        column: the column of images or of their paths.
        place: where relative paths start; None for the working folder.
    """
    names: list[str] = []
    for rows in table.select_columns([column]).with_format("arrow").iter(_ROWS):
        paths = _paths(rows[column])
        if paths is None:
            return None
        names += paths
    return [os.path.normpath(absolute(path, place) if place else path) if path else "" for path in names]


def _paths(cells: pa.ChunkedArray) -> list[str] | None:
    """The path in each cell, "" for an embedded image and for none; None where cells are the images, which are not read."""
    if pa.types.is_struct(cells.type) and cells.type.get_field_index("path") >= 0:
        paths = pc.struct_field(cells, "path")
        if not (pa.types.is_string(paths.type) or pa.types.is_large_string(paths.type)):
            return None
        if cells.type.get_field_index("bytes") >= 0:
            paths = pc.if_else(pc.is_valid(pc.struct_field(cells, "bytes")), "", paths)
    elif pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type):
        paths = cells
    else:
        return None
    if (pc.max(pc.binary_length(paths)).as_py() or 0) > LONGEST_PATH:
        return None
    return [path or "" for path in paths.to_pylist()]


def _path(cell: Any) -> str:
    """The path in a cell, "" for an embedded image and for none."""
    if isinstance(cell, dict):
        return "" if cell.get("bytes") is not None else cell.get("path") or ""
    return cell or ""


def rows_to_use(table: datasets.Dataset, column: str, place: Place | None, compared: Sequence[str]) -> np.ndarray | None:
    """Row numbers int64 without repeats of one image; None if there are no repeats.

    Other columns than those that are used may differ, as in a table with a row for each finding in an image.

    Args:
        table, column, place: as in `named_files`.
        compared: the columns of labels and groups.

    Raises:
        TargetError: two rows name one file and differ in a compared column.
    """
    files = named_files(table, column, place)
    if files is None:
        return None
    first: dict[str, int] = {}
    repeats = [(first[file], row) for row, file in enumerate(files) if file and first.setdefault(file, row) != row]
    if not repeats:
        return None
    arrow = table.with_format("arrow")
    arrow = arrow.select_columns([*compared])
    earlier, later = (arrow.select(list(rows))[:] for rows in zip(*repeats, strict=True))
    for name in compared:
        for pair, one, other in zip(repeats, earlier[name].to_pylist(), later[name].to_pylist(), strict=True):
            if one != other and not (one != one and other != other):  # NaN stands for the same missing value
                if place and not is_inside(files[pair[0]], place):  # refused when it is read
                    return None
                raise _different(files[pair[0]], *pair)
    dropped = {row for _, row in repeats}
    return np.array([row for row in range(len(table)) if row not in dropped], dtype=np.int64)


def refuse_different(
    records: Sequence[dict[str, Any] | None], labels: Sequence[Any], rows: Sequence[int], place: Place | None
) -> None:
    """Refuse images of a stream that name one file and have different labels; the stream has no other rows to look at.

    Args:
        records: cells of an undecoded Image column.
        labels: the labels of these images.
        rows: their row numbers.
        place: where their images may lie; None for anywhere.

    Raises:
        TargetError: names the file and the rows.
    """
    first: dict[str, int] = {}
    for i, record in enumerate(records):
        if not (path := _path(record)) or labels[first.setdefault(path, i)] == labels[i]:
            continue
        if place is None or is_inside(absolute(path, place), place):  # others are refused when they are read
            raise _different(path, rows[first[path]], rows[i])


def _different(file: str, row: int, other: int) -> TargetError:
    name = os.path.basename(file)
    shown = printable(file_and_folder(file)[-80:]) if len(name) <= _LONGEST_NAME else "one image"
    rows = f"{min(row, other)} and {max(row, other)}"
    return TargetError(f"the table has conflicting rows for {shown} (rows {rows}, counted from 0). Delete one of the two rows.")
