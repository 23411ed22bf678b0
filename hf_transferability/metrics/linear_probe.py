"""Linear probe: Alain, Bengio, "Understanding intermediate layers using linear classifier probes", 2016,
https://arxiv.org/abs/1610.01644. A plain comparison, not one of the paper's methods.

Macro one-versus-rest AUC, like the fine-tuned performance that scores are compared with: it does not reward guessing
the largest class. Cross-validated, so that it is not optimistic when there are more features than images. The folds
depend on the labels and their order alone: all candidates of one sample are compared on the same folds.
"""

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hf_transferability.metrics._flags import warn
from hf_transferability.metrics._registry import register
from hf_transferability.metrics._sample import as_sample, seeded_subsample
from hf_transferability.metrics._validation import check_varying, encode_targets

_FOLDS = 5
_ITERATIONS = 500
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
)
def linear_probe(*, features: Any, labels: Any, seed: int = 0) -> float:
    """Test AUC of a logistic regression on the frozen features, by 5-fold cross-validation.

    Macro one-versus-rest area under the ROC curve, 0 to 1, 0.5 without any relation; comparable between candidates on
    one sample. Features are standardised on the training folds; the penalty is scikit-learn's, |w|^2 / 2 beside the
    summed log loss. An AUC is taken for each class and test fold that has images in and outside the class, and averaged
    over folds, then over classes.

    Args:
        features: [n_samples, n_features], float; computed in float64.
        labels: [n_samples], classes of any kind; or [n_samples, n_labels] of 0 and 1: the mean over the columns that
            vary. A class with one image is left out, and a column where only one image differs.
        seed: decides the folds and the subsample above 20,000 images.

    Returns:
        The mean AUC. Flags: subsampled, single_image_class, constant_label_column, not_converged.

    Raises:
        ValueError, TypeError: input that is not finite, does not match in length, never varies, or has fewer than two
            classes with at least two images each.

    Cost: 5 fits of O(n d c) a step, n at most 20,000; per label column. Smallest n: 4.

    Example:
        >>> import numpy as np
        >>> x = np.array([[0.0], [0.1], [0.2], [0.3], [9.0], [9.1], [9.2], [9.3]])
        >>> linear_probe(features=x, labels=[0] * 4 + [1] * 4)
        1.0
    """
    sample = as_sample(features)
    x = sample.features
    targets = encode_targets(labels, len(x))
    check_varying(x)
    rows = seeded_subsample(targets, _LARGEST_SAMPLE, seed)
    x = sample.part(rows).centred
    values = [_cross_validated(x, codes[rows], seed) for codes in targets]
    known = [value for value in values if value is not None]
    if not known:
        raise ValueError("`labels` must have at least 2 classes with at least 2 images each; got fewer. Take a larger sample.")
    return float(np.mean(known))


def _cross_validated(x: np.ndarray, codes: np.ndarray, seed: int) -> float | None:
    """Macro AUC for one target; None if fewer than two classes have an image to learn from and another to be tested on."""
    kept = np.bincount(codes)[codes] > 1
    x, codes = x[kept], np.unique(codes[kept], return_inverse=True)[1]
    if not len(codes) or codes.max() < 1:
        return None
    found: list[list[float]] = [[] for _ in range(codes.max() + 1)]
    folds = StratifiedKFold(min(_FOLDS, int(np.bincount(codes).max())), shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class smaller than the number of folds is meant to pass
        splits = list(folds.split(x, codes))
    for train, test in splits:
        classes, probabilities = _fit_and_predict(x[train], codes[train], x[test])
        for k, column in zip(classes, probabilities.T, strict=True):
            own = codes[test] == k
            if own.any() and not own.all():
                found[k].append(float(roc_auc_score(own, column)))
    return float(np.mean([np.mean(values) for values in found if values]))


def _fit_and_predict(train: np.ndarray, codes: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=_ITERATIONS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # reported below
        warnings.simplefilter("ignore", UserWarning)  # many classes for few images
        probe.fit(train, codes)
    if probe[-1].n_iter_.max() >= _ITERATIONS:
        warn("not_converged", f"{_ITERATIONS} steps of the logistic regression")
    return probe[-1].classes_, probe.predict_proba(test)
