"""PGM and PPM of more than 8 bits, whose values Pillow rescales to 65535 (grey) or cuts to 8 bits (colour)."""

import re
from typing import Any

import numpy as np
from PIL import Image

_RAW, _PLAIN = "ppm", "ppm_plain"  # Pillow's decoders
_COMMENT = re.compile(rb"#[^\r\n]*")
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


def is_deep_colour(image: Image.Image) -> bool:
    """Whether an image that is not loaded yet is a PPM of more than 8 bits, which `stored_colour` reads."""
    return image.mode == "RGB" and largest_value(image) is not None


def stored_colour(encoded: bytes, image: Image.Image) -> np.ndarray:
    """The stored values of a PPM of more than 8 bits, uint16 [height, width, 3].

    Raises:
        ValueError: the file is cut off, or holds something else than its values.
    """
    opened: Any = image
    shape = (image.height, image.width, 3)
    decoder, _, start, (_, maxval) = opened.tile[0]
    try:
        if decoder == _RAW:
            stored = np.frombuffer(encoded, ">u2", int(np.prod(shape)), start)
        else:
            words = _COMMENT.sub(b" ", encoded[start:]).split(maxsplit=int(np.prod(shape)))
            stored = np.array([int(word) for word in words[: int(np.prod(shape))]], dtype=np.int64)
        stored = stored.reshape(shape)
    except ValueError:
        raise ValueError("image file is truncated or holds something else than numbers") from None
    if stored.min() < 0 or stored.max() > maxval:
        raise ValueError(f"the image holds values outside 0..{maxval}")
    return stored.astype(np.uint16)


def stored_grey(rescaled: np.ndarray, maxval: int) -> np.ndarray:
    """The stored values of a PGM that Pillow has rescaled to 0..65535, int64 [height, width]."""
    return np.rint(rescaled * (maxval / FULL_RANGE)).astype(np.int64)
