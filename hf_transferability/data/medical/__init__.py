"""DICOM files and NIfTI volumes become plain images: only pixel data and what their display needs are read."""
