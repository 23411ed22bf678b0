"""NCE: Tran, Nguyen, Hassner, "Transferability and Hardness of Supervised Classification Tasks", ICCV 2019,
https://arxiv.org/abs/1908.08142.

The paper compares two labels of each image. With the source network's most probable class as the source label it is a
metric of a checkpoint, as others use it since.
"""

from typing import Any

import numpy as np

from hf_transferability.metrics._flags import warn
from hf_transferability.metrics._registry import register
from hf_transferability.metrics._validation import check_source_probabilities, encode_labels

_SATURATED = 0.01  # of the entropy of the labels


@register(
    inputs=("source_probabilities", "labels"),
    range=(-np.inf, 0.0),
    unit="nats per image",
    paper="Tran et al. 2019, https://arxiv.org/abs/1908.08142",
    invariances={"sample_order": 1e-9, "label_names": 1e-9},
)
def nce(*, source_probabilities: Any, labels: Any) -> float:
    """How much the source network's most probable class tells of the label: minus the conditional entropy.

    In nats per image, at most 0; comparable between candidates on one sample. With z_i the source class of largest
    probability (the first of equals) and P the shares in the sample: mean_i log P(y_i | z_i). With many source classes
    and few images almost every image has a class of its own, and the value comes near 0 by itself: compare it with the
    value that shuffled labels give.

    Args:
        source_probabilities: [n_samples, n_source_classes], rows summing to one.
        labels: [n_samples], classes of any kind.

    Returns:
        Minus the conditional entropy. Flags: saturated, single_image_class.

    Raises:
        ValueError, TypeError: logits instead of probabilities, NaN, lengths that do not match, or one class.

    Cost: O(n s) for s source classes. Smallest n: 2.

    Example:
        >>> import numpy as np
        >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.2, 0.8], [0.4, 0.6]])
        >>> round(nce(source_probabilities=p, labels=[0, 0, 1, 1, 1]), 3)
        -0.382
    """
    p = check_source_probabilities(source_probabilities)
    codes, classes = encode_labels(labels, len(p))
    used, source = np.unique(p.argmax(axis=1), return_inverse=True)
    counts = np.zeros((len(used), len(classes)))
    np.add.at(counts, (source, codes), 1)
    conditional = counts / counts.sum(axis=1, keepdims=True)
    value = min(float(np.log(conditional[source, codes]).mean()), 0.0)
    shares = np.bincount(codes) / len(codes)
    if -value < _SATURATED * -(shares * np.log(shares)).sum():
        warn("saturated", f"{value:.4g} of at most 0; {len(used)} source classes for {len(p)} images")
    return value
