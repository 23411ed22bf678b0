"""H-score: Bao et al., "An Information-Theoretic Approach to Transferability in Task Transfer Learning", ICIP 2019,
https://arxiv.org/abs/2212.10082; shrunk as in Ibrahim, Ponomareva, Mazumder, "Newer is not always better", ECML-PKDD
2022, https://arxiv.org/abs/2110.06893.

The plain H-score is exactly n_classes - 1 on pure noise when n < d. The default shrinks the covariance (Ledoit-Wolf)
and weighs the between-class part by what the shrinkage leaves of it; `variant="published"` is the plain one. Both use
biased covariances.
"""

from typing import Any

import numpy as np
import scipy.linalg
from sklearn.covariance import ledoit_wolf_shrinkage

from hf_transferability.metrics._flags import warn
from hf_transferability.metrics._projection import centred
from hf_transferability.metrics._registry import register
from hf_transferability.metrics._validation import check_features, check_varying, encode_targets

_SMALLEST_SHRINKAGE = 1e-10


@register(
    inputs=("features", "labels"),
    range=(0.0, np.inf),
    unit="none",
    paper="Ibrahim et al. 2022, https://arxiv.org/abs/2110.06893 (plain: Bao et al. 2019, https://arxiv.org/abs/2212.10082)",
    tasks=("single_label", "multi_label"),
    invariances={"sample_order": 1e-6, "label_names": 1e-9, "shift": 1e-6, "scale": 1e-6, "rotation": 1e-6},
)
def h_score(*, features: Any, labels: Any, variant: str = "default") -> float:
    """How much of the features' variance lies between the classes, in units of the features' own covariance.

    Without unit, from 0 to n_classes - 1; comparable between candidates on one sample. With S the covariance shrunk by
    the Ledoit-Wolf share a, and B the covariance of the class means: trace(S^-1 (1 - a) B).

    Args:
        features: [n_samples, n_features], float.
        labels: [n_samples], classes of any kind; or [n_samples, n_labels] of 0 and 1: the mean over the columns that
            vary.
        variant: "published" uses the plain covariance (its pseudo-inverse), a = 0.

    Returns:
        The score. Flags: n<=d, saturated, single_image_class, constant_label_column.

    Raises:
        ValueError, TypeError: input that is not finite, does not match in length, has one class, or features that never
            vary.

    Cost: O(n d^2 + d^3), d at most n for the published variant. Smallest n: 2.

    Example:
        >>> import numpy as np
        >>> x = np.array([[0.0], [1.0], [2.0], [3.0]])
        >>> round(h_score(features=x, labels=[0, 0, 1, 1], variant="published"), 3)
        0.8
    """
    x = check_features(features).astype(np.float64)
    targets = encode_targets(labels, len(x))
    check_varying(x)
    if x.shape[0] <= x.shape[1]:
        warn("n<=d", f"{x.shape[0]} images, {x.shape[1]} features")
    x = centred(x)
    x /= np.abs(x).max()  # the score does not depend on scale, its arithmetic does
    whitening = _plain_whitening(x) if variant == "published" else _shrunk_whitening(x)
    value = float(np.mean([np.sum((_between(x, codes) @ whitening) ** 2) for codes in targets]))
    highest = float(np.mean([codes.max() for codes in targets]))
    if value > highest * (1 - 1e-6):
        warn("saturated", f"{value:.6g} of at most {highest:.6g}")
    elif value == 0:
        warn("saturated", "0: the class means are one, or the shrinkage leaves nothing of them")
    return value


def _shrunk_whitening(x: np.ndarray) -> np.ndarray:
    """W with W W' = (1 - a) S^-1 [n_features, n_features]."""
    d = x.shape[1]
    # The floor keeps S invertible where Ledoit and Wolf shrink by nothing.
    a = max(ledoit_wolf_shrinkage(x, assume_centered=True), _SMALLEST_SHRINKAGE)
    covariance = x.T @ x / len(x)
    shrunk = (1 - a) * covariance + a * np.trace(covariance) / d * np.eye(d)
    factor = np.linalg.cholesky(shrunk)
    return scipy.linalg.solve_triangular(factor, np.eye(d), lower=True).T * np.sqrt(1 - a)


def _plain_whitening(x: np.ndarray) -> np.ndarray:
    """W with W W' the pseudo-inverse of the covariance [n_features, rank]."""
    _, s, vt = np.linalg.svd(x, full_matrices=False)
    kept = s > s[0] * max(x.shape) * np.finfo(np.float64).eps
    return vt[kept].T / (s[kept] / np.sqrt(len(x)))


def _between(x: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """B' with B B' the covariance of the class means [n_classes, n_features]."""
    shares = np.bincount(codes) / len(x)
    return np.stack([x[codes == k].mean(axis=0) * np.sqrt(share) for k, share in enumerate(shares)])
