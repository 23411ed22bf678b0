"""What a dataset's label column holds: which column it is, its type, missing values, and codes."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np

from hf_transferability.data import label_forms
from hf_transferability.data.split_words import is_cohort, split_kind
from hf_transferability.data.text_columns import is_number
from hf_transferability.errors import UsageError, unknown_name
from hf_transferability.metrics._validation import FEW_VALUES, are_few_whole_numbers

LABEL_NAMES = ("label", "labels", "target", "class")
_NUMBERS_AS_CLASSES = 10  # a regression target gets the sample size of so many classes
_IMAGES_OF_A_CLASS = 20  # with fewer on average, many whole numbers may be a quantity


def find_label_column(features: datasets.Features, requested: str | None, image_column: str) -> str:
    """The label column: the requested one, or the only one of type ClassLabel, or the only one with a usual name.

    Classes that are all names of splits are no labels where a column has a usual name.

    Raises:
        UsageError: it does not exist, or cannot be told; the text names the columns.
    """
    if requested is not None:
        if requested not in features:
            raise UsageError(unknown_name("label_column", requested, [name for name in features if name != image_column]))
        return requested
    typed = [name for name, feature in features.items() if isinstance(_item(feature), datasets.ClassLabel)]
    named = [name for name in LABEL_NAMES if name in features]
    if named:
        typed = [name for name in typed if name in named or not _names_splits(_item(features[name]).names)]
    for candidates in ([name for name in named if name in typed], typed, named):
        if len(candidates) == 1:
            return candidates[0]
    others = [name for name in features if name != image_column]
    if not others:
        raise UsageError(
            f"the dataset must have labels beside its column {image_column}; got none: folders name classes only where images "
            "of two or more are there. Add the folder of another class, or a metadata.csv with labels."
        )
    raise UsageError(
        f"`label_column` must be named: which of the columns {', '.join(others)} holds the labels cannot be told from their "
        "types. Pass --label-column."
    )


def _names_splits(names: Sequence[str]) -> bool:
    return all(split_kind(name) or is_cohort(name) for name in names)


def _encoded(values: Sequence) -> tuple[list, np.ndarray]:
    """The distinct values, sorted, and the position int64 [n] of each value among them; see `groups.group_codes`."""
    present = sorted(set(values))
    place = {value: i for i, value in enumerate(present)}
    return present, np.fromiter((place[value] for value in values), np.int64, len(values))


def _may_be_a_quantity(n_distinct: int, n_images: int) -> bool:
    return n_distinct > FEW_VALUES and n_images < _IMAGES_OF_A_CLASS * n_distinct


def _item(feature: Any) -> Any:
    return feature.feature if isinstance(feature, datasets.List | datasets.LargeList) else feature


class LabelReader:
    """Understands one label column: its type, missing values, and the codes of a list of its values.

    `settle` must see the column before `group_codes` and `encode` do, and may change the attributes.

    Attributes:
        multi: each value is a list: several labels an image.
        numbers: each value is a number to predict.
        names: class names that the column declares, or None.
        notes: how the values were read where that is not obvious, one sentence each.
    """

    def __init__(self, column: str, feature: Any, *, task: str | None = None, separator: str | None = None):
        self.column = column
        self.item = _item(feature)
        self.multi = self.item is not feature
        self.names = list(self.item.names) if isinstance(self.item, datasets.ClassLabel) else None
        self.notes: list[str] = []
        self._task = task
        self._separator = separator
        self._vectors = False
        kind = "lists of " * self.multi + getattr(self.item, "dtype", type(self.item).__name__)
        self._text = bool(re.fullmatch("(large_)?string", kind))
        self._integers = self.names is None and bool(re.fullmatch(r"u?int\d*", kind))
        self.numbers = bool(re.fullmatch(r"(float|double)\d*", kind))
        if self.names is None and not self.numbers and not re.match(r"(lists of )?(u?int|bool|string|large_string)", kind):
            raise UsageError(
                f"`label_column` must hold classes (ClassLabel, integers, strings or booleans) or numbers to predict; "
                f"{column} holds {kind}. Choose another column, or cast it."
            )
        if separator and not self._text:
            raise UsageError(f"`label_separator` must be left out: {column} holds {kind}, not texts.")
        if task == "regression" and not (self.numbers or self._integers or (self._text and not self.multi)):
            raise UsageError(f"`task` must not be regression: {column} holds {kind}, not numbers. Choose another column.")
        if task == "multi_label" and not (self.multi or separator):
            raise UsageError(
                f"`task` must not be multi_label: {column} holds one label an image. Pass --label-separator, or drop it."
            )

    @property
    def has_classes(self) -> bool:
        """Whether each image has one class, after `settle`."""
        return not (self.multi or self.numbers)

    def refuse_missing(self, values: Sequence, rows: Sequence[int]) -> None:
        """Raise for images without a label, and for codes beyond the class names.

        Missing are None, NaN, empty texts, and the -1 that Hub datasets use for hidden labels.

        Raises:
            UsageError: names the first such row.
        """
        missing, unknown = [], []
        for i, value in zip(rows, values, strict=True):
            for item in value if self.multi and value is not None else (value,):
                empty = isinstance(item, str) and not item.strip()
                if item is None or item != item or empty or ((self.names or self.multi) and item == -1):
                    missing.append(i)
                elif self.names and not 0 <= item < len(self.names):
                    unknown.append((i, item))
        if missing:
            raise UsageError(
                f"`{self.column}` must have a label for every image; got none (null, empty, or -1 of named classes) for "
                f"{len(set(missing))} of {len(values)} (first: row {missing[0]}; rows count from 0). Remove those "
                "rows or choose another split."
            )
        if unknown:
            raise UsageError(
                f"`{self.column}` must hold codes of its {len(self.names or ())} class names; got {unknown[0][1]} in row "
                f"{unknown[0][0]}; rows count from 0. Correct the dataset's features."
            )

    def settle(self, values: Sequence) -> list:
        """Decide what the values mean, and return them in that form: one class each, one number each, or one list each.

        Args:
            values: the whole column, or of a stream what was drawn.

        Raises:
            UsageError: values that may mean two things; the text names the option that decides.
        """
        values = list(values)
        if self._text:
            values = self._texts(values)
        elif self.multi:
            values = self._lists(values)
        elif self.numbers:
            values = self._floats(values)
        elif self._integers:
            values = self._whole_numbers(values)
        return values

    def _texts(self, values: list[str]) -> list:
        if self._separator:
            self.multi = True
            return label_forms.parted(values, self._separator)
        if self._task == "regression":
            return self._numbers_in_texts(values)
        if self._separator is None and self._task is None and (separator := label_forms.common_separator(values)):
            example = next(value for value in values if separator in value)
            raise UsageError(
                f"`label_separator` must be given, because texts such as {example[:60]!r} may hold several labels. "
                f"Pass --label-separator '{separator}', or '' if each text is one class."
            )
        distinct = set(values)
        if self._task is None and _may_be_a_quantity(sum(map(is_number, distinct)), len(values)):
            raise self._ask_for_the_task(len(distinct), "texts, most of them numbers,", len(values))
        return values

    def _numbers_in_texts(self, values: list[str]) -> list[float]:
        if wrong := next((value for value in values if not is_number(value)), None):
            raise UsageError(
                f"`task` must not be regression: {self.column} holds the text {wrong[:40]!r}, which is no number. "
                "Correct it, or choose another column."
            )
        self.numbers = True
        return [float(value) for value in values]

    def _lists(self, values: list[Sequence]) -> list:
        if self._task != "multi_label" and values and all(len(value) == 1 for value in values):
            self.multi = False
            self.notes.append("Every image has a list of one label, read as its class.")
            return [value[0] for value in values]
        width = label_forms.vector_width(values, self.names, self.column)
        if width is None:
            return values
        self._vectors = True
        if self.names is not None and (len(self.names) != width or width == 2):
            self.names = None  # they name the values 0 and 1, not the columns
        one_hot = width > 1 and all(sum(map(int, value)) == 1 for value in values)
        if self._task == "multi_label" or not one_hot:
            return values
        self.multi = self._vectors = False
        self.notes.append(
            "Every image has exactly one label in its 0/1 vector, read as its class; else pass --task multi_label."
        )
        return [[int(item) for item in value].index(1) for value in values]

    def _floats(self, values: list[float]) -> list:
        distinct = np.unique(np.asarray(values, dtype=np.float64))
        if self._task == "single_label":
            if not (distinct == np.round(distinct)).all():
                raise UsageError(f"`task` must not be single_label: {self.column} holds fractions. Choose another column.")
            self.numbers = False
            self.notes.append("Whole floats are read as classes.")
            return [int(value) for value in values]
        if self._task is None and are_few_whole_numbers(distinct):
            raise UsageError(
                f"`task` must be given, because {self.column} may hold classes or numbers to predict; got only whole floats "
                f"{', '.join(f'{value:g}' for value in distinct)}. Cast classes to integers, or pass --task."
            )
        return values

    def _whole_numbers(self, values: list[int]) -> list:
        n_distinct = len(set(values))
        if self._task == "regression":
            self.numbers = True
            return [float(value) for value in values]
        if self._task is None and _may_be_a_quantity(n_distinct, len(values)):
            raise self._ask_for_the_task(n_distinct, "whole numbers", len(values))
        if n_distinct > 2 and min(values) < 0:
            self.notes.append(f"Label {min(values)} is a class of its own; remove its images if they have no label.")
        return values

    def _ask_for_the_task(self, n_distinct: int, kind: str, n_images: int) -> UsageError:
        return UsageError(
            f"`task` must be given, because {self.column} holds {n_distinct} {kind} for {n_images} images. "
            "Pass --task regression for a quantity such as an age, or --task single_label for classes."
        )

    def group_codes(self, values: Sequence) -> np.ndarray:
        """Codes [n_samples] with as many distinct values as there are classes; for a single-label target the classes."""
        if self.numbers:
            return np.arange(len(values)) % _NUMBERS_AS_CLASSES
        if not self.multi:
            return _encoded(values)[1]
        return np.arange(len(values)) % max(len(self._label_list(values)), 1)

    def counts(self, values: Sequence) -> dict[str, int]:
        """Class or label -> number of images that have it; empty for numbers to predict."""
        if self.numbers or not values:
            return {}
        if not self.multi:
            _, codes, names = self.encode(values)
            return dict(zip(names, np.bincount(codes, minlength=len(names)).tolist(), strict=True))
        numbers: Counter[Any] = Counter()
        for value in values:
            numbers.update({i for i, item in enumerate(value) if item} if self._vectors else set(value))
        return {self.names[item] if self.names else str(item): numbers[item] for item in self._label_list(values)}

    def encode(self, values: Sequence) -> tuple[str, np.ndarray, list[str]]:
        """Task, codes and class names of settled values."""
        if self.multi:
            return ("multi_label", *self._multi_hot(values))
        if self.numbers:
            return "regression", np.asarray(values, dtype=np.float64), []
        present, codes = _encoded(values)
        return "single_label", codes, [self.names[int(value)] if self.names else str(value) for value in present]

    def _multi_hot(self, values: Sequence[Sequence]) -> tuple[np.ndarray, list[str]]:
        classes = self._label_list(values)
        names = self.names or [str(value) for value in classes]
        if self._vectors:
            return np.asarray(values, dtype=np.int64).reshape(len(values), len(classes)), names
        place = {value: i for i, value in enumerate(classes)}
        matrix = np.zeros((len(values), len(classes)), dtype=np.int64)
        for row, value in enumerate(values):
            matrix[row, [place[item] for item in value]] = 1
        return matrix, names

    def _label_list(self, values: Sequence[Sequence]) -> list:
        """The labels that may occur in a column of several labels an image."""
        if self.names:
            return list(range(len(self.names)))
        if self._vectors:
            return list(range(len(values[0]) if len(values) else 0))
        return sorted({item for value in values for item in value})
