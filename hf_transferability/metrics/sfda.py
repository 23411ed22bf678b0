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
    coordinates,
    discriminant,
    log_posteriors,
    mean_posterior,
    means_and_within_covariance,
)
from hf_transferability.metrics._registry import register
from hf_transferability.metrics._sample import as_sample, chunks


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
    first = discriminant(sample, labels)
    codes, means = first.codes, first.means
    confidence = softmax(softmax(first.log_posteriors, axis=1), axis=1)
    share = confidence[np.arange(len(codes)), codes][:, None]
    others = (means.sum(axis=0) - means) / (len(means) - 1)
    x = coordinates(sample).x  # made for this call, so that it may be changed in place of a copy
    for part in chunks(*x.shape):
        x[part] *= share[part]
        x[part] += (1 - share[part]) * others[codes[part]]
    means, within = means_and_within_covariance(x, codes)
    return mean_posterior(log_posteriors(x, codes, means, within, first.shrinkage, sample.features.shape[1]), codes)
