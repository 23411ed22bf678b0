"""Near-duplicate images, by perceptual hashes: one image stored twice, re-encoded, resized or slightly brighter.

A hash is imagehash's `phash` of 16 x 16 coefficients, 256 bits. The threshold is strict, because medical images look alike.
docs/ranking.md says what it finds and misses in eleven datasets.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

_SIDE = 16  # coefficients a side: with the usual 8 x 8, different chest X-rays have equal hashes
WORDS = _SIDE**2 // 64  # 64-bit words of a hash
LARGEST_DISTANCE = 8  # of 256 bits
_CHUNK = 2**22  # pairs at once
_EXAMPLES = 2


def perceptual_hash(pixels: np.ndarray) -> np.ndarray:
    """The hash of an image, uint64 [WORDS].

    Args:
        pixels: uint8 [height, width, 3].
    """
    import imagehash

    bits = imagehash.phash(Image.fromarray(pixels), _SIDE).hash
    return np.packbits(bits.ravel()).view(np.uint64)


def near_pairs(hashes: np.ndarray, others: np.ndarray | None = None) -> np.ndarray:
    """Pairs of images whose hashes differ in at most LARGEST_DISTANCE bits, int64 [n_pairs, 2], sorted.

    Args:
        hashes: uint64 [n, WORDS].
        others: uint64 [m, WORDS]: pairs are (image of `hashes`, image of `others`). None for pairs within `hashes`, the lower
            position first.
    """
    within = others is None
    others = hashes if others is None else others
    step = max(_CHUNK // max(len(others), 1), 1)
    found = [np.empty((0, 2), dtype=np.int64)]
    for start in range(0, len(hashes), step):
        distance = np.zeros((len(hashes[start : start + step]), len(others)), dtype=np.uint16)
        for word in range(WORDS):
            distance += np.bitwise_count(hashes[start : start + step, word, None] ^ others[:, word])
        first, second = np.nonzero(distance <= LARGEST_DISTANCE)
        pairs = np.stack([first + start, second], axis=1)
        found.append(pairs[pairs[:, 0] < pairs[:, 1]] if within else pairs)
    return np.concatenate(found)


def examples(pairs: np.ndarray, first: Sequence[int], second: Sequence[int]) -> str:
    """Two of the pairs by the row numbers of their images, such as "rows 4 and 71, 9 and 12".

    Args:
        pairs: [n_pairs, 2], positions.
        first, second: row numbers by position.
    """
    return "rows " + ", ".join(f"{first[a]} and {second[b]}" for a, b in pairs[:_EXAMPLES].tolist())
