"""Near-duplicate images, by perceptual hashes: one image stored twice, re-encoded, resized or slightly brighter.

A hash is imagehash's `phash` of 16 x 16 coefficients, 256 bits. The threshold is strict, because medical images look alike.
docs/ranking.md says what it finds and misses in eleven datasets.

Images of nearly one grey level (blank slices, empty tiles) have no hash, all bits 0, and match nothing: that two of them look
alike is no evidence that one was copied from the other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

HASHING_VERSION = 2  # part of the keys of stored hashes: counts up when the same pixels give another hash
_SIDE = 16  # coefficients a side: with the usual 8 x 8, different chest X-rays have equal hashes
WORDS = _SIDE**2 // 64  # 64-bit words of a hash
LARGEST_DISTANCE = 8  # of 256 bits
_REDUCED = 4 * _SIDE  # side of the grey image that `phash` looks at
_SMALLEST_DEVIATION = 1.0  # grey levels of 255: what varies less is nothing but noise
_CHUNK = 2**22  # pairs at once
_EXAMPLES = 2

Pair = tuple[int, int]


@dataclass(frozen=True)
class Duplicates:
    """Pairs of near-duplicates within a sample.

    Attributes:
        pairs: number of pairs.
        different: number of those with different labels.
        examples: positions of two pairs with different labels, the lower position first.
        without_hash: number of images that are not compared, because they are of nearly one grey level.
    """

    pairs: int
    different: int
    examples: tuple[Pair, ...]
    without_hash: int


def perceptual_hash(pixels: np.ndarray) -> np.ndarray:
    """The hash of an image, uint64 [WORDS]; all 0 where the image is of nearly one grey level.

    Args:
        pixels: uint8 [height, width, 3].
    """
    import imagehash

    image = Image.fromarray(pixels)
    reduced = np.asarray(image.convert("L").resize((_REDUCED, _REDUCED), Image.Resampling.LANCZOS), dtype=np.float64)
    if reduced.std() < _SMALLEST_DEVIATION:
        return np.zeros(WORDS, dtype=np.uint64)
    return np.packbits(imagehash.phash(image, _SIDE).hash.ravel()).view(np.uint64)


def has_hash(hashes: np.ndarray) -> np.ndarray:
    """Which images have a hash, bool [n].

    Args:
        hashes: uint64 [n, WORDS].
    """
    return np.asarray(hashes.any(axis=1))


def duplicates(hashes: np.ndarray, labels: np.ndarray) -> Duplicates:
    """The near-duplicates within a sample: pairs of images whose hashes differ in at most LARGEST_DISTANCE bits.

    Images of one hash and label are compared once, so memory does not grow with the number of pairs.

    Args:
        hashes: uint64 [n, WORDS].
        labels: [n], or [n, n_labels].
    """
    images = np.flatnonzero(has_hash(hashes))
    kinds = np.unique(labels, axis=0, return_inverse=True)[1].reshape(len(labels))[images].astype(np.uint64)
    _, first, counts = np.unique(np.column_stack([hashes[images], kinds]), axis=0, return_index=True, return_counts=True)
    order = np.argsort(first)
    first, counts = first[order], counts[order]
    distinct, kinds = hashes[images[first]], kinds[first]
    pairs, different = int((counts * (counts - 1) // 2).sum()), 0
    examples: list[Pair] = []
    for start, near in _near(distinct, distinct):
        rows, columns = np.nonzero(near)
        rows += start
        rows, columns = rows[rows < columns], columns[rows < columns]
        weights = counts[rows] * counts[columns]
        other = kinds[rows] != kinds[columns]
        pairs, different = pairs + int(weights.sum()), different + int(weights[other].sum())
        found = zip(images[first[rows[other]]].tolist(), images[first[columns[other]]].tolist(), strict=True)
        examples += list(found)[: _EXAMPLES - len(examples)]
    return Duplicates(pairs, different, tuple(examples), len(hashes) - len(images))


def first_matches(hashes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """For each image the lowest position of a near-duplicate among others, int64 [n]; -1 where there is none.

    Args:
        hashes: uint64 [n, WORDS].
        others: uint64 [m, WORDS].
    """
    matches = np.full(len(hashes), -1, dtype=np.int64)
    images, candidates = np.flatnonzero(has_hash(hashes)), np.flatnonzero(has_hash(others))
    if not len(images) or not len(candidates):
        return matches
    wanted, place = np.unique(hashes[images], axis=0, return_inverse=True)
    _, first = np.unique(others[candidates], axis=0, return_index=True)
    first = np.sort(first)
    found = np.full(len(wanted), -1, dtype=np.int64)
    for start, near in _near(wanted, others[candidates[first]]):
        hit = near.any(axis=1)
        found[start : start + len(near)][hit] = candidates[first[near.argmax(axis=1)[hit]]]
    matches[images] = found[place.reshape(-1)]
    return matches


def examples_by_row(pairs: Sequence[Pair], first: Sequence[int], second: Sequence[int]) -> str:
    """Two of the pairs by the row numbers of their images, such as "rows 4 and 71, 9 and 12".

    Args:
        pairs: positions.
        first, second: row numbers by position.
    """
    return "rows " + ", ".join(f"{first[a]} and {second[b]}" for a, b in pairs[:_EXAMPLES])


def _near(hashes: np.ndarray, others: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Which pairs are near, bool [step, m] for some images of `hashes` at a time, with the position of the first of them."""
    step = max(_CHUNK // max(len(others), 1), 1)
    for start in range(0, len(hashes), step):
        part = hashes[start : start + step]
        distance = np.zeros((len(part), len(others)), dtype=np.uint16)
        for word in range(WORDS):
            distance += np.bitwise_count(part[:, word, None] ^ others[:, word])
        yield start, distance <= LARGEST_DISTANCE
