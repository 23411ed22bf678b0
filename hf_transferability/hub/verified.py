"""Compare downloaded files with the sha256 that the Hub states, once each; the clients compare only sizes."""

import contextlib
import hashlib
import re
from pathlib import Path

from huggingface_hub import cached_assets_path

_SHA256 = re.compile(r"[0-9a-f]{64}")


class DamagedFileError(OSError):
    """A downloaded file differs from what the Hub states."""


def is_complete(path: Path, sha256: str | None) -> bool:
    """Whether a downloaded file has its sha256; True if none is known, as for small files.

    Successful comparisons are noted in the cache of this package, so that a large file is read again only after a change.

    Args:
        path: file in the Hub cache.
        sha256: as the Hub states it; None to use the name of the file in the cache, which was the Hub's sha256 at download.
    """
    stored = path.resolve()
    expected = sha256 or (stored.name if _SHA256.fullmatch(stored.name) else None)
    if expected is None:
        return True
    status = stored.stat()
    state = f"{stored}\n{status.st_size} {status.st_mtime_ns}\n"
    note: Path | None = None
    with contextlib.suppress(OSError):  # without a cache folder it is compared every time
        note = cached_assets_path("hf-transferability", "verified") / expected
        if note.read_text() == state:
            return True
    with stored.open("rb") as file:
        matches = hashlib.file_digest(file, "sha256").hexdigest() == expected
    if matches and note is not None:
        with contextlib.suppress(OSError):
            note.write_text(state)
    return matches


def has_blob_id(path: Path, blob_id: str) -> bool:
    """Whether a small file has the content that the Hub states by git's blob id (a sha1)."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == blob_id


def remove(path: Path) -> None:
    """Remove a file from the Hub cache, so that the next request downloads it again."""
    path.resolve().unlink(missing_ok=True)
    path.unlink(missing_ok=True)
