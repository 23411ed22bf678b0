"""Labels that come as an array, without images: their task, codes, flags and key."""

import hashlib
from typing import Any

import numpy as np

from hf_transferability.data.account import Account
from hf_transferability.data.targets import LabelledArrays, class_flags
from hf_transferability.errors import UsageError
from hf_transferability.metrics._groups import encode_groups
from hf_transferability.metrics._validation import one_column, refuse_missing, refuse_unclear_numbers, task_of


def labelled_arrays(labels: np.ndarray, provenance: dict[str, Any], groups: np.ndarray | None = None) -> LabelledArrays:
    """Labels of a sample whose images are elsewhere.

    Args:
        labels: [n_samples] or [n_samples, 1], classes of any kind or numbers to predict; or [n_samples, n_labels] of 0 and 1.
        provenance: where they come from; task, numbers of images and groups, and the account are added.
        groups: [n_samples], images that belong together; see `metrics._groups.encode_groups`.

    Returns:
        The labels as class codes, 0/1 columns or floats. The key tells apart labels of another type or shape.

    Raises:
        UsageError: missing labels, floats that may be classes, or groups that do not fit the labels.
    """
    labels = one_column(labels)
    try:
        refuse_missing("labels", labels)
        refuse_unclear_numbers(labels)
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from error
    task = task_of(labels)
    codes, flags = labels, {}
    if task == "single_label":
        classes, codes = np.unique(labels, return_inverse=True)
        flags = class_flags(codes, [str(name) for name in classes])
    digest = hashlib.sha256(repr((task, codes.dtype.str, codes.shape)).encode())
    digest.update(np.ascontiguousarray(codes).tobytes())
    provenance = {**provenance, "task": task, "images": len(codes), "account": account_of_labels(labels).to_dict()}
    group_codes = None
    if groups is not None:
        try:
            group_codes = encode_groups(groups, len(codes))
        except (TypeError, ValueError) as error:
            raise UsageError(str(error)) from error
        sizes = np.bincount(group_codes)
        provenance |= {"group_column": "groups", "groups": len(sizes), "largest_group": int(sizes.max())}
    return LabelledArrays(codes, task, digest.hexdigest(), provenance, flags, group_codes)


def account_of_labels(labels: np.ndarray) -> Account:
    """The account of a sample whose labels are all that is known: every row is used.

    Args:
        labels: as for `labelled_arrays`.
    """
    task, counts = task_of(labels), {}
    if task == "single_label":
        classes, numbers = np.unique(labels, return_counts=True)
        counts = dict(zip(map(str, classes), numbers.tolist(), strict=True))
    elif task == "multi_label" and labels.dtype.kind in "iubf" and np.isin(labels, (0, 1)).all():  # metrics refuse others
        counts = {str(column): int(number) for column, number in enumerate(labels.sum(axis=0))}
    return Account({"(arrays)": len(labels)}, "(arrays)", counts)
