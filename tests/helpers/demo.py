"""The demo at tiny sizes."""

import hashlib
from pathlib import Path

TINY_TARGET = {"train_per_class": 6, "test_per_class": 4}
TINY_POOL = {"steps": 2, "images": 32}


def digests(folder: Path) -> dict[str, str]:
    """File below the folder -> sha256."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
