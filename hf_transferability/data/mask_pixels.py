"""What the pixels of one file say: a mask, which has few colours or flat areas of one, or an image."""

import io

import numpy as np
from PIL import Image

from hf_transferability.data.medical.convert import Medical
from hf_transferability.data.options import SampleOptions
from hf_transferability.errors import UsageError
from hf_transferability.quiet import without_warnings

MASK, IMAGE, UNCLEAR = "mask", "image", "unclear"
_FEW, _FLAT_ONLY = "few colours", "flat"  # why a file looks like a mask
_FEW_COLOURS = 8  # of a mask
_MANY_COLOURS = 32  # of an image
_NEAR = 32  # grey levels, of a mask that was stored as JPEG
_APART = 4  # times so many, between the two colours of such a mask
_NEARLY_ALL = 0.95  # of its pixels have one of the two
_ONE_COLOUR = 0.995  # more of one is no mask, but nearly blank
_SAME = 0.9  # of all pixels of a map of many regions have the colour of the one before; photographs have noise
_MOST_PIXELS = 50_000_000
_MOST_COUNTED = 1_000_000  # of these
_GLANCE = 10_000  # of these, in which a photograph already has many colours


def size_and_colours(encoded: bytes) -> tuple[tuple[int, int], int] | None:
    """The size of an image and the number of its colours: 0 for many, -1 for neither few nor many; None if it is not read."""
    pixels = _pixels(encoded)
    return None if pixels is None else ((pixels.shape[1], pixels.shape[0]), _colours(pixels))


def looks_like(encoded: bytes, image: bytes | None = None) -> str:
    """MASK, IMAGE or UNCLEAR, for a file whose name says that it is a mask; of a volume the middle slice.

    A mask of one colour is empty. One of many colours is a map of many regions, such as superpixels.

    Args:
        encoded: the file.
        image: what it may be the mask of: where that has as few colours, or is as flat, as a drawing is, nothing is told.
    """
    kind = _kind(encoded)
    if kind in (IMAGE, UNCLEAR):
        return kind
    other = None if image is None else _kind(image)
    return UNCLEAR if other in (_FEW, kind) else MASK


def _kind(encoded: bytes) -> str:
    try:
        pixels = _pixels(Medical().convert(encoded, SampleOptions()))
    except UsageError:  # the library that reads it is not installed
        pixels = None
    if pixels is None:
        return UNCLEAR
    n_colours = _colours(pixels)
    if n_colours > 0:
        return _FEW
    if _is_flat(pixels):
        return _FLAT_ONLY
    return IMAGE if n_colours == 0 else UNCLEAR


def _pixels(encoded: bytes) -> np.ndarray | None:
    """Pixels [height, width, 3] uint8, or [height, width] of more than 8 bits; None for a file that cannot be read."""
    try:
        with without_warnings(), Image.open(io.BytesIO(encoded)) as file:
            if file.width * file.height > _MOST_PIXELS:
                return None
            # More than 8 bits would be cut by a conversion.
            return np.asarray(file if file.mode[:1] in ("I", "F") else file.convert("RGB"))
    except Exception:  # an image that cannot be decoded is named when it is used
        return None


def _colours(pixels: np.ndarray) -> int:
    """Their number: 0 for many, -1 for neither few nor many."""
    deep = pixels.ndim == 2
    flat = pixels.reshape(pixels.shape[0] * pixels.shape[1], -1)
    flat = flat[:: len(flat) // _MOST_COUNTED + 1]
    n_colours = _distinct(flat[:: len(flat) // _GLANCE + 1])
    n_colours = n_colours if n_colours > _MANY_COLOURS else _distinct(flat)
    if n_colours <= _FEW_COLOURS:
        return n_colours
    if not deep and _has_two(flat):
        return 2
    return 0 if n_colours > _MANY_COLOURS else -1


def _distinct(pixels: np.ndarray) -> int:
    """Number of distinct colours [n, 3], or values [n, 1]."""
    if pixels.shape[1] == 1:
        return len(np.unique(pixels))
    red, green, blue = pixels.astype(np.int32).T
    return len(np.unique(red << 16 | green << 8 | blue))


def _has_two(pixels: np.ndarray) -> bool:
    """Whether nearly all pixels [n, 3] are near one of two colours far from each other, as those of a mask stored as JPEG."""
    levels = 256 // _NEAR + 1
    red, green, blue = ((pixels[:: len(pixels) // (10 * _GLANCE) + 1].astype(np.int32) + _NEAR // 2) // _NEAR).T
    near = (red * levels + green) * levels + blue
    counts = np.bincount(near, minlength=levels**3)
    second, first = np.argsort(counts, kind="stable")[-2:]
    colours = np.array([np.unravel_index(code, (levels,) * 3) for code in (first, second)])
    apart = np.abs(colours[0] - colours[1]).max() >= _APART
    return bool(apart and counts[[first, second]].sum() >= _NEARLY_ALL * len(near) and counts[first] < _ONE_COLOUR * len(near))


def _is_flat(pixels: np.ndarray) -> bool:
    """Whether nearly every pixel has the colour of the one before it in its row."""
    same = pixels[:, 1:] == pixels[:, :-1]
    if same.ndim == 3:
        same = same.all(axis=2)
    return bool(same.size and same.mean() >= _SAME)
