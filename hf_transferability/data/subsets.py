"""Parts of a drawn sample: an order in which every beginning is a smaller sample of the same dataset."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hf_transferability.data.sampling import in_turn
from hf_transferability.data.targets import LabelledArrays, Target


def nested_order(target: Target) -> np.ndarray:
    """Positions [n_samples] of a sample's images, in which every beginning has the classes in the sample's proportions.

    Within a class the order is that of the draw, so it is random and decided by the sample's seed; with groups, one image of
    each comes before a second of any. Several labels an image, and numbers, have no classes to keep in proportion.
    """
    n, groups = len(target), target.groups
    codes = target.labels if target.task == "single_label" else np.zeros(n, dtype=np.int64)
    turn = np.empty(n)
    for code in np.unique(codes):
        members = np.flatnonzero(codes == code)
        ordered = members[in_turn(None if groups is None else groups[members], len(members))]
        turn[ordered] = (np.arange(len(members)) + 0.5) / len(members)
    return np.argsort(turn, kind="stable")


def part_of(target: Target, positions: Sequence[int] | np.ndarray) -> Target:
    """Some images of a checked sample, in the given order, as a sample to extract arrays of. It may lack classes."""
    rows = np.asarray(positions, dtype=np.int64)
    places = rows.tolist()
    return replace(
        target,
        images=target.images.subset(places),
        labels=target.labels[rows],
        positions=[target.positions[i] for i in places],
        key=_key(target, rows),
        files=[target.files[i] for i in places] if target.files else [],
        group_names=[target.group_names[i] for i in places] if target.group_names else [],
        hashes=None,
    )


def labels_of(target: Target, positions: Sequence[int] | np.ndarray) -> LabelledArrays:
    """The labels of some images of a sample, for metrics of arrays that are in this order."""
    rows = np.asarray(positions, dtype=np.int64)
    groups = None if target.groups is None else np.unique(target.groups[rows], return_inverse=True)[1]
    return LabelledArrays(target.labels[rows], target.task, _key(target, rows), target.provenance, {}, groups)


def _key(target: Target, rows: np.ndarray) -> str:
    return hashlib.sha256(f"{target.key} ".encode() + rows.astype("<i8").tobytes()).hexdigest()
