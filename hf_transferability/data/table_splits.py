"""Which split each table of a local folder belongs to, and tables whose rows are of several splits."""

import os
import re
from collections.abc import Iterable, Sequence

import datasets

from hf_transferability.data.folders import kinds_within, split_kind
from hf_transferability.errors import UsageError
from hf_transferability.escaping.terminal import printable

_SHARD = re.compile(r"data/(\w+(?:\.\w+)*)-[0-9]{5}-of-[0-9]{5}[^/]*")  # as `datasets` writes, with splits of any name
_COLUMNS = ("split", "subset", "partition", "set", "datasplit", "dataset", "phase")  # without case, "_" and other signs
_BEGINNINGS = ("train", "test", "valid")  # of names such as testlabels, whose words are not delimited


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
    if unclear:
        raise _unclear(unclear[0])
    splits: dict[str, list[str]] = {}
    for table, kind in kinds.items():
        splits.setdefault(next(iter(kind), "train"), []).append(table)
    return splits


def refuse_merged(files: Iterable[str]) -> None:
    """Refuse files of one split whose names say that they belong to several, such as Train.csv and Test.csv.

    Args:
        files: paths relative to the dataset's root, separated by "/".

    Raises:
        UsageError: names one of them.
    """
    kinds: set[str] = set()
    for file in files:
        kinds |= _kinds(file)
        if len(kinds) > 1:
            raise _unclear(file)


def refuse_split_column(table: datasets.Dataset, label_column: str | None) -> None:
    """Refuse a split whose rows a column assigns to several splits, which `datasets` does not heed.

    Args:
        table: one split.
        label_column: the column of the labels, which may have any values.

    Raises:
        UsageError: names the column and its values.
    """
    for name, feature in table.features.items():
        plain = re.sub(r"[^a-z]", "", name.lower())
        if plain not in _COLUMNS or name == label_column:
            continue
        if isinstance(feature, datasets.ClassLabel):
            values = {feature.int2str(code) for code in table.unique(name) if code is not None and code >= 0}
        elif isinstance(feature, datasets.Value) and feature.dtype in ("string", "large_string"):
            values = {value for value in table.unique(name) if value}
        else:
            continue
        if len(values) > 1 and any(map(split_kind, values)):
            shown = printable(", ".join(sorted(values))[:80])
            raise UsageError(
                f"column {printable(name[:40])} assigns rows to several splits ({shown}). "
                "Make a folder or table of each, or remove the column to use all rows."
            )


def _kinds(path: str) -> set[str]:
    """The kinds of split that a path has words of."""
    parts = os.path.splitext(path)[0].split("/")
    return set().union(*({kind} if (kind := split_kind(part)) else kinds_within(part) for part in parts))


def _unclear(path: str) -> UsageError:
    return UsageError(
        f"the name of {printable(path[-80:])} does not tell its split. "
        "Name each table by one split, such as train.csv and test.csv, or move it away."
    )
