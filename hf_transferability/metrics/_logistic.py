"""Logistic regressions for all folds of a cross-validation at once.

The problem of each fold is scikit-learn's LogisticRegression with its default penalty on features standardised by the
fold's training images, and has one solution. Together they are a few wide matrix products in place of many narrow ones, in
float32, and the optimiser works in coordinates in which the problem is about equally curved in all directions, so that it
takes a fraction of the steps.
"""

import numpy as np
from scipy.linalg import solve_triangular

from hf_transferability.metrics._accelerator import on_accelerator
from hf_transferability.metrics._lbfgs import minimise
from hf_transferability.metrics._sample import first_of_equal_rows

MOST_STEPS = 500
_CURVATURE = 2e-3  # p (1 - p) of a typical image and class near the solution; it decides the number of steps only
_NUMBERS = 2**23  # logits at once
_WIDEST = 4096  # features; for more, and more than images, matrices of n x n take the place of those of d x d,
_WIDE = 2  # and where they are so many times the images
_TOLERANCE_OF_FLOAT32 = 1e-6  # below it, rounding decides
_ENOUGH = 10  # times the tolerance counts as converged
_CONSTANT = 1e-20  # variance of a feature among the training images, relative to that among all: it is rounding


def cross_validated_probabilities(
    x: np.ndarray, codes: np.ndarray, training: np.ndarray, tolerance: float
) -> tuple[np.ndarray, bool]:
    """Class probabilities from one logistic regression for each fold.

    Args:
        x: [n_samples, n_features], centred.
        codes: [n_samples], classes as 0..n_classes-1.
        training: [n_folds, n_samples], whether an image is one that the fold learns from; two classes at least.
        tolerance: largest entry of the gradient of the mean loss, in the optimiser's coordinates, at which it stops.

    Returns:
        Probabilities [n_folds, n_samples, n_classes] of all images, 0 for a class without training images; and whether
        the optimiser converged.
    """
    classes = codes.max() + 1
    widths = x.std(axis=0)
    varying = widths > 0
    scaled = x[:, varying] / widths[varying]
    variances = np.stack([scaled[rows].var(axis=0) for rows in training], axis=1)
    variances[variances < _CONSTANT] = 1.0
    means = np.stack([scaled[rows].mean(axis=0) for rows in training]).astype(np.float32)
    images = scaled.astype(np.float32)
    del scaled
    d = images.shape[1]
    if d > len(images) and d > min(_WIDEST, _WIDE * len(images)):
        return _probabilities_of_wide(images, codes, training, means, variances, tolerance)
    curvature = _CURVATURE * (images.T @ images)
    curvature[np.arange(d), np.arange(d)] += 1
    to_weights = solve_triangular(np.linalg.cholesky(curvature), np.eye(d, dtype=np.float32), lower=True).T
    coordinates, centres = images @ to_weights, means @ to_weights
    at_once = int(max(_NUMBERS // (len(x) * classes), 1))
    probabilities, converged = np.empty((len(training), len(x), classes)), True
    for start in range(0, len(training), at_once):
        folds = slice(start, start + at_once)
        probabilities[folds], settled = _fit(
            coordinates, to_weights, centres[folds], variances[:, folds], codes, training[folds], tolerance
        )
        converged &= settled
    return probabilities, converged


def _probabilities_of_wide(
    images: np.ndarray, codes: np.ndarray, training: np.ndarray, means: np.ndarray, variances: np.ndarray, tolerance: float
) -> tuple[np.ndarray, bool]:
    """The same from the inner products of the images, fold by fold.

    The weights of a fold's solution are a combination of its standardised images, so that an orthonormal basis of these
    takes the place of the features, with the same penalty.
    """
    first = first_of_equal_rows(images)
    probabilities, converged = [], True
    for rows, mean, variance in zip(training, means, variances.T, strict=True):
        standardised = (images - mean) / np.sqrt(variance, dtype=np.float32)
        eigenvalues, vectors = np.linalg.eigh(standardised @ standardised.T)
        vectors = vectors[first]  # duplicate images stay equal, where rounding would order them
        eigenvalues = np.maximum(eigenvalues, 0)
        to_weights = 1 / np.sqrt(_CURVATURE * eigenvalues + 1)
        fold, settled = _fit(
            vectors * (np.sqrt(eigenvalues) * to_weights),
            np.diag(to_weights),
            np.zeros((1, len(images)), dtype=np.float32),
            np.ones((len(images), 1)),
            codes,
            rows[None],
            tolerance,
        )
        probabilities.append(fold[0])
        converged &= settled
    return np.stack(probabilities), converged


def _fit(
    coordinates: np.ndarray,
    to_weights: np.ndarray,
    centres: np.ndarray,
    variances: np.ndarray,
    codes: np.ndarray,
    training: np.ndarray,
    tolerance: float,
) -> tuple[np.ndarray, bool]:
    """Probabilities [n_folds, n_samples, n_classes] of some folds, and whether the optimiser converged.

    In float32 as far as its rounding allows, and from there in float64 where the tolerance asks for more.
    """
    u = np.zeros((coordinates.shape[1] + 1) * len(training) * (codes.max() + 1))
    stages = [(np.float32, max(tolerance, _TOLERANCE_OF_FLOAT32)), (np.float64, tolerance)]
    for dtype, smallest in stages[: 1 if tolerance >= _TOLERANCE_OF_FLOAT32 else 2]:
        in_dtype, weights, middles, spreads = (
            array.astype(dtype, copy=False) for array in (coordinates, to_weights, centres, variances)
        )
        problem = _Problem(in_dtype, weights, middles, spreads, codes, training)
        loss = problem.loss_and_gradient
        evaluate = on_accelerator("logistic regressions", loss, in_dtype, weights, middles, spreads, codes, training)
        result = minimise(evaluate, u.astype(dtype, copy=False), most_steps=MOST_STEPS, gradient_tolerance=smallest)
        u = result.x
    # Not by its word: the optimiser also ends where rounding hides that the loss still falls.
    return problem.probabilities(u), bool(np.abs(result.gradient).max() <= _ENOUGH * smallest)


def free_and_missing(codes: np.ndarray, training: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the classes of each fold, bool [n_folds, n_classes]: those whose logit is free, and those without training images.

    Two classes are one logit, that of the second; the first one's is 0.
    """
    counts = np.stack([np.bincount(codes[rows], minlength=codes.max() + 1) for rows in training])
    free = counts > 0
    binary = free.sum(axis=1) == 2
    free[np.flatnonzero(binary), free[binary].argmax(axis=1)] = False
    return free, counts == 0


class _Problem:
    """The logistic regressions of some folds as one problem, in the precision of the arrays.

    With Z the images and m the mean of a fold's in the optimiser's coordinates, and R what turns these into weights of
    the scaled features, the logits of a fold are (Z - m) u + b, and its penalty is |s * (R u)|^2 / 2, s the fold's
    standard deviations.
    """

    def __init__(
        self,
        coordinates: np.ndarray,
        to_weights: np.ndarray,
        centres: np.ndarray,
        variances: np.ndarray,
        codes: np.ndarray,
        training: np.ndarray,
    ):
        classes = codes.max() + 1
        free, missing = free_and_missing(codes, training)
        dtype = coordinates.dtype
        self._coordinates, self._to_weights, self._centres, self._codes = coordinates, to_weights, centres, codes
        self._shape = len(coordinates), len(training), classes
        self._offsets = np.where(missing, -np.inf, 0.0).astype(dtype)
        self._free = free.ravel()
        self._squares = np.repeat(variances, classes, axis=1)
        self._weight = training.T[:, :, None].astype(dtype)
        self._target = (codes[:, None, None] == np.arange(classes)).astype(dtype)

    def loss_and_gradient(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        """Mean penalised loss, and its gradient."""
        n, folds, classes = self._shape
        u, logits = self._relative_logits(flat)
        true = np.take_along_axis(logits, self._codes[:, None, None], axis=2)
        np.exp(logits, out=logits)
        total = logits.sum(axis=2, keepdims=True)
        weights = self._to_weights @ u[:-1]
        penalised = self._squares * weights
        with np.errstate(invalid="ignore"):  # an image of a class that its fold does not learn: infinity times 0
            losses = (np.log(total) - true) * self._weight
        loss = float(losses.sum(where=self._weight > 0, dtype=np.float64))
        loss += float((weights * penalised).sum(dtype=np.float64)) / 2
        logits /= total
        logits -= self._target
        logits *= self._weight
        residuals = logits.reshape(n, -1)
        gradient = np.empty((len(u), folds * classes), dtype=u.dtype)
        gradient[:-1] = self._coordinates.T @ residuals + self._to_weights.T @ penalised
        gradient[-1] = residuals.sum(axis=0)
        by_fold = self._centres.T[:, :, None] * gradient[-1].reshape(folds, classes)
        gradient[:-1] -= by_fold.reshape(len(u) - 1, -1)
        gradient *= self._free / n
        return loss / n, gradient.ravel()

    def probabilities(self, flat: np.ndarray) -> np.ndarray:
        """Those of every fold [n_folds, n_samples, n_classes]."""
        probabilities = np.exp(self._relative_logits(flat)[1])
        probabilities /= probabilities.sum(axis=2, keepdims=True)
        return probabilities.transpose(1, 0, 2)

    def _relative_logits(self, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Unknowns [n_axes + 1, n_folds * n_classes]; logits [n_samples, n_folds, n_classes] less the highest of each."""
        n, folds, classes = self._shape
        u = flat.reshape(-1, folds * classes).astype(self._coordinates.dtype, copy=False)
        shift = u[-1] - np.matmul(self._centres[:, None], u[:-1].reshape(-1, folds, classes).transpose(1, 0, 2)).ravel()
        logits = (self._coordinates @ u[:-1] + shift).reshape(n, folds, classes) + self._offsets
        logits -= logits.max(axis=2, keepdims=True)
        return u, logits
