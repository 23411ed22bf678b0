"""Downloaded files are compared with the sha256 that the Hub states, once each; the clients look at no more than their size."""

import contextlib
import hashlib
import re
from pathlib import Path

from huggingface_hub import cached_assets_path

_SHA256 = re.compile(r"[0-9a-f]{64}")


class DamagedFileError(OSError):
    """A file that arrived with another content than the Hub states."""


def is_whole(path: Path, sha256: str | None) -> bool:
    """Whether a downloaded file has its sha256; true where none is known, as for small files.

    That it was compared is noted beside the extracted arrays, so that a large file is read again only when it has changed.

    Args:
        path: in the Hub cache.
        sha256: as the Hub states it; None for that by which the cache names the file, which the Hub stated then.
    """
    stored = path.resolve()
    expected = sha256 or (stored.name if _SHA256.fullmatch(stored.name) else None)
    if expected is None:
        return True
    found = stored.stat()
    state = f"{stored}\n{found.st_size} {found.st_mtime_ns}\n"
    note: Path | None = None
    with contextlib.suppress(OSError):  # without a place for notes it is compared every time
        note = cached_assets_path("hf-transferability", "verified") / expected
        if note.read_text() == state:
            return True
    with stored.open("rb") as file:
        whole = hashlib.file_digest(file, "sha256").hexdigest() == expected
    if whole and note is not None:
        with contextlib.suppress(OSError):
            note.write_text(state)
    return whole


def throw_away(path: Path) -> None:
    """Remove a file from the Hub cache, so that it is downloaded again."""
    path.resolve().unlink(missing_ok=True)
    path.unlink(missing_ok=True)
