"""SFDA: Shao, Zhao, Ge, Zhang, Yang, Wang, Shan, Luo, "Not All Models Are Equal: Predicting Model Transferability in a
Self-challenging Fisher Space", ECCV 2022, https://arxiv.org/abs/2207.03036.

The published value (two softmaxes for the confidence, one for the score), without its overwriting of the caller's
features and without its eigenvectors: all generalised eigenvectors V of the within-class covariance S satisfy V V' =
S^-1, so a linear solve does.
"""

from typing import Any

import numpy as np
from scipy.special import softmax

from hf_transferability.metrics._discriminant import (
    adaptive_shrinkage,
    coordinates,
    log_posteriors,
    means_and_within_covariance,
)
from hf_transferability.metrics._flags import warn
from hf_transferability.metrics._registry import register
from hf_transferability.metrics._sample import as_sample
from hf_transferability.metrics._validation import check_varying, encode_labels

_SATURATED = 0.999


@register(
    inputs=("features", "labels"),
    range=(0.0, 1.0),
    unit="share",
    paper="Shao et al. 2022, https://arxiv.org/abs/2207.03036",
    invariances={"sample_order": 1e-4, "label_names": 1e-4, "shift": 1e-4},  # ill-conditioned near n = d
)
def sfda(*, features: Any, labels: Any) -> float:
    """Mean posterior of the true class under a linear discriminant, after images were pulled towards the other classes.

    A share, 0 to 1; comparable between candidates on one sample. A regularised linear discriminant gives each image a
    confidence p in its class; the image moves to p x + (1 - p) m, with m the mean of the other classes' means; a second
    discriminant with the same regularisation gives the score. It is fitted and evaluated on the same images and reaches
    1 on pure noise when d approaches n.

    Args:
        features: [n_samples, n_features], float; computed in float64, the caller's array is left as it is.
        labels: [n_samples], classes of any kind.

    Returns:
        The mean posterior. Flags: n<=d, saturated, single_image_class.

    Raises:
        ValueError, TypeError: input that is not finite, does not match in length, has one class, or does not vary
            within classes.

    Cost: O(n d min(n, d) + min(n, d)^3). Smallest n: 3.

    Example:
        >>> import numpy as np
        >>> x = np.array([[0.0], [1.0], [2.0], [2.0], [3.0], [4.0]])
        >>> round(sfda(features=x, labels=[0, 0, 0, 1, 1, 1]), 3)
        0.613
    """
    sample = as_sample(features)
    n, d = sample.features.shape
    codes, _ = encode_labels(labels, n)
    check_varying(sample.features, codes)
    if n <= d:
        warn("n<=d", f"{n} images, {d} features")
    space = coordinates(sample)
    x = space.x
    means, within = means_and_within_covariance(x, codes)
    shrinkage = adaptive_shrinkage(within, space.ones)
    confidence = softmax(softmax(log_posteriors(x, codes, means, within, shrinkage, d), axis=1), axis=1)
    share = confidence[np.arange(len(x)), codes][:, None]
    others = (means.sum(axis=0) - means) / (len(means) - 1)
    x = share * x + (1 - share) * others[codes]
    means, within = means_and_within_covariance(x, codes)
    posterior = softmax(log_posteriors(x, codes, means, within, shrinkage, d), axis=1)
    value = float(posterior[np.arange(len(x)), codes].mean())
    if value > _SATURATED:
        warn("saturated", f"{value:.6g} of at most 1")
    return min(value, 1.0)
