"""Whether a sample's images are also in the test split of its dataset."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hf_transferability.data.duplicates import Pair, examples_by_row, first_matches, has_hash
from hf_transferability.data.options import SampleOptions
from hf_transferability.data.targets import Target, check_images, load_target

TEST = "test"


@dataclass(frozen=True)
class Overlap:
    """Images of a sample that the test split holds too.

    Attributes:
        images: how many of the sample's images have a near-duplicate among the test images.
        compared: number of test images that were looked at.
        examples: two pairs by row, such as "rows 4 and 71, 9 and 12"; "" without any.
    """

    images: int
    compared: int
    examples: str

    def in_words(self, n_images: int) -> str:
        """Count and examples, for a flag or a note."""
        return (
            f"{self.images} of {n_images} images are among {self.compared} of the test split: {self.examples} (sample and test)"
        )


def full_splits(split: str | None) -> set[str]:
    """Names of the splits in an expression such as "train", "train[:80%]" or "train+validation"."""
    return {part.partition("[")[0].strip() for part in split.split("+")} if split else set()


def has_another_test_split(target: Target) -> bool:
    """Whether the dataset has a test split and the sample is not taken from it."""
    where = target.provenance
    return TEST in where.get("account", {}).get("rows", {}) and TEST not in full_splits(where["split"])


def overlap_with_test(
    dataset: Any,
    sample: SampleOptions,
    hashes: np.ndarray,
    rows: Sequence[int],
    largest: int,
    token: str | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Overlap:
    """Compare a sample with at most so many images of the test split, which are read in the same way.

    Args:
        dataset: as for `load_target`.
        sample: how the sample was read.
        hashes: perceptual hashes of its images, uint64 [n, duplicates.WORDS].
        rows: their row numbers.
        largest: test images to look at; a random sample of the split.
        token: Hub token.
        progress: called with the number of test images that are decoded.

    Raises:
        UsageError, TargetError: as `load_target`.
    """
    options = replace(sample, split=TEST, sample_size=largest, draw="random", group_column=None)
    tested, _ = check_images(load_target(dataset, options, token=token), skip_corrupt=True, progress=progress)
    if tested.hashes is None:
        return Overlap(0, 0, "")
    matches = first_matches(hashes, tested.hashes)
    pairs: list[Pair] = [(int(image), int(matches[image])) for image in np.flatnonzero(matches >= 0)]
    shown = examples_by_row(pairs, rows, tested.positions) if pairs else ""
    return Overlap(len(pairs), int(has_hash(tested.hashes).sum()), shown)
