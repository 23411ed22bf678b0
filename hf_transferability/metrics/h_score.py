"""H-score: Bao et al., "An Information-Theoretic Approach to Transferability in Task Transfer Learning", ICIP 2019,
https://arxiv.org/abs/2212.10082; shrunk as in Ibrahim, Ponomareva, Mazumder, "Newer is not always better", ECML-PKDD
2022, https://arxiv.org/abs/2110.06893.

The plain H-score is exactly n_classes - 1 on pure noise when n < d. The default shrinks the covariance (Ledoit-Wolf)
and weighs the between-class part by what the shrinkage leaves of it; `variant="published"` is the plain one. Both use
biased covariances.
"""

from typing import Any

import numpy as np

from hf_transferability.metrics._flags import warn
from hf_transferability.metrics._registry import register
from hf_transferability.metrics._sample import Sample, as_sample
from hf_transferability.metrics._validation import check_varying, encode_targets

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
    sample = as_sample(features)
    x = sample.features
    targets = encode_targets(labels, len(x))
    check_varying(x)
    if x.shape[0] <= x.shape[1]:
        warn("n<=d", f"{x.shape[0]} images, {x.shape[1]} features")
    directions, weights = _plain_whitening(sample) if variant == "published" else _shrunk_whitening(sample)
    between = [_between(sample.centred, codes) @ directions.T for codes in targets]
    value = float(np.mean([np.sum(means**2 * weights) for means in between]))
    highest = float(np.mean([codes.max() for codes in targets]))
    if value > highest * (1 - 1e-6):
        warn("saturated", f"{value:.6g} of at most {highest:.6g}")
    elif value == 0:
        warn("saturated", "0: the class means are one, or the shrinkage leaves nothing of them")
    return value


def _shrunk_whitening(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """Directions V [n_directions, n_features] and weights w with V' diag(w) V = (1 - a) S^-1 in the span of the images."""
    eigenvalues, directions = sample.axes
    n, d = sample.features.shape
    # The floor keeps S invertible where Ledoit and Wolf shrink by nothing.
    a = max(_ledoit_wolf_share(sample), _SMALLEST_SHRINKAGE)
    return directions, (1 - a) / ((1 - a) * eigenvalues / n + a * eigenvalues.sum() / (n * d))


def _ledoit_wolf_share(sample: Sample) -> float:
    """How much of the mean variance Ledoit and Wolf mix into the covariance, 0 to 1: scikit-learn's
    `ledoit_wolf_shrinkage` in O(n d) from known eigenvalues."""
    variances = sample.axes[0] / len(sample.features)
    d, total = sample.features.shape[1], variances.sum()  # the unit: fourth powers of features would overflow
    squares = ((sample.centred / np.sqrt(total)) ** 2).sum(axis=1)
    spread = ((variances / total) ** 2).sum()
    distance = spread - 1 / d
    error = min((np.mean(squares**2) - spread) / len(squares), distance)
    return float(error / distance) if error > 0 else 0.0


def _plain_whitening(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """As `_shrunk_whitening`, of the pseudo-inverse of the covariance."""
    x = sample.centred / np.abs(sample.centred).max()  # the score does not depend on scale, its arithmetic does
    _, s, vt = np.linalg.svd(x, full_matrices=False)
    used = s > s[0] * max(x.shape) * np.finfo(np.float64).eps
    return vt[used], len(x) / (s[used] * np.abs(sample.centred).max()) ** 2


def _between(x: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """B' with B B' the covariance of the class means [n_classes, n_features]."""
    shares = np.bincount(codes) / len(x)
    return np.stack([x[codes == k].mean(axis=0) * np.sqrt(share) for k, share in enumerate(shares)])
