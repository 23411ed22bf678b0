"""Images of every mode become the same kind of pixels, and files that are not images are named, not fatal."""

import io

import numpy as np
import pytest
from PIL import Image

from hf_transferability.data.images import Images, decode, to_rgb
from hf_transferability.errors import UsageError

RAMP = np.array([[0, 50], [200, 255]], dtype=np.uint8)
COLOUR = np.array([[[0, 10, 20], [255, 0, 0]], [[1, 2, 3], [250, 251, 252]]], dtype=np.uint8)


def file_of(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def grey(values) -> list:
    return np.repeat(np.asarray(values)[..., None], 3, axis=2).tolist()


def alpha(mode: str) -> Image.Image:
    image = Image.fromarray(RAMP if mode == "LA" else COLOUR).convert(mode)
    image.putalpha(Image.fromarray(np.array([[0, 1], [128, 255]], dtype=np.uint8)))
    return image


def palette() -> Image.Image:
    image = Image.fromarray(np.array([[0, 1], [2, 3]], dtype=np.uint8), "L")
    image = Image.frombytes("P", (2, 2), image.tobytes())
    image.putpalette(COLOUR.reshape(-1).tolist())
    return image


MODES = {
    "1": (lambda: file_of(Image.fromarray(RAMP > 100)), grey([[0, 0], [255, 255]])),
    "L": (lambda: file_of(Image.fromarray(RAMP)), grey(RAMP)),
    "LA": (lambda: file_of(alpha("LA")), grey(RAMP)),  # transparency is dropped, not blended
    "P": (lambda: file_of(palette()), COLOUR.tolist()),
    "P with one transparent colour": (lambda: file_of(palette(), transparency=1), COLOUR.tolist()),
    "P with transparency for each colour": (lambda: file_of(palette(), transparency=b"\x00\x40\x80\xff"), COLOUR.tolist()),
    "RGB": (lambda: file_of(Image.fromarray(COLOUR)), COLOUR.tolist()),
    "RGBA": (lambda: file_of(alpha("RGBA")), COLOUR.tolist()),
    "CMYK": (
        lambda: file_of(Image.frombytes("CMYK", (2, 1), bytes([0, 255, 255, 0, 255, 255, 255, 255])), "TIFF"),
        [[[255, 0, 0], [0, 0, 0]]],
    ),
    "I": (
        lambda: file_of(Image.fromarray(np.array([[0, 32768], [65535, 257]], dtype=np.int32)), "TIFF"),
        grey([[0, 128], [255, 1]]),
    ),
    "I;16": (
        lambda: file_of(Image.fromarray(np.array([[0, 32768], [65535, 257]], dtype=np.uint16))),
        grey([[0, 128], [255, 1]]),
    ),
    "I;16B": (
        lambda: file_of(Image.frombytes("I;16B", (2, 1), b"\x80\x00\x01\x01"), "TIFF"),
        grey([[128, 1]]),
    ),
    "F": (
        lambda: file_of(Image.fromarray(np.array([[-1.0, 0.0], [1.0, 0.5]], dtype=np.float32)), "TIFF"),
        grey([[0, 128], [255, 191]]),
    ),
}


@pytest.mark.parametrize("name", MODES)
def test_every_mode_becomes_rgb(name):
    encoded, expected = MODES[name]
    pixels, mode = decode(encoded())
    assert mode == name.split()[0]
    assert pixels.dtype == np.uint8
    assert pixels.tolist() == expected


def test_cmyk_jpeg_keeps_its_colours():
    """The kind that Photoshop and scanners write: inverted, with an Adobe marker."""
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    pixels, mode = decode(file_of(red, "JPEG", quality=95))
    assert mode == "CMYK"
    assert np.abs(pixels.astype(int) - [255, 0, 0]).max() < 12


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_window_scales_deep_images(kind):
    scan = np.array([[0, 100], [300, 4095]], dtype=np.uint16)
    pixels, _ = decode(file_of(Image.fromarray(scan), kind), window=(100, 1100))
    assert pixels.tolist() == grey([[0, 0], [51, 255]])


def test_window_scales_float_and_leaves_eight_bits_alone():
    ct = np.array([[-1000.0, 40.0], [400.0, 3000.0]], dtype=np.float32)
    assert decode(file_of(Image.fromarray(ct), "TIFF"), (-160, 240))[0].tolist() == grey([[0, 128], [255, 255]])
    assert decode(file_of(Image.fromarray(RAMP)), (100, 200))[0].tolist() == grey(RAMP)


@pytest.mark.parametrize("values", [[-1000, 400], [0, 65536]])
def test_integers_outside_sixteen_bits_need_a_window(values):
    encoded = file_of(Image.fromarray(np.array([values], dtype=np.int32)), "TIFF")
    with pytest.raises(UsageError, match=rf"outside 0\.\.65535; got {values[0]}\.\.{values[1]}\..*--window LOW,HIGH"):
        decode(encoded)
    with pytest.raises(UsageError, match="--window"):
        Images([encoded]).inspect()
    assert decode(encoded, (-1000, 65536))[0].shape == (1, 2, 3)


def test_constant_deep_images_are_no_division_by_zero():
    assert not decode(file_of(Image.fromarray(np.full((2, 2), 7.0, np.float32)), "TIFF"))[0].any()
    assert decode(file_of(Image.fromarray(np.full((2, 2), 65535, np.uint16))))[0].min() == 255


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_float_image_that_is_not_finite_is_corrupt(value):
    encoded = file_of(Image.fromarray(np.array([[0.0, value]], dtype=np.float32)), "TIFF")
    assert Images([encoded]).inspect().corrupt == {0: "the image holds NaN or infinite values"}


@pytest.mark.parametrize("orientation, expected", [(1, [[0, 1], [2, 3]]), (3, [[3, 2], [1, 0]]), (6, [[2, 0], [3, 1]])])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_exif_orientation_is_applied(orientation, expected, dtype):
    step = 50 if dtype is np.uint8 else 50 * 257
    exif = Image.Exif()
    exif[0x0112] = orientation
    encoded = file_of(Image.fromarray((np.arange(4).reshape(2, 2) * step).astype(dtype)), exif=exif)
    assert decode(encoded)[0].tolist() == grey(np.array(expected) * 50)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_unreadable_exif_does_not_make_an_image_corrupt(kind):
    encoded = file_of(Image.new("RGB", (4, 4), (9, 9, 9)), kind, exif=b"Exif\0\0garbage, not TIFF")
    assert decode(encoded)[0].shape == (4, 4, 3)


def test_first_frame_of_several():
    frames = [Image.new("L", (2, 2), value) for value in (10, 200)]
    encoded = file_of(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    assert decode(encoded)[0].tolist() == grey(np.full((2, 2), 10))


def test_to_rgb_leaves_its_argument():
    image = Image.fromarray(RAMP)
    to_rgb(image).putpixel((0, 0), (1, 2, 3))
    assert np.array_equal(np.asarray(image), RAMP)


def random_file(seed: int, kind: str = "PNG", size: int = 16) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return file_of(Image.fromarray(pixels), kind)


CORRUPT = {
    "truncated PNG": (lambda: random_file(0)[:200], "truncated"),
    "truncated JPEG": (lambda: random_file(0, "JPEG", 64)[:900], "truncated"),
    "header only": (lambda: random_file(0)[:40], ""),
    "bit rot": (lambda: random_file(0)[:60] + b"\xff" * 40 + random_file(0)[100:], ""),
    "garbage": (lambda: b"not an image" * 50, "not an image file"),
    "a web page": (lambda: b"<html><body>404</body></html>", "not an image file"),
    "empty": (lambda: b"", "missing, empty or unreadable"),
}


@pytest.mark.parametrize("damage", CORRUPT)
def test_damaged_files_are_named(damage):
    encoded, reason = CORRUPT[damage]
    report = Images([random_file(1), encoded(), random_file(2)]).inspect()
    assert set(report.corrupt) == {1}
    assert reason in report.corrupt[1]
    assert report.corrupt[1]
    assert "0x" not in report.corrupt[1]
    assert report.modes == {"RGB": 2}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_huge_files_are_refused_not_decoded(monkeypatch):
    monkeypatch.setattr("hf_transferability.data.images.PILLOW_LIMIT", 1000)
    report = Images([random_file(0, size=30), random_file(0, size=33), random_file(0, size=60)]).inspect()
    assert set(report.corrupt) == {1, 2}
    assert "33 x 33 pixels are more than the limit of 1000" in report.corrupt[1]


def test_inspection_reports_modes_and_progress():
    done: list[int] = []
    files = [random_file(0), file_of(Image.fromarray(RAMP)), random_file(1)]
    report = Images(files).inspect(done.append)
    assert report.modes == {"L": 1, "RGB": 2}
    assert report.corrupt == {}
    assert done == [1, 2, 3]


def count_decodings(monkeypatch) -> list[bytes]:
    from hf_transferability.data import images

    calls: list[bytes] = []

    def counted(encoded, window=None, **options):
        calls.append(encoded)
        return decode(encoded, window, **options)

    monkeypatch.setattr(images, "decode", counted)
    return calls


def test_decoded_once_within_the_budget_and_again_beyond_it(monkeypatch):
    calls = count_decodings(monkeypatch)
    files = [random_file(seed) for seed in range(4)]
    images = Images(files, memory_budget=2 * 16 * 16 * 3 + 1)
    first = [image.copy() for image in images]
    second = list(images)
    assert [calls.count(file) for file in files] == [1, 1, 2, 2]
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_inspection_keeps_no_more_than_the_budget(monkeypatch):
    calls = count_decodings(monkeypatch)
    files = [random_file(seed) for seed in range(4)]
    images = Images(files, memory_budget=3 * 16 * 16 * 3)
    images.inspect()
    images.inspect()  # a second look must not take from the budget twice
    calls.clear()
    list(images)
    assert calls == files[3:]


def test_subset_keeps_order_pixels_and_budget(monkeypatch):
    files = [random_file(seed) for seed in range(5)]
    images = Images(files, memory_budget=4 * 16 * 16 * 3)
    images.inspect()
    calls = count_decodings(monkeypatch)
    part = images.subset([4, 2, 0])
    assert len(part) == 3
    assert part.encoded == [files[4], files[2], files[0]]
    assert all(np.array_equal(part[i], decode(files[j])[0]) for i, j in enumerate([4, 2, 0]))
    assert calls[:1] == [files[4]]
    assert len(calls) == 1
    _ = part[0]
    assert len(calls) == 2  # nothing was left of the budget


def test_indexing_like_a_sequence():
    images = Images([random_file(seed) for seed in range(3)])
    assert np.array_equal(images[-1], images[2])
    assert np.array_equal(images[np.int64(1)], images[1])
    with pytest.raises(IndexError):
        images[3]


def test_subset_has_the_window_too():
    encoded = file_of(Image.fromarray(np.array([[0, 4095]], dtype=np.uint16)))
    assert Images([encoded], (0, 4095)).subset([0])[0].max() == 255
