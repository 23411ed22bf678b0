"""Hashes of images of a dataset that a model card names, to find a target's images among them.

The card is a stranger's. So its names are Hub ids and nothing else, never folders of this machine; the dataset is opened by the
rules for any dataset; and it is read as a stream, of which only the first images are taken.
"""

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hf_transferability.data.columns import find_image_column, undecoded
from hf_transferability.data.duplicates import WORDS, perceptual_hash
from hf_transferability.data.image_files import image_bytes
from hf_transferability.data.images import decode
from hf_transferability.data.medical.convert import Medical
from hf_transferability.data.opening import Opened, open_hub_dataset
from hf_transferability.data.options import SampleOptions
from hf_transferability.data.unreadable import dataset_error
from hf_transferability.errors import TransferabilityError, UsageError, first_line

_READING = ("window", "frame", "slice", "axis", "max_pixels")  # options of the target that also decide these pixels
_HUB_ID = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?")


def open_source(name: str, token: str | None = None) -> Opened:
    """The training split of a dataset as a stream.

    Args:
        name: as a model card has it.
        token: Hub token.

    Raises:
        UsageError: a name that is no Hub id, an unknown dataset, or one whose split or configuration cannot be told.
        TargetError: no network or no access.
    """
    if not _HUB_ID.fullmatch(name) or ".." in name:
        raise UsageError(f"{name[:80]!r} is no Hub dataset. Compare the images yourself.")
    try:
        return open_hub_dataset(name, SampleOptions(streaming=True), token)
    except TransferabilityError:
        raise
    except Exception as error:
        raise dataset_error(error, name) from error


@dataclass(frozen=True)
class SourceHashes:
    """What the first images of a source dataset look like.

    Attributes:
        hashes: perceptual hashes of those that could be decoded, uint64 [n, duplicates.WORDS].
        failed: number of images that could not be decoded.
        reason: why the first of these could not; "" if there is none.
    """

    hashes: np.ndarray
    failed: int = 0
    reason: str = ""


def reading(options: SampleOptions) -> dict[str, Any]:
    """The options of a target that also decide how the images of its source datasets become pixels, for the key of a cache."""
    return {name: getattr(options, name) for name in _READING}


def source_hashes(
    opened: Opened,
    largest: int,
    options: SampleOptions | None = None,
    token: str | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> SourceHashes:
    """Perceptual hashes of the first images of a stream, converted and decoded as the target's are.

    Args:
        opened: the stream.
        largest: number of images to look at, at most.
        options: how the target's images are read: window, frame, slice and so on.
        token: Hub token.
        progress: called with the number of images that are done.

    Raises:
        UsageError: the image column cannot be told, or the library that reads the images is not installed.
        TargetError: the stream breaks, or names images outside the dataset.
    """
    options = SampleOptions(**reading(options or SampleOptions()))
    hashes, reasons, medical = [], [], Medical()
    try:
        column = find_image_column(opened.table.features or {}, None)
        table = undecoded(opened.table, column).select_columns([column])
        for number, row in enumerate(itertools.islice(table, largest), 1):
            encoded = medical.convert(image_bytes(row[column], opened.place, token), options)
            try:
                pixels, _ = decode(encoded, options.window, frame=options.frame, max_pixels=options.max_pixels)
                hashes.append(perceptual_hash(pixels))
            except Exception as error:  # damaged images tell nothing, and are not the user's to repair
                reasons.append(first_line(error))
            progress(number)
    except TransferabilityError:
        raise
    except Exception as error:
        raise dataset_error(error, str(opened.where["id"]), opened.files) from error
    stacked = np.stack(hashes) if hashes else np.empty((0, WORDS), dtype=np.uint64)
    return SourceHashes(stacked, len(reasons), reasons[0] if reasons else "")
