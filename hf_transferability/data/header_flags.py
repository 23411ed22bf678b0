"""Flags of images that are not used whole: bits, frames, slices and channels that are left out."""

from hf_transferability.data.images import Images
from hf_transferability.data.medical.convert import Medical
from hf_transferability.data.options import SampleOptions
from hf_transferability.errors import UsageError


def header_flags(images: Images, options: SampleOptions, medical: Medical) -> dict[str, str]:
    """Flags of images that are not used whole, from their headers.

    Args:
        images: the sample's, converted.
        options: how they are read.
        medical: what the conversion of DICOM and NIfTI files showed.

    Raises:
        UsageError: a window that no image needs, or that cannot act; a slice where no file is a volume.
    """
    headers = images.headers()
    if options.window is not None and len(images):
        if headers.undecodable_depth:
            raise UsageError(
                f"`window` cannot act on {headers.undecodable_depth} of {len(images)} images, which are read with 8 bits only. "
                "Convert them to 16-bit PNG or TIFF, or leave it out."
            )
        if not headers.deep and not medical.grey and not medical.failed:
            raise UsageError("`window` must be left out: no image of the sample has more than 8 bits a channel.")
    flags = {}
    if scaled := medical.windowed(options):
        flags["windowed"] = scaled
    if headers.undecodable_depth:
        reduced = f"{headers.undecodable_depth} of {len(images)} images, reduced to 8 bits by Pillow"
        flags["windowed"] = f"{flags['windowed']}; {reduced}" if scaled else reduced
    if several := headers.several_frames + medical.several_frames:
        which = "the first" if options.frame is None else f"frame {options.frame}"
        flags["several_frames"] = f"{several} of {len(images)} images, of which {which} is used"
    if slices := medical.one_slice(options, len(images)):
        flags["one_slice"] = slices
    if headers.extra_channels:
        flags["extra_channels"] = f"{headers.extra_channels} of {len(images)} images"
    return flags
