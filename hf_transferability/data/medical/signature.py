"""Which files are DICOM or NIfTI, by name or by their first bytes."""

import gzip
import io
import zlib

DICOM, NIFTI = "DICOM", "NIfTI"
DICOM_ENDINGS = (".dcm", ".dicom")
NIFTI_ENDINGS = (".nii", ".nii.gz")
_GZIP = b"\x1f\x8b"
_HEADER = 352  # bytes of the longest header part that is looked at
# Files without the 128 bytes before DICM begin with an element of group 8 (or 2): its length, or a class or code.
_BARE_DICOM = tuple(
    group + element for group in (b"\x08\x00", b"\x02\x00") for element in (b"\x00\x00", b"\x05\x00", b"\x08\x00")
)


def kind_of(encoded: bytes) -> str | None:
    """DICOM, NIFTI, or None, by the first bytes."""
    if encoded[128:132] == b"DICM" or encoded[:4] in _BARE_DICOM:
        return DICOM
    head = encoded[:_HEADER]
    if head[:2] == _GZIP:
        try:
            head = gzip.GzipFile(fileobj=io.BytesIO(encoded)).read(_HEADER)
        except (OSError, EOFError, zlib.error):
            return None
    return NIFTI if head[344:348] in (b"n+1\0", b"ni1\0") or head[4:8] in (b"n+2\0", b"ni2\0") else None


def is_medical_name(name: str) -> bool:
    """Whether a file's name alone says DICOM or NIfTI."""
    return name.lower().endswith((*DICOM_ENDINGS, *NIFTI_ENDINGS))
