"""Encoded files of a sample: medical ones become plain images, others stay, and what was chosen from them is counted."""

from collections import Counter
from dataclasses import dataclass, field

from hf_transferability.data import converted
from hf_transferability.data.medical import dicom, nifti
from hf_transferability.data.medical.image import BITS, GIVEN, PLAIN, MedicalImage, one_grey
from hf_transferability.data.medical.signature import DICOM, NIFTI, kind_of
from hf_transferability.data.options import SampleOptions
from hf_transferability.errors import UsageError

_LOW_CONTRAST = 64  # of 255 grey levels: 12 bits stored in 16 span 16
_NOUN = {DICOM: "DICOM images", NIFTI: "NIfTI slices"}


@dataclass
class Medical:
    """What the medical files of a sample hold and how they were read.

    Attributes:
        scales: (kind, scale) -> number of images; see `MedicalImage`.
        grey: images on which a window acts.
        several_frames: files of several frames.
        volumes: files of several slices.
        failed: files that could not be read.
        flat: scaled images whose values differ and whose pixels do not.
        contrast: widest range of grey levels among images that are scaled by their stored bits; None without such.
    """

    scales: Counter[tuple[str, str]] = field(default_factory=Counter)
    grey: int = 0
    several_frames: int = 0
    volumes: int = 0
    failed: int = 0
    flat: int = 0
    contrast: int | None = None

    def convert(self, encoded: bytes, options: SampleOptions) -> bytes:
        """The bytes of a plain image for those of a medical file; others unchanged.

        Raises:
            UsageError: the library that reads it is not installed.
        """
        kind = kind_of(encoded)
        if kind is None:
            return encoded
        try:
            if kind == DICOM:
                image = dicom.read(encoded, options.window, options.frame, options.max_pixels)
            else:
                image = nifti.read(encoded, options.window, options.slice, options.axis, options.frame, options.max_pixels)
        except UsageError:
            raise
        except ValueError as error:
            self.failed += 1
            return converted.encode_failure(str(error))
        self._count(image)
        return converted.encode(image.pixels)

    def _count(self, image: MedicalImage) -> None:
        self.scales[(image.kind, image.scale)] += 1
        self.grey += image.grey
        self.flat += image.flat
        self.several_frames += image.frames > 1
        self.volumes += image.slices > 1
        if image.scale == BITS:
            self.contrast = max(self.contrast or 0, image.contrast)

    def windowed(self, options: SampleOptions) -> str:
        """The detail of the flag `windowed`; empty where nothing was scaled.

        Raises:
            UsageError: no image shows anything in the window that was given.
        """
        if options.window is not None and self.grey and self.flat == self.grey:
            raise one_grey(options.window, self.grey)
        parts = []
        for (kind, scale), count in sorted(self.scales.items()):
            if scale == GIVEN and options.window is not None:
                parts.append(f"{count} {_NOUN[kind]} by {options.window[0]:g}..{options.window[1]:g}")
            elif scale != PLAIN:
                parts.append(f"{count} {_NOUN[kind]} by {scale}")
        if self.flat:
            parts.append(f"{self.flat} images are one grey in their window: choose --window LOW,HIGH")
        if self.contrast is not None and self.contrast < _LOW_CONTRAST:
            parts.append(f"stored bits leave little contrast ({self.contrast} of 255): choose --window LOW,HIGH")
        return "; ".join(parts)

    def one_slice(self, options: SampleOptions, n_images: int) -> str:
        """The detail of the flag `one_slice`; empty without volumes.

        Raises:
            UsageError: a slice or axis is asked for, and no file is a volume.
        """
        if not self.volumes:
            if (options.slice is not None or options.axis is not None) and not self.failed:
                name = "slice" if options.slice is not None else "axis"
                raise UsageError(f"`{name}` must be left out: no file of the sample is a volume.")
            return ""
        which = "the middle slice" if options.slice in (None, "middle") else f"slice {options.slice}"
        axis = nifti.DEFAULT_AXIS if options.axis is None else options.axis
        return f"{self.volumes} of {n_images} images, of which {which} along axis {axis} is used"
