"""Bits of a channel in JPEG 2000, AVIF and SGI files, which Pillow reads with 8 bits or moves to the top of 16.

Pillow multiplies grey JPEG 2000 of 9 to 15 bits up to 16, and cuts its colour, AVIF and SGI to 8 bits.
"""

import numpy as np

_SIZES = b"\xff\x4f\xff\x51"  # begins the codestream of JPEG 2000: the marker, then the one of its sizes
_COMPONENTS, _FIRST_DEPTH = 40, 42  # offsets from there: the number of components, and the depth of the first
_SIGNED = 0x80
_AVIF_CONFIGURATION = b"av1C"
_HIGH, _TWELVE = 0x40, 0x20  # bits of the third byte after the box's name


def bits_of(image_format: str | None, encoded: bytes) -> int:
    """Bits of a channel of a JPEG 2000, AVIF or SGI file; 8 of all others, and where the file does not say.

    Args:
        image_format: as Pillow names it.
        encoded: the file.
    """
    if image_format == "JPEG2000":
        return max((depth & ~_SIGNED) + 1 for depth in _depths(encoded) or [7])
    if image_format == "AVIF":
        place = encoded.find(_AVIF_CONFIGURATION)
        flags = encoded[place + 6] if 0 <= place < len(encoded) - 6 else 0
        return 8 if not flags & _HIGH else 12 if flags & _TWELVE else 10
    return 8 * encoded[3] if image_format == "SGI" else 8


def grey_maxval(image_format: str | None, mode: str, encoded: bytes) -> int | None:
    """The largest value that a grey JPEG 2000 file of 9 to 15 bits, without sign, can hold; None for all other files.

    Args:
        image_format, mode: as Pillow names them.
        encoded: the file.
    """
    if image_format != "JPEG2000" or not mode.startswith("I;16"):
        return None
    depth = next(iter(_depths(encoded)), _SIGNED)
    return None if depth & _SIGNED or not 8 <= depth < 15 else 2 ** (depth + 1) - 1


def stored_grey(moved: np.ndarray, maxval: int) -> np.ndarray:
    """The stored values of a grey JPEG 2000 that Pillow has moved to the top of 16 bits, [height, width]."""
    return moved >> (16 - maxval.bit_length())


def _depths(encoded: bytes) -> bytes:
    """Sign and depth less one of each component of JPEG 2000; empty where the file does not say."""
    place = encoded.find(_SIZES)
    if place < 0:
        return b""
    count = int.from_bytes(encoded[place + _COMPONENTS : place + _FIRST_DEPTH], "big")
    return encoded[place + _FIRST_DEPTH : place + _FIRST_DEPTH + 3 * count : 3]
