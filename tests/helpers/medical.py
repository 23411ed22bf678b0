"""DICOM files and NIfTI volumes made by pydicom and nibabel."""

import io
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

PATIENT = "Roe^Jane^Secret"  # must appear nowhere


def dataset(values: np.ndarray, **elements: Any) -> Dataset:
    """A DICOM dataset of stored values [height, width], [frames, height, width] or [height, width, 3]; elements by keyword."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = CTImageStorage
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = generate_uid(entropy_srcs=[repr(values.tobytes())])
    made.PatientName, made.PatientID, made.PatientBirthDate = PATIENT, "secret-4711", "19010203"
    colour = values.ndim == 3 and values.shape[2] == 3
    frames = 1 if colour or values.ndim == 2 else len(values)
    if frames > 1:
        made.NumberOfFrames = frames
    made.Rows, made.Columns = values.shape[:2] if colour else values.shape[-2:]
    made.SamplesPerPixel = 3 if colour else 1
    made.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        made.PlanarConfiguration = 0
    made.BitsAllocated = made.BitsStored = 8 * values.dtype.itemsize
    made.HighBit = made.BitsAllocated - 1
    made.PixelRepresentation = int(values.dtype.kind == "i")
    made.PixelData = values.tobytes()
    for name, value in elements.items():
        setattr(made, name, value)
    if "BitsStored" in elements and "HighBit" not in elements:
        made.HighBit = made.BitsStored - 1
    made["PixelData"].VR = "OB" if made.BitsAllocated == 8 else "OW"
    return made


def saved(made: Dataset) -> bytes:
    """The file of a dataset."""
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, made, enforce_file_format=True)
    return buffer.getvalue()


def dicom(values: np.ndarray, **elements: Any) -> bytes:
    """A DICOM file; see `dataset`."""
    return saved(dataset(values, **elements))


def nifti(volume: np.ndarray, axes: str = "RAS", *, slope: float | None = None, intercept: float = 0.0) -> bytes:
    """A NIfTI file whose stored axes grow towards right or left, front (A) or back (P), head (S) or feet (I)."""
    affine = np.diag([0.0, 0.0, 0.0, 1.0])
    for stored, letter in enumerate(axes):
        affine["RLAPSI".index(letter) // 2, stored] = 1 if letter in "RAS" else -1
    image = nibabel.Nifti1Image(volume, affine)
    image.header.set_data_dtype(volume.dtype)
    if slope is not None:
        content = bytearray(image.to_bytes())  # nibabel would divide the values, so the two fields are set in the file
        content[112:120] = np.array([slope, intercept], "<f4").tobytes()
        return bytes(content)
    return image.to_bytes()


def phantom(code: int, seed: int, size: int = 24) -> np.ndarray:
    """An invented CT slice in Hounsfield units, int16 [size, size]: stripes that depend on the class, and noise."""
    rng = np.random.default_rng(seed)
    stripes = 40 + 60 * np.sin(np.arange(size)[:, None] * (code + 1) / 3) + np.zeros((1, size))
    return (stripes + rng.normal(0, 20, (size, size))).round().astype(np.int16)


def series(
    folder: Path, n_per_class: int = 8, classes: tuple[str, ...] = ("normal", "nodule"), **elements: Any
) -> dict[str, Any]:
    """Class folders of DICOM files of CT (stored + 1024, intercept -1024), some without ending; relative path -> Hounsfield."""
    written = {}
    for code, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(n_per_class):
            hounsfield = phantom(code, 100 * code + i)
            path = f"{name}/IM{i:04}{'.dcm' if i % 2 else ''}"
            stored = (hounsfield + 1024).astype(np.uint16)
            made = {"BitsStored": 12, "RescaleSlope": 1, "RescaleIntercept": -1024, "WindowCenter": 40, "WindowWidth": 400}
            (folder / path).write_bytes(dicom(stored, **made | elements))
            written[path] = hounsfield
    return written
