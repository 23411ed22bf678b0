"""Depth, frames and channels: nothing of an image is dropped or read otherwise without a word."""

import io
import struct
import zlib

import datasets
import numpy as np
import pytest
from datasets import Dataset, Features
from helpers.targets import AB, png, refused, target_of_files
from PIL import Image

from hf_transferability.data.headers import read_header
from hf_transferability.data.images import Images, check_size, decode
from hf_transferability.data.targets import check_images
from hf_transferability.errors import UsageError

COLOUR = np.random.default_rng(0).integers(0, 4096, (6, 5, 3)).astype(np.uint16)
COLOUR[0, 0], COLOUR[0, 1] = 0, 4095
ALPHA = np.full((6, 5, 1), 65535, np.uint16)


def png16(values: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel [height, width, channels]."""
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[values.shape[2]]

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, kind, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(values: np.ndarray, photometric: int, order: str = "<", sample_format: int = 1, orientation: int = 1) -> bytes:
    """An uncompressed TIFF [height, width, channels] of any type; channels beyond three are extra samples."""
    height, width, channels = values.shape
    data = values.astype(values.dtype.newbyteorder(order)).tobytes()
    bits = values.dtype.itemsize * 8
    extra = max(channels - 3, 0)
    tags = [
        (256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * channels), (259, 3, [1]), (262, 3, [photometric]),
        (273, 4, [8]), (274, 3, [orientation]), (277, 3, [channels]), (278, 4, [height]), (279, 4, [len(data)]), (284, 3, [1]),
        *([(338, 3, [0] * extra)] if extra else []), (339, 3, [sample_format] * channels),
    ]  # fmt: skip
    start = 8 + len(data) + len(data) % 2
    later = start + 2 + 12 * len(tags) + 4
    entries, extras = b"", b""
    for tag, kind, numbers in tags:
        packed = struct.pack(order + {3: "H", 4: "I"}[kind] * len(numbers), *numbers)
        if len(packed) > 4:
            place, extras = struct.pack(order + "I", later + len(extras)), extras + packed
        else:
            place = packed.ljust(4, b"\0")
        entries += struct.pack(order + "HHI", tag, kind, len(numbers)) + place
    magic = b"II*\0" if order == "<" else b"MM\0*"
    directory = struct.pack(order + "H", len(tags)) + entries + b"\0" * 4 + extras
    return magic + struct.pack(order + "I", start) + data.ljust(start - 8, b"\0") + directory


def pillow(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


DEEP = {
    "RGB PNG": png16(COLOUR),
    "RGBA PNG": png16(np.concatenate([COLOUR, ALPHA], 2)),
    "RGB TIFF": tiff(COLOUR, 2),
    "RGB TIFF, big-endian": tiff(COLOUR, 2, ">"),
}


@pytest.mark.parametrize("name", DEEP)
def test_all_bits_of_deep_colour_are_read(name):
    pixels, mode = decode(DEEP[name], (0, 4095))
    assert mode in ("RGB;16", "RGBA;16")
    assert np.array_equal(pixels, np.round(COLOUR.astype(float) * 255 / 4095).astype(np.uint8))
    assert np.array_equal(decode(DEEP[name])[0], np.round(COLOUR.astype(float) * 255 / 65535).astype(np.uint8))


def test_all_bits_of_deep_grey_with_alpha_are_read():
    grey = COLOUR[..., :1]
    pixels, mode = decode(png16(np.concatenate([grey, ALPHA], 2)), (0, 4095))
    assert mode.endswith(";16")
    assert np.array_equal(pixels, np.round(grey.repeat(3, 2).astype(float) * 255 / 4095).astype(np.uint8))


@pytest.mark.parametrize("orientation, turns", [(1, 0), (3, 2), (6, 3)])
def test_deep_colour_is_turned_once(orientation, turns):
    pixels = decode(tiff(COLOUR, 2, orientation=orientation), (0, 4095))[0]
    assert np.array_equal(pixels, np.rot90(decode(tiff(COLOUR, 2), (0, 4095))[0], turns))


@pytest.mark.parametrize("dtype, sample_format", [(np.uint8, 1), (np.uint16, 1), (np.float32, 3)])
def test_white_is_zero_in_every_depth(dtype, sample_format):
    grey = np.linspace(0, 255, 30).round().reshape(6, 5, 1)
    stored = {np.uint8: 255 - grey, np.uint16: 65535 - grey * 257, np.float32: 1 - grey / 255}[dtype].astype(dtype)
    pixels = decode(tiff(stored, 0, sample_format=sample_format))[0]
    assert np.abs(pixels[..., :1] - grey).max() <= 1
    upright = {np.uint8: grey, np.uint16: grey * 257, np.float32: grey / 255}[dtype].astype(dtype)
    assert np.abs(decode(tiff(upright, 1, sample_format=sample_format))[0][..., :1] - grey).max() <= 1


def test_a_window_acts_on_deep_colour_or_is_an_error():
    files = [png16(COLOUR + i) for i in range(12)]
    checked, report = check_images(target_of_files(files, window=(0, 4095)))
    assert report.modes == {"RGB;16": 12}
    assert checked.flags["windowed"] == "12 images of mode RGB;16 by 0..4095"
    dark, report = check_images(target_of_files(files))
    assert "which leaves them dark (at most 16 of 255): choose --window LOW,HIGH" in dark.flags["windowed"]
    assert type(report).from_dict(report.to_dict()) == report
    assert "no image of the sample has more than 8 bits" in _refused([png(i) for i in range(12)], window=(0, 4095))
    assert len(target_of_files([png(0), *files], window=(0, 4095))) == 13


def _refused(files: list[bytes], **options) -> str:
    data = [{"bytes": file, "path": None} for file in files]
    features = Features({"image": datasets.Image(), "label": AB})
    table = Dataset.from_dict({"image": data, "label": [i % 2 for i in range(len(files))]}, features=features)
    return refused("`window` must be left out", table, **options)


@pytest.mark.parametrize("window", [(float("-inf"), float("inf")), (0, float("inf")), (3,), "0,1", (0, None)])
def test_windows_that_are_none(window):
    refused("`window` must be \\(low, high\\), finite", [], window=window)


STACK = [Image.new("L", (4, 4), value) for value in (0, 100, 200)]
STACKS = {kind: pillow(STACK[0], kind, save_all=True, append_images=STACK[1:]) for kind in ("TIFF", "GIF", "PNG", "WEBP")}


@pytest.mark.parametrize("kind", STACKS)
def test_files_of_several_frames_are_flagged_and_chosen_from(kind):
    files = [*[png(i) for i in range(11)], STACKS[kind]]
    target = target_of_files(files)
    assert target.flags["several_frames"] == "1 of 12 images, of which the first is used"
    assert check_images(target)[0].flags["several_frames"] == target.flags["several_frames"]
    if kind == "PNG":
        return  # an animated PNG may show another picture where animation is not supported
    assert abs(int(decode(STACKS[kind], frame=2)[0].max()) - 200) <= 2
    assert abs(int(decode(STACKS[kind], frame="middle")[0].max()) - 100) <= 2
    chosen = target_of_files([STACKS[kind]] * 12, frame=1)
    assert chosen.flags["several_frames"] == "12 of 12 images, of which frame 1 is used"
    assert chosen.key != target_of_files([STACKS[kind]] * 12).key
    with pytest.raises(
        UsageError, match=r"^`frame` must be in every file; 12 of 12 have no frame 3.* last is 2. .*--frame middle"
    ):
        check_images(target_of_files([STACKS[kind]] * 12, frame=3), skip_corrupt=True)
    some = target_of_files([STACKS[kind]] * 12 + [png(i) for i in range(3)], frame=2, sample="all")
    with pytest.raises(UsageError, match=r"3 of 15 have no frame 2, .* last is 0. .* Or pass --skip-corrupt"):
        check_images(some)
    assert len(check_images(some, skip_corrupt=True)[0]) == 12


def test_channels_beyond_colour_are_flagged():
    files = [tiff(np.random.default_rng(i).integers(0, 256, (6, 5, 5)).astype(np.uint8), 2) for i in range(12)]
    assert target_of_files(files).flags["extra_channels"] == "12 of 12 images"
    assert read_header(files[0]).extra_channels == 2


@pytest.mark.parametrize("kind, mode", [("JPEG", "RGB"), ("PNG", "LA"), ("PNG", "P"), ("TIFF", "RGBA"), ("TIFF", "CMYK")])
def test_plain_images_have_plain_headers(kind, mode):
    header = read_header(pillow(Image.new(mode, (4, 4)), kind))
    assert (header.deep, header.frames, header.extra_channels) == (False, 1, 0)
    assert read_header(b"no image") == read_header(b"")


def test_more_pixels_are_allowed_by_name(monkeypatch):
    monkeypatch.setattr("hf_transferability.data.images.PILLOW_LIMIT", 100)
    large = png(0, size=30)
    assert "allow more by --max-pixels" in Images([large]).inspect().corrupt[0]
    assert Images([large], max_pixels=900).inspect().corrupt == {}


def test_the_limit_holds_while_another_thread_opens_an_image(monkeypatch):
    """`open_image` switches Pillow's own limit off for moments."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(ValueError, match="100000 x 100000 pixels are more than the limit of 89478485"):
        check_size(100_000, 100_000, None)


def test_a_later_page_may_not_be_larger_than_the_limit():
    pages = [Image.new("L", (4, 4)), Image.new("L", (60, 60))]
    buffer = io.BytesIO()
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:])
    assert decode(buffer.getvalue(), max_pixels=100)[0].shape == (4, 4, 3)
    with pytest.raises(ValueError, match="60 x 60 pixels are more than the limit of 100"):
        decode(buffer.getvalue(), frame=1, max_pixels=100)


def test_an_image_that_does_not_fit_the_memory_is_corrupt_by_name(monkeypatch):
    def fails(*arguments):
        raise MemoryError

    monkeypatch.setattr("hf_transferability.data.images.to_rgb", fails)
    assert Images([png(0)]).inspect().corrupt == {0: "8 x 8 pixels are too many for the memory of this machine"}


def test_a_window_in_which_nothing_is_seen_is_refused(tmp_path):
    files = [png16(COLOUR + np.uint16(i)) for i in range(12)]
    with pytest.raises(UsageError, match=r"`window` must hold values of the images; 60000..61000 makes each of 12 one grey"):
        check_images(target_of_files(files, window=(60_000, 61_000)))
    files[0] = png16(np.full_like(COLOUR, 70))
    assert "1 of them one grey: choose --window" in check_images(target_of_files(files, window=(0, 4095)))[0].flags["windowed"]
