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

from hf_transferability.escaping.terminal import printable

HASHING_VERSION = 2  # part of the keys of stored hashes: counts up when the same pixels give another hash
_SIDE = 16  # coefficients a side: with the usual 8 x 8, different chest X-rays have equal hashes
WORDS = _SIDE**2 // 64  # 64-bit words of a hash
LARGEST_DISTANCE = 8  # of 256 bits
_REDUCED = 4 * _SIDE  # side of the grey image that `phash` looks at
_SMALLEST_DEVIATION = 1.0  # grey levels of 255: what varies less is nothing but noise
_CHUNK = 2**20  # pairs at once
_BLOCK = 2**12  # hashes at once, which stay in the processor's cache
_CROWDED = 0.1  # share of all pairs that have an equal part, above which all are compared
_EXAMPLES = 2

Pair = tuple[int, int]


@dataclass(frozen=True)
class Origins:
    """Where images are from.

    Attributes:
        rows: row number by position, counted from 0.
        files: folder and file by position, "" for none; empty where no image is a file.
    """

    rows: Sequence[int]
    files: Sequence[str] = ()


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
    by_kind, starts, place = _grouped(kinds)
    examples: list[Pair] = []
    for start, near in _near(distinct, distinct):
        rows = np.arange(start, start + len(near))
        near &= np.arange(len(distinct)) > rows[:, None]  # each pair once
        of_kind = np.add.reduceat(near[:, by_kind] * counts[by_kind], starts, axis=1)
        total = of_kind.sum(axis=1)
        others = total - of_kind[np.arange(len(near)), place[rows]]
        pairs, different = pairs + int(total @ counts[rows]), different + int(others @ counts[rows])
        for row in rows[others > 0][: _EXAMPLES - len(examples)]:
            columns = np.flatnonzero(near[row - start] & (kinds != kinds[row]))[: _EXAMPLES - len(examples)]
            examples += [(int(images[first[row]]), int(images[first[column]])) for column in columns]
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


def examples_by_row(pairs: Sequence[Pair], first: Origins, second: Origins) -> str:
    """Two of the pairs by the row numbers of their images, such as "rows 4 and 71, 9 and 12, counted from 0"; for what is kept.

    Args:
        pairs: positions.
        first, second: where the images are from.
    """
    shown = ", ".join(f"{first.rows[a]} and {second.rows[b]}" for a, b in pairs[:_EXAMPLES])
    return f"rows {shown}, counted from 0"


def examples_by_file(pairs: Sequence[Pair], first: Origins, second: Origins) -> str:
    """As `examples_by_row`, by folder and file where the images are files; for the user, as names of files may name patients.

    Args:
        pairs, first, second: as in `examples_by_row`.
    """
    named = [(first.files[a], second.files[b]) for a, b in pairs[:_EXAMPLES]] if first.files and second.files else []
    if not named or not all("/" in file for pair in named for file in pair):
        return examples_by_row(pairs, first, second)
    return ", ".join(f"{printable(one)} and {printable(other)}" for one, other in named)


def _grouped(kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The positions [n] sorted by kind, where each kind begins among them, and the number of each position's kind [n]."""
    by_kind = np.argsort(kinds, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(kinds[by_kind]) != 0]) if len(kinds) else np.empty(0, np.int64)
    return by_kind, starts, np.unique(kinds, return_inverse=True)[1]


def _near(hashes: np.ndarray, others: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Which pairs are near, bool [step, m] for some images of `hashes` at a time, with the position of the first of them.

    Two hashes that differ in at most LARGEST_DISTANCE bits have an equal part, if they are cut into one part more than that. So
    only pairs with an equal part are compared, unless these are so many that comparing all is cheaper.
    """
    step = max(_CHUNK // max(len(others), 1), 1)
    index = [_sorted(part) for part in _parts(others)]
    parts = _parts(hashes)
    for start in range(0, len(hashes), step):
        rows = hashes[start : start + step]
        near = np.zeros((len(rows), len(others)), dtype=bool)
        ranges = [
            (
                order,
                np.searchsorted(values, keys[start : start + step]),
                np.searchsorted(values, keys[start : start + step], "right"),
            )
            for keys, (values, order) in zip(parts, index, strict=True)
        ]
        if sum(int((end - begin).sum()) for _, begin, end in ranges) > _CROWDED * near.size:
            near |= _all_distances(rows, others) <= LARGEST_DISTANCE
        else:
            for order, begin, end in ranges:
                counts = end - begin
                row = np.repeat(np.arange(len(rows)), counts)
                within = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
                column = order[np.repeat(begin, counts) + within]
                distance = np.bitwise_count(rows[row] ^ others[column]).sum(axis=1)
                close = distance <= LARGEST_DISTANCE
                near[row[close], column[close]] = True
        yield start, near


def _parts(hashes: np.ndarray) -> list[np.ndarray]:
    """LARGEST_DISTANCE + 1 parts of every hash, each of bits from all over the image, uint32 [n] each."""
    bits = np.unpackbits(np.ascontiguousarray(hashes).view(np.uint8).reshape(len(hashes), 8 * WORDS), axis=1)
    n_parts = LARGEST_DISTANCE + 1
    return [
        np.pad(packed := np.packbits(bits[:, part::n_parts], axis=1), ((0, 0), (0, 4 - packed.shape[1]))).view(np.uint32)[:, 0]
        for part in range(n_parts)
    ]


def _sorted(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(values, kind="stable")
    return values[order], order


def _all_distances(hashes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The number of different bits of all pairs, uint16 [n, m]."""
    distance = np.zeros((len(hashes), len(others)), dtype=np.uint16)
    words = np.ascontiguousarray(others.T)
    for start in range(0, len(others), _BLOCK):
        end = min(start + _BLOCK, len(others))
        differing = np.empty(end - start, dtype=np.uint64)
        for i, one in enumerate(hashes):
            for word in range(WORDS):
                np.bitwise_xor(words[word, start:end], one[word], out=differing)
                distance[i, start:end] += np.bitwise_count(differing)
    return distance
