"""Masks that only their content tells; the names are those of public datasets."""

import io

import numpy as np
import pytest
from helpers.targets import png, refused
from PIL import Image

from hf_transferability.data.options import SampleOptions
from hf_transferability.data.targets import load_target
from hf_transferability.data.test_split import read_test_images


def mask(seed, kind="PNG", size=16, empty=False):
    pixels = np.zeros((size, size), np.uint8)
    if not empty:
        pixels[2 : 6 + seed % 5, 3 : size // 2] = 255
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def write(folder, name, content, n=12):
    for i in range(n):
        file = folder / name.format(i)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content(i))


def photo(seed):
    return png(seed, size=16)


def photos(folder, *names):
    for k, name in enumerate(names):
        write(folder, name, lambda i, k=k: photo(100 * k + i))


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("{}", "{}_lesion"), ("{}", "{}_mask_left"), ("img{}", "img{}mask"), ("{}", "{}_roi"), ("{}", "{}_tumor_mask"),
        ("{}", "lesion_{}"), ("ISIC_{}", "ISIC_{}.attribute"), ("scans/{}", "lesions/{}"), ("{}", "{}L"),
        ("x ({})", "x ({})_lesion"),
    ],
)  # fmt: skip
def test_masks_of_any_name(tmp_path, image, name):
    photos(tmp_path, f"a/{image}.png", "b/{}.png")
    write(tmp_path, f"a/{name}.png", lambda i: mask(i, empty=i == 7))
    target = load_target(tmp_path, class_level=1, sample_size="all")
    assert len(target) == 24
    assert target.provenance["account"]["left_out"] == {"masks beside their images": 12}
    assert len(load_target(tmp_path, class_level=1, sample_size="all", keep_masks=True)) == 36
    refused("the stream holds masks beside", tmp_path, class_level=1, sample_size=36, streaming=True)


def test_masks_with_compression(tmp_path):
    write(tmp_path, "a/{}.png", lambda i: png(i, size=64))
    write(tmp_path, "b/{}.png", lambda i: png(100 + i, size=64))
    write(tmp_path, "a/{}_lesion.jpg", lambda i: mask(i, "JPEG", size=64))
    assert len(load_target(tmp_path, sample_size="all")) == 24


@pytest.mark.parametrize(
    "content",
    [photo, lambda i: mask(i, size=8), lambda i: mask(i, empty=True), lambda i: mask(i) if i else photo(i), lambda i: b"x"],
    ids=["photo", "other size", "blank", "mixed", "damaged"],
)
def test_what_is_no_mask(tmp_path, content):
    photos(tmp_path, "a/{}.png", "b/{}.png")
    write(tmp_path, "a/{}_2.png", content)
    assert len(load_target(tmp_path, sample_size="all")) == 36


def test_images_of_16_bits_are_not_cut_before_they_are_looked_at(tmp_path):
    def deep(seed, levels):
        values = np.random.default_rng(seed).integers(0, levels, (16, 16), dtype=np.uint16) * (60000 // levels)
        buffer = io.BytesIO()
        Image.fromarray(values + np.uint16(300)).save(buffer, "PNG")
        return buffer.getvalue()

    photos(tmp_path, "a/{}.png", "b/{}.png")
    write(tmp_path, "a/{}_raw.png", lambda i: deep(i, 60000))
    assert len(load_target(tmp_path, sample_size="all")) == 36
    write(tmp_path, "b/{}_left.png", lambda i: deep(i, 3))
    assert len(load_target(tmp_path, sample_size="all")) == 36


def test_images_of_few_colours_stay(tmp_path):
    for name in ("a/{}.png", "a/{}_lesion.png", "b/{}.png"):
        write(tmp_path, name, mask)
    assert len(load_target(tmp_path, sample_size="all")) == 36


def test_names_in_several_classes_and_patients(tmp_path):
    """Equal names in other classes, and in the folders of many patients, tell nothing."""
    photos(tmp_path, *(f"a/p{k}/{{}}.png" for k in range(5)))
    write(tmp_path, "b/p0/{}.png", lambda i: mask(i) if i else photo(i))
    assert len(load_target(tmp_path, class_level=1, sample_size="all")) == 72


def test_a_class_of_masks_by_content(tmp_path):
    photos(tmp_path, "photos/{}.png")
    write(tmp_path, "lesions/{}.png", mask)
    refused("the class lesions holds masks of the class photos: 12 of 12 files", tmp_path)
    assert len(load_target(tmp_path, sample_size="all", keep_masks=True)) == 24
    for i in range(12):
        (tmp_path / "lesions" / f"{i}.png").write_bytes(mask(i, empty=True))
    assert len(load_target(tmp_path, sample_size="all")) == 24


def test_masks_of_the_test_split_are_not_compared(tmp_path):
    photos(tmp_path, *(f"{split}/{label}/{{}}.png" for split in ("train", "test") for label in "ab"))
    write(tmp_path, "test/a/{}_mask.png", mask)
    write(tmp_path, "test/b/{}_lesion.png", mask)
    assert len(read_test_images(tmp_path, SampleOptions(), 1000).origins.rows) == 24
    assert len(read_test_images(tmp_path, SampleOptions(keep_masks=True), 1000).origins.rows) == 48
