"""The one place where image files become 8-bit RGB pixels, whatever their mode."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from hf_transferability.data import converted, deep_formats, netpbm
from hf_transferability.data.duplicates import WORDS, perceptual_hash
from hf_transferability.data.frames import choose
from hf_transferability.data.headers import PILLOW_LIMIT, Header, deep_colour, open_image, read_header
from hf_transferability.errors import UsageError

Window = tuple[float, float]
MEMORY_BUDGET = 2 * 2**30  # bytes of decoded pixels that are kept; the rest is decoded again for each checkpoint
DECODING_VERSION = 4  # part of a sample's key: counts up when the same file gives other pixels
_SIXTEEN_BIT = (0.0, 65535.0)
_LARGE = 2**24  # pixels; larger images are decoded one at a time, because each needs hundreds of MiB meanwhile
_one_large_image = threading.Lock()


@dataclass(frozen=True)
class Decoding:
    """How image files become pixels.

    Attributes:
        window: (low, high) that becomes 0..255 for images of more than 8 bits, in stored values; None is (0, 65535) for 16-bit
            images, (0, maxval) for PGM, PPM and grey JPEG 2000, and each image's own range for float images.
        frame: which frame of files that hold several: a number from 0, or "middle"; None for the first.
        max_pixels: pixels of the largest image; None for Pillow's limit of about 89 million.
    """

    window: Window | None = None
    frame: int | str | None = None
    max_pixels: int | None = None


@dataclass(frozen=True)
class ImageReport:
    """What decoding a sample showed.

    Attributes:
        modes: PIL mode -> number of images; "RGB;16" and the like for colour of 16 bits a channel.
        corrupt: position -> reason.
        brightest: the highest pixel that integer images of more than 8 bits reached, of 255; None without such images.
        hashes: perceptual hash of every image in hexadecimal digits, "" of a corrupt one; None in reports of older versions.
        flat: number of images of more than 8 bits that became one grey or colour.
    """

    modes: dict[str, int]
    corrupt: dict[int, str]
    brightest: int | None = None
    hashes: list[str] | None = None
    flat: int = 0

    def hash_array(self) -> np.ndarray:
        """The hashes as uint64 [n_images, duplicates.WORDS], 0 of a corrupt image."""
        empty = "00" * 8 * WORDS
        joined = bytes.fromhex("".join(digits or empty for digits in self.hashes or ()))
        return np.frombuffer(joined, dtype=np.uint64).reshape(-1, WORDS)

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON; see `from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> "ImageReport":
        """The report that `to_dict` gave, also after JSON has made texts of the positions."""
        corrupt = {int(position): reason for position, reason in stored["corrupt"].items()}
        return cls(stored["modes"], corrupt, stored.get("brightest"), stored.get("hashes"), stored.get("flat", 0))


@dataclass(frozen=True)
class HeaderCounts:
    """Numbers of images by what their headers say.

    Attributes:
        deep: more than 8 bits a channel, so that a window acts.
        undecodable_depth: more than 8 bits a channel, but only 8 of them can be read.
        several_frames: files that hold more than one frame.
        extra_channels: files with channels beyond colour and alpha, which are dropped.
    """

    deep: int = 0
    undecodable_depth: int = 0
    several_frames: int = 0
    extra_channels: int = 0


@dataclass
class Images(Sequence[np.ndarray]):
    """A sample's images: encoded bytes in memory, decoded to uint8 RGB [height, width, 3] on access.

    Args:
        encoded: one encoded file (PNG, JPEG, TIFF, ...) per image.
        window: as in `Decoding`.
        memory_budget: bytes of decoded pixels to keep.
        frame, max_pixels: as in `Decoding`.
    """

    encoded: list[bytes]
    window: Window | None = None
    memory_budget: int = MEMORY_BUDGET
    frame: int | str | None = None
    max_pixels: int | None = None
    _decoded: dict[int, np.ndarray] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.encoded = list(self.encoded)
        self._free = self.memory_budget

    def __len__(self) -> int:
        return len(self.encoded)

    def __getitem__(self, index):
        index = range(len(self))[index]
        if index not in self._decoded:
            pixels = self._decode(index)[0]
            if pixels.nbytes > self._free:
                return pixels
            self._free -= pixels.nbytes
            self._decoded[index] = pixels
        return self._decoded[index]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[index] for index in range(len(self)))

    def _decode(self, index: int) -> tuple[np.ndarray, str]:
        return decode(self.encoded[index], self.window, frame=self.frame, max_pixels=self.max_pixels)

    def subset(self, positions: Sequence[int]) -> "Images":
        """The images at these positions, with what is left of the memory budget."""
        part = Images([self.encoded[i] for i in positions], self.window, self._free, self.frame, self.max_pixels)
        part._decoded = {new: self._decoded[old] for new, old in enumerate(positions) if old in self._decoded}
        return part

    def headers(self) -> HeaderCounts:
        """What the headers say, without decoding any pixel; a file that cannot be opened counts nowhere."""
        counts: Counter[str] = Counter()
        for encoded in self.encoded:
            header = read_header(encoded)
            counts["deep"] += header.deep and header.readable
            counts["undecodable_depth"] += header.deep and not header.readable
            counts["several_frames"] += header.frames > 1
            counts["extra_channels"] += header.extra_channels > 0
        return HeaderCounts(**counts)

    def inspect(self, progress: Callable[[int], None] = lambda done: None) -> ImageReport:
        """Decode every image once and report modes and corrupt files; what fits the budget stays decoded.

        Raises:
            UsageError: an image whose values need a window that was not given.
        """
        modes: Counter[str] = Counter()
        corrupt: dict[int, str] = {}
        brightest: int | None = None
        hashes: list[str] = []
        flat = 0

        def attempt(index: int) -> tuple[np.ndarray, str, str] | Exception:
            try:
                pixels, mode = self._decode(index)
                return pixels, mode, perceptual_hash(pixels).tobytes().hex()
            except UsageError:
                raise
            except Exception as error:  # any decoder's failure on any damage is the same to the user: a corrupt image
                return error

        with ThreadPoolExecutor() as pool:
            for index, result in enumerate(pool.map(attempt, range(len(self)))):
                if isinstance(result, Exception):
                    corrupt[index] = str(result) or type(result).__name__
                    hashes.append("")
                else:
                    pixels, mode, digits = result
                    hashes.append(digits)
                    modes[mode] += 1
                    if mode == "F" or mode.startswith("I") or mode.endswith(";16"):
                        flat += bool(pixels.min() == pixels.max())
                    if mode.startswith("I") or mode.endswith(";16"):
                        brightest = max(brightest or 0, int(pixels.max()))
                    if pixels.nbytes <= self._free and index not in self._decoded:
                        self._free -= pixels.nbytes
                        self._decoded[index] = pixels
                progress(index + 1)
        return ImageReport(dict(sorted(modes.items())), corrupt, brightest, hashes, flat)


def decode(
    encoded: bytes, window: Window | None = None, *, frame: int | str | None = None, max_pixels: int | None = None
) -> tuple[np.ndarray, str]:
    """Pixels uint8 [height, width, 3] and the mode of an encoded image; EXIF orientation applied, alpha dropped.

    The mode is Pillow's, with ";16" added for colour of 16 bits a channel.

    Raises:
        UsageError: values outside 16 bits without a window, or a window for 16-bit colour that only Pillow's 8 bits can show.
        ValueError: more pixels than allowed or than fit the memory, or a frame that the file lacks.
        Exception: whatever PIL raises on damaged files.
    """
    if not encoded:
        raise ValueError("the file is missing, empty or unreadable")
    if reason := converted.failure(encoded):
        raise ValueError(reason)
    if converted.is_converted(encoded):
        frame = None  # chosen before
    with open_image(encoded) as image:
        check_size(image.width, image.height, max_pixels)
        number = _choose_frame(image, frame)
        check_size(image.width, image.height, max_pixels)  # pages of one file may have different sizes
        try:
            if image.width * image.height <= _LARGE:
                return _pixels(encoded, image, window, number)
            with _one_large_image:
                return _pixels(encoded, image, window, number)
        except MemoryError:
            raise ValueError(f"{image.width} x {image.height} pixels are too many for the memory of this machine") from None


def check_size(width: int, height: int, max_pixels: int | None) -> None:
    """Refuse images that are too large to decode.

    Args:
        width, height: in pixels.
        max_pixels: the limit; None for Pillow's own.

    Raises:
        ValueError: the image has more pixels.
    """
    limit = max_pixels or PILLOW_LIMIT or np.inf
    if width * height > limit:
        raise ValueError(f"{width} x {height} pixels are more than the limit of {limit}; allow more by --max-pixels")


def to_rgb(image: Image.Image, window: Window | None = None) -> Image.Image:
    """An 8-bit RGB copy of an image of any mode: 1, L, LA, P, RGB, RGBA, CMYK, I, I;16, F ...

    Raises:
        UsageError: an integer image with values outside 0..65535 and no window.
        ValueError: a float image with values that are not finite.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        return Image.fromarray(eight_bit(np.asarray(image), image.mode == "F", window)).convert("RGB")
    if image.mode == "P":
        image = image.convert("RGBA")  # PIL warns of the direct way where the palette holds transparency
    return image.convert("RGB")


def _pixels(encoded: bytes, image: Image.Image, window: Window | None, number: int) -> tuple[np.ndarray, str]:
    """Pixels and mode of an image that is at this frame."""
    header = Header.of(image, encoded)
    if header.maxval and header.readable and window is None:
        window = (0.0, float(header.maxval))
    if header.deep_colour and (deep := deep_colour(encoded, number)) is not None:
        colour = deep if deep.shape[2] > 1 else deep.repeat(3, axis=2)
        rgb8 = eight_bit(colour, False, window)
        # Pillow turns a TIFF itself when it loads it.
        return rgb8 if image.format == "TIFF" else _upright_array(rgb8, image), f"{image.mode};16"
    if header.deep_colour and window is not None:
        raise UsageError(
            f"`window` must be left out for {image.format} images of mode {image.mode} with more than 8 bits. "
            "Convert them to 16-bit PNG or TIFF for a window."
        )
    image.load()
    if header.maxval and not header.deep_colour:
        kept = netpbm.stored_grey if image.format == "PPM" else deep_formats.stored_grey
        rgb = Image.fromarray(eight_bit(kept(np.asarray(image), header.maxval), False, window)).convert("RGB")
    else:
        rgb = to_rgb(image, window)
    if header.white_is_zero and (image.mode == "F" or image.mode.startswith("I")):  # Pillow inverts 8 bits, no others
        rgb = ImageOps.invert(rgb)
    return _upright_array(np.asarray(rgb), image), image.mode


def _choose_frame(image: Image.Image, frame: int | str | None) -> int:
    """Go to the frame that was asked for, and return its number."""
    if frame is None:
        return 0
    number = choose(frame, getattr(image, "n_frames", 1), "frame", 0)
    if number:
        image.seek(number)
    return number


def _upright_array(pixels: np.ndarray, image: Image.Image) -> np.ndarray:
    """Pixels [height, width, 3] turned as the image's EXIF data say."""
    turned = Image.fromarray(pixels)
    try:
        orientation = image.getexif().get(0x0112, 1)
        turned.getexif()[0x0112] = orientation
        return np.asarray(ImageOps.exif_transpose(turned))
    except Exception:  # EXIF data that cannot be read turn nothing, and are no reason to refuse the pixels
        return pixels


def eight_bit(values: np.ndarray, floating: bool, window: Window | None) -> np.ndarray:
    """Values scaled to uint8: by the window, else floating ones by their own range, and integers by 0..65535.

    Raises:
        UsageError: integers outside 0..65535 and no window.
        ValueError: values that are not finite.
    """
    values = values.astype(np.float32 if values.dtype == np.uint16 else np.float64)
    if not np.isfinite(values).all():
        raise ValueError("the image holds NaN or infinite values")
    low, high = values.min(), values.max()
    if window is not None:
        low, high = window
    elif not floating:
        if low < 0 or high > _SIXTEEN_BIT[1]:
            raise UsageError(
                f"`window` must be given for images with values outside 0..65535; got {low:g}..{high:g}. "
                "Pass --window LOW,HIGH, the values that become black and white."
            )
        low, high = _SIXTEEN_BIT
    span = high - low or 1.0  # a constant image becomes black
    return np.round((values.clip(low, high) - low) * 255.0 / span).astype(np.uint8)
