"""Exact principal components, shared by the metrics that start from them."""

import numpy as np


def centred(x: np.ndarray) -> np.ndarray:
    """x minus its column means, in float64; a constant column becomes zero, which rounding of its mean would prevent."""
    x = x.astype(np.float64) - x[0].astype(np.float64)
    return x - x.mean(axis=0)


def principal_components(x: np.ndarray, *, dimensions: int | None = None, variance: float = 1.0) -> np.ndarray:
    """Projection of the images [n_samples, n_kept], widest direction first; without directions that are nothing but
    rounding.

    At most `dimensions` directions, and no more than it takes to pass `variance`, a share of the whole. The sign of a
    direction makes its largest weight positive, as in scikit-learn, so that it does not depend on the order of the
    images.
    """
    x = centred(x)
    if len(x) > x.shape[1]:
        squared, vectors = np.linalg.eigh(x.T @ x)
        squared, directions = np.maximum(squared[::-1], 0.0), vectors[:, ::-1].T
    else:
        _, singular, directions = np.linalg.svd(x, full_matrices=False)
        squared = singular**2
    kept = int((squared > squared[0] * 1e-12).sum())
    shares = np.cumsum(squared[:kept])
    shares /= shares[-1]
    kept = min(kept, dimensions or kept, int(np.searchsorted(shares, variance, side="right")) + 1)
    directions = directions[:kept]
    largest = np.abs(directions).argmax(axis=1)
    return x @ (directions * np.sign(directions[np.arange(kept), largest])[:, None]).T
