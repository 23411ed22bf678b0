"""Which split each table of a local folder belongs to, and tables whose rows are of several splits."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import datasets

from hf_transferability.data.folders import kinds_within, split_kind
from hf_transferability.errors import UsageError
from hf_transferability.escaping.terminal import printable

_SHARD = re.compile(r"data/(\w+(?:\.\w+)*)-[0-9]{5}-of-[0-9]{5}[^/]*")  # as `datasets` writes, with splits of any name
# Names of columns, without case, "_" and other signs.
_COLUMNS = ("split", "splits", "subset", "partition", "set", "datasplit", "dataset", "phase", "fold", "usage", "traintest")
_AMBIGUOUS = ("set", "dataset", "phase", "fold", "usage")  # of these, columns that often say something else
_YES_OR_NO = re.compile(r"(?:is|in)(?:train|training|test|testing|val|validation)|train|training")  # names of such columns
_HEAD, _MOST_VALUES = 1000, 8  # a text column with more values among so many rows assigns no rows to splits
_BEGINNINGS = ("train", "test", "valid")
_TEST = re.compile(r"test(?!i[cms]|es|os)")  # begins names such as testfoo, but not testicular, testes or testosterone
_CONTENTS = r"(?:labels?|annotations?|annos?|meta|metadata|lists?|info|index|table|ids?|cases?|patients?|truth|gt|csv|df)+"
_UNDELIMITED = {
    kind: re.compile(f"(?:{words}){_CONTENTS}[0-9]*|{_CONTENTS}(?:{words})[0-9]*")
    for kind, words in {"train": "train|training", "validation": "val|valid|validation", "test": "test|testing"}.items()
}
_MOVE = "Name each table by one split, such as train.csv and test.csv, or move it away."


def splits_of_tables(tables: Sequence[str]) -> dict[str, list[str]]:
    """Split -> tables, by the words of their folders and names, such as my_test.csv; all are train where none has such a word.

    Args:
        tables: paths relative to the dataset's root, separated by "/".

    Raises:
        UsageError: a table with words of two splits, or one without such a word beside others with one.
    """
    shards = {table: match[1] for table in tables if (match := _SHARD.fullmatch(table))}
    kinds = {table: {shards[table]} for table in tables} if len(shards) == len(tables) else {t: _kinds(t) for t in tables}
    unclear = [table for table, kind in kinds.items() if len(kind) > 1]
    if any(kinds.values()):
        unclear += [table for table, kind in kinds.items() if not kind]
    elif len(tables) > 1:
        unclear += [table for table in tables if os.path.basename(table).lower().startswith(_BEGINNINGS)]
    else:
        unclear += [table for table in tables if _may_be_test(table)]
    if unclear:
        raise _unclear(unclear[0], _MOVE)
    splits: dict[str, list[str]] = {}
    for table, kind in kinds.items():
        splits.setdefault(next(iter(kind), "train"), []).append(table)
    return splits


def refuse_merged(split: str, files: Iterable[str], remedy: str = _MOVE) -> None:
    """Refuse files of one split whose names say that they belong to another or to several, such as Train.csv and Test.csv.

    Args:
        split: the split that `datasets` takes them for.
        files: paths relative to the dataset's root, separated by "/".
        remedy: the end of the message.

    Raises:
        UsageError: names one of them.
    """
    kinds = {kind} if (kind := split_kind(split)) else set()
    for file in files:
        if _SHARD.fullmatch(file):
            continue
        kinds |= _kinds(file)
        if len(kinds) > 1 or ("test" not in kinds and _may_be_test(file)):
            raise _unclear(file, remedy)


def split_columns(features: Mapping[str, Any], label_column: str | None) -> dict[str, Any]:
    """Name -> feature of the columns that may assign rows to splits, by their names.

    Args:
        features: all columns.
        label_column: the column of the labels, which may have any values.
    """
    return {
        name: feature
        for name, feature in features.items()
        if name != label_column
        and (
            (_plain(name) in _COLUMNS and _holds_names(feature)) or (_YES_OR_NO.fullmatch(_plain(name)) and _is_scalar(feature))
        )
    }


def refuse_split_column(table: datasets.Dataset, label_column: str | None) -> None:
    """Refuse a split whose rows a column assigns to several splits, which `datasets` does not heed.

    Args:
        table: one split.
        label_column: as in `split_columns`.

    Raises:
        UsageError: names the column and its values.
    """
    named = split_columns(table.features, label_column)
    for name, feature in named.items():
        _refuse_several(name, {_name(feature, value) for value in table.unique(name)} - {""})
    head = table.select(range(min(len(table), _HEAD)))
    for name, feature in table.features.items():
        if name in (label_column, *named) or not _is_text(feature) or len(head.unique(name)) > _MOST_VALUES:
            continue
        values = {_name(feature, value) for value in table.unique(name)} - {""}
        kinds = {split_kind(value) for value in values}
        if len(kinds) > 1 and "test" in kinds and None not in kinds:  # whatever its name
            raise _several(name, values)


def refusing_split_column(rows: Iterable[dict[str, Any]], columns: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of a stream as they are, until a column has assigned them to several splits.

    Args:
        rows: with these columns.
        columns: as `split_columns` gives them.

    Raises:
        UsageError: as `refuse_split_column`.
    """
    seen: dict[str, set[str]] = {name: set() for name in columns}
    for row in rows:
        for name, feature in columns.items():
            value = _name(feature, row[name])
            if value and value not in seen[name]:
                seen[name].add(value)
                _refuse_several(name, seen[name])
        yield row


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def _is_scalar(feature: Any) -> bool:
    return isinstance(feature, datasets.Value | datasets.ClassLabel)


def _holds_names(feature: Any) -> bool:
    return _is_text(feature) or isinstance(feature, datasets.ClassLabel)


def _is_text(feature: Any) -> bool:
    return isinstance(feature, datasets.Value) and feature.dtype in ("string", "large_string")


def _name(feature: Any, value: Any) -> str:
    """The text of a value, "" where it is missing."""
    if isinstance(feature, datasets.ClassLabel):
        return feature.int2str(value) if value is not None and value >= 0 else ""
    return "" if value is None else str(value)


def _refuse_several(column: str, values: set[str]) -> None:
    """Refuse values of several splits.

    A word of a split among other values is enough, but for columns whose name often means something else, such as `dataset`:
    there all values must have such words, or those of two splits must be among them. Any two values of a column such as
    `is_test` are of two splits.
    """
    kinds = [{kind} if (kind := split_kind(value)) else kinds_within(value) for value in values]
    if len(values) < 2:
        return
    if _YES_OR_NO.fullmatch(_plain(column)):
        refused = {value.lower().removesuffix(".0") for value in values} <= {"0", "1", "true", "false", "yes", "no", "y", "n"}
    elif _plain(column) in _AMBIGUOUS:
        refused = len(set().union(*kinds)) > 1 or all(kinds)
    else:
        refused = any(split_kind(value) or "test" in kinds_within(value) for value in values)
    if refused:
        raise _several(column, values)


def _several(column: str, values: set[str]) -> UsageError:
    shown = printable(", ".join(sorted(values))[:80])
    return UsageError(
        f"column {printable(column[:40])} assigns rows to several splits ({shown}). "
        "Save each split on its own (`Dataset.filter`), or remove the column to use all rows."
    )


def _kinds(path: str) -> set[str]:
    """The kinds of split that a path has words of."""
    *folders, name = os.path.splitext(path)[0].split("/")
    kinds = {kind for kind, pattern in _UNDELIMITED.items() if pattern.fullmatch(re.sub(r"[^a-z0-9]", "", name.lower()))}
    return kinds.union(*({kind} if (kind := split_kind(part)) else kinds_within(part) for part in (*folders, name)))


def _may_be_test(path: str) -> bool:
    """Whether a table's name begins with "test" and goes on with something that is not known."""
    return not _kinds(path) and _TEST.match(os.path.basename(path).lower()) is not None


def _unclear(path: str, remedy: str) -> UsageError:
    return UsageError(f"the name of {printable(path[-80:])} does not tell its split. {remedy}")
