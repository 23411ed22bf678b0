"""PGM and PPM of more than 8 bits: a window acts on the values in the file, whatever their maxval."""

import numpy as np
import pytest
from helpers.targets import target_of_files

from hf_transferability.data.headers import read_header
from hf_transferability.data.images import decode
from hf_transferability.data.targets import check_images

MAXVALS = [256, 4095, 65535]
GREY = np.random.default_rng(0).integers(0, 257, (6, 5))
GREY[0, :2] = 0, 256
COLOUR = np.stack([GREY, GREY[::-1], GREY // 2], -1)


def netpbm(values: np.ndarray, maxval: int, plain: bool = False) -> bytes:
    """A PGM [height, width] or PPM [height, width, 3] of 16 bits, binary or as text."""
    magic = "P" + {(2, False): "5", (3, False): "6", (2, True): "2", (3, True): "3"}[values.ndim, plain]
    head = f"{magic}\n# a comment\n{values.shape[1]} {values.shape[0]}\n{maxval}\n".encode()
    return head + (" ".join(map(str, values.ravel())).encode() if plain else values.astype(">u2").tobytes())


def eight(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return (np.clip(values, low, high) - low) / (high - low) * 255


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("maxval", MAXVALS)
def test_a_window_acts_on_the_stored_values_of_pgm(maxval, plain):
    file = netpbm(GREY, maxval, plain)
    for low, high in [(0, 256), (100, 150)]:
        pixels, mode = decode(file, (low, high))
        assert mode == "I"
        assert pixels == pytest.approx(eight(GREY, low, high)[..., None].repeat(3, 2), abs=0.51)
    assert decode(file)[0] == pytest.approx(eight(GREY, 0, maxval)[..., None].repeat(3, 2), abs=0.51)


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("maxval", MAXVALS)
def test_colour_of_ppm_is_read_whole(maxval, plain):
    file = netpbm(COLOUR, maxval, plain)
    pixels, mode = decode(file, (100, 150))
    assert mode == "RGB;16"
    assert pixels == pytest.approx(eight(COLOUR, 100, 150), abs=0.51)
    assert decode(file)[0] == pytest.approx(eight(COLOUR, 0, maxval), abs=0.51)
    with pytest.raises(ValueError, match="truncated"):
        decode(file[:-4])


def test_ppm_as_text():
    file = netpbm(COLOUR, 4095, plain=True)
    target = target_of_files([file] * 12, window=(0, 4095))
    assert "windowed" not in target.flags
    assert target.images[0] == pytest.approx(eight(COLOUR, 0, 4095), abs=0.51)
    head, _, values = file.partition(b"4095\n")
    noted = head + b"4095\n# 9 9 9\n" + values.replace(b" ", b" # 7\n ", 1)
    assert np.array_equal(decode(noted)[0], decode(file)[0])
    with pytest.raises(ValueError, match=r"outside 0..4095"):
        decode(head + b"4095\n9999" + values[1:])
    with pytest.raises(ValueError, match="something else than numbers"):
        decode(head + b"4095\nx" + values[1:])


def test_8_bits_stay_as_they_are():
    for maxval in (255, 100):
        file = b"P6\n1 1\n%d\n\x0a\x14\x1e" % maxval
        assert not read_header(file).deep
        assert decode(file)[0].ravel() == pytest.approx(np.array([10, 20, 30]) * 255 / maxval, abs=0.51)


def test_the_flag_names_the_range():
    files = [netpbm(np.roll(GREY, i), 4095) for i in range(12)]
    flags = check_images(target_of_files(files))[0].flags["windowed"]
    assert "mode I by 0..65535 (PGM, PPM and JPEG 2000: 0 to their largest value)" in flags
    assert check_images(target_of_files(files, window=(0, 256)))[0].flags["windowed"].endswith("by 0..256")
