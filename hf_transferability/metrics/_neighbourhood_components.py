"""Neighbourhood components analysis (Goldberger et al., NIPS 2004), with scikit-learn's objective, optimiser and stopping
rule.

Faster than scikit-learn's by its arithmetic: images sorted by class make the class mask a set of blocks, the n x n work
is done in place on chunks of rows that fit the processor's cache, features wider than the sample are first rotated into
the span of the images, and no probability is so small that products with it are denormal numbers, with which processors
compute a hundred times slower.
"""

import itertools
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.optimize import minimize

ITERATIONS = 50
_TOLERANCE = 1e-5
_CHUNK = 128
_THREADS_FROM = 1500  # below so many images threads cost more than they bring
_MOST_THREADS = 8
# exp of this is far below the rounding of a sum of probabilities, and its square, times a distance, is a normal number.
_SMALLEST_EXPONENT = {np.dtype(np.float64): -300.0, np.dtype(np.float32): -30.0}

Part = tuple[float, np.ndarray, np.ndarray, np.ndarray]


def neighbourhood_components(x: np.ndarray, codes: np.ndarray, start: np.ndarray, iterations: int = ITERATIONS) -> np.ndarray:
    """The learned projection [n_dimensions, n_features].

    Args:
        x: [n_samples, n_features], float32 or float64, which decides the precision of the n x n work.
        codes: [n_samples], classes as 0..n_classes-1, each with at least one image.
        start: [n_dimensions, n_features], where the optimiser starts.
        iterations: of the optimiser at most.
    """
    order = np.argsort(codes, kind="stable")
    x, codes = x[order], codes[order]
    basis = None
    if x.shape[1] > x.shape[0]:
        _, _, basis = np.linalg.svd(x, full_matrices=False)
        x, start = x @ basis.T, start @ basis.T
    edges = np.concatenate([[0], np.cumsum(np.bincount(codes))])
    classes = [slice(a, b) for a, b in itertools.pairwise(edges.tolist())]
    chunks = [
        (slice(first, min(first + _CHUNK, rows.stop)), rows)
        for rows in classes
        for first in range(rows.start, rows.stop, _CHUNK)
    ]
    threads = min(os.cpu_count() or 1, _MOST_THREADS) if len(x) >= _THREADS_FROM else 1
    with ThreadPoolExecutor(threads) as pool:
        do: Callable[..., Iterable[Part]] = pool.map if threads > 1 else map

        def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
            projected = x @ flat.reshape(start.shape).T.astype(x.dtype)
            value, pull = _soft_neighbour_accuracy(projected, chunks, do)
            return -value, (-2 * (pull.T @ x)).ravel().astype(np.float64)

        result = minimize(
            objective, start.ravel(), method="L-BFGS-B", jac=True, tol=_TOLERANCE, options={"maxiter": iterations}
        )
    learned = result.x.reshape(start.shape)
    return learned if basis is None else learned @ basis


def _soft_neighbour_accuracy(
    z: np.ndarray, chunks: list[tuple[slice, slice]], do: Callable[..., Iterable[Part]]
) -> tuple[float, np.ndarray]:
    """Sum over images of the probability p_i of a soft neighbour of the same class, and half its gradient by z [n,
    n_dimensions].

    With P the soft neighbour probabilities and W = P * (same class - p_i): W z + W' z - diag(column sums of W) z. A
    chunk of rows with the class they belong to stays in the processor's cache through every step.
    """
    squares = np.einsum("ij,ij->i", z, z)
    doubled = 2 * z.T

    def part(rows: slice, members: slice) -> Part:
        w = z[rows] @ doubled
        w -= squares[rows, None]
        w -= squares
        image = np.arange(len(w)), np.arange(rows.start, rows.stop)
        w[image] = -np.inf
        largest = w.max(axis=1, keepdims=True)
        if largest.max() > 0:  # rounding can make a squared distance negative
            np.minimum(w, 0.0, out=w)
            largest = np.minimum(largest, 0.0)
        w -= largest
        np.maximum(w, _SMALLEST_EXPONENT[w.dtype], out=w)
        np.exp(w, out=w)
        w[image] = 0.0
        w /= w.sum(axis=1, keepdims=True)
        same = w[:, members].copy()
        p = same.sum(axis=1, keepdims=True)
        w *= -p
        w[:, members] += same
        return float(p.sum()), w @ z, w.T @ z[rows], w.sum(axis=0)

    value, pull, column_sums = 0.0, np.zeros_like(z), np.zeros_like(squares)
    # In the order of the chunks, so that the result does not depend on which thread ends first.
    for (rows, _), (p, forward, backward, sums) in zip(chunks, do(part, *zip(*chunks, strict=True)), strict=True):
        value += p
        pull[rows] += forward
        pull += backward
        column_sums += sums
    return value, pull - column_sums[:, None] * z
