"""The regularised linear discriminant that SFDA and ETran share."""

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from hf_transferability.metrics._sample import Sample

_SMALLEST_SHRINKAGE = 1e-10


@dataclass(frozen=True)
class Coordinates:
    """Images in a space that is no wider than their number and in which the discriminant is the same.

    Attributes:
        x: [n_samples, n_axes], float64.
        ones: [n_axes], the features' vector of ones in this space.
        n_features: how many features there are.
    """

    x: np.ndarray
    ones: np.ndarray
    n_features: int


def coordinates(sample: Sample) -> Coordinates:
    """The features themselves, or, where they are wider than long, their coordinates on the principal axes.

    Class means and deviations lie in the space of the axes, so that matrices of [n_features, n_features] are not needed.
    """
    n, d = sample.features.shape
    if d <= n:
        return Coordinates(sample.features.astype(np.float64), np.ones(d), d)
    _, directions = sample.axes
    return Coordinates(sample.centred @ directions.T, directions.sum(axis=1), d)


def means_and_within_covariance(x: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Class means [n_classes, n_features] and biased covariance within the classes [n_features, n_features]."""
    means = np.stack([x[codes == k].mean(axis=0) for k in range(codes.max() + 1)])
    deviations = x - means[codes]
    return means, deviations.T @ deviations / len(x)


def adaptive_shrinkage(within: np.ndarray, ones: np.ndarray) -> float:
    """exp(-5 times the largest eigenvalue of the within-class covariance), at least 1e-10: strong for features that
    hardly vary, weak for the others."""
    return max(float(np.exp(-5 * _largest_eigenvalue(within, ones))), _SMALLEST_SHRINKAGE)


def log_posteriors(
    x: np.ndarray, codes: np.ndarray, means: np.ndarray, within: np.ndarray, shrinkage: float, n_features: int
) -> np.ndarray:
    """Log posteriors of the classes [n_samples, n_classes], up to a constant per image.

    The within-class covariance is shrunk by `shrinkage` towards the mean variance of the features, and priors are the
    shares of the classes.
    """
    shrunk = (1 - shrinkage) * within
    shrunk[np.diag_indices(len(within))] += shrinkage * np.trace(within) / n_features
    origin = means.mean(axis=0)  # the posterior does not depend on it, its rounding does
    coefficients = scipy.linalg.cho_solve(scipy.linalg.cho_factor(shrunk), (means - origin).T)
    intercept = np.log(np.bincount(codes) / len(x)) - ((means - origin) * coefficients.T).sum(axis=1) / 2
    return (x - origin) @ coefficients + intercept


def _largest_eigenvalue(within: np.ndarray, ones: np.ndarray) -> float:
    """By three rounds of the power method, as published: close to the largest eigenvalue, not equal to it."""
    right = within @ ones
    left = right
    for _ in range(3):
        left = within @ right
        if not left.any():  # features that cancel out: the published start says nothing
            return float(np.linalg.norm(within, 2))
        left /= np.linalg.norm(left)
        right = within @ left
        right /= np.linalg.norm(right)
    return float(right @ within @ left)
