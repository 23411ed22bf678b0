"""The rules of a race: how large its samples are, and which candidates are dropped at each.

A candidate is dropped when its score, and its spread over half-samples on top of it, lies below the K-th best score. The
spread is that of the candidate and the mean of all, half each: ten halves tell one candidate's own only roughly.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hf_transferability.names import KEEP

REACH = 2.5  # spreads above its score within which a candidate may still be among the best
SHARE = 1 / 3  # of the sample asked for, at the stage before it
_SMALLEST = 24  # images of a stage: halves of fewer say nothing
_PER_CLASS = 8  # images of a stage for each class


@dataclass(frozen=True)
class BelowThreshold:
    """A dropped candidate.

    Attributes:
        position: in the pool.
        score: in the pool of the stage.
        highest: what its spread allows.
        threshold: the K-th best score.
    """

    position: int
    score: float
    highest: float
    threshold: float


def stage_sizes(n_images: int, n_classes: int) -> list[int]:
    """Images of each stage of a race, the sample asked for last; that one alone where it is too small to be divided."""
    smallest = max(_SMALLEST, _PER_CLASS * n_classes)
    first = round(SHARE * n_images)
    return [first, n_images] if first >= smallest else [n_images]


def best_positions(scores: Sequence[float | None], keep: int = KEEP) -> list[int]:
    """The positions of the K best scores and of those equal to the K-th.

    Example:
        >>> best_positions([0.9, 0.5, None, 0.5, 0.1], keep=2)
        [0, 1, 3]
    """
    judged = sorted((score for score in scores if score is not None), reverse=True)
    lowest = judged[min(keep, len(judged)) - 1] if judged else 0.0
    return [i for i, score in enumerate(scores) if score is not None and score >= lowest]


def below_threshold(
    scores: Sequence[float | None], halves: Sequence[Sequence[float | None]], keep: int = KEEP
) -> list[BelowThreshold]:
    """The candidates of a stage that are dropped.

    Args:
        scores: of each candidate; one without a score is not judged.
        halves: scores on the half-samples, [n_halves][n_candidates].
        keep: how many at least go on.

    Example:
        >>> [entry.position for entry in below_threshold([0.9, 0.5, 0.1], [[0.9, 0.6, 0.1], [0.9, 0.4, 0.2]], keep=2)]
        [2]
    """
    judged = [i for i, score in enumerate(scores) if score is not None]
    if len(judged) <= keep:
        return []
    values = np.array([scores[i] for i in judged], dtype=float)
    spread = _spread(np.array([[half[i] for i in judged] for half in halves], dtype=float))
    if spread is None:
        return []
    threshold = float(np.sort(values)[-keep])
    highest = values + REACH * spread
    return [
        BelowThreshold(judged[i], float(values[i]), float(highest[i]), threshold)
        for i in np.flatnonzero(highest < threshold).tolist()
    ]


def _spread(halves: np.ndarray) -> np.ndarray | None:
    """Spread of each candidate over the half-samples [n_halves, n_candidates], drawn to that of the pool; None without any."""
    known = np.isfinite(halves)
    counts = known.sum(axis=0)
    if not (counts >= 2).any():
        return None
    means = np.where(known, halves, 0).sum(axis=0) / np.maximum(counts, 1)
    squares = np.where(known, (halves - means) ** 2, 0).sum(axis=0) / np.maximum(counts - 1, 1)
    common = float(squares[counts >= 2].mean())
    own = np.where(counts >= 2, squares, np.inf)  # what has no spread of its own cannot be dropped
    return np.sqrt((own + common) / 2)
