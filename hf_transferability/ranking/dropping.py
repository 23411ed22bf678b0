"""The rules of a race: how large its samples are, and which candidates are dropped at each.

A candidate is dropped when its score, and its spread over half-samples on top of it, lies below the K-th best score. The
spread is that of the candidate and the mean of all, half each: ten halves tell one candidate's own only roughly.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hf_transferability.names import KEEP

REACH = 2.5  # spreads above its score within which a candidate may still be among the best
LAST_REACH = 1.0  # the same on the whole sample, where its score is the one of a ranking without a race
SHARES = (1 / 6, 1 / 3)  # of the sample asked for, at the stages before it
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
    """Images of each stage of a race, the sample asked for last; fewer stages where its shares are too small."""
    smallest = max(_SMALLEST, _PER_CLASS * n_classes)
    return [size for size in (round(share * n_images) for share in SHARES) if size >= smallest] + [n_images]


def below_threshold(
    scores: Sequence[float | None], halves: Sequence[Sequence[float | None]], keep: int = KEEP, last: bool = False
) -> list[BelowThreshold]:
    """The candidates of a stage that are dropped.

    Args:
        scores: of each candidate; one without a score is not judged.
        halves: scores on the half-samples, [n_halves][n_candidates].
        keep: how many at least go on.
        last: they are scores of the whole sample.

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
    highest = values + (LAST_REACH if last else REACH) * spread
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
