"""Columns that assign rows to splits, also inside of structs, lists and JSON texts, which `datasets` does not heed."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.compute as pc

from hf_transferability.data.folders import is_cohort, kinds_within, split_kind
from hf_transferability.errors import UsageError
from hf_transferability.escaping.terminal import printable

# Names of columns, without case, "_" and other signs.
_COLUMNS = ("split", "splits", "subset", "partition", "set", "datasplit", "dataset", "phase", "fold", "usage", "traintest")
_AMBIGUOUS = ("set", "dataset", "phase", "fold", "usage")  # of these, columns that often say something else
_YES_OR_NO = re.compile(r"(?:is|in)(?:train|training|test|testing|val|validation)|train|training")  # names of such columns
_MOST_VALUES = 8  # a text column with more values assigns no rows to splits, whatever its values are
_ROWS = 1000  # read at once
_DEEPEST = 8  # levels of a JSON text that are looked at
_LONGEST_JSON = 10_000  # characters


@dataclass
class SplitColumns:
    """What the cells of a table say of splits, row by row.

    Attributes:
        features: the columns that are looked at.
        values: dotted name -> its values, until there are too many for splits.
        several: dotted names with too many values.
    """

    features: dict[str, Any]
    values: dict[str, set[str]] = field(default_factory=dict)
    several: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, features: Mapping[str, Any], label_column: str | None) -> "SplitColumns":
        """The columns that may assign rows to splits.

        Args:
            features: all columns.
            label_column: the column of the labels, which may have any values.
        """
        return cls({name: feature for name, feature in features.items() if name != label_column and _may_assign(name, feature)})

    def add(self, column: str, cell: Any) -> None:
        """Take the cell of one row.

        Raises:
            UsageError: as `finish`, for a column with a usual name.
        """
        self.take(_leaves(column, self.features[column], cell))

    def take(self, leaves: Iterable[tuple[str, str]]) -> None:
        """Take dotted names and values; see `add`."""
        for name, value in leaves:
            if not value or name in self.several:
                continue
            values = self.values.setdefault(name, set())
            if value not in values:
                values.add(value)
                if usual := _usual_part(name):
                    if len(values) <= _MOST_VALUES:  # the others are looked at in the end
                        _refuse_several(name, usual, values)
                elif len(values) > _MOST_VALUES:
                    self.several.add(name)

    def finish(self) -> None:
        """Refuse columns of usual names, and those of any name all of whose values are of splits, once all rows are known.

        Raises:
            UsageError: names the column and its values.
        """
        for name, values in self.values.items():
            if usual := _usual_part(name):
                _refuse_several(name, usual, values)
            kinds = {split_kind(value) for value in values}
            if name not in self.several and len(kinds) > 1 and "test" in kinds and None not in kinds:
                raise _several(name, values)

    def is_done(self, column: str) -> bool:
        """Whether further cells of a column of texts say nothing new."""
        return column in self.several


def refuse_split_column(table: datasets.Dataset, label_column: str | None) -> None:
    """Refuse a split whose rows a column assigns to several splits.

    Args:
        table: one split.
        label_column: as in `SplitColumns.of`.

    Raises:
        UsageError: names the column and its values.
    """
    columns = SplitColumns.of(table.features, label_column)
    for name, feature in columns.features.items():
        if _is_scalar(feature) and _usual_part(name):
            for value in table.unique(name):
                columns.add(name, value)
            continue
        for rows in table.select_columns([name]).with_format("arrow").iter(_ROWS):
            if columns.is_done(name):
                break
            cells = rows[name]
            for inner_name, inner, cell in _distinct(name, feature, cells):
                columns.take(_leaves(inner_name, inner, cell))
    columns.finish()


def refusing_split_column(rows: Iterable[dict[str, Any]], columns: SplitColumns) -> Iterator[dict[str, Any]]:
    """The rows of a stream as they are, until a column has assigned them to several splits.

    Args:
        rows: with these columns.
        columns: of the stream.

    Raises:
        UsageError: as `refuse_split_column`.
    """
    for row in rows:
        for name in columns.features:
            if not columns.is_done(name):
                columns.add(name, row[name])
        yield row
    columns.finish()


def _may_assign(name: str, feature: Any) -> bool:
    """Whether a column may hold names of splits, by its name and type; scalars of other names must be texts."""
    if isinstance(feature, dict):
        return set(feature) != {"bytes", "path"} and any(_may_assign(key, inner) for key, inner in feature.items())
    if isinstance(feature, datasets.List | datasets.LargeList):
        return _may_assign(name, feature.feature)
    if _is_text(feature) or isinstance(feature, datasets.Json):
        return True
    plain = _plain(name)
    return _is_scalar(feature) and bool(
        _YES_OR_NO.fullmatch(plain) or (plain in _COLUMNS and isinstance(feature, datasets.ClassLabel))
    )


def _distinct(name: str, feature: Any, cells: pa.ChunkedArray) -> Iterator[tuple[str, Any, Any]]:
    """Dotted name, feature and each distinct value of what is in these cells, without making Python objects of all of them."""
    if not _may_assign(name.rpartition(".")[2], feature):
        return
    if isinstance(feature, dict):
        for key, inner in feature.items():
            yield from _distinct(f"{name}.{key}", inner, pc.struct_field(cells, key))
    elif isinstance(feature, datasets.List | datasets.LargeList):
        yield from _distinct(name, feature.feature, pc.list_flatten(cells))
    else:
        for value in cells.unique().to_pylist():
            yield name, feature, value


def _leaves(name: str, feature: Any, cell: Any) -> Iterator[tuple[str, str]]:
    """The texts in a cell with their dotted names; "" for those that are missing."""
    if cell is None or not _may_assign(name.rpartition(".")[2], feature):
        return
    if isinstance(feature, dict):
        for key, inner in feature.items():
            yield from _leaves(f"{name}.{key}", inner, cell.get(key))
    elif isinstance(feature, datasets.List | datasets.LargeList):
        for item in cell:
            yield from _leaves(name, feature.feature, item)
    elif isinstance(feature, datasets.ClassLabel):
        yield name, feature.int2str(cell) if cell >= 0 else ""
    elif isinstance(cell, str) and cell[:1] in ("{", "[") and len(cell) <= _LONGEST_JSON:
        try:
            yield from _json_leaves(name, json.loads(cell))
        except (ValueError, RecursionError):
            yield name, cell
    elif isinstance(cell, dict | list):
        yield from _json_leaves(name, cell)
    else:
        yield name, str(cell)


def _json_leaves(name: str, value: Any, depth: int = 0) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and depth < _DEEPEST:
        for key, inner in value.items():
            yield from _json_leaves(f"{name}.{key}", inner, depth + 1)
    elif isinstance(value, list) and depth < _DEEPEST:
        for item in value:
            yield from _json_leaves(name, item, depth + 1)
    elif isinstance(value, str) or (isinstance(value, bool | int) and _YES_OR_NO.fullmatch(_plain(name.rpartition(".")[2]))):
        yield name, str(value)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def _usual_part(name: str) -> str:
    """The part of a dotted name that tells of splits, without signs; "" without one."""
    parts = [_plain(part) for part in reversed(name.split("."))]
    return next((part for part in parts if part in _COLUMNS or _YES_OR_NO.fullmatch(part)), "")


def _is_scalar(feature: Any) -> bool:
    return isinstance(feature, datasets.Value | datasets.ClassLabel)


def _is_text(feature: Any) -> bool:
    return isinstance(feature, datasets.Value) and feature.dtype in ("string", "large_string")


def _refuse_several(column: str, usual: str, values: set[str]) -> None:
    """Refuse values of several splits in a column whose name has this usual part.

    A word of a split among other values is enough, but for columns whose name often means something else, such as `dataset`:
    there all values must have such words, or those of two splits must be among them. Any two values of a column such as
    `is_test` are of two splits.
    """
    kinds = [{kind} if (kind := split_kind(value)) else kinds_within(value) for value in values]
    if len(values) < 2:
        return
    if _YES_OR_NO.fullmatch(usual):
        refused = {value.lower().removesuffix(".0") for value in values} <= {"0", "1", "true", "false", "yes", "no", "y", "n"}
    elif usual in _AMBIGUOUS:
        refused = len(set().union(*kinds)) > 1 or all(kinds)
    else:
        refused = any(split_kind(value) or "test" in kinds_within(value) or is_cohort(value) for value in values)
    if refused:
        raise _several(column, values)


def _several(column: str, values: set[str]) -> UsageError:
    shown = printable(", ".join(sorted(values))[:80])
    return UsageError(
        f"column {printable(column[:40])} assigns rows to several splits ({shown}). "
        "Save each split on its own (`Dataset.filter`), or remove the column to use all rows."
    )
