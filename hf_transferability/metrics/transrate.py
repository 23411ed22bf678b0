"""TransRate: Huang, Huang, Rong, Yang, Wei, "Frustratingly Easy Transferability Estimation", ICML 2022,
https://arxiv.org/abs/2106.09362.

What differs from the authors' listing: the classes count by their share of the images, where theirs is the plain mean over
the classes (`variant="published"`). With shares, the rates of the classes never exceed that of all images, so the score is
at least 0. The determinant is computed from eigenvalues or, where these would be rounded, singular values.
"""

from typing import Any

import numpy as np
from scipy.linalg import svdvals

from hf_transferability.metrics._flags import warn
from hf_transferability.metrics._registry import register
from hf_transferability.metrics._sample import as_sample
from hf_transferability.metrics._validation import check_varying, encode_labels

_LARGEST_EIGENVALUE = 1e7  # of Z'Z / (n eps): above it the rounding of Z'Z would reach the small eigenvalues
_EPSILON = 1e-4  # the listing's squared distortion, whatever the scale of the features


@register(
    inputs=("features", "labels"),
    range=(0.0, np.inf),
    published_range=(-np.inf, np.inf),
    unit="nats per image",
    paper="Huang et al. 2022, https://arxiv.org/abs/2106.09362",
    invariances={"sample_order": 1e-9, "label_names": 1e-9, "shift": 1e-6, "rotation": 1e-6},
)
def transrate(*, features: Any, labels: Any, variant: str = "default") -> float:
    """How much shorter the features' code becomes when the class of each image is known.

    In nats per image, at least 0; comparable between candidates on one sample. It grows with the scale and the number of
    the features. With Z the centred features [n, d], R(Z) = log det(I + Z'Z / (n 1e-4)) / 2, and Z_k the n_k rows of class
    k (not centred again): R(Z) - sum_k (n_k / n) R(Z_k).

    Args:
        features: [n_samples, n_features], float; computed in float64.
        labels: [n_samples], classes of any kind.
        variant: "published" takes the plain mean of R(Z_k) over the classes; it can be below 0 when classes differ in
            size.

    Returns:
        The difference of the rates. Flags: n<=d, single_image_class.

    Raises:
        ValueError, TypeError: input that is not finite, does not match in length, has one class, or features that never
            vary.

    Cost: O(n d min(n, d)). Smallest n: 2.

    Example:
        >>> import numpy as np
        >>> x = np.array([[3.0, 0.0], [-3.0, 0.0], [0.0, 2.0], [0.0, -2.0]])
        >>> round(transrate(features=x, labels=["a", "a", "b", "b"]), 3)
        4.808
    """
    sample = as_sample(features)
    x = sample.features
    codes, classes = encode_labels(labels, len(x))
    check_varying(x)
    if len(x) <= x.shape[1]:
        warn("n<=d", f"{len(x)} images, {x.shape[1]} features")
    rates = [_rate(sample.centred[codes == k]) for k in range(len(classes))]
    rate = _rate(sample.centred, sample.axes[0])
    if variant == "published":
        return float(rate - np.mean(rates))
    return max(float(rate - np.average(rates, weights=np.bincount(codes))), 0.0)


def _rate(features: np.ndarray, eigenvalues: np.ndarray | None = None) -> float:
    """log det(I + Z'Z / (n eps)) / 2, the nats that a row needs; `eigenvalues` are those of Z'Z, where they are known."""
    unit = len(features) * _EPSILON
    if eigenvalues is None:
        wide = features.shape[1] > len(features)
        eigenvalues = np.linalg.eigvalsh(features @ features.T if wide else features.T @ features)
    if eigenvalues.max() > _LARGEST_EIGENVALUE * unit:
        eigenvalues = svdvals(features) ** 2
    return float(np.log1p(np.maximum(eigenvalues, 0.0) / unit).sum() / 2)
