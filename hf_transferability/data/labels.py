"""What a dataset's label column holds: which column it is, its type, missing values, and codes."""

import re
from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np

from hf_transferability.errors import UsageError, unknown_name

_LABEL_NAMES = ("label", "labels", "target", "class")
_NUMBERS_AS_CLASSES = 10  # a regression target gets the sample size of so many classes
_FEW = 20  # floats with no more distinct values, all whole, may be classes that a table has turned into floats


def find_label_column(features: datasets.Features, asked: str | None, image_column: str) -> str:
    """The label column: as asked, or the only one of type ClassLabel, or the only one with a usual name.

    Raises:
        UsageError: it does not exist, or cannot be told; the text names the columns.
    """
    if asked is not None:
        if asked not in features:
            raise UsageError(unknown_name("label_column", asked, features))
        return asked
    typed = [name for name, feature in features.items() if isinstance(_item(feature), datasets.ClassLabel)]
    named = [name for name in _LABEL_NAMES if name in features]
    for candidates in ([name for name in named if name in typed], typed, named):
        if len(candidates) == 1:
            return candidates[0]
    others = [name for name in features if name != image_column]
    if not others:
        raise UsageError(
            f"the dataset must have labels beside its column {image_column}; there are none. "
            "A folder of images needs one sub-folder for each of at least two classes."
        )
    raise UsageError(
        f"`label_column` must be named: which of the columns {', '.join(others)} holds the labels cannot be told from their "
        "types. Pass --label-column."
    )


def _item(feature: Any) -> Any:
    return feature.feature if isinstance(feature, datasets.List | datasets.LargeList) else feature


class LabelReader:
    """Understands one label column: its type, missing values, and the codes of a list of its values."""

    def __init__(self, column: str, feature: Any):
        self.column = column
        self.item = _item(feature)
        self.multi = self.item is not feature
        self.names = list(self.item.names) if isinstance(self.item, datasets.ClassLabel) else None
        kind = "lists of " * self.multi + getattr(self.item, "dtype", type(self.item).__name__)
        self.numbers = bool(re.fullmatch(r"(float|double)\d*", kind))
        if self.names is None and not self.numbers and not re.match(r"(lists of )?(u?int|bool|string|large_string)", kind):
            raise UsageError(
                f"`label_column` must hold classes (ClassLabel, integers, strings or booleans) or numbers to predict; "
                f"{column} holds {kind}. Choose another column, or cast it."
            )

    def refuse_missing(self, values: Sequence, rows: Sequence[int]) -> None:
        """Raise for images without a label: None, or the -1 that Hub datasets use for hidden labels; and for unknown codes."""
        missing, unknown = [], []
        for i, value in zip(rows, values, strict=True):
            for item in value if self.multi and value is not None else (value,):
                if item is None or item != item or ((self.names or self.multi) and item == -1):
                    missing.append(i)
                elif self.names and not 0 <= item < len(self.names):
                    unknown.append((i, item))
        if missing:
            raise UsageError(
                f"`{self.column}` must have a label for every image; got none (null or -1) for {len(set(missing))} of "
                f"{len(values)} (first: row {missing[0]}). Remove those rows or choose another split."
            )
        if unknown:
            raise UsageError(
                f"`{self.column}` must hold codes of its {len(self.names or ())} class names; got {unknown[0][1]} in row "
                f"{unknown[0][0]}. Correct the dataset's features."
            )

    def group_codes(self, values: Sequence) -> np.ndarray:
        """Codes [n_samples], as many distinct ones as there are classes; of a single-label target, the classes themselves."""
        if self.numbers:
            return np.arange(len(values)) % _NUMBERS_AS_CLASSES
        if not self.multi:
            return np.unique(np.asarray(values), return_inverse=True)[1]
        return np.arange(len(values)) % max(len(self._label_list(values)[0]), 1)

    def encode(self, values: Sequence) -> tuple[str, np.ndarray, list[str]]:
        """Task, codes and class names of these values."""
        if self.multi:
            return ("multi_label", *self._multi_hot(values))
        if self.numbers:
            return "regression", self._numbers(values), []
        present, codes = np.unique(np.asarray(values), return_inverse=True)
        names = [self.names[int(i)] if self.names else str(i) for i in present]
        return "single_label", codes.astype(np.int64), names

    def _numbers(self, values: Sequence[float]) -> np.ndarray:
        numbers = np.asarray(values, dtype=np.float64)
        distinct = np.unique(numbers)
        if len(distinct) <= _FEW and (distinct == np.round(distinct)).all():
            raise UsageError(
                f"`{self.column}` must tell whether it holds classes or numbers to predict; got floats with the values "
                f"{', '.join(f'{value:g}' for value in distinct[:_FEW])}. Cast classes to integers."
            )
        return numbers

    def _multi_hot(self, values: Sequence[Sequence]) -> tuple[np.ndarray, list[str]]:
        classes, vectors = self._label_list(values)
        if vectors:
            return np.asarray(values, dtype=np.int64), [str(i) for i in classes]
        place = {value: i for i, value in enumerate(classes)}
        matrix = np.zeros((len(values), len(classes)), dtype=np.int64)
        for row, value in enumerate(values):
            matrix[row, [place[item] for item in value]] = 1
        return matrix, self.names or [str(value) for value in classes]

    def _label_list(self, values: Sequence[Sequence]) -> tuple[list, bool]:
        """The labels that may occur in a multi-label column, and whether its values already are one 0/1 entry per label."""
        if self.names:
            return list(range(len(self.names))), False
        lengths = {len(value) for value in values}
        flat = {item for value in values for item in value}
        if len(lengths) == 1 and flat <= {0, 1} and lengths != {1}:
            return list(range(lengths.pop())), True
        return sorted(flat), False
