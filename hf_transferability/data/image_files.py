"""The bytes of an image that a dataset names by a path: read from the dataset's own place only, and only so many."""

import os
import re
import stat
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
from datasets.download.download_config import DownloadConfig
from datasets.utils.file_utils import xopen
from huggingface_hub import constants

from hf_transferability import hub
from hf_transferability.data import zip_archives
from hf_transferability.data.medical.signature import kind_of
from hf_transferability.errors import TargetError
from hf_transferability.names import expanded

LARGEST = 256 * 2**20  # bytes of one encoded image
LARGEST_VOLUME = 2**31  # bytes of a DICOM or NIfTI file, of which one frame or slice stays in memory
LONGEST_PATH = 4096  # characters; longer texts hold something else, such as the image itself
_UNPACKED = re.compile(r"(zip|gzip|bz2|lz4|xz|zstd)://")  # how `datasets` names a member of an archive, before "::"
_ZIP = "zip://"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


@dataclass(frozen=True)
class Place:
    """Where a dataset's images may lie.

    Attributes:
        folders: folders on the disk; symbolic links must stay inside.
        prefix: how the URLs of its files begin; "" if it has none. Relative paths start there or in the first folder.
        follow_links: let links inside the first folder lead anywhere.
    """

    folders: tuple[Path, ...]
    prefix: str = ""
    follow_links: bool = False


def place_of(name: str, commit: str | None, *, follow_links: bool = False) -> Place:
    """The place of a local folder (`commit` is None), or of a Hub dataset at its commit.

    Both include what `datasets` unpacked of archives; a Hub dataset also includes its own files in the Hub's cache.
    """
    unpacked = (datasets.config.EXTRACTED_DATASETS_PATH, datasets.config.DOWNLOADED_DATASETS_PATH / "extracted")
    if commit is not None:
        cached = Path(constants.HF_HUB_CACHE, "datasets--" + name.replace("/", "--"))
        return Place((cached, *map(Path, unpacked)), f"hf://datasets/{name}@{commit}/")
    folder = expanded(name).resolve()
    # A snapshot in the Hub's cache links to the blobs beside it.
    blobs = (folder.parents[1],) if folder.parent.name == "snapshots" else ()
    return Place((folder, *blobs, *map(Path, unpacked)), follow_links=follow_links)


def image_bytes(record: dict[str, Any] | None, place: Place | None, token: str | None = None) -> bytes:
    """The encoded image; empty, and so corrupt, where the dataset holds none or its file cannot be read.

    Args:
        record: the cell of an undecoded Image column: bytes and path.
        place: where a path may lead; None for anywhere, as in a dataset that the user has built.
        token: Hub token.

    Raises:
        TargetError: a path that leads elsewhere, something that is no file, or more than LARGEST bytes
            (LARGEST_VOLUME of a medical file).
    """
    if record is None:
        return b""
    if record.get("bytes") is not None:
        return _bounded(record["bytes"], record.get("path") or "an embedded image")
    path = given = record["path"]
    if path is None:
        return b""
    if len(path) > LONGEST_PATH:
        raise TargetError(
            f"the image column holds texts of {len(path)} characters, which are not paths. "
            "Decode base64 texts to bytes in the dataset first."
        )
    if place is not None:
        path = absolute(path, place)
        if not is_inside(path, place):
            raise TargetError(
                f"the dataset names an image outside itself: {given!r} is neither in its folder nor unpacked from it. "
                "Embed the images (`push_to_hub`), write paths relative to its folder, pass the loaded dataset, or "
                "--follow-links for links of your own folder."
            )
    try:
        content: bytes = hub.call(_read, path, token)
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        if hub.is_connection_error(error):
            raise
        return b""
    return _bounded(content, path)


def file_and_folder(path: str) -> str:
    """The last folder and the name of an image file, also of one in an archive; "" for an empty path."""
    inside = re.sub(r"^[a-z0-9]+://", "", path.split("::")[0])
    return "/".join(Path(inside).parts[-2:])


def absolute(path: str, place: Place) -> str:
    """A relative path as one in the dataset's folder or repository; others as they are.

    Args:
        path: as the dataset names an image.
        place: where its images may lie.
    """
    if "::" in path or _URL.match(path) or os.path.isabs(path):
        return path
    if place.prefix:
        inside = os.path.normpath(path).replace(os.sep, "/")
        return path if inside.startswith("../") or is_below(path, place.folders) else place.prefix + inside
    return str(place.folders[0] / path)


def is_inside(path: str, place: Place) -> bool:
    """Whether a path lies where the dataset's images may lie.

    Args:
        path: as `absolute` gives it.
        place: where its images may lie.
    """
    *members, last = path.split("::")
    if "\0" in path or not all(_UNPACKED.match(member) for member in members):
        return False
    if place.prefix and last.startswith(place.prefix):
        return ".." not in last.split("/")
    if _URL.match(last):
        return False
    if place.follow_links and Path(os.path.normpath(last)).is_relative_to(place.folders[0]):
        return True
    return is_below(last, place.folders)


def is_below(path: str, folders: Collection[Path]) -> bool:
    """Whether a path lies in one of these folders once all links are followed; a circle of links lies nowhere."""
    try:
        real = Path(path).resolve()
    except RuntimeError:  # a circle of links
        return False
    return any(real.is_relative_to(folder.resolve()) for folder in folders)


def _read(path: str, token: str | None) -> bytes:
    *members, local = path.split("::")
    if not _URL.match(local):
        mode = os.stat(local).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # a pipe or a device may never end
            raise TargetError(f"the image {path!r} must be a regular file. Replace it by the image itself.")
        if len(members) == 1 and members[0].startswith(_ZIP) and zipfile.is_zipfile(local):
            return _read_member(local, members[0].removeprefix(_ZIP))
    with xopen(path, "rb", download_config=DownloadConfig(token=token)) as file:
        content: bytes = file.read(LARGEST + 1)
        if len(content) > LARGEST and kind_of(content):
            content += file.read(LARGEST_VOLUME + 1 - len(content))
    return content


def _read_member(archive: str, member: str) -> bytes:
    content = zip_archives.read_member(archive, member, LARGEST)
    if len(content) > LARGEST and kind_of(content):
        content = zip_archives.read_member(archive, member, LARGEST_VOLUME)
    return content


def _bounded(content: bytes, name: str) -> bytes:
    if len(content) > LARGEST and len(content) > (largest := LARGEST_VOLUME if kind_of(content) else LARGEST):
        raise TargetError(f"the image {name!r} must have at most {largest / 2**20:.0f} MiB. Make it smaller, or remove it.")
    return content
