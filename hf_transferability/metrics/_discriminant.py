"""The regularised linear discriminant that SFDA and ETran share."""

import numpy as np
import scipy.linalg

_SMALLEST_SHRINKAGE = 1e-10


def means_and_within_covariance(x: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Class means [n_classes, n_features] and biased covariance within the classes [n_features, n_features]."""
    means = np.stack([x[codes == k].mean(axis=0) for k in range(codes.max() + 1)])
    deviations = x - means[codes]
    return means, deviations.T @ deviations / len(x)


def adaptive_shrinkage(within: np.ndarray) -> float:
    """exp(-5 times the largest eigenvalue of the within-class covariance), at least 1e-10: strong for features that
    hardly vary, weak for the others."""
    return max(float(np.exp(-5 * _largest_eigenvalue(within))), _SMALLEST_SHRINKAGE)


def log_posteriors(x: np.ndarray, codes: np.ndarray, means: np.ndarray, within: np.ndarray, shrinkage: float) -> np.ndarray:
    """Log posteriors of the classes [n_samples, n_classes], up to a constant per image.

    The within-class covariance is shrunk by `shrinkage` towards its mean variance, and priors are the shares of the
    classes.
    """
    d = len(within)
    shrunk = (1 - shrinkage) * within + shrinkage * np.trace(within) / d * np.eye(d)
    origin = means.mean(axis=0)  # the posterior does not depend on it, its rounding does
    coefficients = scipy.linalg.cho_solve(scipy.linalg.cho_factor(shrunk), (means - origin).T)
    intercept = np.log(np.bincount(codes) / len(x)) - ((means - origin) * coefficients.T).sum(axis=1) / 2
    return (x - origin) @ coefficients + intercept


def _largest_eigenvalue(within: np.ndarray) -> float:
    """By three rounds of the power method, as published: close to the largest eigenvalue, not equal to it."""
    right = within.sum(axis=1)
    left = right
    for _ in range(3):
        left = within @ right
        if not left.any():  # features that cancel out: the published start says nothing
            return float(np.linalg.norm(within, 2))
        left /= np.linalg.norm(left)
        right = within @ left
        right /= np.linalg.norm(right)
    return float(right @ within @ left)
