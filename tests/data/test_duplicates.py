"""Near-duplicates: the same picture again, and pictures that only look alike."""

import io
import re
import tracemalloc

import datasets
import numpy as np
import pytest
from datasets import ClassLabel
from PIL import Image, ImageEnhance, ImageFilter

from hf_transferability.data.duplicates import (
    LARGEST_DISTANCE,
    WORDS,
    Origins,
    _near,
    duplicates,
    examples_by_file,
    examples_by_row,
    first_matches,
    has_hash,
    perceptual_hash,
)
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
    found = duplicates(hashes, np.array([0, 1, 1]))
    assert (found.pairs, found.different, found.examples, found.without_hash) == (1, 1, ((0, 1),), 0)


def test_matches_between_two_sets():
    first = np.stack([perceptual_hash(np.asarray(picture(i))) for i in range(4)])
    second = np.stack([perceptual_hash(np.asarray(compressed(picture(i)))) for i in (7, 2, 0, 2)])
    assert first_matches(first, second).tolist() == [2, -1, 1, -1]
    assert first_matches(first, np.empty((0, WORDS), dtype=np.uint64)).tolist() == [-1] * 4


def test_the_distance_is_counted_in_bits():
    hashes = np.full((3, WORDS), 1 << 40, dtype=np.uint64)
    hashes[1, 0], hashes[1, 3] = 0b1111 | 1 << 40, 0b1111 << 60 | 1 << 40
    hashes[2] = hashes[1]
    hashes[2, 1] |= 1  # nine bits from the first
    found = duplicates(hashes, np.arange(3))
    assert (found.pairs, found.examples) == (2, ((0, 1), (1, 2)))


def test_pairs_are_those_of_a_plain_comparison():
    """Images of one hash and label are compared once, and count for all."""
    rng = np.random.default_rng(0)
    few = rng.integers(1, 2**60, (6, WORDS)).astype(np.uint64)
    hashes, labels = few[rng.integers(0, 6, 80)], rng.integers(0, 2, (80, 2))
    hashes[:, 0] ^= rng.integers(0, 4, 80).astype(np.uint64)
    near = [
        (a, b) for a in range(80) for b in range(a + 1, 80) if sum(int(word).bit_count() for word in hashes[a] ^ hashes[b]) <= 8
    ]
    other = [pair for pair in near if (labels[pair[0]] != labels[pair[1]]).any()]
    found = duplicates(hashes, labels)
    assert (found.pairs, found.different) == (len(near), len(other))
    assert set(found.examples) < set(other)


@pytest.mark.parametrize("share", [0.5, 0.03, "varied"], ids=["few near", "many near", "crowded"])
def test_the_search_finds_what_a_plain_comparison_finds(share):
    """Where hashes are alike in most bits, most pairs have an equal part, and all are compared."""
    rng = np.random.default_rng(0)
    bits = rng.random((600, 64 * WORDS)) < (rng.beta(0.1, 0.1, 64 * WORDS) if share == "varied" else share)
    bits[100:200] = bits[:100] ^ (rng.random((100, 64 * WORDS)) < 0.03)
    hashes = np.packbits(bits, axis=1).view(np.uint64)
    near = np.bitwise_count(hashes[:, None] ^ hashes).sum(axis=2) <= LARGEST_DISTANCE
    found = np.concatenate([part for _, part in _near(hashes, hashes)])
    assert np.array_equal(found, near)
    labels = rng.integers(0, 3, 600)
    pairs = np.argwhere(np.triu(near, 1))
    other = [(int(a), int(b)) for a, b in pairs if labels[a] != labels[b]]
    result = duplicates(hashes, labels)
    assert (result.pairs, result.different, result.examples) == (len(pairs), len(other), tuple(other[:2]))
    assert first_matches(hashes[:300], hashes[300:]).tolist() == [
        int(row.argmax()) if row.any() else -1 for row in near[:300, 300:]
    ]


def test_thousands_of_equal_images_need_no_memory_for_their_pairs():
    hashes = np.full((20_000, WORDS), 5, dtype=np.uint64)
    tracemalloc.start()
    found = duplicates(hashes, np.arange(20_000) % 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.pairs, found.different) == (20_000 * 19_999 // 2, 10_000**2)
    assert peak < 50 * 2**20


BLANK = {
    "black": Image.new("RGB", (64, 64)),
    "white": Image.new("RGB", (64, 64), "white"),
    "noise of one grey level": Image.fromarray(np.random.default_rng(0).integers(100, 102, (64, 64, 3), dtype=np.uint8)),
}


@pytest.mark.parametrize("name", BLANK)
def test_images_of_one_grey_level_match_nothing(name):
    hashes = np.stack([perceptual_hash(np.asarray(BLANK[name]))] * 3 + [perceptual_hash(np.asarray(picture(0)))])
    assert has_hash(hashes).tolist() == [False, False, False, True]
    found = duplicates(hashes, np.arange(4))
    assert (found.pairs, found.without_hash) == (0, 3)
    assert duplicates(hashes[:3], np.arange(3)).without_hash == 3
    assert first_matches(hashes, hashes).tolist() == [-1, -1, -1, 3]


def test_blank_slices_are_flagged_and_are_no_duplicates():
    images = [picture(i) for i in range(12)] + [BLANK["black"]] * 4
    target, _ = check_images(load_target(dataset(images, [0, 1] * 8), sample="all"))
    assert target.flags["near_constant"] == "4 of 16 images"
    assert "duplicate_labels" not in target.flags
    assert target.provenance["near_duplicates"] == 0


def test_examples_name_rows():
    pairs = [(0, 1), (2, 3), (4, 5)]
    first, second = (Origins(range(start, start + 10), [f"a/{i}.png" for i in range(10)]) for start in (10, 20))
    assert examples_by_row(pairs, first, second) == "rows 10 and 21, 12 and 23, counted from 0"
    assert examples_by_file(pairs, first, second) == "a/0.png and a/1.png, a/2.png and a/3.png"
    assert examples_by_file(pairs, first, Origins(range(9))) == examples_by_row(pairs, first, Origins(range(9)))


def dataset(images: list[Image.Image], labels: list[int]) -> datasets.Dataset:
    features = datasets.Features({"image": datasets.Image(), "label": ClassLabel(names=["a", "b"])})
    return datasets.Dataset.from_dict({"image": images, "label": labels}, features=features)


def test_duplicates_of_other_labels_are_flagged():
    images = [picture(i) for i in range(12)] + [compressed(picture(3)), picture(4)]
    target, report = check_images(load_target(dataset(images, [0, 1] * 6 + [0, 0]), sample="all"))
    assert target.flags["duplicate_labels"].startswith("1 pair: rows ")
    assert set(re.findall(r"\d+", target.flags["duplicate_labels"].partition("rows")[2])) == {"3", "12", "0"}
    assert target.notes_here == ()
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
