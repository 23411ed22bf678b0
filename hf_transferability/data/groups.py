"""The column that says which images belong together: those of one patient, study or slide."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import datasets
import numpy as np

from hf_transferability.errors import UsageError, shown, unknown_name
from hf_transferability.names import means_missing

_LARGEST_EXACT = 2**53  # larger floats may stand for several whole numbers
SMALLEST = 2  # groups of a sample; with one there is nothing to compare its images with
_KINDS = re.compile(r"(large_)?string|u?int\d+|bool|float\d+|double")


def check_group_column(features: Mapping[str, Any], column: str, others: Sequence[str]) -> None:
    """Refuse a group column that does not exist, that is one of `others` (images, labels), or that holds no names.

    Raises:
        UsageError: with the columns that exist.
    """
    usable = [name for name in features if name not in others]
    if column not in features and not usable:
        raise UsageError(
            f"`group_column` must be a column beside images and labels; got {shown(column)}, and there is none. "
            "For files in folders, name the group of every file in a metadata.csv beside them."
        )
    if column not in features:
        raise UsageError(unknown_name("group_column", column, usable))
    if column in others:
        raise UsageError(f"`group_column` must not be the column of images or labels; got {column}. Choose another column.")
    feature = features[column]
    kind = getattr(feature, "dtype", type(feature).__name__)
    if isinstance(feature, datasets.ClassLabel) or (not isinstance(feature, list | dict) and _KINDS.fullmatch(kind)):
        return
    raise UsageError(f"`group_column` must hold one text or integer an image; {column} holds {kind}. Choose another column.")


def group_names(column: str, values: Sequence[Any], feature: Any = None) -> list[str]:
    """The group of every image as a text, so that splits whose columns are of different types can be compared.

    These are the dataset's values, which may name patients: they stay in memory, and only codes and counts leave it.

    Args:
        column: its name, for errors.
        values: the column of the whole split.
        feature: of the column; codes of class labels become their names, of which the rules for texts hold.

    Raises:
        UsageError: images without a group, or numbers that are not whole.
    """
    if isinstance(feature, datasets.ClassLabel):
        names = feature.names
        values = [names[code] if code is not None and 0 <= code < len(names) else None for code in values]
    missing = [
        row
        for row, value in enumerate(values)
        if value is None or value != value or not str(value).strip() or means_missing(value)
    ]
    if missing:
        words = sorted({values[row].strip() for row in missing if isinstance(values[row], str)} - {""})
        raise UsageError(
            f"`group_column` must name a group for every image; {column} is empty{f' or {words[0]!r}' if words else ''} for "
            f"{len(missing)} of {len(values)} (first: row {missing[0]}; rows count from 0). Fill it in, with a name for each "
            "that is not known, or remove those rows."
        )
    if any(isinstance(value, float) and not (abs(value) <= _LARGEST_EXACT and value.is_integer()) for value in values):
        raise UsageError(
            f"`group_column` must hold texts or integers; {column} holds fractions or numbers too large to be exact. "
            "Choose another column, or store it as text."
        )
    return [str(int(value)) if isinstance(value, float) else str(value).strip() for value in values]


def group_codes(names: Sequence[str]) -> np.ndarray:
    """Codes int64 [n] from 0, in the order in which the groups first occur.

    Without an array of the texts, in which each takes the room of the longest.
    """
    codes: dict[str, int] = {}
    return np.fromiter((codes.setdefault(name, len(codes)) for name in names), np.int64, len(names))


def shared_groups(first: Sequence[str], second: Sequence[str]) -> tuple[int, int]:
    """How many groups two splits share, and how many images of the second these are.

    Args:
        first, second: group of every image; see `group_names`.
    """
    both = set(first) & set(second)
    return len(both), sum(name in both for name in second)
