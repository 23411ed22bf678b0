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

from hf_transferability.metrics._groups import encode_groups
from hf_transferability.metrics._registry import register
from hf_transferability.metrics._sample import as_sample, seeded_subsample
from hf_transferability.metrics._validation import check_varying, encode_labels

_DIMENSIONS = 32
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

    Cost: O(n d min(n, d) + n^2 log n), n at most 8,000 in the second part; 24 bytes for each pair. Smallest n: 3.

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
    pairs = np.triu(np.ones((len(codes), len(codes)), dtype=bool), 1)
    if groups is not None:
        units = encode_groups(groups, len(x))[rows]
        pairs &= units[:, None] != units
    if not (codes[:, None] == codes)[pairs].any():
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
    ranks = rankdata(_distances(projected)[pairs])
    if variant == "published":
        label_ranks = rankdata((1 - np.corrcoef(np.eye(codes.max() + 1)[codes]))[pairs])
    else:
        label_ranks = (codes[:, None] != codes)[pairs].astype(np.float64)  # of two values, as good as ranks
    return float(100 * _correlation(ranks, label_ranks))


def _published_components(x: np.ndarray) -> np.ndarray:
    pca = PCA(min(_DIMENSIONS, *x.shape), svd_solver="randomized", random_state=1919, iterated_power=1)
    projected = pca.fit_transform(x)
    spread = projected.std(axis=0)
    return projected[:, spread > spread[0] * 1e-6]


def _distances(projected: np.ndarray) -> np.ndarray:
    """1 - correlation between the images' rows of standardised components [n_samples, n_samples]."""
    rows = (projected - projected.mean(axis=0)) / projected.std(axis=0)
    rows -= rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)  # a constant row correlates with nothing
    # Distances that differ in nothing but rounding are ties.
    return np.round(1 - rows @ rows.T, 10)


def _correlation(ranks: np.ndarray, label_ranks: np.ndarray) -> float:
    ranks -= ranks.mean()
    label_ranks -= label_ranks.mean()
    lengths = np.sqrt((ranks @ ranks) * (label_ranks @ label_ranks))
    # All pairs at one distance: no order, so no relation to the labels.
    return np.clip(ranks @ label_ranks / lengths, -1, 1) if lengths > 0 else 0.0
