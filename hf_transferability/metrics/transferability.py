"""The transferability score: Juodelyte, Ferrante, Lu, Singh, Vanschoren, Cheplygina, "On dataset transferability in
medical image classification", 2024, https://arxiv.org/abs/2412.20172.

Feature quality times feature update ratio, each scaled over the pool of candidates. It exists only relative to a pool,
so arrays of one candidate give its two raw parts, and `combine` turns a pool of those into scores.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hf_transferability.arguments import checked_names
from hf_transferability.metrics._metric import SCENARIOS
from hf_transferability.metrics._pool import scaled
from hf_transferability.metrics._registry import get_metric, register
from hf_transferability.metrics.feature_quality import feature_quality
from hf_transferability.metrics.feature_update_ratio import feature_update_ratio

__all__ = ["SCENARIOS", "combine", "formula", "transferability"]


def formula(parts: Mapping[str, np.ndarray], *, scenario: str) -> np.ndarray:
    """m(FQ) m(FU) for `source_dataset`, (1 - m(FQ)) (1 - m(FU)) for `architecture`, where the published order is reversed.

    m(.) scales a part from 0 to 1 over the candidates that have it. A part that is the same for all orders nothing, so
    such a pool has no scores.

    Args:
        parts: feature_quality and feature_update_ratio, [..., n_candidates] each.
        scenario: one of SCENARIOS.

    Returns:
        Scores [..., n_candidates] from 0 to 1, NaN for none.
    """
    quality, ratio = scaled(parts["feature_quality"]), scaled(parts["feature_update_ratio"])
    return quality * ratio if scenario == "source_dataset" else (1 - quality) * (1 - ratio)


@checked_names
def combine(
    feature_quality: Sequence[float | None],
    feature_update_ratio: Sequence[float | None],
    scenario: str = "source_dataset",
) -> list[float | None]:
    """Transferability scores of a pool, between 0 and 1: see `formula`.

    Args:
        feature_quality: raw values, None where a candidate has none.
        feature_update_ratio: likewise.
        scenario: one of SCENARIOS.

    Returns:
        One score per candidate; None where it lacks a part, and everywhere when the pool has a single complete
        candidate or a part that never varies. Flags: pool_of_one, pool_of_two, constant_over_pool.

    Raises:
        ValueError: an unknown scenario, lists of different length, or a part that is not finite.

    Example:
        >>> combine([1.0, 2.0, 3.0], [1.0, 3.0, 2.0])
        [0.0, 0.5, 0.5]
    """
    parts = {"feature_quality": feature_quality, "feature_update_ratio": feature_update_ratio}
    return get_metric("transferability").combine(parts, scenario=scenario)


@register(
    inputs=("features", "labels", "gradient_norms"),
    range=(0.0, 1.0),
    unit="none",
    paper="Juodelyte et al. 2024, https://arxiv.org/abs/2412.20172",
    comparable=False,
    invariances={"sample_order": 0.03, "label_names": 0.03},
    smallest_n=12,
    parts=("feature_quality", "feature_update_ratio"),
    floors={"architecture": ("feature_quality",)},
    formula=formula,
)
def transferability(*, features: Any, labels: Any, gradient_norms: Any, seed: int = 42) -> dict[str, float]:
    """Feature quality times feature update ratio, each scaled over the pool of candidates.

    From 0 to 1, comparable within one pool only. One candidate has the raw parts alone; `combine` forms the scores of a
    pool.

    Args:
        features: [n_samples, n_features], float.
        labels: [n_samples], classes of any kind.
        gradient_norms: [n_batches, 2], float.
        seed: for the feature quality.

    Returns:
        {"feature_quality": ..., "feature_update_ratio": ...}. Flags: those of the two.

    Raises:
        ValueError, TypeError: those of the two.

    Cost: that of feature quality. Smallest n: 12.

    Example:
        >>> import numpy as np
        >>> x = np.array([[0.0], [0.1], [0.2], [0.3], [0.4], [9.0], [9.1], [9.2], [9.3], [9.4]])
        >>> transferability(features=x, labels=[0] * 5 + [1] * 5, gradient_norms=[[2.0, 1.0]])
        {'feature_quality': 1.0, 'feature_update_ratio': 0.5}
    """
    return {
        "feature_quality": feature_quality(features=features, labels=labels, seed=seed),
        "feature_update_ratio": feature_update_ratio(gradient_norms=gradient_norms),
    }
