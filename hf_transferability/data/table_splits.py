"""Which split each table of a local folder belongs to, by its name."""

import os
import re
from collections.abc import Iterable, Sequence

from hf_transferability.data.split_words import has_cohort_word, kinds_within, may_be_unseen, split_kind
from hf_transferability.errors import UsageError
from hf_transferability.escaping.terminal import printable

_SHARD = re.compile(r"data/(\w+(?:\.\w+)*)-[0-9]{5}-of-[0-9]{5}[^/]*")  # as `datasets` writes, with splits of any name
_BEGINNINGS = ("train", "test", "valid")
_TEST = re.compile(r"test(?!i[cms]|es|os)")  # begins names such as testfoo, but not testicular, testes or testosterone
_CONTENTS = r"(?:labels?|annotations?|annos?|meta|metadata|lists?|info|index|table|ids?|cases?|patients?|truth|gt|csv|df)+"
_UNDELIMITED = {
    kind: re.compile(f"(?:{words}){_CONTENTS}[0-9]*|{_CONTENTS}(?:{words})[0-9]*")
    for kind, words in {
        "train": "train|training",
        "validation": "val|valid|validation",
        "test": "test|testing|holdout|heldout",
    }.items()
}
_MOVE = "Name each table by one split, such as train.csv and test.csv, or move it away."


def splits_of_tables(tables: Sequence[str]) -> dict[str, list[str]]:
    """Split -> tables, by the words of their folders and names, such as my_test.csv; all are train where none has such a word.

    Args:
        tables: paths relative to the dataset's root, separated by "/".

    Raises:
        UsageError: a table with words of two splits, one without such a word beside others with one, or one that may be of
            any split, such as external.csv.
    """
    shards = {table: match[1] for table in tables if (match := _SHARD.fullmatch(table))}
    kinds = {table: {shards[table]} for table in tables} if len(shards) == len(tables) else {t: _kinds(t) for t in tables}
    unclear = [table for table, kind in kinds.items() if len(kind) > 1]
    if any(kinds.values()):
        unclear += [table for table, kind in kinds.items() if not kind]
    elif len(tables) > 1:
        unclear += [table for table in tables if _may_be_split(table)]
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
    tables = [file for file in files if not _SHARD.fullmatch(file)]
    if len(tables) > 1 and (cohort := next((file for file in tables if not _kinds(file) and _has_cohort(file)), None)):
        raise _unclear(cohort, remedy)
    for file in tables:
        kinds |= _kinds(file)
        if len(kinds) > 1 or ("test" not in kinds and _may_be_test(file)):
            raise _unclear(file, remedy)


def _kinds(path: str) -> set[str]:
    """The kinds of split that a path has words of."""
    *folders, name = os.path.splitext(path)[0].split("/")
    kinds = {kind for kind, pattern in _UNDELIMITED.items() if pattern.fullmatch(re.sub(r"[^a-z0-9]", "", name.lower()))}
    return kinds.union(*({kind} if (kind := split_kind(part)) else kinds_within(part) for part in (*folders, name)))


def _may_be_test(path: str) -> bool:
    """Whether a table's name begins with "test" and goes on with something unknown, or has a word such as "unseen"."""
    name = os.path.basename(path)
    return not _kinds(path) and (_TEST.match(name.lower()) is not None or may_be_unseen(name))


def _may_be_split(path: str) -> bool:
    """Whether the name of one of several tables, in none of which is a split's word, may tell of a split all the same."""
    return os.path.basename(path).lower().startswith(_BEGINNINGS) or _has_cohort(path)


def _has_cohort(path: str) -> bool:
    return any(map(has_cohort_word, path.split("/")))


def _unclear(path: str, remedy: str) -> UsageError:
    return UsageError(f"the name of {printable(path[-80:])} does not tell its split. {remedy}")
