"""JPEG 2000, AVIF and SGI of more than 8 bits: windows act on the stored values, and what is reduced is said."""

import io

import numpy as np
import pytest
from helpers.targets import target_of_files
from PIL import Image

from hf_transferability.data.headers import read_header
from hf_transferability.data.images import decode
from hf_transferability.errors import UsageError

GREY = np.random.default_rng(0).integers(0, 4096, (64, 64)).astype(np.uint16)


def saved(values: np.ndarray, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg2000(values: np.ndarray, bits: int) -> bytes:
    utils = pytest.importorskip("openjpeg.utils")
    kind = 1 if values.ndim == 3 else 0
    return utils.encode_array(values, bits_stored=bits, photometric_interpretation=kind, codec_format=1)


@pytest.mark.parametrize("bits", [12, 16])
def test_a_window_acts_on_the_stored_values_of_grey_jpeg_2000(bits):
    file = jpeg2000(GREY, bits)
    wanted = np.clip((GREY - 100.0) / 400 * 255, 0, 255)
    assert decode(file, (100, 500))[0][..., 0] == pytest.approx(wanted, abs=0.51)
    assert decode(file)[0][..., 0] == pytest.approx(GREY / (2**bits - 1) * 255, abs=0.51)


def sixteen_bit_sgi() -> bytes:
    file = bytearray(saved(np.zeros((4, 4, 3), np.uint8), "SGI", bpc=2))
    assert file[3] == 2
    return bytes(file)


def ten_bit_avif() -> bytes:
    """An AVIF of 8 bits whose header says 10, as no encoder for 10 is at hand."""
    file = bytearray(saved(np.zeros((8, 8, 3), np.uint8), "AVIF"))
    file[file.find(b"av1C") + 6] |= 0x40
    depths = file.find(b"pixi") + 9  # after the box's name, its version and the number of channels
    file[depths : depths + 3] = [10, 10, 10]
    return bytes(file)


@pytest.mark.parametrize(
    "make", [lambda: jpeg2000(np.stack([GREY] * 3, -1), 12), ten_bit_avif, sixteen_bit_sgi], ids=["JPEG 2000", "AVIF", "SGI"]
)
def test_what_is_reduced_is_said(make):
    file = make()
    assert not read_header(file).readable
    assert "12 of 12 images, reduced to 8 bits" in target_of_files([file] * 12).flags["windowed"]
    with pytest.raises(UsageError, match="Convert them to 16-bit PNG or TIFF"):
        target_of_files([file] * 12, window=(0, 4095))


def test_8_bits_stay_as_they_are():
    for kind in ("JPEG2000", "AVIF", "SGI"):
        header = read_header(saved(np.zeros((64, 64, 3), np.uint8), kind))
        assert not header.deep
        assert header.readable
