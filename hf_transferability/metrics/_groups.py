"""Groups of images that belong together, such as those of one patient: neighbours are looked for outside a group only."""

from typing import Any

import numpy as np
from sklearn.metrics import euclidean_distances

from hf_transferability.metrics._accelerator import on_accelerator
from hf_transferability.metrics._validation import as_array, refuse_missing

GROUPING_VERSION = 2  # part of the keys of stored scores with groups: counts up when a metric treats them in another way
_CHUNK = 2**23  # distances at once


def encode_groups(groups: Any, n_samples: int) -> np.ndarray:
    """Codes int64 [n_samples] of the images' groups, numbered in the order in which they first occur.

    The order of the values themselves is lost, so that codes tell nothing about names or numbers of patients.

    Args:
        groups: [n_samples], integers, texts or booleans; floats only if all are whole.
        n_samples: rows of the other inputs.

    Raises:
        ValueError: another shape or length, a missing value, or a single group.
        TypeError: values of another kind.
    """
    codes = first_seen_codes(checked_groups(groups, n_samples))
    if codes.max(initial=0) < 1:
        raise ValueError("`groups` must hold at least 2 groups; got one. Leave them out, or choose another column.")
    return codes


def checked_groups(groups: Any, n_samples: int) -> np.ndarray:
    """The images' groups [n_samples] as an array of integers or texts.

    Raises:
        ValueError, TypeError: as `encode_groups`, but for a single group.
    """
    refuse_missing("groups", groups)
    array = as_array(groups)
    if array.shape != (n_samples,):
        raise ValueError(
            f"`groups` must have one entry per image, {n_samples} in all; got shape {array.shape}. Pass them in the same order."
        )
    if array.dtype.kind == "O":
        kinds = {str if isinstance(value, str) else type(value) for value in array}
        if len(kinds) > 1:
            raise TypeError("`groups` must be of one type; got several. Convert them to texts.")
        array = array.astype(str)
    if array.dtype.kind == "f" and not (np.isfinite(array) & (array == np.round(array))).all():
        raise TypeError("`groups` must be integers or texts; got floats. Convert them to texts.")
    if array.dtype.kind not in "iubUSTf":
        raise TypeError(f"`groups` must be integers or texts; got {array.dtype}. Convert them to texts.")
    return array


def first_seen_codes(values: np.ndarray) -> np.ndarray:
    """Values [n] as codes int64 [n] from 0, in the order in which the values first occur."""
    _, first, codes = np.unique(values, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[codes].astype(np.int64)


def check_neighbours(groups: np.ndarray, k: int) -> None:
    """Refuse a group beside which fewer than k images are left to be neighbours.

    Raises:
        ValueError: names the sizes.
    """
    largest = int(np.bincount(groups).max())
    if len(groups) - largest < k:
        raise ValueError(
            f"`groups` must leave at least {k} images outside each group; one holds {largest} of {len(groups)}. "
            "Take a larger sample, or more groups."
        )


def neighbours_outside(x: np.ndarray, groups: np.ndarray, k: int) -> np.ndarray:
    """The k nearest images outside each image's group by Euclidean distance: positions [n_samples, k], in any order.

    Args:
        x: features [n_samples, n_features], finite.
        groups: codes [n_samples]; see `check_neighbours`.
        k: number of neighbours.
    """

    def nearest() -> np.ndarray:
        step = max(_CHUNK // len(x), 1)
        found = []
        for start in range(0, len(x), step):
            rows = slice(start, start + step)
            squared = euclidean_distances(x[rows], x, squared=True)
            squared[groups[rows, None] == groups] = np.inf
            found.append(np.argpartition(squared, k - 1, axis=1)[:, :k])
        return np.concatenate(found)

    return on_accelerator("neighbours outside groups", nearest, x, groups, k)()
