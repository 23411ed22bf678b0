"""A visitor's uploads, held apart from those of others.

Gradio stores equal files of two visitors once. So each visitor gets a link to an upload as soon as it is there. A visitor's
links are removed after the ranking, or when the visitor leaves, and a file when its last link is: what one visitor's ranking
removes, another's, which waits in the queue, still has.
"""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

_UNNAMED = "unnamed"  # a caller of the API has no open page
_uploaded: dict[str, set[Path]] = {}  # by visitor


def hold(visitor: str, paths: Sequence[str]) -> None:
    """Link uploads into the visitor's folder."""
    for path in map(Path, paths):
        _uploaded.setdefault(visitor, set()).add(path)
        place = _place(visitor, path)
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists():
            continue
        try:
            os.link(path, place)
        except (FileExistsError, FileNotFoundError):  # linked, or ranked and removed, meanwhile
            continue
        except OSError:  # another file system
            shutil.copyfile(path, place)


def held(visitor: str, paths: Sequence[str]) -> list[str]:
    """The visitor's links to these uploads; the uploads themselves where there are none."""
    return [str(place) if (place := _place(visitor, Path(path))).exists() else path for path in paths]


def forget(visitor: str) -> None:
    """Remove all that a visitor uploaded."""
    shutil.rmtree(_folder(visitor), ignore_errors=True)
    for path in _uploaded.pop(visitor, ()):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_nlink == 1:  # no other visitor has it
                path.unlink()


@cache
def _root() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="hf-transferability-uploads-", ignore_cleanup_errors=True)


def _folder(visitor: str) -> Path:
    return Path(_root().name, hashlib.sha256((visitor or _UNNAMED).encode()).hexdigest()[:32])


def _place(visitor: str, path: Path) -> Path:
    # Gradio's folder is named after the content: two files of one name stay two.
    return _folder(visitor) / hashlib.sha256(str(path.parent).encode()).hexdigest()[:32] / path.name
