"""Medical files after conversion: plain 8-bit images, or the reason why there is none; in memory only, never written."""

import numpy as np

_IMAGE = b"# converted by hf-transferability\n"  # a comment in the header of a PGM or PPM image
_FAILED = b"hf-transferability cannot convert: "


def encode(pixels: np.ndarray) -> bytes:
    """A binary PGM or PPM image of uint8 [height, width] or [height, width, 3]: the same bytes with every version of Pillow."""
    height, width = pixels.shape[:2]
    kind = b"P5\n" if pixels.ndim == 2 else b"P6\n"
    return kind + _IMAGE + b"%d %d\n255\n" % (width, height) + np.ascontiguousarray(pixels, np.uint8).tobytes()


def encode_failure(reason: str) -> bytes:
    """What stands for a file that cannot be converted; decoding it fails with the reason."""
    return _FAILED + reason.encode()


def is_converted(encoded: bytes) -> bool:
    """Whether `encode` made these bytes, so that frame and window are already chosen."""
    return encoded[3 : 3 + len(_IMAGE)] == _IMAGE and encoded[:3] in (b"P5\n", b"P6\n")


def failure(encoded: bytes) -> str | None:
    """The reason that `encode_failure` was given; None for anything else."""
    return encoded[len(_FAILED) :].decode() if encoded.startswith(_FAILED) else None
