"""What lies in a local folder beside the files that `datasets` reads: data files that no configuration and no row names."""

import os
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import datasets

from hf_transferability.data.listing import Listing, may_be_data
from hf_transferability.escaping.terminal import printable

_DOUBLE_ENDINGS = (".nii.gz", ".tar.gz")


def may_hold_rows(table: str) -> bool:
    """Whether `datasets` takes a table for data, by its name."""
    return os.path.basename(table) not in datasets.data_files.FILES_TO_IGNORE


def unread_files(
    folder: Path, files: Listing, chosen: Collection[str], named: Collection[str] | None
) -> tuple[dict[str, int], dict[str, str]]:
    """The data files that are not read: tables, archives, images, DICOM files and NIfTI volumes.

    Args:
        folder: the dataset's folder.
        files: all that it holds.
        chosen: the files that a builder of `datasets` reads.
        named: the image files that the rows name; None where that is not known, as of a stream, and no image is counted.

    Returns:
        Reason -> number of files, and reason -> one of them.
    """
    read = {os.path.realpath(path) for path in chosen}
    if not read:
        return {}, {}
    tables = [path for path in (*files.tables, *files.metadata) if may_hold_rows(path)]
    candidates = {*tables, *filter(may_be_data, files.others), *(files.images if named is not None else ())}
    by_rows = {os.path.normpath(path) for path in named or ()}
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for path in sorted({files.archived.get(path, (path,))[0] for path in candidates}):
        if os.path.realpath(folder / path) in read or os.path.normpath(folder / path) in by_rows:
            continue
        reason = f"{_ending(path)} files that are not read"
        counts[reason] += 1
        examples.setdefault(reason, printable(path[-80:]))
    if hidden := files.hidden + len(files.hidden_images):
        counts["hidden files"] = hidden
    return dict(sorted(counts.items())), examples


def _ending(path: str) -> str:
    lower = path.lower()
    double = next((ending for ending in _DOUBLE_ENDINGS if lower.endswith(ending)), None)
    return double or os.path.splitext(lower)[1] or "no-ending"
