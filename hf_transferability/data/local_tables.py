"""Which tables beside images are the data of a local folder, by split, and how they are read."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from hf_transferability.data.delimiters import delimiter_note, delimiter_of
from hf_transferability.data.labels import LABEL_NAMES
from hf_transferability.data.listing import TABLES, Listing
from hf_transferability.data.options import SampleOptions
from hf_transferability.data.table_splits import splits_of_tables
from hf_transferability.data.unread import may_hold_rows

_TEXTS = ("csv", "tsv")
_NO_LABELS = "Tables without the columns of images and labels are left out."


@dataclass(frozen=True)
class LocalTables:
    """The tables that `datasets` is to read.

    Attributes:
        kind: the name of its builder.
        data_files: split -> paths.
        settings: further options of the builder.
        notes: what the user should know, one sentence each.
    """

    kind: str
    data_files: dict[str, list[str]]
    settings: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def local_tables(folder: Path, files: Listing, options: SampleOptions) -> LocalTables | None:
    """The tables of the most frequent kind that name images and labels; None where no table lies beside images.

    Args:
        folder: the dataset's folder.
        files: all that it holds.
        options: image_column and label_column.

    Raises:
        UsageError: tables whose names do not tell their splits.
    """
    kinds = {table: TABLES[os.path.splitext(table)[1].lower()] for table in files.tables if may_hold_rows(table)}
    if not files.images or not kinds:
        return None
    kind = Counter(kinds.values()).most_common(1)[0][0]
    tables = [table for table, of_kind in kinds.items() if of_kind == kind]
    notes = []
    if len(kept := _with_labels(folder, tables, kind, options)) < len(tables):
        tables = kept
        notes.append(_NO_LABELS)
    settings: dict[str, Any] = {}
    if kind in _TEXTS:
        delimiters = {delimiter_of(folder / table) for table in tables}
        delimiter = delimiters.pop() if len(delimiters) == 1 else ","
        if kind == "csv" and delimiter != ",":
            notes.append(delimiter_note(delimiter))
        kind, settings = "csv", {"sep": "\t" if kind == "tsv" else delimiter}
    by_split = splits_of_tables(tables)
    data_files = {split: [str(folder / name) for name in names] for split, names in by_split.items()}
    if kind in (*_TEXTS, "json") and (most := max(map(len, by_split.values()), default=0)) > 1:  # others may be shards
        notes.append(f"Rows of {most} tables are used together; move those away that are not for training.")
    return LocalTables(kind, data_files, settings, tuple(notes))


def _with_labels(folder: Path, tables: Sequence[str], kind: str, options: SampleOptions) -> list[str]:
    """The tables that have the columns of images and labels, as those of a test set may not; all where this cannot be told."""
    columns = {table: _columns(folder / table, kind) for table in tables}
    if len(tables) < 2 or not all(columns.values()):
        return list(tables)
    kept = list(tables)
    for wanted in ([options.image_column], [options.label_column] if options.label_column else LABEL_NAMES):
        having = [table for table in kept if columns[table].intersection(wanted)]
        kept = having or kept
    if options.label_column is None and not any(columns[table].intersection(LABEL_NAMES) for table in kept):
        most = max((columns[table] for table in kept), key=len)
        kept = [table for table in kept if not columns[table] < most]
    return kept


def _columns(table: Path, kind: str) -> set[str]:
    """The names of a table's columns; none where it cannot be read, which is told when it is."""
    try:
        if kind in _TEXTS:
            import pandas as pd

            delimiter = "\t" if kind == "tsv" else delimiter_of(table)
            return set(map(str, pd.read_csv(table, nrows=0, sep=delimiter, encoding="utf-8-sig").columns))
        if kind == "parquet":
            return set(pyarrow.parquet.read_schema(table).names)
        if kind == "json":
            with table.open(encoding="utf-8-sig") as file:
                first = json.loads(file.readline())
            return set(first) if isinstance(first, dict) else set()
    except (OSError, ValueError, pa.ArrowException, RecursionError):
        pass
    return set()
