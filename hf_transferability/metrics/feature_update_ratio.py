"""Feature update ratio, the backward part of the metric of Juodelyte et al., "On dataset transferability in medical
image classification", 2024, https://arxiv.org/abs/2412.20172.

A ratio of means over the gradient batches, not a mean of ratios; the gradient norms come from
`hf_transferability.extraction.passes`.
"""

from typing import Any

import numpy as np

from hf_transferability.metrics._registry import register
from hf_transferability.metrics._validation import check_gradient_norms


@register(
    inputs=("gradient_norms",),
    range=(0.0, np.inf),
    unit="none",
    title="update ratio",
    paper="Juodelyte et al. 2024, https://arxiv.org/abs/2412.20172",
    comparable=False,
    invariances={"sample_order": 1e-12, "scale": 1e-12},
    smallest_n=12,
)
def feature_update_ratio(*, gradient_norms: Any) -> float:
    """How strongly the target's loss pulls at the second layer compared with the first.

    Without unit, not negative; comparable within one architecture only. With g1, g2 the L2 norms of the triplet loss's
    gradient at the weights of the first and the second convolution, one value per batch: mean(g2) / mean(g1).

    Args:
        gradient_norms: [n_batches, 2], float.

    Returns:
        The ratio.

    Raises:
        ValueError, TypeError: not finite, negative, another shape, or a first layer without any gradient.

    Cost: none beyond the extraction. Smallest n: 12 images, so that a batch can hold two of one class.

    Example:
        >>> feature_update_ratio(gradient_norms=[[2.0, 1.0], [4.0, 2.0]])
        0.5
    """
    norms = check_gradient_norms(gradient_norms)
    first, second = norms.mean(axis=0)
    ratio = np.divide(second, first) if first > 0 else np.nan
    if not np.isfinite(ratio):
        raise ValueError(
            f"`gradient_norms` must have a gradient at the first layer; got mean norms {first:.4g} and {second:.4g}. "
            "Either no batch held two images of one class and one of another (take a larger sample), "
            "or the gradient vanishes inside the network (an untrained or collapsed checkpoint)."
        )
    return float(ratio)
