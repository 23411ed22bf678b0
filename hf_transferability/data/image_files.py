"""The bytes of an image that a dataset names by a path: read from the dataset's own place only, and only so many."""

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
from datasets.download.download_config import DownloadConfig
from datasets.utils.file_utils import xopen
from huggingface_hub import constants

from hf_transferability import hub
from hf_transferability.errors import TargetError

LARGEST = 256 * 2**20  # bytes of one encoded image
_UNPACKED = re.compile(r"(zip|gzip|bz2|lz4|xz|zstd)://")  # how `datasets` names a member of an archive, before "::"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


@dataclass(frozen=True)
class Place:
    """Where a dataset's images may lie.

    Attributes:
        folders: on the disk; symbolic links must stay inside.
        prefix: of URLs, "" for none.
    """

    folders: tuple[Path, ...]
    prefix: str = ""


def place_of(name: str, commit: str | None) -> Place:
    """The place of a local folder (`commit` is None), or of a Hub dataset at its commit.

    Both have what `datasets` unpacked of archives; a Hub dataset also its own files in the Hub's cache.
    """
    unpacked = (datasets.config.EXTRACTED_DATASETS_PATH, datasets.config.DOWNLOADED_DATASETS_PATH / "extracted")
    if commit is not None:
        cached = Path(constants.HF_HUB_CACHE, "datasets--" + name.replace("/", "--"))
        return Place((cached, *map(Path, unpacked)), f"hf://datasets/{name}@{commit}/")
    folder = Path(name).expanduser().absolute()
    # A snapshot in the Hub's cache links to the blobs beside it.
    own = folder.parents[1] if folder.parent.name == "snapshots" else folder
    return Place((own, *map(Path, unpacked)))


def image_bytes(record: dict[str, Any] | None, place: Place | None, token: str | None = None) -> bytes:
    """The encoded image; empty, and so corrupt, where the dataset holds none or its file cannot be read.

    Args:
        record: the cell of an undecoded Image column: bytes and path.
        place: where a path may lead; None for anywhere, as in a dataset that the user has built.
        token: of the Hub.

    Raises:
        TargetError: a path that leads elsewhere, something that is no file, or more than LARGEST bytes.
    """
    if record is None:
        return b""
    if record.get("bytes") is not None:
        return _bounded(record["bytes"], record.get("path") or "an embedded image")
    path = record["path"]
    if path is None:
        return b""
    if place is not None and not _is_inside(path, place):
        raise TargetError(
            f"the dataset names an image outside itself: {path!r} is neither in its repository or folder nor unpacked from it. "
            "Embed the images in the dataset (`push_to_hub` does so), or load it with `datasets` and pass the loaded dataset."
        )
    try:
        content: bytes = hub.call(_read, path, token)
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        if hub.is_connection_error(error):
            raise
        return b""
    return _bounded(content, path)


def _is_inside(path: str, place: Place) -> bool:
    *members, last = path.split("::")
    if not all(_UNPACKED.match(member) for member in members):
        return False
    if place.prefix and last.startswith(place.prefix):
        return ".." not in last.split("/")
    if _URL.match(last):
        return False
    return _is_below(last, place.folders)


def _is_below(path: str, folders: Sequence[Path]) -> bool:
    real = Path(path).resolve()
    return any(real.is_relative_to(folder.resolve()) for folder in folders)


def _read(path: str, token: str | None) -> bytes:
    local = path.split("::")[-1]
    if not _URL.match(local):
        mode = os.stat(local).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # a pipe or a device may never end
            raise TargetError(f"the image {path!r} must be a regular file. Replace it by the image itself.")
    with xopen(path, "rb", download_config=DownloadConfig(token=token)) as file:
        content: bytes = file.read(LARGEST + 1)
    return content


def _bounded(content: bytes, name: str) -> bytes:
    if len(content) > LARGEST:
        raise TargetError(f"the image {name!r} must have at most {LARGEST / 2**20:.0f} MiB. Make it smaller, or remove it.")
    return content
