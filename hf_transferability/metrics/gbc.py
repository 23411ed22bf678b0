"""GBC: Pandy, Agostinelli, Uijlings, Ferrari, Mensink, "Transferability Estimation using Bhattacharyya Class
Separability", CVPR 2022, https://arxiv.org/abs/2111.12780.

What differs from the authors' code: the smallest variance is relative to the features' own, where theirs is 1e-4
whatever the scale (`variant="published"`), so that the default ignores it; a spherical covariance counts once for every
dimension, where theirs enters the logarithms a single time; the PCA is exact and of at most min(64, n, d) dimensions.
"""

from typing import Any

import numpy as np

from hf_transferability.errors import unknown_name
from hf_transferability.metrics._flags import warn
from hf_transferability.metrics._registry import register
from hf_transferability.metrics._sample import as_sample
from hf_transferability.metrics._validation import check_varying, encode_labels

COVARIANCES = ("diagonal", "spherical")
_DIMENSIONS = 64
_SMALLEST_VARIANCE = 1e-4  # of the mean variance over the kept dimensions; published: as it is
_SATURATED = 1e-3  # mean overlap of two classes


@register(
    inputs=("features", "labels"),
    range=(-np.inf, 0.0),
    unit="none",
    paper="Pandy et al. 2022, https://arxiv.org/abs/2111.12780",
    invariances={"sample_order": 1e-6, "label_names": 1e-9, "shift": 1e-6, "scale": 1e-6, "rotation": 1e-6},
)
def gbc(*, features: Any, labels: Any, variant: str = "default", covariance: str = "diagonal") -> float:
    """How little the classes overlap when each is taken for a Gaussian.

    Without unit, from -c (c - 1) for c classes that are one to 0; comparable between candidates on one sample. After a
    PCA to 64 dimensions, with mean m_k and (biased) variances v_k of each class along these, and v = (v_k + v_l) / 2:
    the sum over ordered pairs k != l of -exp(-B), with B = sum [(m_k - m_l)^2 / v] / 8 + sum [log v - (log v_k + log
    v_l) / 2] / 2, the Bhattacharyya distance.

    Args:
        features: [n_samples, n_features], float; computed in float64.
        labels: [n_samples], classes of any kind.
        variant: "published" takes at least 1e-4 for every variance, whatever the scale of the features, and counts a
            spherical covariance once in the logarithms.
        covariance: "diagonal", or "spherical" for one variance per class, the mean over the dimensions.

    Returns:
        The score. Flags: n<=d, saturated, single_image_class.

    Raises:
        ValueError, TypeError: input that is not finite, does not match in length, has one class, or features that never
            vary; an unknown covariance.

    Cost: O(n d min(n, d) + 64 c^2). Smallest n: 2.

    Example:
        >>> import numpy as np
        >>> x = np.array([[0.0], [2.0], [4.0], [6.0]])
        >>> round(gbc(features=x, labels=[0, 0, 1, 1]), 3)  # -2 exp(-16 / 8)
        -0.271
    """
    sample = as_sample(features)
    x = sample.features
    codes, classes = encode_labels(labels, len(x))
    check_varying(x)
    if covariance not in COVARIANCES:
        raise ValueError(unknown_name("covariance", covariance, COVARIANCES))
    if len(x) <= x.shape[1]:
        warn("n<=d", f"{len(x)} images, {x.shape[1]} features")
    projected = sample.principal_components(dimensions=_DIMENSIONS)
    members = [projected[codes == k] for k in range(len(classes))]
    means = np.stack([images.mean(axis=0) for images in members])
    floor = _SMALLEST_VARIANCE * (1.0 if variant == "published" else projected.var(axis=0).mean())
    variances = np.maximum([images.var(axis=0) for images in members], floor)
    if covariance == "spherical":
        variances = variances.mean(axis=1, keepdims=True)
        if variant != "published":
            variances = np.broadcast_to(variances, means.shape)
    overlaps = np.exp(-_bhattacharyya_distances(means, variances))
    total = float(overlaps.sum() - np.trace(overlaps))
    if total < _SATURATED * len(classes) * (len(classes) - 1):
        warn("saturated", f"{-total:.4g} of at most 0")
    return 0.0 - total


def _bhattacharyya_distances(means: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """Between all pairs of classes [n_classes, n_classes], from means [n_classes, n_dimensions] and variances."""
    distances = np.zeros((len(means), len(means)))
    logs = np.log(variances).sum(axis=1)
    for k, (mean, variance) in enumerate(zip(means, variances, strict=True)):
        average = (variances + variance) / 2
        distances[k] = ((means - mean) ** 2 / average).sum(axis=1) / 8
        distances[k] += (np.log(average).sum(axis=1) - (logs + logs[k]) / 2) / 2
    return distances
