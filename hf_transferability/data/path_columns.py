"""Text columns beside images and labels whose values are paths of files, of which the folders may name splits."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.compute as pc

from hf_transferability.data.folder_parts import levels_of, listed
from hf_transferability.data.image_files import LONGEST_PATH
from hf_transferability.data.labels import LABEL_NAMES
from hf_transferability.data.split_words import split_kind
from hf_transferability.errors import UsageError
from hf_transferability.escaping.terminal import printable

_ROWS = 10_000  # read at once
_ENDING = r"\.[A-Za-z][A-Za-z0-9]{1,4}"
_FILE = re.compile(rf"{_ENDING}$")
_MOST_FOLDERS = 100_000  # of a column; more are no folders of a dataset


@dataclass
class PathColumns:
    """The folders in the values of text columns, row by row.

    Attributes:
        folders: column -> distinct folders of its values, "" for a value without one; None once it is known to hold no paths.
    """

    folders: dict[str, set[str] | None] = field(default_factory=dict)

    @classmethod
    def of(cls, features: Mapping[str, Any], others: Collection[str | None]) -> "PathColumns":
        """The columns of texts that hold neither images nor labels.

        Args:
            features: all columns.
            others: those of images and labels.
        """
        texts = [name for name, feature in features.items() if getattr(feature, "dtype", "") in ("string", "large_string")]
        return cls({name: set() for name in texts if name not in others and name not in LABEL_NAMES})

    def take(self, column: str, values: Sequence[str | None]) -> None:
        """Take distinct values of a column."""
        known = self.folders[column]
        if known is None:
            return
        given = [value for value in values if value]
        if not all(len(value) <= LONGEST_PATH and _FILE.search(value) for value in given):
            self.folders[column] = None  # other texts, such as "train/test"
            return
        known |= {_folder(value) for value in given}
        if len(known) > _MOST_FOLDERS:
            self.folders[column] = None

    def finish(self) -> list[str]:
        """Notes on columns of which some folders are named as splits, once all rows are known.

        Raises:
            UsageError: all values of a column are in folders of several splits, of which one is for testing.
        """
        notes = []
        for column, folders in self.folders.items():
            parts = [tuple(folder.split("/")) if folder else () for folder in folders or ()]
            for names, beside in levels_of(parts).values():
                kinds = {split_kind(name) for name in names}
                if len(kinds) < 2 or not ("test" in kinds or len(kinds - {None}) > 1):
                    continue
                if "test" in kinds and None not in kinds and not beside:
                    raise UsageError(
                        f"column {printable(column[:40])} assigns rows to several splits: its paths are in the folders "
                        f"{listed(names)}. Save each split on its own (`Dataset.filter`), or remove the column to use all rows."
                    )
                notes.append(
                    f"Paths in column {printable(column[:40])} name folders of splits, and all rows are used; keep those of "
                    "one split if they are right."
                )
                break
        return notes


def path_column_notes(table: datasets.Dataset, others: Collection[str | None]) -> list[str]:
    """Notes on the columns of a table; see `PathColumns`.

    Args:
        table: one split.
        others: the columns of images and labels.

    Raises:
        UsageError: as `PathColumns.finish`.
    """
    columns = PathColumns.of(table.features, others)
    for name in columns.folders:
        for rows in table.select_columns([name]).with_format("arrow").iter(_ROWS):
            cells = rows[name]
            if (pc.max(pc.binary_length(cells)).as_py() or 0) > LONGEST_PATH:  # such as images in base64
                columns.folders[name] = None
            if columns.folders[name] is None:
                break
            columns.take(name, _folder_paths(cells).unique().to_pylist())
    return columns.finish()


def refusing_path_columns(rows: Iterable[dict[str, Any]], columns: PathColumns) -> Iterator[dict[str, Any]]:
    """The rows of a stream as they are; at its end as `path_column_notes`, whose notes `finish` then gives.

    Args:
        rows: with these columns.
        columns: of the stream.

    Raises:
        UsageError: as `PathColumns.finish`.
    """
    for row in rows:
        for name in columns.folders:
            columns.take(name, [row[name]])
        yield row
    columns.finish()


def _folder_paths(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """The cells with one name in place of each file's, of which few are distinct."""
    return pc.replace_substring_regex(cells, rf"[^/\\]*{_ENDING}$", "x.png")


def _folder(value: str) -> str:
    return value.replace("\\", "/").rpartition("/")[0]
