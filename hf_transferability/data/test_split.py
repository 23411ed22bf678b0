"""Whether a sample's images are also in the test split of its dataset."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import datasets
import numpy as np

from hf_transferability.data import masks
from hf_transferability.data.columns import find_image_column, undecoded
from hf_transferability.data.drawing import reading
from hf_transferability.data.duplicates import Origins, Pair, examples_by_file, examples_by_row, first_matches, has_hash
from hf_transferability.data.image_files import Place, file_and_folder, image_bytes
from hf_transferability.data.images import DECODING_VERSION, ImageReport, Images
from hf_transferability.data.medical.convert import Medical
from hf_transferability.data.opening import open_dataset
from hf_transferability.data.options import SampleOptions
from hf_transferability.data.targets import Target
from hf_transferability.data.unreadable import dataset_error
from hf_transferability.errors import TransferabilityError

TEST = "test"


@dataclass(frozen=True)
class Overlap:
    """Images of a sample that the test split holds too.

    Attributes:
        images: how many of the sample's images have a near-duplicate among the test images.
        compared: number of test images that were looked at.
        examples: two pairs by row; "" without any.
        files: the same by file, for who runs this.
    """

    images: int
    compared: int
    examples: str
    files: str

    def in_words(self, n_images: int, *, by_file: bool = False) -> str:
        """Count and examples, for a flag or a note.

        Args:
            n_images: size of the sample.
            by_file: name files in place of rows; not for what is kept.
        """
        examples = self.files if by_file else self.examples
        return f"{self.images} of {n_images} images are among {self.compared} of the test split: {examples} (sample and test)"


@dataclass(frozen=True)
class SplitImages:
    """Some images of a test split, encoded; their labels do not matter, and may be missing.

    Attributes:
        images: the images.
        origins: where they are from.
    """

    images: Images
    origins: Origins

    @property
    def key(self) -> str:
        """sha256 of the encoded images and of how they are decoded."""
        images = self.images
        digest = hashlib.sha256(repr((images.window, images.frame, images.max_pixels, DECODING_VERSION)).encode())
        for encoded in images.encoded:
            digest.update(hashlib.sha256(encoded).digest())
        return digest.hexdigest()


def full_splits(split: str | None) -> set[str]:
    """Names of the splits in an expression such as "train", "train[:80%]" or "train+validation"."""
    return {part.partition("[")[0].strip() for part in split.split("+")} if split else set()


def has_another_test_split(target: Target) -> bool:
    """Whether the dataset has a test split and the sample is not taken from it."""
    where = target.provenance
    return TEST in where.get("account", {}).get("rows", {}) and TEST not in full_splits(where["split"])


def read_test_images(dataset: Any, sample: SampleOptions, largest: int, token: str | None = None) -> SplitImages:
    """At most so many images of the test split at random, of a stream the first ones, read as the sample's are.

    Args:
        dataset: as for `load_target`.
        sample: how the sample was read.
        largest: number of images.
        token: Hub token.

    Raises:
        UsageError, TargetError: as `load_target`, but for labels.
    """
    options, medical = replace(sample, split=TEST), Medical()
    opened = open_dataset(dataset, options, token)
    try:
        column = find_image_column(opened.table.features or {}, options.image_column)
        table = undecoded(opened.table, column).select_columns([column]).with_format(None)
        if isinstance(table, datasets.IterableDataset):
            records = [row[column] for row in table.take(largest)]
            rows = list(range(len(records)))
        else:
            chosen = np.random.default_rng(sample.seed).permutation(_images(table, column, opened.place, options))[:largest]
            rows = sorted(chosen.tolist())
            records = table.select(rows)[column][:] if rows else []
        encoded = [medical.convert(image_bytes(record, opened.place, token), options) for record in records]
    except TransferabilityError:
        raise
    except Exception as error:
        raise dataset_error(error, str(opened.where["id"]), opened.files) from error
    files = [file_and_folder((record or {}).get("path") or "") for record in records]
    images = Images(encoded, options.window, 0, options.frame, options.max_pixels)
    return SplitImages(images, Origins(rows, files))


def _images(table: datasets.Dataset, column: str, place: Place | None, options: SampleOptions) -> list[int]:
    """The rows that are no masks; the labels, which may be missing, are not looked at."""
    paths = None if options.keep_masks else masks.stored_paths(table, column)
    if not paths:
        return list(range(len(table)))
    among = masks.find_masks(paths, [""] * len(paths), reading(table, column, place))
    return [row for row in range(len(table)) if row not in among.found and row not in among.unclear]


def overlap_with_test(hashes: np.ndarray, origins: Origins, tested: SplitImages, report: ImageReport) -> Overlap:
    """Compare a sample with test images.

    Args:
        hashes: perceptual hashes of the sample's images, uint64 [n, duplicates.WORDS].
        origins: where they are from.
        tested: images of the test split.
        report: what decoding them showed, with their hashes.
    """
    matches = first_matches(hashes, report.hash_array())
    pairs: list[Pair] = [(int(image), int(matches[image])) for image in np.flatnonzero(matches >= 0)]
    compared = int(has_hash(report.hash_array()).sum())
    if not pairs:
        return Overlap(0, compared, "", "")
    examples = (show(pairs, origins, tested.origins) for show in (examples_by_row, examples_by_file))
    return Overlap(len(pairs), compared, *examples)


def compared_with_test(
    dataset: Any,
    sample: SampleOptions,
    hashes: np.ndarray,
    origins: Origins,
    largest: int,
    progress: Callable[[int], None] = lambda done: None,
) -> Overlap:
    """`read_test_images`, decoding and `overlap_with_test` in one.

    Raises:
        UsageError, TargetError: as `read_test_images`.
    """
    tested = read_test_images(dataset, sample, largest)
    return overlap_with_test(hashes, origins, tested, tested.images.inspect(progress))
