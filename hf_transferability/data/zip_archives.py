"""Images in the ZIP archives of a local folder: listed and read in place, never unpacked to the disk.

An archive counts as a folder of its name, unless that is what it holds: `benign.zip` with `1.png` or `benign/1.png` is
`benign/1.png`.
"""

import functools
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

from hf_transferability.data.content import LOOKED_AT, is_image_start
from hf_transferability.data.foreign import is_own_path
from hf_transferability.errors import TargetError
from hf_transferability.escaping.terminal import printable

ENDING = ".zip"
_MOST_MEMBERS = 1_000_000
_LARGEST_UNPACKED = 64 * 2**30  # bytes of all members
_LARGEST_RATIO = 200  # unpacked to packed bytes, of archives that are large when unpacked; images hardly shrink
_LARGE = 2**30
_ENCRYPTED = 1  # bit of a member's flags
_FAILURES = (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError, zlib.error)


def members(archive: Path, relative: str) -> dict[str, str]:
    """Path of each file as if the archive were unpacked -> its name in the archive.

    Args:
        archive: the file.
        relative: its path in the dataset's folder.

    Raises:
        TargetError: no whole archive, one with a password, members outside it, or more than a dataset of images unpacks to.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            files = [info for info in file.infolist() if not info.is_dir()]
    except _FAILURES:
        raise TargetError(f"{printable(relative[-80:])} is no whole ZIP archive. Replace it, or move it away.") from None
    _check(files, archive.stat().st_size, relative)
    stem = relative[: -len(ENDING)]
    tops = {info.filename.split("/")[0] for info in files if "/" in info.filename and not _is_hidden(info.filename)}
    at_top = any("/" not in info.filename and not _is_hidden(info.filename) for info in files)
    wrapped = tops == {os.path.basename(stem)} and not at_top
    start = os.path.dirname(stem) if wrapped else stem
    return {(f"{start}/" if start else "") + info.filename: info.filename for info in files}


def _check(files: list[zipfile.ZipInfo], size: int, relative: str) -> None:
    shown = printable(relative[-80:])
    unpacked, packed = sum(info.file_size for info in files), sum(info.compress_size for info in files)
    if len(files) > _MOST_MEMBERS or unpacked > _LARGEST_UNPACKED or packed > size:
        raise TargetError(f"{shown} unpacks to {unpacked >> 30} GiB in {len(files)} files, too much. Unpack it yourself.")
    if unpacked > _LARGE and unpacked > _LARGEST_RATIO * size:
        raise TargetError(f"{shown} of {size >> 20} MiB unpacks to {unpacked >> 30} GiB, too much. Unpack it yourself.")
    for info in files:
        if info.flag_bits & _ENCRYPTED:
            raise TargetError(f"{shown} is protected by a password. Unpack it, and pass the folder.")
        if not is_own_path(info.filename):
            raise TargetError(f"{shown} holds a file outside itself: {printable(info.filename[:80])!r}. Move it away.")


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "__"))


def is_image_member(archive: Path, member: str) -> bool:
    """Whether a member is an image by its first bytes; False where it cannot be read."""
    try:
        with _opened(*_state(archive)).open(member) as file:
            return is_image_start(member, file.read(LOOKED_AT))
    except _FAILURES:
        return False


def url(archive: Path, member: str) -> str:
    """The path of a member as `datasets` writes it."""
    return f"zip://{member}::{archive}"


def read_member(archive: str, member: str, largest: int) -> bytes:
    """The bytes of a member, one more than `largest` at most; empty where it is missing or damaged."""
    try:
        with _opened(*_state(Path(archive))).open(member) as file:
            return file.read(largest + 1)
    except (*_FAILURES, KeyError):
        return b""


def _state(archive: Path) -> tuple[str, int, int]:
    state = archive.stat()
    return str(archive), state.st_mtime_ns, state.st_size


@functools.lru_cache(maxsize=4)
def _opened(path: str, *state: Any) -> zipfile.ZipFile:
    """An archive whose index is read once, not for every image."""
    return zipfile.ZipFile(path)
