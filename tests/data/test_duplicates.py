"""Near-duplicates: the same picture again, and pictures that only look alike."""

import io

import datasets
import numpy as np
import pytest
from datasets import ClassLabel
from PIL import Image, ImageEnhance, ImageFilter

from hf_transferability.data.duplicates import WORDS, examples, near_pairs, perceptual_hash
from hf_transferability.data.images import ImageReport
from hf_transferability.data.targets import check_images, load_target


def picture(seed: int, size: int = 128) -> Image.Image:
    """A smooth random picture."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return ImageEnhance.Contrast(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(4))).enhance(6)


def compressed(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=70)
    return Image.open(file).convert("RGB")


CHANGES = {
    "again": lambda image: image,
    "compressed": compressed,
    "smaller": lambda image: image.resize((90, 90)),
    "brighter": lambda image: image.point(lambda value: min(255, value + 12)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_same_picture_is_found(change):
    hashes = np.stack([perceptual_hash(np.asarray(image)) for image in (picture(0), CHANGES[change](picture(0)), picture(1))])
    assert near_pairs(hashes).tolist() == [[0, 1]]


def test_pairs_between_two_sets():
    first = np.stack([perceptual_hash(np.asarray(picture(i))) for i in range(4)])
    second = np.stack([perceptual_hash(np.asarray(compressed(picture(i)))) for i in (7, 2, 0)])
    assert near_pairs(first, second).tolist() == [[0, 2], [2, 1]]
    assert near_pairs(first, np.empty((0, WORDS), dtype=np.uint64)).tolist() == []


def test_the_distance_is_counted_in_bits():
    hashes = np.zeros((3, WORDS), dtype=np.uint64)
    hashes[1, 0], hashes[1, 3] = 0b1111, 0b1111 << 60
    hashes[2] = hashes[1]
    hashes[2, 1] = 1  # nine bits from the first
    assert near_pairs(hashes).tolist() == [[0, 1], [1, 2]]


def test_examples_name_rows():
    assert examples(np.array([[0, 1], [2, 3], [4, 5]]), range(10, 20), range(20, 30)) == "rows 10 and 21, 12 and 23"


def dataset(images: list[Image.Image], labels: list[int]) -> datasets.Dataset:
    features = datasets.Features({"image": datasets.Image(), "label": ClassLabel(names=["a", "b"])})
    return datasets.Dataset.from_dict({"image": images, "label": labels}, features=features)


def test_duplicates_of_other_labels_are_flagged():
    images = [picture(i) for i in range(12)] + [compressed(picture(3)), picture(4)]
    target, report = check_images(load_target(dataset(images, [0, 1] * 6 + [0, 0]), sample="all"))
    assert target.flags["duplicate_labels"].startswith("1 pair: rows ")
    assert set(target.flags["duplicate_labels"].split()[-3:]) == {"3", "and", "12"}
    assert target.provenance["near_duplicates"] == 2
    assert target.provenance["near_duplicates_of_other_labels"] == 1
    again, _ = check_images(
        load_target(dataset(images, [0, 1] * 6 + [0, 0]), sample="all"), report=ImageReport.from_dict(report.to_dict())
    )
    assert again.flags == target.flags


def test_a_sample_without_duplicates_has_no_flag():
    target, _ = check_images(load_target(dataset([picture(i) for i in range(14)], [0, 1] * 7), sample="all"))
    assert "duplicate_labels" not in target.flags
    assert target.provenance["near_duplicates"] == 0
    assert target.hashes.shape == (14, WORDS)
