"""Hashes of images of a dataset that a model card names, to find a target's images among them.

The card is a stranger's. So its names are Hub ids and nothing else, never folders of this machine; the dataset is opened by the
rules for any dataset; and it is read as a stream, of which only the first images are taken.
"""

import contextlib
import itertools
import re
from collections.abc import Callable

import numpy as np

from hf_transferability.data.columns import find_image_column, undecoded
from hf_transferability.data.duplicates import WORDS, perceptual_hash
from hf_transferability.data.image_files import image_bytes
from hf_transferability.data.images import decode
from hf_transferability.data.opening import Opened, dataset_error, open_hub_dataset
from hf_transferability.data.options import SampleOptions
from hf_transferability.errors import TransferabilityError, UsageError

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


def source_hashes(
    opened: Opened, largest: int, token: str | None = None, progress: Callable[[int], None] = lambda done: None
) -> np.ndarray:
    """Perceptual hashes of the first images of a stream, uint64 [n, duplicates.WORDS], n at most `largest`.

    Images that cannot be decoded are skipped.

    Raises:
        UsageError: the image column cannot be told.
        TargetError: the stream breaks, or names images outside the dataset.
    """
    hashes = []
    try:
        column = find_image_column(opened.table.features or {}, None)
        table = undecoded(opened.table, column).select_columns([column])
        for number, row in enumerate(itertools.islice(table, largest), 1):
            encoded = image_bytes(row[column], opened.place, token)
            with contextlib.suppress(Exception):  # damaged images tell nothing, and are not the user's to repair
                hashes.append(perceptual_hash(decode(encoded)[0]))
            progress(number)
    except TransferabilityError:
        raise
    except Exception as error:
        raise dataset_error(error, str(opened.where["id"])) from error
    return np.stack(hashes) if hashes else np.empty((0, WORDS), dtype=np.uint64)
