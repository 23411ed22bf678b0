"""PGM and PPM of more than 8 bits, whose values Pillow rescales to 65535 (grey) or cuts to 8 bits (colour)."""

from typing import Any

import numpy as np
from PIL import Image

_RAW, _PLAIN = "ppm", "ppm_plain"  # Pillow's decoders
FULL_RANGE = 65535  # what Pillow makes of the largest value of a grey image


def is_named(encoded: bytes) -> bool:
    """Whether a file begins as PGM or PPM."""
    return encoded[:2] in (b"P2", b"P3", b"P5", b"P6")


def largest_value(image: Image.Image) -> int | None:
    """The maxval of a PGM or PPM file of more than 8 bits that is not loaded yet; None for all other images."""
    opened: Any = image
    if image.format != "PPM" or not opened.tile or image.mode == "F":
        return None
    decoder, _, _, arguments = opened.tile[0]
    if arguments == "I;16B":
        return FULL_RANGE
    maxval = arguments[1] if decoder in (_RAW, _PLAIN) and isinstance(arguments, tuple) else 0
    return int(maxval) if maxval > np.iinfo(np.uint8).max else None


def is_raw_colour(image: Image.Image) -> bool:
    """Whether an image that is not loaded yet is a binary PPM (P6) of more than 8 bits, which `raw_colour` reads."""
    opened: Any = image
    return image.mode == "RGB" and largest_value(image) is not None and opened.tile[0][0] == _RAW


def raw_colour(encoded: bytes, image: Image.Image) -> np.ndarray:
    """The stored values of a binary PPM of more than 8 bits, uint16 [height, width, 3].

    Raises:
        ValueError: the file is cut off.
    """
    opened: Any = image
    shape = (image.height, image.width, 3)
    try:
        stored = np.frombuffer(encoded, ">u2", int(np.prod(shape)), opened.tile[0][2])
    except ValueError:
        raise ValueError("image file is truncated") from None
    return stored.reshape(shape).astype(np.uint16)


def stored_grey(rescaled: np.ndarray, maxval: int) -> np.ndarray:
    """The stored values of a PGM that Pillow has rescaled to 0..65535, int64 [height, width]."""
    return np.rint(rescaled * (maxval / FULL_RANGE)).astype(np.int64)
