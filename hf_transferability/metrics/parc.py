"""PARC: Bolya, Mittapalli, Hoffman, "Scalable Diverse Model Selection for Accessible Transfer Learning", NeurIPS 2021,
https://arxiv.org/abs/2111.06977.

The published tables reduce the features by a randomised PCA of low accuracy, and rank the label distances of images of
one class as computed: 0 for some classes, 1.1e-16 for others, which moves the value by up to a third and makes it
depend on the order of the class names. The default's PCA is exact, of at most min(32, n, d) dimensions, and one class
is one distance. Neither keeps directions that are nothing but rounding, which standardising would blow up.
"""

from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.decomposition import PCA

from hf_transferability.metrics._accelerator import on_accelerator
from hf_transferability.metrics._groups import encode_groups
from hf_transferability.metrics._registry import register
from hf_transferability.metrics._sample import as_sample, seeded_subsample
from hf_transferability.metrics._validation import check_varying, encode_labels

_DIMENSIONS = 32
_DIGITS = 10  # decimals of distances
_ROWS, _PAIRS = 256, 1_000_000  # of the matrix of distances, and sorted pairs, that are looked at at once
_LARGEST_SAMPLE = 8000  # above this a seeded subsample: all pairs of images are ranked


@register(
    inputs=("features", "labels"),
    range=(-100.0, 100.0),
    unit="percent",
    largest_sample=_LARGEST_SAMPLE,
    paper="Bolya et al. 2021, https://arxiv.org/abs/2111.06977",
    invariances={"sample_order": 1e-6, "label_names": 1e-12, "shift": 1e-6, "scale": 1e-6},
    smallest_n=3,
)
def parc(*, features: Any, labels: Any, groups: Any = None, variant: str = "default", seed: int = 0) -> float:
    """How well images that lie far apart in the features are those that differ in their labels.

    A rank correlation in percent, -100 to 100, around 0 without any relation; comparable between candidates on one
    sample. Over all pairs of images, Spearman's correlation between 1 - corr of their rows of 32 standardised principal
    components, and 1 - corr of their one-hot labels; times 100.

    Args:
        features: [n_samples, n_features], float; computed in float64.
        labels: [n_samples], classes of any kind.
        groups: [n_samples], of any kind: images that belong together, such as those of a patient; pairs within a group are
            left out. None for none.
        variant: "published" takes a randomised PCA with one power iteration, and label distances with their rounding.
        seed: decides the subsample above 8,000 images.

    Returns:
        The rank correlation. Flags: subsampled, single_image_class.

    Raises:
        ValueError, TypeError: input that is not finite, does not match in length or has one class; no class with two
            images (with groups: of two groups); features that vary along one direction only.

    Cost: O(n d min(n, d) + n^2 log n), n at most 8,000 in the second part; 8 bytes for each pair. Smallest n: 3.

    Example:
        >>> import numpy as np
        >>> x = np.array([[0.0, 1.0], [0.1, 1.2], [1.0, 0.0], [1.3, 0.1]])
        >>> round(parc(features=x, labels=["a", "a", "b", "b"]), 3)
        100.0
    """
    sample = as_sample(features)
    x = sample.features
    codes, _ = encode_labels(labels, len(x))
    check_varying(x)
    rows = seeded_subsample([codes], _LARGEST_SAMPLE, seed)
    sample, codes = sample.part(rows), codes[rows]
    units = np.arange(len(codes)) if groups is None else encode_groups(groups, len(x))[rows]
    if np.bincount(np.unique(np.stack([codes, units]), axis=1)[0]).max() < 2:
        unit = "image" if groups is None else "group"
        raise ValueError(f"`labels` must have a class with at least 2 {unit}s; got one {unit} in each. Take a larger sample.")
    if variant == "published":
        projected = _published_components(sample.features.astype(np.float64))
    else:
        projected = sample.principal_components(dimensions=_DIMENSIONS)
    if projected.shape[1] < 2:
        raise ValueError(
            "`features` must vary along at least 2 directions; got 1. A row of one number correlates with nothing: "
            "use another metric for such features."
        )
    if variant == "published":
        pairs = np.triu(units[:, None] != units, 1)
        label_distances = (1 - np.corrcoef(np.eye(codes.max() + 1)[codes]))[pairs]
        ranks = rankdata(_distances(_standardised(projected), slice(None))[pairs])
        return float(100 * _correlation(ranks, rankdata(label_distances)))
    unit_rows = _standardised(projected)

    def correlation() -> float:
        return _rank_correlation(_sorted_pairs(unit_rows, codes, units))

    return float(100 * on_accelerator("ranks of pairs", correlation, unit_rows, codes, units, _DIGITS)())


def _published_components(x: np.ndarray) -> np.ndarray:
    pca = PCA(min(_DIMENSIONS, *x.shape), svd_solver="randomized", random_state=1919, iterated_power=1)
    projected = pca.fit_transform(x)
    spread = projected.std(axis=0)
    return projected[:, spread > spread[0] * 1e-6]


def _standardised(projected: np.ndarray) -> np.ndarray:
    """Rows of standardised components, centred and of length 1 [n_samples, n_components]; a constant row is zero."""
    rows = (projected - projected.mean(axis=0)) / projected.std(axis=0)
    rows -= rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)  # a constant row correlates with nothing


def _distances(rows: np.ndarray, chosen: slice) -> np.ndarray:
    """1 - correlation of chosen images with all images from the first of these on, those of a row of the matrix."""
    # Distances that differ in nothing but rounding are ties.
    return np.round(1 - rows[chosen] @ rows[chosen.start :].T, _DIGITS)


def _sorted_pairs(rows: np.ndarray, codes: np.ndarray, units: np.ndarray) -> np.ndarray:
    """All pairs of images of two units by distance [n_pairs], int64: twice the distance in units of 1e-10, plus 1 for
    different classes.

    One number for a pair, so that one sort does for ranks and labels; the whole matrix of distances is never held.
    """
    n = len(rows)
    pairs = np.empty(n * (n - 1) // 2, dtype=np.int64)
    filled = 0
    for start in range(0, n, _ROWS):
        chosen = slice(start, min(start + _ROWS, n))
        keys = np.rint(_distances(rows, chosen) * 10**_DIGITS).astype(np.int64) * 2
        keys += codes[chosen, None] != codes[start:]
        above = keys[np.triu(units[chosen, None] != units[start:], 1)]
        pairs[filled : filled + len(above)] = above
        filled += len(above)
    pairs = pairs[:filled]
    pairs.sort()
    return pairs


def _rank_correlation(pairs: np.ndarray) -> float:
    """Spearman's correlation between the distances of `_sorted_pairs` and whether the classes differ.

    The labels take two values, so what counts is the sum of the ranks of the pairs of different classes, and the ties.
    """
    n = len(pairs)
    rank_sum, tied, different = 0.0, 0.0, 0
    start = 0
    while start < n:
        end = start + _PAIRS
        if end < n:  # equal distances stay together
            end = int(np.searchsorted(pairs, pairs[end] | 1, side="right"))
        part = pairs[start:end]
        first = np.flatnonzero(np.diff(part >> 1, prepend=-1))
        counts = np.diff(first, append=len(part)).astype(np.float64)
        unlike = np.add.reduceat(part & 1, first)
        rank_sum += float(unlike @ (start + first + (counts + 1) / 2))
        tied += float((counts**3 - counts).sum())
        different += int(unlike.sum())
        start += len(part)
    return spearman(n, rank_sum, tied, different)


def spearman(n: int, rank_sum: float, tied: float, different: int) -> float:
    """Spearman's correlation between n pairs' distances and whether their classes differ.

    Args:
        n: number of pairs.
        rank_sum: of the pairs of different classes.
        tied: sum over the distances of t^3 - t, t the number of pairs at one.
        different: pairs of different classes.
    """
    spread = (float(n) ** 3 - n - tied) / 12 * (different * (n - different) / n)
    # All pairs at one distance: no order, so no relation to the labels.
    return float(np.clip((rank_sum - different * (n + 1) / 2) / np.sqrt(spread), -1, 1)) if spread > 0 else 0.0


def _correlation(ranks: np.ndarray, label_ranks: np.ndarray) -> float:
    ranks -= ranks.mean()
    label_ranks -= label_ranks.mean()
    lengths = np.sqrt((ranks @ ranks) * (label_ranks @ label_ranks))
    # All pairs at one distance: no order, so no relation to the labels.
    return np.clip(ranks @ label_ranks / lengths, -1, 1) if lengths > 0 else 0.0
