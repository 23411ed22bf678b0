"""A DICOM file becomes one 8-bit image, as a viewer shows it: modality values, window, inversion.

Only the elements in _TAGS are read: those that decoding and display need. Names, dates and numbers of patients are not parsed.
"""

import io
import zlib
from typing import Any

import numpy as np

from hf_transferability.data.frames import choose
from hf_transferability.data.images import Window, check_size, eight_bit
from hf_transferability.data.medical.image import BITS, FILE, GIVEN, OWN, PLAIN, MedicalImage, is_flat, missing, quiet
from hf_transferability.data.medical.signature import DICOM

_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_DISPLAY = (
    "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction",
    "VOILUTSequence",
)  # fmt: skip
_PALETTES = [f"{colour}PaletteColorLookupTable" for colour in ("Red", "Green", "Blue")]
_PADDING = [f"{kind}PixelPadding{end}" for kind in ("", "Float", "DoubleFloat") for end in ("Value", "RangeLimit")]
_TAGS = (
    "SOPClassUID", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "Rows", "Columns",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence", "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PaletteColorLookupTableUID",
    *_DISPLAY, *_PIXELS, *_PADDING,
    *(name + part for name in _PALETTES for part in ("Descriptor", "Data")),
    *(f"Segmented{name}Data" for name in _PALETTES),
)  # fmt: skip
_RGB = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"}  # after pydicom's conversion
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_META_GROUP = 2  # elements that say how the others are stored
LARGEST_DEFLATED = 2**28  # bytes of an unpacked file
_CHUNK = 2**20
_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"


def read(encoded: bytes, window: Window | None, frame: int | str | None, max_pixels: int | None) -> MedicalImage:
    """One frame of an encoded DICOM file; the first by default.

    The window is `window` (in values after the modality's rescaling), else the file's first one, else the range that the stored
    bits allow.

    Raises:
        UsageError: pydicom is not installed.
        ValueError: no pixel data, a damaged file, a compression that cannot be read, or too many pixels; no value is quoted.
    """
    try:
        import pydicom
    except ImportError:
        raise missing("pydicom", DICOM) from None
    with quiet("pydicom"):
        try:
            _refuse_bomb(encoded)
            dataset = pydicom.dcmread(io.BytesIO(encoded), force=True, specific_tags=list(_TAGS))
            return _read(dataset, window, frame, max_pixels)
        except (ValueError, MemoryError) as error:
            if isinstance(error, _Refused):
                raise
            raise ValueError(_DAMAGED) from None
        except Exception:  # pydicom raises many types on damage, with texts that quote values
            raise ValueError(_DAMAGED) from None


_DAMAGED = "a damaged DICOM file"


class _Refused(ValueError):
    """A reason in words of this package, which quote nothing of the file."""


def _refuse_bomb(encoded: bytes) -> None:
    """Refuse a deflated file that unpacks to very much: pydicom unpacks all of it before anything else is known."""
    from pydicom.filereader import read_dataset

    if _DEFLATED not in encoded:
        return
    stream = io.BytesIO(encoded)
    stream.seek(132 if encoded[128:132] == b"DICM" else 0)
    meta = read_dataset(stream, False, True, stop_when=lambda tag, *_: tag.group != _META_GROUP)
    if str(meta.get("TransferSyntaxUID")).encode() != _DEFLATED:
        return
    unpacking, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    packed = stream.read()
    while packed and not unpacking.eof:
        size += len(unpacking.decompress(packed, _CHUNK))
        packed = unpacking.unconsumed_tail
        if size > LARGEST_DEFLATED:
            raise _Refused(f"a deflated DICOM file of more than {LARGEST_DEFLATED >> 20} MiB; export it without compression")


def _read(dataset: Any, window: Window | None, frame: int | str | None, max_pixels: int | None) -> MedicalImage:
    _refuse_other_content(dataset)
    frames = int(dataset.get("NumberOfFrames") or 1)
    try:
        check_size(int(dataset.Columns), int(dataset.Rows), max_pixels)
        number = choose(frame, frames, "frame", 0)
    except ValueError as error:
        raise _Refused(str(error)) from None
    stored = _decode(dataset, number)
    photometric = str(dataset.PhotometricInterpretation)
    if not photometric.startswith("MONOCHROME"):
        return MedicalImage(_colour(stored, dataset, photometric), DICOM, PLAIN, grey=False, frames=frames)
    padding = _padding(stored, dataset)
    pixels, scale = _grey(stored, padding, dataset, _display_of(dataset, number), window)
    pixels = 255 - pixels if photometric == "MONOCHROME1" else pixels
    shown = pixels[~padding]
    return MedicalImage(
        np.where(padding, np.uint8(0), pixels),
        DICOM,
        scale,
        grey=True,
        frames=frames,
        flat=is_flat(shown, stored[~padding]),
        contrast=int(shown.max()) - int(shown.min()) if shown.size else 0,
    )


def _padding(stored: np.ndarray, dataset: Any) -> np.ndarray:
    """Which pixels are no part of the image, bool [height, width]: viewers show them black (DICOM PS3.3 C.7.5.1.1.2)."""
    prefix = {"PixelData": "", "FloatPixelData": "Float", "DoubleFloatPixelData": "DoubleFloat"}[
        next(name for name in _PIXELS if name in dataset)
    ]
    first, last = (dataset.get(f"{prefix}PixelPadding{end}") for end in ("Value", "RangeLimit"))
    if first is None:
        return np.zeros(stored.shape, bool)
    first, last = (_as_stored(end, stored.dtype) for end in (first, first if last is None else last))
    return (stored >= min(first, last)) & (stored <= max(first, last))


def _as_stored(value: Any, dtype: np.dtype) -> float:
    """A padding value in the range of the stored values: some files write a signed one as unsigned, or the reverse."""
    if isinstance(value, bytes):  # an element whose type pydicom could not settle
        value = int.from_bytes(value[:2], "little")
    if dtype.kind == "i" and value >= 2**15:
        return float(value) - 2**16
    return float(value) + 2**16 if dtype.kind == "u" and value < 0 else float(value)


def _refuse_other_content(dataset: Any) -> None:
    """Refuse files that hold no image."""
    if str(dataset.get("SOPClassUID")) == _SEGMENTATION:
        raise _Refused("a DICOM segmentation, not an image")
    if not any(name in dataset for name in _PIXELS):
        uid: Any = dataset.get("SOPClassUID")
        known = f" ({uid.name})" if uid and uid.name != uid else ""
        raise _Refused(f"a DICOM file without pixel data{known}" if uid else _DAMAGED)


def _decode(dataset: Any, number: int) -> np.ndarray:
    """Stored values [height, width], or [height, width, 3] with YBR made RGB."""
    from pydicom.pixels import get_decoder, pixel_array
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    syntax = dataset.file_meta.TransferSyntaxUID
    name = syntax.name if syntax.name != syntax else "an unknown compression"
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise _Refused(f"a DICOM file in {name}, which is not read; export it without compression") from None
    if not decoder.is_available:
        raise _Refused(f"a DICOM file in {name}, which needs pip install 'hf-transferability[medical]'")
    shift = _unused_low_bits(dataset, syntax.is_compressed)
    try:
        stored = np.asarray(pixel_array(dataset, index=number, correct_unused_bits=not shift))
        return _right_aligned(stored, dataset, shift) if shift else stored
    except RuntimeError:  # every decoder that is installed failed
        raise _Refused(f"a DICOM file in {name} that no decoder reads; export it without compression") from None


def _unused_low_bits(dataset: Any, compressed: bool) -> int:
    """How many bits lie below a value's own, 0 in nearly all files: pydicom takes values to begin at the lowest bit.

    Raises:
        _Refused: the file's elements contradict each other, or the values are compressed or in colour.
    """
    high = dataset.get("HighBit")
    if high is None or "PixelData" not in dataset:
        return 0
    shift = int(high) - int(dataset.BitsStored) + 1
    grey = str(dataset.PhotometricInterpretation).startswith("MONOCHROME")
    if shift and (shift < 0 or int(high) >= int(dataset.BitsAllocated) or compressed or not grey):
        raise _Refused(_HIGH_BIT)
    return shift


_HIGH_BIT = "a DICOM file whose HighBit is not BitsStored - 1; correct the two, or export it anew"


def _right_aligned(stored: np.ndarray, dataset: Any, shift: int) -> np.ndarray:
    """Values that begin `shift` bits up, moved to the lowest bit; what lies above them is dropped and their sign is kept.

    Raises:
        _Refused: the bits below hold something, so that the values may begin at the lowest bit after all.
    """
    if (stored & ((1 << shift) - 1)).any():
        raise _Refused(_HIGH_BIT)
    above = int(dataset.BitsAllocated) - 1 - int(dataset.HighBit)
    return (stored << above) >> (above + shift)


def _display_of(dataset: Any, number: int) -> dict[str, Any]:
    """The elements of _DISPLAY of a frame: its own, else those of all frames, else those of the file."""
    found = {name: dataset.get(name) for name in _DISPLAY if dataset.get(name) is not None}
    groups = [dataset.get("SharedFunctionalGroupsSequence"), dataset.get("PerFrameFunctionalGroupsSequence")]
    for items, position in zip(groups, (0, number), strict=True):
        if items and position < len(items):
            for macro in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
                for part in items[position].get(macro) or ():
                    found |= {name: part.get(name) for name in _DISPLAY if part.get(name) is not None}
    return found


def _grey(
    stored: np.ndarray, padding: np.ndarray, dataset: Any, display: dict[str, Any], window: Window | None
) -> tuple[np.ndarray, str]:
    """Pixels uint8 [height, width] before inversion, and how values were scaled; what is padding has no meaning."""
    values, low, high = _modality_values(stored, dataset, display)
    if padding.any() and not padding.all():
        values = np.where(padding, values[~padding].min(), values)  # else it would stretch a range of their own
    if not np.isfinite(values).all():
        raise _Refused("a DICOM file with NaN or infinite values")
    if window is not None:
        return eight_bit(values, False, window), GIVEN
    if display.get("VOILUTSequence"):
        values, highest = _look_up(values, display["VOILUTSequence"][0], dataset)
        return eight_bit(values, False, (0.0, highest)), FILE
    if display.get("WindowCenter") is not None and display.get("WindowWidth") is not None:
        return _through_window(values, display), FILE
    if low is None or high is None:
        return eight_bit(values, True, None), OWN
    plain = int(dataset.BitsStored) <= 8 and (low, high) == (0, 255)
    return eight_bit(values, False, (low, high)), PLAIN if plain else BITS


def _modality_values(
    stored: np.ndarray, dataset: Any, display: dict[str, Any]
) -> tuple[np.ndarray, float | None, float | None]:
    """Values in the modality's unit, such as Hounsfield, and the range that they can have; None for floating point."""
    if display.get("ModalityLUTSequence"):
        values, highest = _look_up(stored, display["ModalityLUTSequence"][0], dataset)
        return values, 0.0, highest
    slope, intercept = float(display.get("RescaleSlope", 1)), float(display.get("RescaleIntercept", 0))
    if slope == 0:
        raise _Refused("a DICOM file whose rescale slope is 0")
    values = stored.astype(np.float64) * slope + intercept
    if stored.dtype.kind == "f":
        return values, None, None
    bits, signed = int(dataset.BitsStored), int(dataset.get("PixelRepresentation") or 0)
    smallest, largest = (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1) if signed else (0.0, 2.0**bits - 1)
    low, high = sorted((smallest * slope + intercept, largest * slope + intercept))
    return values, low, high


def _look_up(values: np.ndarray, item: Any, dataset: Any) -> tuple[np.ndarray, float]:
    """Values through a lookup table, and the highest value that its entries can have.

    pydicom's own lookup fails for tables of 12 bits (modality) and wraps around in tables of 8 bits (display).
    """
    entries, first, bits = (int(number) for number in item.LUTDescriptor)
    entries = entries or 2**16
    if dataset.get("PixelRepresentation") and first >= 2**15:  # stored as unsigned
        first -= 2**16
    data = item.LUTData
    if isinstance(data, bytes):
        little = dataset.original_encoding[1]
        data = np.frombuffer(data, "u1" if len(data) < 2 * entries else "<u2" if little else ">u2")
    table = np.atleast_1d(np.asarray(data))
    if len(table) < entries or not 0 < bits <= 16:
        raise _Refused("a DICOM file whose lookup table is damaged")
    return table[np.clip(np.rint(values) - first, 0, entries - 1).astype(np.int64)], 2.0**bits - 1


def _through_window(values: np.ndarray, display: dict[str, Any]) -> np.ndarray:
    """The window of DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    centre, width = (float(np.atleast_1d(np.asarray(display[name], float))[0]) for name in ("WindowCenter", "WindowWidth"))
    function = str(display.get("VOILUTFunction") or "LINEAR").upper()
    if not (np.isfinite(centre) and np.isfinite(width)) or width < (1 if function == "LINEAR" else np.finfo(float).tiny):
        raise _Refused("a DICOM file whose window has no width; pass --window LOW,HIGH")
    if function == "SIGMOID":
        with np.errstate(over="ignore"):
            return eight_bit(1 / (1 + np.exp(-4 * (values - centre) / width)), False, (0.0, 1.0))
    low, high = centre - width / 2, centre + width / 2
    if function == "LINEAR":  # between the centres of whole values: a width of 2 has one step
        low, high = centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
    if low == high:
        return np.where(values > low, 255, 0).astype(np.uint8)
    return eight_bit(values, False, (low, high))


def _colour(stored: np.ndarray, dataset: Any, photometric: str) -> np.ndarray:
    """Pixels uint8 [height, width, 3]."""
    from pydicom.pixels import apply_color_lut

    if photometric == "PALETTE COLOR":
        colour = np.asarray(apply_color_lut(stored, dataset))[..., :3]
        bits = int(dataset.RedPaletteColorLookupTableDescriptor[2])
    elif photometric in _RGB and stored.ndim == 3 and stored.shape[2] == 3:
        colour, bits = stored, int(dataset.BitsStored)
    else:
        raise _Refused("a DICOM file in colours that are not read; export it as RGB")
    return colour.astype(np.uint8) if bits == 8 else eight_bit(colour, False, (0.0, 2.0**bits - 1))
