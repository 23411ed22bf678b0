"""The features of a sample, with what several metrics compute from them, computed once."""

import functools
from collections.abc import Callable, Hashable, Iterator
from typing import Any, TypeVar

import numpy as np

from hf_transferability.metrics._flags import warn
from hf_transferability.metrics._validation import check_features

T = TypeVar("T")

_NUMBERS = 2**20  # of a temporary array
_SMALLEST_EIGENVALUE = 1e-12  # relative to the largest: what is below is rounding


class Sample:
    """Checked features, and their principal axes. Metrics take it in place of an array of features.

    Attributes:
        features: [n_samples, n_features], float32 or float64, finite; never written to.
    """

    def __init__(self, features: Any):
        """Check the features; `check_features` says which errors it raises."""
        self.features = check_features(features)
        self._shared: dict[Hashable, Any] = {}

    def shared(self, key: Hashable, make: Callable[[], T]) -> T:
        """What several metrics make of the features and something else, which the key names, made once."""
        if key not in self._shared:
            self._shared[key] = make()
        return self._shared[key]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """The features, so that a metric may take a sample for an array."""
        return np.array(self.features, dtype=dtype) if copy else np.asarray(self.features, dtype=dtype)

    @functools.cached_property
    def centred(self) -> np.ndarray:
        """Features minus their column means, float64; not to be written to."""
        x = centred(self.features)
        x.flags.writeable = False
        return x

    @functools.cached_property
    def axes(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues of the scatter matrix (centred.T @ centred), falling, and their directions [n_axes, n_features].

        All min(n_samples, n_features) of them. The sign of a direction makes its largest weight positive, as in
        scikit-learn, so that it does not depend on the order of the images.
        """
        x = self.centred
        if len(x) > x.shape[1]:
            eigenvalues, vectors = np.linalg.eigh(x.T @ x)
            eigenvalues, directions = np.maximum(eigenvalues[::-1], 0.0), vectors[:, ::-1].T
        else:
            _, singular, directions = np.linalg.svd(x, full_matrices=False)
            eigenvalues = singular**2
        largest = np.abs(directions).argmax(axis=1)
        return eigenvalues, directions * np.sign(directions[np.arange(len(directions)), largest])[:, None]

    def principal_directions(self, *, dimensions: int | None = None, variance: float = 1.0) -> np.ndarray:
        """The widest directions [n_directions, n_features], without those that are nothing but rounding.

        At most `dimensions`, and no more than it takes to pass `variance`, a share of the whole.
        """
        eigenvalues, directions = self.axes
        count = int((eigenvalues > eigenvalues[0] * _SMALLEST_EIGENVALUE).sum())
        shares = np.cumsum(eigenvalues[:count])
        shares /= shares[-1]
        return directions[: min(count, dimensions or count, int(np.searchsorted(shares, variance, side="right")) + 1)]

    def principal_components(self, *, dimensions: int | None = None, variance: float = 1.0) -> np.ndarray:
        """Projection of the images on `principal_directions` [n_samples, n_directions]."""
        return self.centred @ self.principal_directions(dimensions=dimensions, variance=variance).T

    def part(self, rows: np.ndarray | slice) -> "Sample":
        """The sample of some of its images; itself for all of them."""
        return self if isinstance(rows, slice) and rows == slice(None) else Sample(self.features[rows])


def as_sample(features: Any) -> Sample:
    """A sample as it is, anything else checked as features."""
    return features if isinstance(features, Sample) else Sample(features)


def chunks(length: int, width: int) -> Iterator[slice]:
    """All rows of an array of `width` columns, so many at a time that what is computed from them takes little memory."""
    rows = max(_NUMBERS // max(width, 1), 1)
    return (slice(start, min(start + rows, length)) for start in range(0, length, rows))


def centred(x: np.ndarray) -> np.ndarray:
    """x minus its column means, in float64; a constant column becomes zero, which rounding of its mean would prevent."""
    x = x.astype(np.float64) - x[0].astype(np.float64)
    return x - x.mean(axis=0)


def first_of_equal_rows(x: np.ndarray) -> np.ndarray:
    """Position of the first row that is the same bit by bit, for each row [n]."""
    rows = np.ascontiguousarray(x).view(np.dtype((np.void, x.shape[1] * x.itemsize))).ravel()
    _, first, inverse = np.unique(rows, return_index=True, return_inverse=True)
    return first[inverse]


def seeded_subsample(targets: list[np.ndarray], largest: int, seed: int) -> np.ndarray | slice:
    """Rows to keep, in their order: all of them, or about `largest` with two images of every class of every target
    among them.

    It looks at nothing but the labels, so that all candidates of one sample are scored on the same images. Warns with
    `subsampled`.
    """
    n = len(targets[0])
    if n <= largest:
        return slice(None)
    order = np.random.default_rng(seed).permutation(n)
    first = np.zeros(n, dtype=bool)
    for codes in targets:
        for code in range(codes.max() + 1):
            first[np.flatnonzero(codes[order] == code)[:2]] = True
    chosen = np.concatenate([order[first], order[~first]])[: max(largest, int(first.sum()))]
    warn("subsampled", f"{len(chosen)} of {n} images")
    return np.sort(chosen)
