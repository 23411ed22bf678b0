"""Feature quality, the forward part of the metric of Juodelyte et al., "On dataset transferability in medical image
classification", 2024, https://arxiv.org/abs/2412.20172: neighbourhood components analysis (Goldberger et al., NIPS
2004), then 5 nearest neighbours.

The objective, initialisation, optimiser and stopping rule are those of scikit-learn's NeighborhoodComponentsAnalysis.
What differs is the arithmetic: images sorted by class make the class mask a set of blocks, the n x n work is done in
place, and features wider than the sample are first rotated into the span of the images, which changes nothing but
rounding.
"""

import itertools
import os
import warnings
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import numpy as np
from scipy.optimize import minimize
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits

from hf_transferability.metrics._flags import warn
from hf_transferability.metrics._groups import check_neighbours, encode_groups, neighbours_outside
from hf_transferability.metrics._registry import register
from hf_transferability.metrics._sample import seeded_subsample
from hf_transferability.metrics._validation import check_features, check_varying, encode_labels

_DIMENSIONS = 50
_ITERATIONS = 50
_TOLERANCE = 1e-5
_NEIGHBOURS = 5
_CHUNK = 128
_LARGEST_SAMPLE = 4000  # above this a seeded subsample: time and memory grow with the square


@register(
    inputs=("features", "labels"),
    range=(0.0, 1.0),
    unit="share",
    title="feature quality",
    largest_sample=_LARGEST_SAMPLE,
    paper="Juodelyte et al. 2024, https://arxiv.org/abs/2412.20172",
    invariances={"sample_order": 0.03, "label_names": 0.03},
    smallest_n=5,
)
def feature_quality(*, features: Any, labels: Any, groups: Any = None, seed: int = 42) -> float:
    """Mean share of an image's own class among its 5 nearest neighbours, itself included, in a learned linear
    projection.

    A share, from 0.2 (the image alone) to 1, lower only with duplicate images; comparable between candidates on one
    sample. The projection to min(50, d) dimensions maximises the expected leave-one-out accuracy of a soft neighbour
    rule, by at most 50 iterations of L-BFGS. It is fitted and evaluated on the same images, so the value is optimistic:
    compare it with the value that shuffled labels give. The optimiser's path amplifies rounding: expect differences up
    to 0.03 between machines.

    With groups, the 5 neighbours come from other groups only, so that the image itself and other images of one patient
    do not count: 0 to 1, lower than without groups, and not to be compared with it. The projection is the same.

    Args:
        features: [n_samples, n_features], float; computed in float64.
        labels: [n_samples], classes of any kind.
        groups: [n_samples], of any kind: images that belong together, such as those of a patient; None for none.
        seed: decides the initial projection (a randomised PCA) and the subsample above 4,000 images.

    Returns:
        The mean share. Flags: n<=d, subsampled, single_image_class.

    Raises:
        ValueError, TypeError: input that is not finite, does not match in length, has one class, never varies, or has
            fewer than 5 images (with groups: outside a group).

    Cost: 50 iterations of O(n^2 + n d), n at most 4,000. Smallest n: 5.

    Example:
        >>> import numpy as np
        >>> x = np.array([[0.0], [0.1], [0.2], [0.3], [0.4], [9.0], [9.1], [9.2], [9.3], [9.4]])
        >>> feature_quality(features=x, labels=[0] * 5 + [1] * 5)
        1.0
    """
    x = check_features(features).astype(np.float64)  # float32 rounding would send the optimiser down another path
    n_samples = len(x)
    codes, _ = encode_labels(labels, n_samples)
    check_varying(x)
    if len(x) < _NEIGHBOURS:
        raise ValueError(f"`features` must have at least {_NEIGHBOURS} rows; got {len(x)}. Take a larger sample.")
    if len(x) <= x.shape[1]:
        warn("n<=d", f"{len(x)} images, {x.shape[1]} features")
    rows = seeded_subsample([codes], _LARGEST_SAMPLE, seed)
    x, codes = x[rows], codes[rows]
    if groups is not None:
        groups = encode_groups(groups, n_samples)[rows]
        check_neighbours(groups, _NEIGHBOURS)
    # One BLAS thread, beside threads of our own: on matrices this small BLAS threads cost more than they bring.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
        start = _initial_projection(x, codes, seed)
        projected = x @ _neighbourhood_components(x, codes, start, pool).T
        if groups is not None:
            nearest = neighbours_outside(projected, groups, _NEIGHBOURS)
            return float((codes[nearest] == codes[:, None]).mean())
        neighbours = KNeighborsClassifier(_NEIGHBOURS).fit(projected, codes)
        shares = neighbours.predict_proba(projected)[np.arange(len(x)), codes]
    return float(shares.mean())


def _initial_projection(x: np.ndarray, codes: np.ndarray, seed: int) -> np.ndarray:
    n, d = x.shape
    dimensions = min(_DIMENSIONS, d)
    with warnings.catch_warnings():
        # Constant or duplicate features make the decompositions divide by zero variances that nothing here uses.
        warnings.simplefilter("ignore")
        if dimensions <= min(d, codes.max()):
            # No discriminant where nothing varies within the classes, or their means are one.
            if (x != x[np.unique(codes, return_index=True)[1]][codes]).any():
                scalings = LinearDiscriminantAnalysis(n_components=dimensions).fit(x, codes).scalings_
                if scalings.size:
                    return scalings.T[:dimensions]
        elif dimensions < min(d, n):
            return PCA(n_components=dimensions, random_state=seed).fit(x).components_
    return np.eye(dimensions, d)


def _neighbourhood_components(x: np.ndarray, codes: np.ndarray, start: np.ndarray, pool: Executor) -> np.ndarray:
    """The learned projection [n_dimensions, n_features]."""
    order = np.argsort(codes, kind="stable")
    x, codes = x[order], codes[order]
    basis = None
    if x.shape[1] > x.shape[0]:
        _, _, basis = np.linalg.svd(x, full_matrices=False)
        x, start = x @ basis.T, start @ basis.T
    edges = np.concatenate([[0], np.cumsum(np.bincount(codes))])
    classes = [slice(a, b) for a, b in itertools.pairwise(edges)]
    chunks = [(slice(a, min(a + _CHUNK, own.stop)), own) for own in classes for a in range(own.start, own.stop, _CHUNK)]

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        projected = x @ flat.reshape(start.shape).T
        value, pull = _soft_neighbour_accuracy(projected, chunks, pool)
        return -value, (-2 * (pull.T @ x)).ravel()

    result = minimize(objective, start.ravel(), method="L-BFGS-B", jac=True, tol=_TOLERANCE, options={"maxiter": _ITERATIONS})
    learned = result.x.reshape(start.shape)
    return learned if basis is None else learned @ basis


def _soft_neighbour_accuracy(z: np.ndarray, chunks: list[tuple[slice, slice]], pool: Executor) -> tuple[float, np.ndarray]:
    """Sum over images of the probability p_i of a soft neighbour of the own class, and half its gradient by z [n,
    n_dimensions].

    With P the soft neighbour probabilities and W = P * (same class - p_i): W z + W' z - diag(column sums of W) z. A
    chunk of rows with the class they belong to stays in the processor's cache through every step.
    """
    squares = np.einsum("ij,ij->i", z, z)

    def part(rows: slice, own: slice) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        w = z[rows] @ (2 * z.T)
        w -= squares[rows, None]
        w -= squares
        np.minimum(w, 0.0, out=w)  # rounding can make a squared distance negative
        w[np.arange(len(w)), np.arange(rows.start, rows.stop)] = -np.inf
        w -= w.max(axis=1, keepdims=True)
        np.exp(w, out=w)
        w /= w.sum(axis=1, keepdims=True)
        same = w[:, own].copy()
        p = same.sum(axis=1, keepdims=True)
        w *= -p
        w[:, own] += same
        return float(p.sum()), w @ z, w.T @ z[rows], w.sum(axis=0)

    value, pull, column_sums = 0.0, np.zeros_like(z), np.zeros(len(z))
    # In the order of the chunks, so that the result does not depend on which thread ends first.
    for (rows, _), (p, forward, backward, sums) in zip(chunks, pool.map(part, *zip(*chunks, strict=True)), strict=True):
        value += p
        pull[rows] += forward
        pull += backward
        column_sums += sums
    return value, pull - column_sums[:, None] * z
