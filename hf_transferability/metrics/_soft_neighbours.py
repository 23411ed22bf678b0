"""The objective of neighbourhood components analysis: how often a soft neighbour of an image is of its class.

An image picks another with a probability that falls with exp(-squared distance). Distances are symmetric, so half of
them are computed. Where all but a few of an image's probabilities are below rounding, as soon happens while the
projection is learned, the rest of the work is done on these few; else on all pairs, with one exponential for both
directions of a pair.
"""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array

_BLOCK = 128
# What is smaller by such a factor exp(-...) than an image's largest probability is lost in the rounding of their sum.
_NEGLIGIBLE = {np.dtype(np.float64): 40.0, np.dtype(np.float32): 30.0}
# Exponents for which no product below is beyond the numbers of the type, or so small that processors compute a hundred times
# slower with it: of the nearest neighbours against their median, and of any pair.
_FARTHEST = {np.dtype(np.float64): 250.0, np.dtype(np.float32): 35.0}
_SMALLEST = {np.dtype(np.float64): -300.0, np.dtype(np.float32): -70.0}
_FEW = 0.06  # share of pairs up to which sparse products are faster
_LOOKED_AT = 16  # one row in so many tells the share

Map = Callable[..., Iterable[Any]]


@dataclass(frozen=True)
class _Block:
    """Some rows of the images, sorted by class, and all columns from their first: `same` are their pairs of one class, as
    slices of rows and columns of the block."""

    start: int
    stop: int
    same: tuple[tuple[slice, slice], ...]


@dataclass(frozen=True)
class _Pairs:
    """Pairs of images [n_pairs]: how probable, up to a factor of the image, each of them picks the other, and whether they are
    of one class."""

    rows: np.ndarray
    columns: np.ndarray
    outward: np.ndarray
    inward: np.ndarray
    same: np.ndarray


class SoftNeighbours:
    """The objective for images sorted by class.

    Args:
        codes: [n_samples], classes as 0..n_classes-1, rising.
        do: `map`, or that of a pool of threads.
    """

    def __init__(self, codes: np.ndarray, do: Map = map):
        edges = np.concatenate([[0], np.cumsum(np.bincount(codes))]).tolist()
        n = len(codes)
        self._codes, self._do = codes, do
        self._blocks = [_block(start, min(start + _BLOCK, n), edges) for start in range(0, n, _BLOCK)]
        self._not_above = {size: np.tri(size, dtype=bool) for size in {block.stop - block.start for block in self._blocks}}

    def value_and_pull(self, z: np.ndarray) -> tuple[float, np.ndarray]:
        """Sum over images of the probability p_i of a neighbour of the same class, and half its gradient by z.

        With P the probabilities and W = P * (same class - p_i): (W + W') z - diag(row sums of W + W') z. The row sums of W
        are zero.

        Args:
            z: [n_samples, n_dimensions], float32 or float64, which decides the precision.
        """
        squares = np.einsum("ij,ij->i", z, z)
        doubled = 2 * z.T

        def distances(block: _Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            far = z[block.start : block.stop] @ doubled[:, block.start :]
            np.subtract(squares[block.start :], far, out=far)
            far += squares[block.start : block.stop, None]
            size = block.stop - block.start
            far[:, :size][self._not_above[size]] = np.inf
            by_row = far.min(axis=1)
            if by_row.min() < 0:  # rounding can make a squared distance negative, of images far from zero by much
                np.maximum(far, 0.0, out=far)
                np.maximum(by_row, 0.0, out=by_row)
            return far, by_row, far.min(axis=0)

        nearest = np.full(len(z), np.inf, dtype=z.dtype)
        pairs = []
        for block, (far, by_row, by_column) in zip(self._blocks, self._do(distances, self._blocks), strict=True):
            pairs.append(far)
            np.minimum(nearest[block.start : block.stop], by_row, out=nearest[block.start : block.stop])
            np.minimum(nearest[block.start :], by_column, out=nearest[block.start :])
        with_ones = np.concatenate([z, np.ones((len(z), 1), dtype=z.dtype)], axis=1)
        middle = np.median(nearest)
        near = np.abs(nearest - middle).max() < _FARTHEST[z.dtype]
        many = self._share(pairs, nearest) > _FEW
        if near and many:
            value, pull = self._of_all_pairs(pairs, nearest, with_ones)
        else:
            # One after the other where they are many, so that lists of pairs take no more memory than the distances.
            at_once = [[number] for number in range(len(pairs))] if many else [list(range(len(pairs)))]
            value, pull = self._of_few_pairs(pairs, at_once, nearest, with_ones)
        return value, pull[:, :-1] - pull[:, -1:] * z

    def _share(self, pairs: list[np.ndarray], nearest: np.ndarray) -> float:
        """About which share of the pairs is not negligible."""
        reach = nearest + _NEGLIGIBLE[nearest.dtype]
        found, looked = 0, 0
        for block, far in zip(self._blocks, pairs, strict=True):
            rows = far[::_LOOKED_AT]
            limits = np.maximum(reach[block.start : block.stop : _LOOKED_AT, None], reach[block.start :])
            found += int(np.count_nonzero(rows <= limits))
            looked += rows.size
        return found / looked

    def _of_few_pairs(
        self, pairs: list[np.ndarray], at_once: list[list[int]], nearest: np.ndarray, z: np.ndarray
    ) -> tuple[float, np.ndarray]:
        n = len(z)
        sums, same_sums = np.zeros((2, n))
        for numbers in at_once:
            listed = self._list(pairs, numbers, nearest)
            for images, weights in ((listed.rows, listed.outward), (listed.columns, listed.inward)):
                sums += np.bincount(images, weights, n)
                same_sums += np.bincount(images, weights * listed.same, n)
        p = same_sums / sums
        shares, sums = p.astype(z.dtype), sums.astype(z.dtype)
        pull = np.zeros_like(z)
        for numbers in at_once:
            if len(at_once) > 1:
                listed = self._list(pairs, numbers, nearest)
            weights = listed.outward * ((listed.same - shares[listed.rows]) / sums[listed.rows])
            weights += listed.inward * ((listed.same - shares[listed.columns]) / sums[listed.columns])
            starts = np.concatenate([[0], np.cumsum(np.bincount(listed.rows, minlength=n))])
            w = csr_array((weights, listed.columns, starts), shape=(n, n))
            pull += w @ z + w.T @ z
        return float(p.sum()), pull

    def _list(self, pairs: list[np.ndarray], numbers: list[int], nearest: np.ndarray) -> "_Pairs":
        """The pairs of some blocks that are not negligible."""
        reach = nearest + _NEGLIGIBLE[nearest.dtype]

        def kept(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            block, far = self._blocks[number], pairs[number]
            limits = np.maximum(reach[block.start : block.stop, None], reach[block.start :])
            places = np.flatnonzero(far <= limits)
            row, column = np.divmod(places, far.shape[1])
            return row + block.start, column + block.start, far.ravel()[places]

        rows, columns, far = map(np.concatenate, zip(*self._do(kept, numbers), strict=True))
        smallest = _SMALLEST[nearest.dtype]
        outward, inward = (np.exp(np.clip(nearest[images] - far, smallest, 0.0)) for images in (rows, columns))
        same = (self._codes[rows] == self._codes[columns]).astype(nearest.dtype)
        return _Pairs(rows, columns, outward, inward, same)

    def _of_all_pairs(self, pairs: list[np.ndarray], nearest: np.ndarray, z: np.ndarray) -> tuple[float, np.ndarray]:
        n, dtype = len(z), z.dtype
        middle, smallest = np.median(nearest), _SMALLEST[dtype]

        def exponentials(block: _Block, far: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            # In the place of the distances. One of a pair that is not above the diagonal is infinite, so 0 here.
            np.subtract(middle, far, out=far)
            np.maximum(far, smallest, out=far)
            np.exp(far, out=far)
            size = block.stop - block.start
            far[:, :size][self._not_above[size]] = 0.0
            sums, same_sums = np.zeros((2, n), dtype=dtype)
            sums[block.start :] += far.sum(axis=0)
            sums[block.start : block.stop] += far.sum(axis=1)
            for row, column in block.same:
                part = far[row, column]
                same_sums[block.start + row.start : block.start + row.stop] += part.sum(axis=1)
                same_sums[block.start + column.start : block.start + column.stop] += part.sum(axis=0)
            return sums, same_sums

        sums, same_sums = np.sum(list(self._do(exponentials, self._blocks, pairs)), axis=0)
        scale = 1 / sums
        p = same_sums * scale
        unlike, like = -p * scale, (1 - p) * scale

        def products(block: _Block, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            factors = np.add(unlike[block.start : block.stop, None], unlike[block.start :])
            for row, column in block.same:
                rows = slice(block.start + row.start, block.start + row.stop)
                columns = slice(block.start + column.start, block.start + column.stop)
                np.add(like[rows, None], like[columns], out=factors[row, column])
            w *= factors
            return w @ z[block.start :], w.T @ z[block.start : block.stop]

        pull = np.zeros_like(z)
        # In the order of the blocks, so that the result does not depend on which thread ends first.
        for block, (forward, backward) in zip(self._blocks, self._do(products, self._blocks, pairs), strict=True):
            pull[block.start : block.stop] += forward
            pull[block.start :] += backward
        return float(p.sum()), pull


def _block(start: int, stop: int, edges: list[int]) -> _Block:
    classes = [(low, high) for low, high in itertools.pairwise(edges) if low < stop and high > start]
    same = tuple(
        (slice(max(low, start) - start, min(high, stop) - start), slice(max(low, start) - start, high - start))
        for low, high in classes
    )
    return _Block(start, stop, same)
