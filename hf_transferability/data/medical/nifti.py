"""A NIfTI volume becomes one 8-bit slice, seen as in a viewer: the patient's right on the left, head or front at the top."""

import gzip
import io
import struct
from typing import Any, Literal

import numpy as np

from hf_transferability.data.frames import choose
from hf_transferability.data.images import Window, check_size, eight_bit
from hf_transferability.data.medical.image import GIVEN, OWN, PLAIN, MedicalImage, is_flat, missing, quiet
from hf_transferability.data.medical.signature import NIFTI
from hf_transferability.errors import UsageError

LARGEST = 2**31  # bytes of an unpacked volume
_FARTHEST = 2**25  # bytes before the values: header and extensions, which nibabel holds in memory
_HEADER = 540  # bytes of the longer header
_SIZES = {348: 1, 540: 2}  # size of the header -> version
DEFAULT_AXIS = 2
_DAMAGED = "a damaged NIfTI file"


class _Refused(ValueError):
    """A reason in words of this package."""


def read(
    encoded: bytes,
    window: Window | None,
    slice_: int | str | None,
    axis: int | None,
    frame: int | str | None,
    max_pixels: int | None,
) -> MedicalImage:
    """One slice of an encoded NIfTI file, packed by gzip or not.

    Args:
        encoded: the file.
        window: (low, high) of the volume's values; None for the slice's own range, or 8-bit values as they are.
        slice_: number from 0, or "middle", which is the default.
        axis: 0 from left to right (sagittal slices), 1 from back to front (coronal), 2 from feet to head (axial; the default).
            A file without orientation is taken by its stored axes.
        frame: point in time, or "middle"; default the first.
        max_pixels: pixels of the largest slice.

    Raises:
        UsageError: nibabel is not installed.
        ValueError: a damaged file, an unknown layout, no such slice, or too many pixels.
    """
    try:
        import nibabel
    except ImportError:
        raise missing("nibabel", NIFTI) from None
    with quiet("nibabel"):
        try:
            stream: Any = io.BytesIO(encoded)
            if encoded[:2] == b"\x1f\x8b":
                stream = gzip.GzipFile(fileobj=stream)
            start = stream.read(_HEADER)
            stream.seek(0)
            kind = nibabel.Nifti2Image if _refuse_far_values(start) == 2 else nibabel.Nifti1Image
            return _read(kind.from_stream(stream), window, slice_, DEFAULT_AXIS if axis is None else axis, frame, max_pixels)
        except (_Refused, UsageError):
            raise
        except Exception:  # nibabel and gzip raise many types on damage
            raise ValueError(_DAMAGED) from None


def _refuse_far_values(header: bytes) -> int:
    """The version of a file, 1 or 2; refused where its values begin so late that all before them must be unpacked and held."""
    order: Literal["<", ">"] = "<" if int.from_bytes(header[:4], "little") in _SIZES else ">"
    size = struct.unpack(f"{order}i", header[:4])[0]
    version = _SIZES.get(size, 1)
    offset = (
        struct.unpack_from(f"{order}q", header, 168)[0] if version == 2 else struct.unpack_from(f"{order}f", header, 108)[0]
    )
    if not 0 <= offset <= _FARTHEST:  # also what is not a number
        raise _Refused(f"a NIfTI file whose values begin after more than {_FARTHEST >> 20} MiB")
    return version


def _read(
    image: Any, window: Window | None, slice_: int | str | None, axis: int, frame: int | str | None, max_pixels: int | None
) -> MedicalImage:
    shape = tuple(int(n) for n in image.shape)
    shape += (1,) * (3 - len(shape))
    if (len(shape) > 4 and set(shape[4:]) != {1}) or 0 in shape:
        raise _Refused("a NIfTI file of more than four dimensions")
    if np.prod(shape, dtype=float) * image.get_data_dtype().itemsize > LARGEST:
        raise _Refused(f"a NIfTI volume of more than {LARGEST >> 30} GiB")
    stored, flipped, rest = _stored_axes(image, axis)
    frames = shape[3] if len(shape) > 3 else 1
    try:
        number = choose(slice_, shape[stored], "slice", shape[stored] // 2)
        time = choose(frame, frames, "frame", 0)
        check_size(shape[rest[0][0]], shape[rest[1][0]], max_pixels)
    except ValueError as error:
        raise _Refused(str(error)) from None
    where: list[Any] = [slice(None), slice(None), slice(None), *([time] if len(shape) > 3 else []), *([0] * (len(shape) - 4))]
    where[stored] = shape[stored] - 1 - number if flipped else number
    plane = np.asarray(image.dataobj[tuple(where[: len(image.shape)])])
    if plane.ndim == 1 or len(image.shape) < 3:  # a file of one or two dimensions
        plane = plane.reshape([n for i, n in enumerate(shape[:3]) if i != stored])
    if rest[0][0] > rest[1][0]:
        plane = plane.T
    for place, (_, back) in enumerate(rest):
        # Canonical axes grow to the right, front and head; a picture grows to the patient's left, down, and to the back.
        plane = plane if back else np.flip(plane, place)
    pixels, scale, grey = _eight_bits(plane.T, image.get_data_dtype(), window)
    flat = grey and is_flat(pixels, plane)
    return MedicalImage(pixels, NIFTI, scale, grey, frames, shape[stored], flat)


def _stored_axes(image: Any, axis: int) -> tuple[int, bool, list[tuple[int, bool]]]:
    """The stored axis of a canonical one and whether it runs backwards; and the same of the two others, in canonical order."""
    import nibabel

    found = [(i, False) for i in range(3)]
    if int(image.header["sform_code"]) or int(image.header["qform_code"]):
        orientation = nibabel.io_orientation(image.affine)
        if np.isfinite(orientation).all():
            found = [
                (int(np.flatnonzero(orientation[:, 0] == i)[0]), bool(orientation[orientation[:, 0] == i, 1][0] < 0))
                for i in range(3)
            ]
    stored, flipped = found[axis]
    return stored, flipped, [found[i] for i in range(3) if i != axis]


def _eight_bits(plane: np.ndarray, dtype: np.dtype, window: Window | None) -> tuple[np.ndarray, str, bool]:
    """Pixels uint8 [height, width] or [height, width, 3], how they were scaled, and whether a window acts."""
    if plane.dtype.names:
        if set(plane.dtype.names) >= {"R", "G", "B"}:
            return np.stack([plane[name] for name in "RGB"], axis=-1), PLAIN, False
        raise _Refused("a NIfTI file of an unknown kind of values")
    if np.iscomplexobj(plane):
        raise _Refused("a NIfTI file of complex values")
    if not np.isfinite(plane).all():
        raise _Refused("a NIfTI slice with NaN or infinite values")
    if window is not None:
        return eight_bit(plane, False, window), GIVEN, True
    if plane.dtype == np.uint8:
        return plane, PLAIN, True
    return eight_bit(plane, True, None), OWN, True
