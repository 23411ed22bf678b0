"""Where `datasets` keeps what it prepares from a local folder: a place of its own for every state of the folder.

What is prepared may be as large as the folder. So copies that no run has used for a while are removed.
"""

import contextlib
import os
import shutil
import time
import uuid
from hashlib import sha256
from pathlib import Path

import datasets

_NAME = "local_folders"
_REMOVED = ".removed-"  # begins the names of copies that are being removed
_DAY = 24 * 3600  # seconds
_LONGEST = 30 * _DAY  # that a copy stays without being used
_NEWEST = 20  # copies that stay in any case until then
_IN_USE = _DAY  # a copy that was used since then stays, as another process may read it


def cache_folder(folder: Path) -> str:
    """A folder below the cache of `datasets` for this folder as its files are now.

    `datasets` names what it prepares by the folder's card or its files' times. Two folders with one card, or a table
    changed in place, would give rows that were prepared before.

    The folder is made and marked as used, and others are removed: what no run has used for 30 days, and of more than 20 the
    oldest, but none that was used within a day.

    Args:
        folder: the dataset's folder, resolved.
    """
    root = os.path.join(datasets.config.HF_DATASETS_CACHE, _NAME)
    place = os.path.join(root, _state(folder))
    with contextlib.suppress(OSError):  # a cache that cannot be written is named where it is needed
        os.makedirs(place, exist_ok=True)
        os.utime(place)
        _remove_unused(root)
    return place


def _state(folder: Path) -> str:
    """A name for a folder and its files as they are now."""
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
    return digest.hexdigest()[:32]


def _remove_unused(root: str) -> None:
    """Remove old copies; another process may do the same, or may be about to use one of them.

    A copy is renamed before it is removed: whoever comes meanwhile finds a whole copy or none, and prepares it again. What
    another process has opened stays readable for it.
    """
    now = time.time()
    used = []
    for entry in os.scandir(root):
        with contextlib.suppress(OSError):  # removed by another process
            used.append((entry.stat().st_mtime, entry.path, entry.name))
    used.sort(reverse=True)
    for number, (last, path, name) in enumerate(used):
        age = now - last
        if age <= _IN_USE or (number < _NEWEST and age <= _LONGEST):
            continue
        away = path
        if not name.startswith(_REMOVED):
            away = os.path.join(root, f"{_REMOVED}{uuid.uuid4().hex}")
            try:
                if time.time() - os.stat(path).st_mtime <= _IN_USE:  # another process has just begun to use it
                    continue
                os.rename(path, away)
            except OSError:
                continue
        shutil.rmtree(away, ignore_errors=True)
