"""Which files are images by their first bytes, for files whose names do not say."""

import os
from pathlib import Path

from hf_transferability.data.medical.signature import kind_of

LOOKED_AT = 352  # bytes; the header of a NIfTI file is the longest that is needed
_SIGNATURES = (
    b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+",
    b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n",
)  # fmt: skip
_INDEX = "DICOMDIR"  # lists the files of a medium, and is DICOM itself


def is_image_start(name: str, start: bytes) -> bool:
    """Whether a file that begins with these bytes is an image, DICOM or NIfTI.

    Args:
        name: of the file; an index of DICOM files is none.
        start: its first LOOKED_AT bytes.
    """
    if os.path.basename(name).upper() == _INDEX:
        return False
    webp, avif = start[:4] == b"RIFF" and start[8:12] == b"WEBP", start[4:12] == b"ftypavif"
    bmp = start[:2] == b"BM" and start[6:10] == b"\0\0\0\0"
    return start.startswith(_SIGNATURES) or webp or avif or bmp or kind_of(start) is not None


def is_image_file(path: str | Path) -> bool:
    """Whether a regular file is an image by its first bytes; False where it cannot be opened."""
    if not os.path.isfile(path):  # a pipe may never end
        return False
    try:
        with open(path, "rb") as file:
            return is_image_start(str(path), file.read(LOOKED_AT))
    except OSError:
        return False
