"""LogME: You, Liu, Wang, Long, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning", ICML 2021,
https://arxiv.org/abs/2102.11005.

The usual fixed-point code leaves the (d - k) log(alpha) of the feature directions without a singular value out of the
log-determinant, so that networks wider than the sample win; and it stops after 11 rounds with an evidence that mixes
old and new quantities. The default here is the full evidence at the fixed point; `variant="published"` reproduces the
published tables.
"""

from typing import Any

import numpy as np

from hf_transferability.metrics._flags import warn
from hf_transferability.metrics._registry import register
from hf_transferability.metrics._sample import Sample, as_sample
from hf_transferability.metrics._validation import check_regression_labels, encode_targets, task_of

_PUBLISHED_ROUNDS = 11
_PUBLISHED_TOLERANCE = 1e-3
_ROUNDS = 20_000
_TOLERANCE = 1e-11
_HALVINGS = 100  # of an interval, far more than it takes to reach rounding
_EXPLAINED = 1e-8  # share of a target that is left by features which explain it
_EPSILON = 1e-5  # keeps alpha and beta finite at a perfect fit, as in the published code


@register(
    inputs=("features", "labels"),
    range=(-np.inf, np.inf),
    unit="nats per image",
    paper="You et al. 2021, https://arxiv.org/abs/2102.11005",
    tasks=("single_label", "multi_label", "regression"),
    version=2,
    invariances={"sample_order": 1e-6, "label_names": 1e-9, "rotation": 1e-6, "scale": 1e-6},
)
def logme(*, features: Any, labels: Any, variant: str = "default") -> float:
    """Log evidence per image of a Bayesian linear regression from features to each one-versus-rest label, mean over
    classes.

    In nats per image, unbounded on both sides; comparable between candidates on one sample, not between samples or
    targets. With t the 0/1 target of a class, and alpha and beta the prior's and the noise's precision at the fixed
    point: [d/2 log alpha + n/2 log beta - beta/2 |Fm - t|^2 - alpha/2 |m|^2 - 1/2 log det(alpha I + beta F'F) - n/2 log
    2 pi] / n.

    Args:
        features: [n_samples, n_features], float.
        labels: [n_samples], classes of any kind; [n_samples, n_labels] of 0 and 1, one evidence per column that varies;
            or [n_samples] floats, a regression target taken as it is (so only comparable for one unit).
        variant: "published" leaves (d - k) log alpha out and stops early, as the paper's tables do.

    Returns:
        The mean evidence. Flags: n<=d, not_converged, single_image_class, constant_label_column.

    Raises:
        ValueError, TypeError: input that is not finite, does not match in length, or has one class; features of nothing
            but zeros.

    Cost: O(n d min(n, d)) once, then O(min(n, d) c) a round. Smallest n: 2.

    Example:
        >>> import numpy as np
        >>> round(logme(features=np.array([[0.0], [0.1], [1.0], [1.1]]), labels=[0, 0, 1, 1]), 3)
        -0.276
    """
    sample = as_sample(features)
    x = sample.features
    targets = _targets(labels, len(x))
    if not x.any():
        raise ValueError("`features` must not be zero throughout; got only zeros. Check the checkpoint.")
    if x.shape[0] <= x.shape[1]:
        warn("n<=d", f"{x.shape[0]} images, {x.shape[1]} features")
    if variant == "published":
        return _published(x.astype(np.float64), targets)
    return float(_Evidence(sample, targets).at_fixed_point().mean())


def _targets(labels: Any, n: int) -> np.ndarray:
    """One column per evidence [n_samples, n_targets]: each class against the rest, each label, or the numbers to predict."""
    if task_of(labels) == "regression":
        return check_regression_labels(labels, n)[:, None]
    targets = encode_targets(labels, n)
    if task_of(labels) == "multi_label":
        return np.stack(targets, axis=1).astype(np.float64)
    return (targets[0][:, None] == np.arange(targets[0].max() + 1)).astype(np.float64)


class _Evidence:
    """The evidence of every target at once, from the principal axes that metrics share.

    F'F is the scatter matrix S plus n m m', m the column means. In the axes of S, and one more for the part of m that lies
    outside them, its inverse is diagonal but for one product (Sherman and Morrison 1950), so that the uncentred features
    need no decomposition of their own.
    """

    def __init__(self, sample: Sample, targets: np.ndarray):
        x = sample.features
        self._n, self._d = n, _ = x.shape
        means = x.mean(axis=0, dtype=np.float64)
        eigenvalues, directions = sample.axes
        largest = _largest_eigenvalue(eigenvalues, n * (directions @ means) ** 2, n * float(means @ means))
        # Beside the widest axis, not beside the means: centred features are exact however far they lie from zero.
        used = eigenvalues > eigenvalues[0] * max(n, self._d) * np.finfo(np.float64).eps
        directions = directions[used]
        along = directions @ means
        outside = means - along @ directions
        # The evidence does not depend on the features' unit, and in this one neither does _EPSILON.
        self._eigenvalues = eigenvalues[used] / largest
        self._means = along / np.sqrt(largest)
        self._outside = float(outside @ outside) / largest
        if n * self._outside <= max(n, self._d) * np.finfo(np.float64).eps:
            self._outside = 0.0
        sums = targets.sum(axis=0)
        centred = targets - sums / n
        self._sums = sums[:, None]
        widths = np.sqrt(eigenvalues[used])[:, None]
        projected = directions @ (sample.centred.T @ centred) / widths
        squares = (centred**2).sum(axis=0)
        rest = squares - (projected**2).sum(axis=0)
        explained = rest <= _EXPLAINED * squares
        if explained.any():  # nothing but rounding is left of these differences
            fitted = sample.centred @ (directions.T @ (projected[:, explained] / widths))
            rest[explained] = ((centred[:, explained] - fitted) ** 2).sum(axis=0)
        self._projected, self._rest = projected.T, rest[:, None]

    def at_fixed_point(self) -> np.ndarray:
        """Evidence per image [n_targets] where prior and noise agree with what they imply."""
        n, d = self._n, self._d
        alpha, beta = np.ones((2, len(self._sums), 1))
        active = np.arange(len(alpha))
        for _ in range(_ROUNDS):
            ratio = alpha[active] / beta[active]
            gamma, free, m2, residual, _ = self._moments(active, ratio)
            alpha[active], beta[active] = gamma / (m2 + _EPSILON), free / (residual + _EPSILON)
            moved = np.abs(alpha[active] / beta[active] - ratio) > _TOLERANCE * ratio
            active = active[moved[:, 0]]
            if not len(active):
                break
        else:
            warn("not_converged", f"{_ROUNDS} rounds")
        _, _, m2, residual, determinant = self._moments(np.arange(len(alpha)), alpha / beta)
        # log det(alpha I + beta F'F) of the k used axes is k log(beta) beside the determinant of F'F + ratio I.
        logs = determinant + len(self._eigenvalues) * np.log(beta) + (d - len(self._eigenvalues)) * np.log(alpha)
        evidence = d * np.log(alpha) + n * np.log(beta) - beta * residual - alpha * m2 - logs - n * np.log(2 * np.pi)
        return (evidence / (2 * n))[:, 0]

    def _moments(self, rows: np.ndarray, ratio: np.ndarray) -> tuple[np.ndarray, ...]:
        """Of some targets, at ratio = alpha / beta, each [n_targets, 1]: effective dimensions gamma, n - gamma, squared norm
        of the posterior mean, squared residual, and log det(F'F + ratio I) without the ratios of the axes not used."""
        n, eigenvalues, means = self._n, self._eigenvalues, self._means
        projected, sums, widths = self._projected[rows], self._sums[rows], np.sqrt(eigenvalues)
        inverse = 1 / (eigenvalues + ratio)
        share = n * means**2 * inverse
        inside = 1 + share.sum(axis=1, keepdims=True)
        beyond = n * self._outside / ratio
        whole = inside + beyond
        # n times the mean residual.
        left = (sums - n * (means * inverse * widths * projected).sum(axis=1, keepdims=True)) / whole
        mean = inverse * (widths * projected + means * left)
        m2 = (mean**2).sum(axis=1, keepdims=True) + self._outside * (left / ratio) ** 2
        deviations = inverse * (ratio * projected - widths * means * left)
        residual = (deviations**2).sum(axis=1, keepdims=True) + left**2 / n + self._rest[rows]
        # Each without the cancellation of taking it from n.
        taken = share / whole
        gamma = (inverse * (eigenvalues + ratio * taken)).sum(axis=1, keepdims=True)
        free = n - len(eigenvalues) + (ratio * inverse * (1 - taken)).sum(axis=1, keepdims=True)
        if self._outside:
            gamma += beyond / whole
            free += inside / whole - 1
        logs = np.log(eigenvalues + ratio).sum(axis=1, keepdims=True) + np.log(whole)
        return gamma, free, m2, residual, logs


def _largest_eigenvalue(eigenvalues: np.ndarray, squares: np.ndarray, whole: float) -> float:
    """Of the scatter matrix with these eigenvalues, falling, plus a product of one vector: `squares` are those of the vector
    along the axes, `whole` is its squared length."""
    outside = max(whole - float(squares.sum()), 0.0)
    low, high = float(eigenvalues[0]), float(eigenvalues[0]) + whole
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        above = (squares / (middle - eigenvalues)).sum() + outside / middle > 1
        low, high = (middle, high) if above else (low, middle)
    return high


def _published(x: np.ndarray, targets: np.ndarray) -> float:
    """The mean evidence as the published code has it."""
    u, sigma = _left_vectors_and_squared_singular_values(x)
    projected = (u.T @ targets).T ** 2  # [n_classes, k]
    rest = np.maximum((targets**2).sum(axis=0) - projected.sum(axis=1), 0.0)
    return float(np.mean([_published_evidence(sigma, p, r, *x.shape) for p, r in zip(projected, rest, strict=True)]))


def _left_vectors_and_squared_singular_values(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if x.shape[0] <= x.shape[1]:
        u, s, _ = np.linalg.svd(x, full_matrices=False)
        return u, s**2
    # Its SVD of X'X keeps directions that are pure rounding, which moves the published value by what they happen to be.
    _, squared, vt = np.linalg.svd(x.T @ x)
    v, used = vt.T, np.sqrt(squared) > 1e-10
    if not used.any():
        raise ValueError(
            "`features` must have a singular value above 1e-10 for the published variant; "
            f'got at most {np.sqrt(squared[0]):.4g}. Use variant="default".'
        )
    return (x @ v[:, used]) / np.sqrt(squared[used]), squared[used]


def _published_evidence(sigma: np.ndarray, projected: np.ndarray, rest: float, n: int, d: int) -> float:
    alpha = beta = 1.0
    m2 = residual = 0.0
    for _ in range(_PUBLISHED_ROUNDS):
        ratio = alpha / beta
        gamma, free, m2, residual = _moments(sigma, projected, rest, ratio, n)
        alpha, beta = gamma / (m2 + _EPSILON), free / (residual + _EPSILON)
        if abs(alpha / beta - ratio) / ratio <= _PUBLISHED_TOLERANCE:
            break
    return _evidence(sigma, alpha, beta, m2, residual, n, d)


def _moments(sigma: np.ndarray, projected: np.ndarray, rest: float, ratio: float, n: int) -> tuple[float, float, float, float]:
    """At ratio = alpha / beta: effective dimensions gamma, n - gamma, squared norm of the posterior mean, squared residual."""
    gamma = (sigma / (sigma + ratio)).sum()
    free = n - len(sigma) + (ratio / (sigma + ratio)).sum()  # n - gamma, without its cancellation when n <= d
    m2 = (sigma * projected / (ratio + sigma) ** 2).sum()
    residual = (projected / (1 + sigma / ratio) ** 2).sum() + rest
    return float(gamma), float(free), float(m2), float(residual)


def _evidence(sigma: np.ndarray, alpha: float, beta: float, m2: float, residual: float, n: int, d: int) -> float:
    return (
        d / 2 * np.log(alpha)
        + n / 2 * np.log(beta)
        - np.log(alpha + beta * sigma).sum() / 2
        - beta / 2 * residual
        - alpha / 2 * m2
        - n / 2 * np.log(2 * np.pi)
    ) / n
