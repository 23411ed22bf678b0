"""Linear probe: Alain, Bengio, "Understanding intermediate layers using linear classifier probes", 2016,
https://arxiv.org/abs/1610.01644. A plain comparison, not one of the paper's methods.

Macro one-versus-rest AUC, like the fine-tuned performance that scores are compared with: it does not reward guessing
the largest class. Cross-validated, so that it is not optimistic when there are more features than images. The folds
depend on the labels and their order alone: all candidates of one sample are compared on the same folds.
"""

from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from hf_transferability.metrics._flags import warn
from hf_transferability.metrics._groups import encode_groups
from hf_transferability.metrics._logistic import MOST_STEPS, cross_validated_probabilities
from hf_transferability.metrics._registry import register
from hf_transferability.metrics._sample import as_sample, seeded_subsample
from hf_transferability.metrics._validation import check_varying, encode_targets
from hf_transferability.quiet import without_warnings

_FOLDS = 5
_TOLERANCE = 5e-8  # of the optimiser; the mean AUC is then within 1e-4 of the solution's
_TOLERANCE_OF_HALVES = 3e-4  # measured over six networks and targets: within 0.0015 of the solution's AUC, as far spread
_LARGEST_SAMPLE = 20_000  # above this a seeded subsample


@register(
    inputs=("features", "labels"),
    range=(0.0, 1.0),
    unit="AUC",
    largest_sample=_LARGEST_SAMPLE,
    paper="Alain and Bengio 2016, https://arxiv.org/abs/1610.01644",
    tasks=("single_label", "multi_label"),
    invariances={"sample_order": 0.1, "label_names": 1e-3, "shift": 1e-3, "scale": 1e-3},
    smallest_n=4,
    published=False,
    version=3,
    half_options={"tolerance": _TOLERANCE_OF_HALVES},
)
def linear_probe(*, features: Any, labels: Any, groups: Any = None, seed: int = 0, tolerance: float = _TOLERANCE) -> float:
    """Test AUC of a logistic regression on the frozen features, by 5-fold cross-validation.

    Macro one-versus-rest area under the ROC curve, 0 to 1, 0.5 without any relation; comparable between candidates on
    one sample. Features are standardised on the training folds; the penalty is scikit-learn's, |w|^2 / 2 beside the
    summed log loss, and the optimiser stops within 1e-4 of the solution's AUC. An AUC is taken for each class and test
    fold that has images in and outside the class, and averaged over folds, then over classes.

    Args:
        features: [n_samples, n_features], float; computed in float64.
        labels: [n_samples], classes of any kind; or [n_samples, n_labels] of 0 and 1: the mean over the columns that
            vary. A class with one image is left out, and a column where only one image differs.
        groups: [n_samples], of any kind: images that belong together, such as those of a patient, are in one fold, and a
            class of a single group is left out; None for none.
        seed: decides the folds and the subsample above 20,000 images.
        tolerance: of the optimiser, a larger one for half-samples.

    Returns:
        The mean AUC. Flags: subsampled, single_image_class, constant_label_column, not_converged.

    Raises:
        ValueError, TypeError: input that is not finite, does not match in length, never varies, or has fewer than two
            classes with at least two images (with groups: of two groups) each.

    Cost: O(n d^2 + d^3), for more than 4,096 features and fewer images O(n^2 d + n^3); for 5 fits O((n + d) d c) a step, n at
            most 20,000; per label column. Smallest n: 4.

    Example:
        >>> import numpy as np
        >>> x = np.array([[0.0], [0.1], [0.2], [0.3], [9.0], [9.1], [9.2], [9.3]])
        >>> linear_probe(features=x, labels=[0] * 4 + [1] * 4)
        1.0
    """
    sample = as_sample(features)
    x = sample.features
    n_samples = len(x)
    targets = encode_targets(labels, n_samples)
    check_varying(x)
    rows = seeded_subsample(targets, _LARGEST_SAMPLE, seed)
    x = sample.part(rows).centred
    if groups is not None:
        groups = encode_groups(groups, n_samples)[rows]
    values = [_cross_validated(x, codes[rows], groups, seed, tolerance) for codes in targets]
    known = [value for value in values if value is not None]
    if not known:
        of = "images" if groups is None else "groups"
        raise ValueError(f"`labels` must have at least 2 classes with at least 2 {of} each; got fewer. Take a larger sample.")
    return float(np.mean(known))


def _cross_validated(x: np.ndarray, codes: np.ndarray, groups: np.ndarray | None, seed: int, tolerance: float) -> float | None:
    """Macro AUC for one target; None if fewer than two classes have an image to learn from and another to be tested on."""
    units = np.arange(len(codes)) if groups is None else groups
    class_of_unit = np.unique(np.stack([codes, units]), axis=1)[0]  # the class of every pair of class and group
    usable = np.bincount(class_of_unit)[codes] > 1
    x, codes, units = x[usable], np.unique(codes[usable], return_inverse=True)[1], units[usable]
    if not len(codes) or codes.max() < 1:
        return None
    training = _training_images(codes, None if groups is None else units, seed)
    if not len(training):
        return None
    probabilities, converged = cross_validated_probabilities(x, codes, training, tolerance)
    if not converged:
        warn("not_converged", f"{MOST_STEPS} steps of the logistic regression")
    pairs = zip(probabilities, training, strict=True)
    areas = np.stack([_areas(fold[~rows], codes[~rows], np.unique(codes[rows])) for fold, rows in pairs])
    defined = ~np.isnan(areas)
    sums, counts = np.where(defined, areas, 0.0).sum(axis=0), defined.sum(axis=0)
    return float((sums[counts > 0] / counts[counts > 0]).mean()) if counts.any() else None


def _training_images(codes: np.ndarray, groups: np.ndarray | None, seed: int) -> np.ndarray:
    """Whether an image is one that a fold learns from [n_folds, n_samples].

    A fold that has all groups of all classes but one is left out: nothing can be learned without it.
    """
    n_folds = min(_FOLDS, int(np.bincount(codes).max()), len(codes) if groups is None else len(np.unique(groups)))
    folds = (StratifiedKFold if groups is None else StratifiedGroupKFold)(n_folds, shuffle=True, random_state=seed)
    training = np.zeros((n_folds, len(codes)), dtype=bool)
    with without_warnings():  # a class smaller than the number of folds is meant to pass
        for rows, (train, _) in zip(training, folds.split(codes, codes, groups), strict=True):
            rows[train] = True
    return training[[len(np.unique(codes[rows])) > 1 for rows in training]]


def _areas(probabilities: np.ndarray, codes: np.ndarray, learned: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of each class against the rest [n_classes], from probabilities [n_samples, n_classes]; NaN for
    a class that was not learned, and where all images or none are of it."""
    inside = codes[:, None] == np.arange(probabilities.shape[1])
    count = inside.sum(axis=0)
    pairs = count * (len(codes) - count)
    ranks = (rankdata(probabilities, axis=0) * inside).sum(axis=0) - count * (count + 1) / 2
    defined = np.isin(np.arange(len(count)), learned) & (pairs > 0)
    return np.where(defined, ranks / np.maximum(pairs, 1), np.nan)
