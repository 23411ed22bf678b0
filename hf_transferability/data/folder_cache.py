"""Where `datasets` keeps what it prepares from a local folder: a place of its own for every state of the folder."""

import os
from hashlib import sha256
from pathlib import Path

import datasets

_NAME = "local_folders"


def cache_folder(folder: Path) -> str:
    """A folder below the cache of `datasets` for this folder as its files are now.

    `datasets` names what it prepares by the folder's card or its files' times. Two folders with one card, or a table
    changed in place, would give rows that were prepared before.

    Args:
        folder: the dataset's folder, resolved.
    """
    digest = sha256(os.fsencode(folder))
    visited = set()
    for here, folders, names in os.walk(folder, followlinks=True):
        visited.add(os.path.realpath(here))
        # A circle of links would never end.
        folders[:] = sorted(name for name in folders if os.path.realpath(os.path.join(here, name)) not in visited)
        for name in sorted(names):
            path = os.path.join(here, name)
            try:
                state = os.stat(path)
            except OSError:  # a link that leads nowhere, which holds no data
                continue
            # The time of the last change of the entry tells of copies that keep the size and the time of the content.
            values = (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
            digest.update(b"\0" + os.fsencode(os.path.relpath(path, folder)) + b"\0" + repr(values).encode())
    return os.path.join(datasets.config.HF_DATASETS_CACHE, _NAME, digest.hexdigest()[:32])
