"""Columns that assign rows to splits, also inside of structs, lists and JSON texts, which `datasets` does not heed."""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hf_transferability.data.path_columns import path_column_notes
from hf_transferability.data.split_words import is_cohort, kinds_within, may_be_unseen, split_kind
from hf_transferability.errors import UsageError
from hf_transferability.escaping.terminal import printable

# Names of columns, without case, "_" and other signs.
_PLAIN = ("split", "splits", "subset", "partition", "datasplit", "traintest", "traintestsplit", "trainvaltest")
_AMBIGUOUS = ("set", "dataset", "phase", "fold", "usage", "cohort")  # of these, columns often say something else
_COLUMNS = (*_PLAIN, *_AMBIGUOUS)
_FOLD = re.compile(r"(k|cv|crossval|crossvalidation|split|val|test)?folds?(id|idx|index|no|nr|number|num)?")  # kfold, fold_id
_TOLD = (*_PLAIN, "set", "fold", "usage", "cohort")  # whose values are told where they are not of several splits
_MOST_TOLD = 20  # values; more are no parts of a dataset
_SHOWN = 6
_PLACES = ("country", "countrycode", "language", "lang", "locale")  # "tr" and "ts" are codes there
_CODES = {"-1", "0", "1", "2", "3", "true", "false"}
_MOST_CODES = 3  # train, validation and test; columns of more numbers are folds or counts
_YES_OR_NO = {"0", "1", "true", "false", "yes", "no", "y", "n", "t", "f", "x"}
_MOST_VALUES = 8  # a column with more values assigns no rows to splits, whatever its values are
_ROWS = 1000  # read at once
_DEEPEST = 8  # levels of a JSON text that are looked at
_LONGEST_JSON = 10_000  # characters


@dataclass
class _Found:
    """What the rows say under one dotted name.

    Attributes:
        source: where it comes from; each of its rows counts.
        first: the values of the first row that has any.
        values: those of all rows, until there are too many for splits.
        rows: how many rows have any.
        differ: whether two of these rows have different values.
    """

    source: str
    first: frozenset[str]
    values: set[str] = field(default_factory=set)
    rows: int = 0
    differ: bool = False


@dataclass
class SplitColumns:
    """What the cells of a table say of splits, row by row: rows that all hold the same values are of one split.

    Attributes:
        features: the columns that are looked at.
        found: dotted name -> what rows say under it.
        rows: source of dotted names -> how many rows it had.
        several: dotted names with too many values.
    """

    features: dict[str, Any]
    found: dict[str, _Found] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
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
        self.take(column, _leaves(column, self.features[column], cell))

    def take(self, source: str, leaves: Iterable[tuple[str, str]]) -> None:
        """Take the dotted names and values that one row, or several equal ones, have from a source; see `add`."""
        self.rows[source] = self.rows.get(source, 0) + 1
        row: dict[str, set[str]] = {}
        for name, value in leaves:
            if value.strip() and name not in self.several:
                row.setdefault(name, set()).add(value)
        for name, values in row.items():
            found = self.found.setdefault(name, _Found(source, frozenset(values)))
            found.rows += 1
            found.differ |= values != found.first
            if values <= found.values:
                continue
            found.values |= values
            usual = _usual_part(name)
            if usual in _COLUMNS:
                # Words stay, whatever follows; columns with more values are looked at in the end.
                if found.differ and len(found.values) <= _MOST_VALUES and _have_words(usual, found.values):
                    raise _several(name, found.values)
            elif len(found.values) > _MOST_VALUES:
                self.several.add(name)
                del self.found[name]

    def finish(self) -> None:
        """Refuse columns of usual names, and those of any name all of whose values are of splits, once all rows are known.

        Raises:
            UsageError: names the column and its values.
        """
        for name, found in self.found.items():
            missing = found.rows < self.rows[found.source]
            if found.differ and _are_splits(name, found.values):
                raise _several(name, found.values)
            usual = _usual_part(name)
            if usual and (found.differ or missing) and _assigns(usual, found.values, missing):
                raise _several(name, found.values, missing)

    def notes(self) -> list[str]:
        """A note on each column that may divide the rows into parts, such as folds, after `finish`; all rows are used."""
        notes = []
        for name, found in self.found.items():
            if _usual_part(name) in _TOLD and found.differ and len(found.values) <= _MOST_TOLD:
                values = sorted(found.values, key=lambda value: (len(value), value))
                shown = printable(", ".join(values[:_SHOWN])[:60]) + ", ..." * (len(values) > _SHOWN)
                notes.append(
                    f"Column {printable(name[:40])} has {len(values)} values ({shown}), and rows of all are used; "
                    "keep one part if it tells training from testing."
                )
        return notes

    def is_done(self, column: str) -> bool:
        """Whether further cells of a column say nothing new."""
        return column in self.several


def refuse_split_column(table: datasets.Dataset, label_column: str | None, image_column: str | None = None) -> list[str]:
    """Refuse a split whose rows a column assigns to several splits; notes on columns that may do so, such as folds.

    Args:
        table: one split.
        label_column: as in `SplitColumns.of`.
        image_column: the column of images or of their paths, which are looked at when they are drawn; None where
            it is unknown, and no column is looked at for paths.

    Raises:
        UsageError: names the column and its values.
    """
    columns = SplitColumns.of(table.features, label_column)
    for name, feature in columns.features.items():
        for rows in table.select_columns([name]).with_format("arrow").iter(_ROWS):
            if columns.is_done(name):
                break
            for inner_name, inner, cells in _distinct_rows(name, feature, rows[name], columns.several):
                columns.take(inner_name, (leaf for cell in cells for leaf in _leaves(inner_name, inner, cell)))
    columns.finish()
    notes = columns.notes()
    return notes if image_column is None else notes + path_column_notes(table, (image_column, label_column))


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
    """Whether a column may hold names of splits, by its name and type; numbers and booleans must have a usual name."""
    if isinstance(feature, dict):
        return set(feature) != {"bytes", "path"} and any(_may_assign(key, inner) for key, inner in feature.items())
    if isinstance(feature, datasets.List | datasets.LargeList):
        return _may_assign(name, feature.feature)
    if _is_text(feature) or isinstance(feature, datasets.Json | datasets.ClassLabel):
        return True
    return isinstance(feature, datasets.Value) and _may_be_coded(name)


def _distinct_rows(
    name: str, feature: Any, cells: pa.ChunkedArray, done: Collection[str], rows: np.ndarray | None = None, n_rows: int = 0
) -> Iterator[tuple[str, Any, list[Any]]]:
    """Dotted name, feature and cells of each distinct row, without making Python objects of all rows.

    Args:
        name: of the cells.
        feature: of the cells.
        cells: one a row, or those of lists.
        done: names that need not be looked at.
        rows: the row [n_cells] of each cell; None for one a row.
        n_rows: of which so many are; only with `rows`.
    """
    if not _may_assign(name.rpartition(".")[2], feature):
        return
    if isinstance(cells.type, pa.BaseExtensionType):
        cells = cells.cast(cells.type.storage_type)  # of JSON: its distinct values are not known otherwise
    if isinstance(feature, dict):
        for key, inner in feature.items():
            yield from _distinct_rows(f"{name}.{key}", inner, pc.struct_field(cells, key), done, rows, n_rows)
    elif isinstance(feature, datasets.List | datasets.LargeList):
        outer, n_rows = (np.arange(len(cells)), len(cells)) if rows is None else (rows, n_rows)
        lengths = pc.fill_null(pc.list_value_length(cells), 0).to_numpy()
        yield from _distinct_rows(name, feature.feature, pc.list_flatten(cells), done, np.repeat(outer, lengths), n_rows)
    elif name in done:
        return
    elif rows is None:
        yield from ((name, feature, [value]) for value in cells.unique().to_pylist())
    else:
        distinct = cells.unique()
        codes: list[set[int]] = [set() for _ in range(n_rows)]
        for row, code in zip(rows.tolist(), pc.index_in(cells, distinct).to_pylist(), strict=True):
            codes[row].add(code)
        values = distinct.to_pylist()
        yield from ((name, feature, [values[code] for code in row]) for row in set(map(frozenset, codes)))


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
        yield name, feature.names[cell] if 0 <= cell < len(feature.names) else ""  # `LabelReader` refuses other codes
    elif isinstance(cell, str) and cell[:1] in ("{", "[") and len(cell) <= _LONGEST_JSON:
        try:
            yield from _json_leaves(name, json.loads(cell))
        except (ValueError, RecursionError):
            yield name, cell
    elif isinstance(cell, dict | list):
        yield from _json_leaves(name, cell)
    else:
        yield name, _text(cell)


def _json_leaves(name: str, value: Any, depth: int = 0) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and depth < _DEEPEST:
        for key, inner in value.items():
            yield from _json_leaves(f"{name}.{key}", inner, depth + 1)
    elif isinstance(value, list) and depth < _DEEPEST:
        for item in value:
            yield from _json_leaves(name, item, depth + 1)
    elif isinstance(value, str) or (isinstance(value, bool | int | float) and _may_be_coded(name.rpartition(".")[2])):
        yield name, _text(value)


def _text(value: Any) -> str:
    return "" if value != value else str(value)  # NaN is missing


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def _usual_part(name: str) -> str:
    """The part of a dotted name that tells of splits, without signs; "" without one."""
    parts = name.split(".")
    if _is_yes_or_no(parts[-1]):
        return _plain(parts[-1])
    plain = (_plain(part) for part in reversed(parts))
    return next(("fold" if _FOLD.fullmatch(part) else part for part in plain if part in _COLUMNS or _FOLD.fullmatch(part)), "")


def _is_yes_or_no(name: str) -> bool:
    """Whether a name asks for one split: "is_test", "in_holdout_set", "validation".

    Not "valid" and "invalid", which often say whether an image is usable; "is_valid" is a usual name of splits.
    """
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    if "valid" in plain and "validat" not in plain:
        return re.fullmatch("isvalid|(is|in|isin)?validset", plain) is not None
    prefix, rest = re.fullmatch("(isin|is|in|)(.*)", plain).groups()  # type: ignore[union-attr]
    if rest in ("tr", "ts"):
        return False
    if prefix:
        return bool(split_kind(rest) or (is_cohort(rest) and not rest.startswith("blind")))
    return bool(split_kind(rest) and not rest[-1].isdigit()) or rest in ("external", "unseen")


def _may_be_coded(name: str) -> bool:
    """Whether numbers and booleans under a name may stand for splits, or for other parts."""
    plain = _plain(name)
    return plain in _TOLD or _FOLD.fullmatch(plain) is not None or _is_yes_or_no(name)


def _is_text(feature: Any) -> bool:
    return isinstance(feature, datasets.Value) and feature.dtype in ("string", "large_string")


def _have_words(usual: str, values: set[str]) -> bool:
    """Whether words among the values are of several splits, for a column whose name has this usual part.

    A word of a split among other values is enough, but for columns whose name often means something else, such as `dataset`:
    there those of two splits must be among them.
    """
    if usual in _AMBIGUOUS:
        return len(set().union(*map(_kinds, values))) > 1
    return any(split_kind(value) or "test" in kinds_within(value) or _is_cohort(usual, value) for value in values)


def _is_cohort(usual: str, value: str) -> bool:
    return is_cohort(value) and (usual != "subset" or may_be_unseen(value))  # a subset "internal" may be an organ's part


def _kinds(value: str) -> set[str]:
    return {kind} if (kind := split_kind(value)) else kinds_within(value)


def _assigns(usual: str, values: set[str], missing: bool) -> bool:
    """Whether the values of all rows, which differ or are partly missing, are of several splits; see `_have_words`."""
    codes = {value.strip().lower().removesuffix(".0") for value in values}
    if usual not in _COLUMNS:  # any two values of a column such as `is_test` are of two splits
        return codes <= _YES_OR_NO or any(map(split_kind, values))
    if usual in _AMBIGUOUS:
        named = all(_kinds(value) or (usual == "cohort" and is_cohort(value)) for value in values)
        return named or _have_words(usual, values)
    return _have_words(usual, values) or (codes <= _CODES and len(codes) + missing <= _MOST_CODES)


def _are_splits(name: str, values: set[str]) -> bool:
    """Whether all values are names of splits, of which one is test, whatever the column is called."""
    kinds = {split_kind(value) or ("cohort" if is_cohort(value) else "") for value in values}
    return "test" in kinds and "" not in kinds and len(kinds) > 1 and _plain(name.rpartition(".")[2]) not in _PLACES


def _several(column: str, values: set[str], missing: bool = False) -> UsageError:
    shown = printable(", ".join(sorted(values))[:80]) + ", empty" * missing
    rename = "" if _are_splits(column, values) else " (rename it if it says something else)"
    return UsageError(
        f"column {printable(column[:40])} assigns rows to several splits ({shown}). "
        f"Save each split on its own (`Dataset.filter`), or remove the column{rename} to use all rows."
    )
