"""Consensus: the default order of this package. Not a published metric but a plain rule over two that are; what it rests
on, what else was tried, and where it fails is in docs/benchmark.md.

The mean of a candidate's ranks by feature quality (Juodelyte et al. 2024) and by LogME in its default form (You et al.
2021); where the candidates differ in size, the mean of that and of the rank of the number of parameters. Ranks, since
the two have different units and no common scale; size, since metrics of features can turn the order of different
architectures round.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hf_transferability.metrics._pool import rank_shares
from hf_transferability.metrics._registry import register
from hf_transferability.metrics._validation import task_of
from hf_transferability.metrics.feature_quality import feature_quality
from hf_transferability.metrics.logme import logme

MEMBERS = ("feature_quality", "logme")
_DIGITS = 12
SAME_SIZE = 1.05  # the largest of a pool may have so many times the parameters of the smallest and still count as equal


def formula(parts: Mapping[str, np.ndarray]) -> np.ndarray:
    """e, or (e + s) / 2 where the candidates differ in size; between 0 and 1.

    With r(.) = (average rank, 1 the lowest, minus 1/2) / (number of candidates that have a value): e is the mean of
    r(feature quality) and r(LogME) over those that a candidate has, and s = r(number of parameters) among the candidates
    that have e. Size counts if the numbers of any two of these differ by more than 5%. If one of them is not known, size
    counts for none: some with size and some without could not be compared, and a rank among the known ones alone would
    move with what is unknown.

    Args:
        parts: feature_quality, logme and parameters, [..., n_candidates] each.

    Returns:
        Scores [..., n_candidates], NaN for a candidate with neither feature quality nor LogME.

    Example:
        >>> formula({"feature_quality": np.array([0.8, 0.7]), "logme": np.array([-0.2, -0.1]), "parameters": np.array([5, 11])})
        array([0.375, 0.625])
    """
    ranks = np.stack([rank_shares(np.asarray(parts[name], dtype=float)) for name in MEMBERS])
    count = (~np.isnan(ranks)).sum(axis=0)
    evidence = np.where(count > 0, np.nan_to_num(ranks).sum(axis=0) / np.maximum(count, 1), np.nan)
    size = np.where(np.isnan(evidence), np.nan, parts["parameters"])
    known = (np.isnan(size) == np.isnan(evidence)).all(axis=-1, keepdims=True)
    smallest, largest = (extreme.reduce(size, axis=-1, keepdims=True) for extreme in (np.fmin, np.fmax))
    counts = known & (largest > SAME_SIZE * smallest)
    # Equal means of other ranks, (1 + 5) / 2 and (3 + 3) / 2, must not differ by rounding: their order would be an accident.
    return np.round(np.where(counts, (evidence + rank_shares(size)) / 2, evidence), _DIGITS)


@register(
    inputs=("features", "labels"),
    range=(0.0, 1.0),
    unit="none",
    paper="feature quality of Juodelyte et al. 2024, https://arxiv.org/abs/2412.20172, with LogME of You et al. 2021, "
    "https://arxiv.org/abs/2102.11005",
    comparable=False,
    tasks=("single_label", "multi_label", "regression"),
    invariances={"sample_order": 0.03, "label_names": 0.03},
    published=False,
    parts=MEMBERS,
    needs_all_parts=False,
    facts=("parameters",),
    formula=formula,
)
def consensus(*, features: Any, labels: Any, seed: int = 42) -> dict[str, float]:
    """Mean of a candidate's ranks by feature quality and by LogME, and by size where the candidates differ in it.

    From 0 to 1, comparable within one pool only. One candidate has the raw parts alone, where labels are not classes only
    LogME; `formula` forms the scores of a pool.

    Args:
        features: [n_samples, n_features], float.
        labels: [n_samples], classes of any kind; [n_samples, n_labels] of 0 and 1; or [n_samples] floats to predict.
        seed: for the feature quality.

    Returns:
        {"feature_quality": ..., "logme": ...}, or {"logme": ...}. Flags: those of the two.

    Raises:
        ValueError, TypeError: those of the two.

    Cost: that of feature quality. Smallest n: 5, and 2 for several labels per image and for numbers.

    Example:
        >>> import numpy as np
        >>> x = np.array([[0.0], [0.1], [0.2], [0.3], [0.4], [9.0], [9.1], [9.2], [9.3], [9.4]])
        >>> {name: round(value, 2) for name, value in consensus(features=x, labels=[0] * 5 + [1] * 5).items()}
        {'feature_quality': 1.0, 'logme': 0.41}
    """
    parts = {"logme": logme(features=features, labels=labels)}
    if task_of(labels) == "single_label":
        parts = {"feature_quality": feature_quality(features=features, labels=labels, seed=seed)} | parts
    return parts
