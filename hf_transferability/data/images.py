"""The one place where image files become 8-bit RGB pixels, whatever their mode."""

import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from hf_transferability.errors import UsageError

Window = tuple[float, float]
MEMORY_BUDGET = 2 * 2**30  # bytes of decoded pixels that are kept; the rest is decoded again for each checkpoint
_SIXTEEN_BIT = (0.0, 65535.0)


@dataclass(frozen=True)
class ImageReport:
    """What decoding a sample showed.

    Attributes:
        modes: PIL mode -> number of images.
        corrupt: position -> reason.
        brightest: the highest pixel that integer images of more than 8 bits reached, of 255; None without such images.
    """

    modes: dict[str, int]
    corrupt: dict[int, str]
    brightest: int | None = None


class Images(Sequence[np.ndarray]):
    """A sample's images: encoded bytes in memory, decoded to uint8 RGB [height, width, 3] on access.

    Args:
        encoded: one encoded file (PNG, JPEG, TIFF, ...) per image.
        window: (low, high) that becomes 0..255 for images of more than 8 bits; None is (0, 65535) for 16-bit images and each
            image's own range for float images.
        memory_budget: bytes of decoded pixels to keep.
    """

    def __init__(self, encoded: Sequence[bytes], window: Window | None = None, memory_budget: int = MEMORY_BUDGET):
        self.encoded = list(encoded)
        self.window = window
        self._free = memory_budget
        self._decoded: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.encoded)

    def __getitem__(self, index):
        index = range(len(self))[index]
        if index not in self._decoded:
            pixels = decode(self.encoded[index], self.window)[0]
            if pixels.nbytes > self._free:
                return pixels
            self._free -= pixels.nbytes
            self._decoded[index] = pixels
        return self._decoded[index]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[index] for index in range(len(self)))

    def subset(self, positions: Sequence[int]) -> "Images":
        """The images at these positions, with what is left of the memory budget."""
        part = Images([self.encoded[i] for i in positions], self.window, self._free)
        part._decoded = {new: self._decoded[old] for new, old in enumerate(positions) if old in self._decoded}
        return part

    def inspect(self, progress: Callable[[int], None] = lambda done: None) -> ImageReport:
        """Decode every image once and report modes and corrupt files; what fits the budget stays decoded.

        Raises:
            UsageError: an image whose values need a window that was not given.
        """
        modes: Counter[str] = Counter()
        corrupt: dict[int, str] = {}
        brightest: int | None = None

        def attempt(index: int) -> tuple[np.ndarray, str] | Exception:
            try:
                return decode(self.encoded[index], self.window)
            except (UsageError, MemoryError):
                raise
            except Exception as error:  # any decoder's failure on any damage is the same to the user: a corrupt image
                return error

        with ThreadPoolExecutor() as pool:
            for index, result in enumerate(pool.map(attempt, range(len(self)))):
                if isinstance(result, Exception):
                    corrupt[index] = str(result) or type(result).__name__
                else:
                    pixels, mode = result
                    modes[mode] += 1
                    if mode.startswith("I"):
                        brightest = max(brightest or 0, int(pixels.max()))
                    if pixels.nbytes <= self._free and index not in self._decoded:
                        self._free -= pixels.nbytes
                        self._decoded[index] = pixels
                progress(index + 1)
        return ImageReport(dict(sorted(modes.items())), corrupt, brightest)


def decode(encoded: bytes, window: Window | None = None) -> tuple[np.ndarray, str]:
    """Pixels uint8 [height, width, 3] and the PIL mode of an encoded image; EXIF orientation applied, alpha dropped.

    Raises:
        UsageError: values outside 16 bits without a window.
        Exception: whatever PIL raises on damaged files; files of over about 89 million pixels are refused, too.
    """
    if not encoded:
        raise ValueError("the file is missing, empty or unreadable")
    try:
        opened = Image.open(io.BytesIO(encoded))
    except UnidentifiedImageError:
        raise ValueError("not an image file in a format that Pillow reads") from None
    with opened as image:
        if image.width * image.height > (Image.MAX_IMAGE_PIXELS or np.inf):
            raise ValueError(f"{image.width} x {image.height} pixels are more than the limit of {Image.MAX_IMAGE_PIXELS}")
        image.load()
        mode = image.mode
        return np.asarray(to_rgb(_upright(image), window)), mode


def to_rgb(image: Image.Image, window: Window | None = None) -> Image.Image:
    """An 8-bit RGB copy of an image of any mode: 1, L, LA, P, RGB, RGBA, CMYK, I, I;16, F ...

    Raises:
        UsageError: an integer image with values outside 0..65535 and no window.
        ValueError: a float image with values that are not finite.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        return Image.fromarray(_eight_bit(np.asarray(image), image.mode, window)).convert("RGB")
    if image.mode == "P":
        image = image.convert("RGBA")  # PIL warns of the direct way where the palette holds transparency
    return image.convert("RGB")


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # EXIF data that cannot be read turn nothing, and are no reason to refuse the pixels
        return image


def _eight_bit(values: np.ndarray, mode: str, window: Window | None) -> np.ndarray:
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("the image holds NaN or infinite values")
    low, high = values.min(), values.max()
    if window is not None:
        low, high = window
    elif mode != "F":
        if low < 0 or high > _SIXTEEN_BIT[1]:
            raise UsageError(
                f"`window` must be given for images with values outside 0..65535; got {low:g}..{high:g}. "
                "Pass --window LOW,HIGH, the values that become black and white."
            )
        low, high = _SIXTEEN_BIT
    span = high - low or 1.0  # a constant image becomes black
    return np.round((values.clip(low, high) - low) * 255.0 / span).astype(np.uint8)
