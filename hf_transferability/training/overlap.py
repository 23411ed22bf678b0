"""What the training images of a dataset share with its test split, and which of them occur twice with different labels."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from hf_transferability.data.duplicates import duplicates, examples_by_row
from hf_transferability.data.groups import shared_groups
from hf_transferability.data.options import SampleOptions
from hf_transferability.data.targets import groups_of_split
from hf_transferability.data.test_split import TEST, has_another_test_split, overlap_with_test
from hf_transferability.errors import TransferabilityError
from hf_transferability.names import plain_name
from hf_transferability.progress import Progress
from hf_transferability.training.samples import Pool, Sample

_MOST_IMAGES = 10_000  # of a split that are compared: the time grows with the product of both numbers


def overlap_notes(source: str | Path, pool: Pool, sample: SampleOptions, progress: Progress) -> list[str]:
    """Notes on images that occur twice with different labels, on those in the test split too, and on shared groups.

    Args:
        source: the dataset.
        pool: its training images.
        sample: how they were read.
        progress: shows what is done.

    Raises:
        UsageError: the test split has no such group column.
        TargetError: a training image cannot be decoded.
    """
    name = plain_name(source)
    images = Sample(pool, torch.arange(min(len(pool.labels), _MOST_IMAGES)))
    progress.stage(f"comparing images of {name}", len(images))
    hashes = images.hashes()
    rows = pool.target.positions[: len(images)]
    of = "" if len(images) == len(pool.labels) else f" (of {len(images)} images that were compared)"
    notes = []
    found = duplicates(hashes, pool.target.labels[: len(images)])
    if found.different:
        shown = examples_by_row(found.examples, rows, rows)
        pairs = f"{found.different} pair{'s' if found.different > 1 else ''} of equal images"
        notes.append(f"{name}: {pairs} with different labels{of}: {shown}; correct or remove one of each.")
    if has_another_test_split(pool.target):
        notes += _in_test_split(source, pool, sample, hashes, rows, of)
    return notes


def _in_test_split(source: Any, pool: Pool, sample: SampleOptions, hashes: Any, rows: Sequence[int], of: str) -> list[str]:
    name, column = plain_name(source), sample.group_column
    notes = []
    try:
        found = overlap_with_test(source, sample, hashes, rows, _MOST_IMAGES)
    except TransferabilityError as error:  # a test split without labels, for example, is no reason not to train
        notes.append(f"{name}: the test split cannot be compared with the training images: {error}")
    else:
        if found.images:
            notes.append(f"{name}: {found.in_words(len(rows))}{of}; do not test this network on them.")
    if column is not None:
        test_groups = groups_of_split(source, replace(sample, split=TEST), column)
        groups, images = shared_groups(pool.target.group_names, test_groups)
        if groups:
            notes.append(
                f"{groups} groups of {column} are also in the test split ({images} images): do not test this network on them."
            )
    return notes
