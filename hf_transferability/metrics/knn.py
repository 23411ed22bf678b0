"""k nearest neighbours, left one out: Cover, Hart, "Nearest Neighbor Pattern Classification", IEEE Transactions on
Information Theory 1967, https://doi.org/10.1109/TIT.1967.1053964. A plain comparison, not one of the paper's methods.

Euclidean on the features as they are: the neighbours of feature quality, but for its learned projection and for its
counting an image among its own neighbours; and unlike cosine it is defined for a row of zeros and does not depend on an
offset of the features. A tie goes to the class of the nearest neighbour, where scikit-learn's classifier takes the
smallest class code and so depends on the names.
"""

from typing import Any

import numpy as np
from sklearn.neighbors import NearestNeighbors

from hf_transferability.metrics._flags import warn
from hf_transferability.metrics._projection import centred
from hf_transferability.metrics._registry import register
from hf_transferability.metrics._sample import seeded_subsample
from hf_transferability.metrics._validation import check_count, check_features, check_varying, encode_targets

_LARGEST_SAMPLE = 20_000  # above this a seeded subsample: all pairs of images are compared


@register(
    inputs=("features", "labels"),
    range=(0.0, 1.0),
    unit="share",
    largest_sample=_LARGEST_SAMPLE,
    paper="Cover and Hart 1967, https://doi.org/10.1109/TIT.1967.1053964",
    tasks=("single_label", "multi_label"),
    invariances={"sample_order": 1e-12, "label_names": 1e-12, "shift": 1e-6, "scale": 1e-6, "rotation": 1e-6},
    smallest_n=6,
    published=False,
)
def knn(*, features: Any, labels: Any, k: int = 5, seed: int = 0) -> float:
    """Share of images whose class is the most frequent among their k nearest neighbours, the image itself left out.

    A share, 0 to 1; comparable between candidates on one sample. Not optimistic, since no image votes for itself; but
    on imbalanced classes the share of the largest one is reached without learning anything, which is flagged.

    Args:
        features: [n_samples, n_features], float; computed in float64.
        labels: [n_samples], classes of any kind; or [n_samples, n_labels] of 0 and 1: the mean over the columns that
            vary.
        k: neighbours that vote.
        seed: of the subsample above 20,000 images.

    Returns:
        The share. Flags: at_majority, subsampled, single_image_class, constant_label_column.

    Raises:
        ValueError, TypeError: input that is not finite, does not match in length, has one class, never varies, or has
            fewer than k + 1 images.

    Cost: O(n^2 d), n at most 20,000. Smallest n: k + 1.

    Example:
        >>> import numpy as np
        >>> x = np.array([[0.0], [0.1], [0.2], [0.3], [9.0], [9.1], [9.2], [9.3]])
        >>> knn(features=x, labels=[0] * 4 + [1] * 4, k=3)
        1.0
    """
    x = check_features(features)
    targets = encode_targets(labels, len(x))
    check_varying(x)
    check_count("k", k)
    if len(x) <= k:
        raise ValueError(f"`features` must have at least {k + 1} rows for k={k}; got {len(x)}. Take a larger sample.")
    rows = seeded_subsample(targets, _LARGEST_SAMPLE, seed)
    x, targets = centred(x[rows]), [codes[rows] for codes in targets]
    neighbours = NearestNeighbors(n_neighbors=k).fit(x).kneighbors(return_distance=False)
    value = float(np.mean([_accuracy(neighbours, codes) for codes in targets]))
    majority = float(np.mean([np.bincount(codes).max() / len(codes) for codes in targets]))
    if value <= majority:
        warn("at_majority", f"{value:.4g}, largest class {majority:.4g}")
    return value


def _accuracy(neighbours: np.ndarray, codes: np.ndarray) -> float:
    # Halves, quarters, ... sum to less than one vote, so that they decide nothing but ties, and those for the nearest.
    weights = 1 + 0.5 ** np.arange(1, neighbours.shape[1] + 1)
    votes = np.zeros((len(codes), codes.max() + 1))
    for column, weight in zip(neighbours.T, weights, strict=True):
        votes[np.arange(len(codes)), codes[column]] += weight
    return float((votes.argmax(axis=1) == codes).mean())
