"""What the training images of a dataset share with its test split, and which of them occur twice with different labels."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from hf_transferability.data.duplicates import Origins, duplicates, examples_by_file, examples_by_row, first_matches
from hf_transferability.data.groups import shared_groups
from hf_transferability.data.options import SampleOptions
from hf_transferability.data.targets import groups_of_split
from hf_transferability.data.test_split import TEST, compared_with_test, has_another_test_split
from hf_transferability.errors import TransferabilityError
from hf_transferability.names import plain_name
from hf_transferability.progress import Progress
from hf_transferability.training.samples import Draw, Pool, Sample

_MOST_IMAGES = 10_000  # of a split that are compared: the time grows with the product of both numbers


class Finding(NamedTuple):
    """A sentence without its end, on images that occur twice.

    Attributes:
        kept: with rows, for what is kept.
        told: with files where images are files, for who runs this.
    """

    kept: str
    told: str


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
    hashes, origins = images.hashes(), images.origins
    of = "" if len(images) == len(pool.labels) else f" (of {len(images)} images that were compared)"
    notes = []
    if found := _different_labels(hashes, images):
        notes.append(f"{name}: {found.told}{of}; correct or remove one of each.")
    if has_another_test_split(pool.target):
        notes += _in_test_split(source, pool, sample, hashes, origins, of)
    return notes


def draw_findings(draw: Draw) -> list[Finding]:
    """What a draw for fine-tuning has twice: training images with different labels, and test images in training or validation.

    Raises:
        TargetError: an image cannot be decoded.
    """
    hashes = {name: sample.hashes() for name, sample in (("training", draw.train), ("validation", draw.validation))}
    found = [_different_labels(hashes["training"], draw.train), _tested_on(draw, hashes)]
    return [finding for finding in found if finding]


def _different_labels(hashes: np.ndarray, sample: Sample) -> Finding | None:
    """Pairs of equal training images with different labels."""
    found = duplicates(hashes, sample.labels.numpy())
    if not found.different:
        return None
    pairs = f"{found.different} pair{'s' if found.different > 1 else ''} of equal training images with different labels: "
    return Finding(
        *(pairs + show(found.examples, sample.origins, sample.origins) for show in (examples_by_row, examples_by_file))
    )


def _tested_on(draw: Draw, hashes: Mapping[str, np.ndarray]) -> Finding | None:
    """Test images that are also among those of training or validation."""
    tested = draw.test.hashes()
    found: set[int] = set()
    shown: list[str] = []
    for name, sample in (("training", draw.train), ("validation", draw.validation)):
        matches = first_matches(tested, hashes[name])
        if pairs := [(i, match) for i, match in enumerate(matches.tolist()) if match >= 0]:
            found |= {i for i, _ in pairs}
            examples = (show(pairs, draw.test.origins, sample.origins) for show in (examples_by_row, examples_by_file))
            shown = shown or [f"{example} (test and {name})" for example in examples]
    if not found:
        return None
    count = f"{len(found)} of {len(tested)} test images are also in training or validation: "
    return Finding(*(count + example for example in shown))


def _in_test_split(source: Any, pool: Pool, sample: SampleOptions, hashes: np.ndarray, origins: Origins, of: str) -> list[str]:
    name, column = plain_name(source), sample.group_column
    notes = []
    try:
        found = compared_with_test(source, sample, hashes, origins, _MOST_IMAGES)
    except TransferabilityError as error:  # a test split without labels, for example, is no reason not to train
        notes.append(f"{name}: the test split cannot be compared with the training images: {error}")
    else:
        if found.images:
            notes.append(f"{name}: {found.in_words(len(hashes), by_file=True)}{of}; do not test this network on them.")
    if column is not None:
        test_groups = groups_of_split(source, replace(sample, split=TEST), column)
        groups, images = shared_groups(pool.target.group_names, test_groups)
        if groups:
            notes.append(
                f"{groups} groups of {column} are also in the test split ({images} images): do not test this network on them."
            )
    return notes
