"""What an image file's header says: depth, frames, channels; and colour of 16 bits a channel, of which Pillow keeps 8."""

import io
import sys
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from hf_transferability.data import deep_formats, netpbm

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_GREY_WITH_ALPHA = b"\4"  # a PNG's colour type
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_SEVERAL_PICTURES, _BEFORE_PICTURE = b"MPF\0", 2**17  # of a JPEG, in a segment after those of its camera
_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLES_PER_PIXEL = 258, 262, 277
_USED_CHANNELS = {"1": 1, "L": 1, "P": 1, "LA": 2, "PA": 2, "RGB": 3, "RGBX": 4, "RGBA": 4, "CMYK": 4, "YCbCr": 3, "LAB": 3}
# Read once: `open_image` changes Pillow's own for moments, which another thread would see.
PILLOW_LIMIT = Image.MAX_IMAGE_PIXELS
_opening = threading.Lock()


@dataclass(frozen=True)
class Header:
    """What is known of an image before its pixels are read.

    Attributes:
        deep: more than 8 bits a channel, grey or colour.
        deep_colour: more than 8 bits a channel in several channels, which Pillow opens with 8.
        readable: whether all bits can be read.
        white_is_zero: stored 0 is white, as in many scanned TIFF files.
        frames: frames or pages in the file.
        extra_channels: channels beyond colour and alpha.
        maxval: the white of a PGM, PPM or grey JPEG 2000 whose values Pillow rescales to 16 bits; None for other images.
    """

    deep: bool = False
    deep_colour: bool = False
    readable: bool = True
    white_is_zero: bool = False
    frames: int = 1
    extra_channels: int = 0
    maxval: int | None = None

    @classmethod
    def of(cls, image: Image.Image, encoded: bytes, *, count_frames: bool = False) -> "Header":
        """The header of an opened image, at its present frame; counting frames may read the whole file."""
        tags: Any = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
        maxval = netpbm.largest_value(image) or deep_formats.grey_maxval(image.format, image.mode, encoded)
        bits = maxval.bit_length() if maxval else _bits(image, encoded, tags)
        grey = image.mode == "F" or image.mode.startswith("I")
        deep_colour = bits > 8 and not grey
        used = _USED_CHANNELS.get(image.mode, 1)
        return cls(
            deep=grey or bits > 8,
            deep_colour=deep_colour,
            readable=not deep_colour or netpbm.is_deep_colour(image) or _has_two_bytes(image, bits),
            white_is_zero=tags.get(_PHOTOMETRIC) == 0,
            frames=getattr(image, "n_frames", 1) if count_frames else 1,
            extra_channels=max(int(tags.get(_SAMPLES_PER_PIXEL, 1)) - used, 0),
            maxval=maxval,
        )


def open_image(encoded: bytes) -> Image.Image:
    """An opened image of any size, not yet decoded; the caller checks its size.

    Raises:
        ValueError: no image in a format that Pillow reads.
    """
    try:
        # Pillow warns of large images by a module-wide limit; the limit here is the caller's.
        with _opening:
            limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                return Image.open(io.BytesIO(encoded))
            finally:
                Image.MAX_IMAGE_PIXELS = limit
    except UnidentifiedImageError:
        if encoded.startswith(_LFS_POINTER):
            raise ValueError("a Git LFS pointer instead of the image: fetch the files with `git lfs pull`") from None
        raise ValueError("not an image file in a format that Pillow reads") from None


def read_header(encoded: bytes) -> Header:
    """The header of an encoded image; that of a plain 8-bit image for a file that cannot be opened."""
    if encoded.startswith(_JPEG) and _SEVERAL_PICTURES not in encoded[:_BEFORE_PICTURE]:
        return Header()
    if encoded.startswith(_PNG) and encoded[24:25] != b"\x10" and b"acTL" not in encoded[: max(encoded.find(b"IDAT"), 0)]:
        return Header()
    try:
        with open_image(encoded) as image:
            return Header.of(image, encoded, count_frames=True)
    except Exception:  # decoding will name it as corrupt
        return Header()


def deep_colour(encoded: bytes, frame: int = 0) -> np.ndarray | None:
    """Colour of more than 8 bits as uint16 [height, width, 1 or 3], alpha dropped; None where it cannot be read.

    Pillow keeps one byte of every 16-bit channel. Asked for the other byte order it keeps the other byte, so decoding twice
    gives both; grey with alpha has the size of four 8-bit channels and is read as such.
    """
    with open_image(encoded) as image:
        if netpbm.is_deep_colour(image):
            return netpbm.stored_colour(encoded, image)
        if image.format not in ("PNG", "TIFF") or image.mode not in _LOW_BYTES:
            return None
        if image.format == "PNG" and encoded[25:26] == _GREY_WITH_ALPHA:
            raw = _load_as(encoded, frame, "RGBA", {"LA;16B": "RGBA"})
            return None if raw is None else (raw[..., :1].astype(np.uint16) << 8) | raw[..., 1:2]
        high = _load_as(encoded, frame, image.mode, {})
        low = _load_as(encoded, frame, image.mode, _LOW_BYTES[image.mode])
    if high is None or low is None:
        return None
    return ((high.astype(np.uint16) << 8) | low)[..., :3]


def _other_order(mode: str) -> dict[str, str]:
    orders = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
    return {f"{mode};16{order}": f"{mode};16{other}" for order, other in orders.items()}


_LOW_BYTES = {mode: _other_order(mode) for mode in ("RGB", "RGBA", "RGBX", "LA")}


def _load_as(encoded: bytes, frame: int, mode: str, raw_modes: dict[str, str]) -> np.ndarray | None:
    """Bytes [height, width, channels], read with other raw modes; None where the file does not have these."""
    opened: Any = open_image(encoded)
    with opened as image:
        if frame:
            image.seek(frame)
        tiles = []
        for tile in image.tile:
            arguments = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
            if raw_modes and arguments[0] not in raw_modes:
                return None
            changed = (raw_modes.get(arguments[0], arguments[0]), *arguments[1:])
            tiles.append((tile[0], tile[1], tile[2], changed if isinstance(tile[3], tuple) else changed[0]))
        image.tile = tiles
        image._mode = mode
        image.load()
        return np.asarray(image)


def _has_two_bytes(image: Image.Image, bits: int) -> bool:
    """Whether `deep_colour` can read both bytes of every channel by Pillow's raw modes."""
    return bits == 16 and image.format in ("PNG", "TIFF") and image.mode in _LOW_BYTES


def _bits(image: Image.Image, encoded: bytes, tags: Any) -> int:
    """Bits of a channel, as far as the formats that hold more than 8 say."""
    if image.format == "PNG":
        return encoded[24]
    if image.format == "TIFF":
        bits = tags.get(_BITS_PER_SAMPLE, (8,))
        return int(max(bits if isinstance(bits, tuple) else (bits,)))
    return deep_formats.bits_of(image.format, encoded)
