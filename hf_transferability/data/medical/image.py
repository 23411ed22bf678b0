"""What reading a medical file gives, and what both formats share."""

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from hf_transferability.errors import UsageError
from hf_transferability.quiet import without_warnings

# How values became 8 bits.
GIVEN, FILE, BITS, OWN, PLAIN = "--window", "the window of each file", "the range of their stored bits", "their own range", ""


@dataclass(frozen=True)
class MedicalImage:
    """One image of a medical file.

    Attributes:
        pixels: uint8 [height, width], or [height, width, 3] for colour.
        kind: signature.DICOM or signature.NIFTI.
        scale: GIVEN, FILE, BITS, OWN, or PLAIN where 8-bit values were taken as they are.
        grey: whether a window acts.
        frames: frames (or points in time) in the file.
        slices: slices along the axis; 1 for DICOM.
        flat: the values differ and the pixels do not, so that the window shows nothing.
        contrast: range of the grey levels of a DICOM image, without padding.
    """

    pixels: np.ndarray
    kind: str
    scale: str
    grey: bool
    frames: int = 1
    slices: int = 1
    flat: bool = False
    contrast: int = 0


def one_grey(window: tuple[float, float], n_images: int) -> UsageError:
    """The error for a window in which no image shows anything."""
    return UsageError(
        f"`window` must hold values of the images; {window[0]:g}..{window[1]:g} makes each of {n_images} one grey. "
        "Choose another, or leave it out."
    )


def is_flat(pixels: np.ndarray, stored: np.ndarray) -> bool:
    """Whether values that differ became pixels that do not."""
    return bool(pixels.size and pixels.min() == pixels.max() and stored.min() != stored.max())


def missing(package: str, kind: str) -> UsageError:
    """The error for a file whose library is not installed."""
    return UsageError(f"the dataset holds {kind} files, which need {package}. Run pip install 'hf-transferability[medical]'.")


@contextlib.contextmanager
def quiet(logger: str) -> Iterator[None]:
    """Without warnings and messages of a library: they may quote a file's values."""
    log: Any = logging.getLogger(logger)
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        with without_warnings():
            yield
    finally:
        log.setLevel(level)
