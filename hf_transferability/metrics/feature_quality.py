"""Feature quality, the forward part of the metric of Juodelyte et al., "On dataset transferability in medical image
classification", 2024, https://arxiv.org/abs/2412.20172: neighbourhood components analysis (Goldberger et al., NIPS
2004), then 5 nearest neighbours.

The objective, initialisation, optimiser and stopping rule are those of scikit-learn's NeighborhoodComponentsAnalysis.
What differs is the arithmetic (see `_neighbourhood_components.py`): in float64 it changes nothing but rounding.
Half-samples, of which mainly the spread counts, take float32 and fewer iterations, unless a few axes dominate.
"""

from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits

from hf_transferability.metrics._accelerator import on_accelerator
from hf_transferability.metrics._flags import warn
from hf_transferability.metrics._groups import check_neighbours, encode_groups, neighbours_outside
from hf_transferability.metrics._neighbourhood_components import ITERATIONS, neighbourhood_components
from hf_transferability.metrics._registry import register
from hf_transferability.metrics._sample import Sample, as_sample, seeded_subsample
from hf_transferability.metrics._validation import check_varying, encode_labels
from hf_transferability.quiet import without_warnings

_DIMENSIONS = 50
_NEIGHBOURS = 5
# Of the optimiser on half-samples. Measured on ten networks and targets with 48 half-samples each: the mean is at most 0.011
# below that of 50 iterations in float64 on all axes, and they spread 0.93 times as far on average (0.81 to 1.04).
_ITERATIONS_OF_HALVES = 30
_VARIANCE_OF_HALVES = 0.9999  # the axes beyond it hardly take part within these iterations
# Where so few axes hold so much of the variance, the optimiser needs its iterations to turn them down: half-samples are exact.
_FEW_AXES, _DOMINANT = 5, 0.99
# A squared distance from the centre: float32 rounds the distances of images that far out to about 0.01, and the
# probabilities of neighbours, which fall with exp(-distance), to 1%.
_LARGEST_IN_FLOAT32 = 2e4
_LARGEST_SAMPLE = 4000  # above this a seeded subsample: time and memory grow with the square


@register(
    inputs=("features", "labels"),
    range=(0.0, 1.0),
    unit="share",
    title="feature quality",
    largest_sample=_LARGEST_SAMPLE,
    paper="Juodelyte et al. 2024, https://arxiv.org/abs/2412.20172",
    invariances={"sample_order": 0.03, "label_names": 0.03},
    smallest_n=5,
    half_options={"rough": True},
    floor_flag="at_floor",
)
def feature_quality(*, features: Any, labels: Any, groups: Any = None, seed: int = 42, rough: bool = False) -> float:
    """Mean share of an image's own class among its 5 nearest neighbours, itself included, in a learned linear
    projection.

    A share, from 0.2 (the image alone) to 1, lower only with duplicate images; comparable between candidates on one
    sample. The projection to min(50, d) dimensions maximises the expected leave-one-out accuracy of a soft neighbour
    rule, by at most 50 iterations of L-BFGS. It is fitted and evaluated on the same images, so the value is optimistic:
    compare it with the value that shuffled labels give. The optimiser's path amplifies rounding: expect differences up
    to 0.03 between machines.

    With groups, the 5 neighbours come from other groups only, so that the image itself and other images of one patient
    do not count: 0 to 1, lower than without groups, and not to be compared with it. The projection is the same.

    Args:
        features: [n_samples, n_features], float; computed in float64.
        labels: [n_samples], classes of any kind.
        groups: [n_samples], of any kind: images that belong together, such as those of a patient; None for none.
        seed: decides the initial projection (a randomised PCA) and the subsample above 4,000 images.
        rough: in float32 and with fewer iterations, unless a few axes dominate: for half-samples.

    Returns:
        The mean share. Flags: n<=d, subsampled, single_image_class.

    Raises:
        ValueError, TypeError: input that is not finite, does not match in length, has one class, never varies, or has
            fewer than 5 images (with groups: outside a group).

    Cost: 50 iterations of O(n^2 + n d), n at most 4,000. Smallest n: 5.

    Example:
        >>> import numpy as np
        >>> x = np.array([[0.0], [0.1], [0.2], [0.3], [0.4], [9.0], [9.1], [9.2], [9.3], [9.4]])
        >>> feature_quality(features=x, labels=[0] * 5 + [1] * 5)
        1.0
    """
    sample = as_sample(features)
    x = sample.features
    codes, _ = encode_labels(labels, len(x))
    check_varying(x)
    if len(x) < _NEIGHBOURS:
        raise ValueError(f"`features` must have at least {_NEIGHBOURS} rows; got {len(x)}. Take a larger sample.")
    if len(x) <= x.shape[1]:
        warn("n<=d", f"{len(x)} images, {x.shape[1]} features")
    rows = seeded_subsample([codes], _LARGEST_SAMPLE, seed)
    sample, codes = sample.part(rows), codes[rows]
    if groups is not None:
        groups = encode_groups(groups, len(x))[rows]
        check_neighbours(groups, _NEIGHBOURS)
    # One BLAS thread, beside threads of our own: on matrices this small BLAS threads cost more than they bring.
    with threadpool_limits(1, "blas"):
        projected = _projected_roughly(sample, codes, seed) if rough else _projected(sample, codes, seed)
        if groups is not None:
            nearest = neighbours_outside(projected, groups, _NEIGHBOURS)
            return float((codes[nearest] == codes[:, None]).mean())

        def shares() -> np.ndarray:
            with without_warnings():  # where few images have the class of another, it takes the classes for numbers
                neighbours = KNeighborsClassifier(_NEIGHBOURS).fit(projected, codes)
            return neighbours.predict_proba(projected)[np.arange(len(codes)), codes]

        return float(on_accelerator("shares of neighbours", shares, projected, codes, _NEIGHBOURS)().mean())


def _projected(sample: Sample, codes: np.ndarray, seed: int) -> np.ndarray:
    x = sample.features.astype(np.float64)  # float32 rounding would send the optimiser down another path
    start = _initial_projection(x, codes, seed)
    if x.shape[1] > len(x):
        # In the span of the images: distances, and so the objective, are the same.
        directions = sample.principal_directions()
        x, start = sample.centred @ directions.T, start @ directions.T
    return x @ neighbourhood_components(x, codes, start).T


def _projected_roughly(sample: Sample, codes: np.ndarray, seed: int) -> np.ndarray:
    x, eigenvalues = sample.centred, sample.axes[0]
    near = np.einsum("ij,ij->i", x, x).max() <= _LARGEST_IN_FLOAT32
    rough = near and eigenvalues[:_FEW_AXES].sum() <= _DOMINANT * eigenvalues.sum()
    directions = sample.principal_directions(variance=_VARIANCE_OF_HALVES if rough else 1.0)
    dimensions = min(_DIMENSIONS, len(directions))
    if codes.max() < dimensions:
        start = np.eye(dimensions, len(directions))  # the principal components, in these coordinates
    else:
        start = _initial_projection(sample.features.astype(np.float64), codes, seed) @ directions.T
    x = (x @ directions.T).astype(np.float32 if rough else np.float64)
    return x @ neighbourhood_components(x, codes, start, _ITERATIONS_OF_HALVES if rough else ITERATIONS).T


def _initial_projection(x: np.ndarray, codes: np.ndarray, seed: int) -> np.ndarray:
    n, d = x.shape
    dimensions = min(_DIMENSIONS, d)
    with without_warnings():
        # Constant or duplicate features make the decompositions divide by zero variances that nothing here uses.
        if dimensions <= min(d, codes.max()):
            # No discriminant where nothing varies within the classes, or their means are one.
            if (x != x[np.unique(codes, return_index=True)[1]][codes]).any():
                scalings = LinearDiscriminantAnalysis(n_components=dimensions).fit(x, codes).scalings_
                if scalings.size:
                    return scalings.T[:dimensions]
        elif dimensions < min(d, n):
            return PCA(n_components=dimensions, random_state=seed).fit(x).components_
    return np.eye(dimensions, d)
