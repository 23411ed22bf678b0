"""k nearest neighbours, left one out: Cover, Hart, "Nearest Neighbor Pattern Classification", IEEE Transactions on
Information Theory 1967, https://doi.org/10.1109/TIT.1967.1053964. A plain comparison, not one of the paper's methods.

Euclidean on the features as they are: the neighbours of feature quality, but for its learned projection and for its
counting an image among its own neighbours; and unlike cosine it is defined for a row of zeros and does not depend on an
offset of the features. Where scikit-learn's classifier takes what comes first, in the order of the images or of the
class codes, images at one distance (duplicates, for example) share a vote here, and a tie between classes goes to the
nearest.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.metrics import euclidean_distances
from sklearn.neighbors import NearestNeighbors

from hf_transferability.metrics._accelerator import on_accelerator
from hf_transferability.metrics._flags import warn
from hf_transferability.metrics._groups import check_neighbours, encode_groups
from hf_transferability.metrics._registry import register
from hf_transferability.metrics._sample import as_sample, seeded_subsample
from hf_transferability.metrics._validation import check_count, check_varying, encode_targets

_LARGEST_SAMPLE = 20_000  # above this a seeded subsample: all pairs of images are compared
_CHUNK = 2**23  # distances at once
_EQUAL = 1e-10  # squared distances that differ by less, relative to the features' variance, differ by rounding


@register(
    inputs=("features", "labels"),
    range=(0.0, 1.0),
    unit="share",
    largest_sample=_LARGEST_SAMPLE,
    paper="Cover and Hart 1967, https://doi.org/10.1109/TIT.1967.1053964",
    tasks=("single_label", "multi_label"),
    version=2,
    invariances={"sample_order": 1e-12, "label_names": 1e-12, "shift": 1e-6, "scale": 1e-6, "rotation": 1e-6},
    smallest_n=6,
    published=False,
)
def knn(*, features: Any, labels: Any, groups: Any = None, k: int = 5, seed: int = 0) -> float:
    """Share of images whose class is the most frequent among their k nearest neighbours, the image itself left out.

    A share, 0 to 1; comparable between candidates on one sample. Not optimistic, since no image votes for itself; but
    on imbalanced classes the share of the largest one is reached without learning anything, which is flagged.

    Args:
        features: [n_samples, n_features], float; computed in float64.
        labels: [n_samples], classes of any kind; or [n_samples, n_labels] of 0 and 1: the mean over the columns that
            vary.
        groups: [n_samples], of any kind: images that belong together, such as those of a patient, are left out together;
            None for none.
        k: neighbours that vote.
        seed: decides the subsample above 20,000 images.

    Returns:
        The share. Flags: at_majority, subsampled, single_image_class, constant_label_column.

    Raises:
        ValueError, TypeError: input that is not finite, does not match in length, has one class, never varies, or has
            fewer than k + 1 images (with groups: k outside a group).

    Cost: O(n^2 d), n at most 20,000. Smallest n: k + 1.

    Example:
        >>> import numpy as np
        >>> x = np.array([[0.0], [0.1], [0.2], [0.3], [9.0], [9.1], [9.2], [9.3]])
        >>> knn(features=x, labels=[0] * 4 + [1] * 4, k=3)
        1.0
    """
    sample = as_sample(features)
    x = sample.features
    targets = encode_targets(labels, len(x))
    check_varying(x)
    check_count("k", k)
    if len(x) <= k:
        raise ValueError(f"`features` must have at least {k + 1} rows for k={k}; got {len(x)}. Take a larger sample.")
    rows = seeded_subsample(targets, _LARGEST_SAMPLE, seed)
    if groups is not None:
        groups = encode_groups(groups, len(x))[rows]
        check_neighbours(groups, k)
    x, targets = sample.part(rows).centred, [codes[rows] for codes in targets]
    value = float(np.mean(_accuracies(x, targets, k, groups)))
    majority = float(np.mean([np.bincount(codes).max() / len(codes) for codes in targets]))
    if value <= majority:
        warn("at_majority", f"{value:.4g}, largest class {majority:.4g}")
    return value


def _accuracies(x: np.ndarray, targets: list[np.ndarray], k: int, groups: np.ndarray | None) -> np.ndarray:
    """Share of images that are classified rightly, for each target."""
    equal = _EQUAL * (x**2).sum() / len(x)
    neighbourhoods: list[tuple[np.ndarray, ...]] = []
    if groups is None:
        most = min(k + 1, len(x) - 1)
        nearest = on_accelerator("neighbours", lambda: NearestNeighbors(n_neighbors=most).fit(x).kneighbors(), x, most)
        distances, neighbours = nearest()
        squared = distances**2
        tied = squared[:, -1] <= squared[:, k - 1] + equal if len(x) > k + 1 else np.zeros(len(x), dtype=bool)
        clear = np.flatnonzero(~tied)
        image = np.repeat(np.arange(len(clear)), k)
        neighbourhoods += [(clear, image, neighbours[clear, :k].ravel(), squared[clear, :k].ravel(), np.ones(len(image)))]
    step = max(_CHUNK // len(x), 1)
    # With groups, an image's nearest may all be of its own: every image then looks at all others.
    rest = np.flatnonzero(tied) if groups is None else np.arange(len(x))
    left_out = np.arange(len(x)) if groups is None else groups

    def within(rows: np.ndarray) -> tuple[np.ndarray, ...]:
        return _within_reach(x, rows, k, equal, left_out)

    find = on_accelerator("neighbours with ties", within, x, k, equal, left_out, len(rest))
    neighbourhoods += [_with_ties(rest[start : start + step], k, equal, find) for start in range(0, len(rest), step)]
    right = np.zeros(len(targets))
    for rows, image, neighbour, distance, weight in neighbourhoods:
        if len(rows):
            right += [_right(image, distance, weight, codes[neighbour], codes[rows], equal) for codes in targets]
    return right / len(x)


def _with_ties(
    rows: np.ndarray, k: int, equal: float, find: Callable[[np.ndarray], tuple[np.ndarray, ...]]
) -> tuple[np.ndarray, ...]:
    """For images whose k-th and next neighbour may be at one distance: position in `rows`, neighbour, squared distance and
    weight of all that share the k votes. `find` does what `_within_reach` does."""
    image, neighbour, distance, reach = find(rows)
    nearer = distance < reach[image] - equal
    count = np.bincount(image[nearer], minlength=len(rows))
    share = (k - count) / (np.bincount(image, minlength=len(rows)) - count)
    return rows, image, neighbour, distance, np.where(nearer, 1.0, share[image])


def _within_reach(x: np.ndarray, rows: np.ndarray, k: int, equal: float, groups: np.ndarray) -> tuple[np.ndarray, ...]:
    """Position in `rows`, neighbour and squared distance of all that are as near as the k-th, and the k-th's squared distance
    for each row. Images of one group are no neighbours of each other."""
    squared = euclidean_distances(x[rows], x, squared=True)
    squared[groups[rows, None] == groups] = np.inf
    reach = np.partition(squared, k - 1, axis=1)[:, k - 1]
    image, neighbour = np.nonzero(squared <= reach[:, None] + equal)
    return image, neighbour, squared[image, neighbour], reach


def _right(
    image: np.ndarray, distance: np.ndarray, weight: np.ndarray, codes: np.ndarray, true: np.ndarray, equal: float
) -> float:
    """How many images get their own class, from the distance, weight and class of each of their neighbours."""
    shape = len(true), int(max(codes.max(), true.max())) + 1
    votes, nearest = np.zeros(shape), np.full(shape, np.inf)
    np.add.at(votes, (image, codes), weight)
    np.minimum.at(nearest, (image, codes), distance)
    nearest[votes < votes.max(axis=1, keepdims=True) - 1e-9] = np.inf
    winners = nearest <= nearest.min(axis=1, keepdims=True) + equal
    return float((winners[np.arange(len(true)), true] / winners.sum(axis=1)).sum())
