"""LEEP: Nguyen, Hassner, Seeger, Archambeau, "LEEP: A New Measure to Evaluate Transferability of Learned
Representations", ICML 2020, https://arxiv.org/abs/2002.12462.

Takes probabilities, never logits, and computes in float64. A source class without mass gives nothing to the empirical
conditional, instead of 0/0.
"""

from typing import Any

import numpy as np

from hf_transferability.metrics._registry import register
from hf_transferability.metrics._validation import check_source_probabilities, encode_labels


@register(
    inputs=("source_probabilities", "labels"),
    range=(-np.inf, 0.0),
    unit="nats per image",
    paper="Nguyen et al. 2020, https://arxiv.org/abs/2002.12462",
    invariances={"sample_order": 1e-9, "label_names": 1e-12},
)
def leep(*, source_probabilities: Any, labels: Any) -> float:
    """Mean log likelihood of the labels when the source network's classes are translated into the target's.

    In nats per image, at most 0; comparable between candidates on one sample. With p(z|i) the source probabilities and
    P(y|z) the empirical conditional sum_i [y_i = y] p(z|i) / sum_i p(z|i): mean_i log sum_z p(z|i) P(y_i|z).

    Args:
        source_probabilities: [n_samples, n_source_classes], rows summing to one.
        labels: [n_samples], classes of any kind.

    Returns:
        The mean log likelihood. Flags: single_image_class.

    Raises:
        ValueError, TypeError: logits instead of probabilities, NaN, lengths that do not match, or one class.

    Cost: O(n s c) for s source classes. Smallest n: 2.

    Example:
        >>> import numpy as np
        >>> p = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
        >>> round(leep(source_probabilities=p, labels=[0, 0, 1, 1, 1]), 3)
        -0.382
    """
    p = check_source_probabilities(source_probabilities)
    codes, classes = encode_labels(labels, len(p))
    one_hot = (codes[:, None] == np.arange(len(classes))).astype(np.float64)
    joint = one_hot.T @ p  # [n_classes, n_source_classes]
    mass = joint.sum(axis=0)
    conditional = np.divide(joint, mass, out=np.zeros_like(joint), where=mass > 0)
    likelihood = (p * conditional[codes]).sum(axis=1)
    return min(float(np.log(likelihood).mean()), 0.0)
