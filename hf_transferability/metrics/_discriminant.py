"""The regularised linear discriminant that SFDA and ETran share."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
from scipy.special import softmax

from hf_transferability.metrics._flags import warn
from hf_transferability.metrics._sample import Sample, chunks
from hf_transferability.metrics._validation import check_varying, encode_labels

_SMALLEST_SHRINKAGE = 1e-10
_SATURATED = 0.999  # a mean posterior above it


@dataclass(frozen=True)
class Discriminant:
    """A discriminant of the images of a sample, fitted on themselves.

    Attributes:
        codes: [n_samples], int.
        means: [n_classes, n_axes], in the space of `Coordinates`.
        shrinkage: see `adaptive_shrinkage`.
        log_posteriors: [n_samples, n_classes], up to a constant per image; not to be written to.
    """

    codes: np.ndarray
    means: np.ndarray
    shrinkage: float
    log_posteriors: np.ndarray


def discriminant(sample: Sample, labels: Any) -> Discriminant:
    """Check a sample and fit its discriminant, once for all metrics that take it. Warns with n<=d.

    Raises:
        ValueError, TypeError: labels that do not match or are of one class, features that do not vary within classes.
    """
    n, d = sample.features.shape
    codes, _ = encode_labels(labels, n)
    check_varying(sample.features, codes)
    if n <= d:
        warn("n<=d", f"{n} images, {d} features")
    return sample.shared(("discriminant", codes.tobytes()), lambda: _fitted(sample, codes))


def _fitted(sample: Sample, codes: np.ndarray) -> Discriminant:
    space = coordinates(sample)
    means, within = means_and_within_covariance(space.x, codes)
    shrinkage = adaptive_shrinkage(within, space.ones)
    logs = log_posteriors(space.x, codes, means, within, shrinkage, space.n_features)
    logs.flags.writeable = False
    return Discriminant(codes, means, shrinkage, logs)


def mean_posterior(log_posterior: np.ndarray, codes: np.ndarray) -> float:
    """Mean posterior of the true class, at most 1. Warns with saturated near 1."""
    value = float(softmax(log_posterior, axis=1)[np.arange(len(codes)), codes].mean())
    if value > _SATURATED:
        warn("saturated", f"mean posterior {value:.6g} of at most 1")
    return min(value, 1.0)


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
    order, edges = np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1]
    means = np.zeros((len(edges) + 1, x.shape[1]))
    for mean, rows in zip(means, np.split(order, edges), strict=True):
        for part in chunks(len(rows), len(mean)):
            mean += x[rows[part]].sum(axis=0)
        mean /= len(rows)
    within = np.zeros((x.shape[1], x.shape[1]))
    for part in chunks(*x.shape):
        deviations = x[part] - means[codes[part]]
        within += deviations.T @ deviations
    return means, within / len(x)


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
    logs = np.empty((len(x), len(means)))
    for part in chunks(*x.shape):
        logs[part] = (x[part] - origin) @ coefficients + intercept
    return logs


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
