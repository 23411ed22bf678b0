"""What the candidates that were dropped in a race would reach on a larger sample, so that they remain part of the pool."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hf_transferability.ranking.candidates import Candidate
from hf_transferability.ranking.dropping import BelowThreshold
from hf_transferability.ranking.scoring import Scores, Value

_NORMAL = 1.4826  # median absolute deviations of a normal distribution that make its standard deviation


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        images: of its sample.
        candidates: with their scores.
        below: those of them that are dropped, by position.
        scores: by the metric that sorts; None for those that are not judged.
    """

    images: int
    candidates: Sequence[Candidate]
    below: Sequence[BelowThreshold]
    scores: Sequence[float | None] = ()


def estimated(stages: Sequence[Stage], now: Sequence[Candidate]) -> list[Candidate]:
    """The candidates that earlier stages dropped, with the scores that they would have now.

    A score that exists only over a pool would be coarse among the few that are left, and would not be the one of a ranking
    without a race. So those that were dropped remain part of the pool: with their last values, and what the values of the
    others have changed by since, their median.

    Args:
        stages: so far.
        now: candidates with their scores on the present sample.
    """
    current = {one.name: one.scores for one in now if one.scores is not None and not one.untrained}
    result = []
    for stage in stages:
        before = {one.name: one.scores for one in stage.candidates if one.scores is not None}
        pairs = [(before[name], scores) for name, scores in current.items() if name in before]
        for entry in stage.below:
            candidate = stage.candidates[entry.position]
            if pairs and candidate.scores is not None:
                result.append(replace(candidate, scores=_moved(candidate.scores, pairs)))
    return result


def _moved(scores: Scores, pairs: Sequence[tuple[Scores, Scores]]) -> Scores:
    """Scores that change as those of other candidates did, from before to now."""
    values: dict[str, Value] = {}
    halves: dict[str, list[Value]] = {}
    for key, value in scores.values.items():
        change = _change([(before.values.get(key), now.values.get(key)) for before, now in pairs])
        values[key] = _plus(value, change)
        lists = [(before.halves.get(key), now.halves.get(key)) for before, now in pairs]
        present = [(old, new) for old, new in lists if old and new]
        halves[key] = [
            _plus(half, _change([(old[i], new[i]) for old, new in present if i < min(len(old), len(new))]))
            for i, half in enumerate(scores.halves.get(key, []))
        ]
    return Scores(values=values, halves=halves)


def _change(pairs: Sequence[tuple[Value, Value]]) -> float | None:
    """The median change of numbers; None without any."""
    numbers = [now - before for before, now in pairs if isinstance(before, float) and isinstance(now, float)]
    return float(np.median(numbers)) if numbers else None


def _plus(value: Value, change: float | None) -> Value:
    return value + change if isinstance(value, float) and change is not None else None


def change_error(stages: Sequence[Stage], now: Sequence[Candidate]) -> dict[str, float]:
    """Key -> how far the change of one candidate's value lies from the median change, as a standard deviation."""
    changes: dict[str, list[float]] = {}
    current = {one.name: one.scores for one in now if one.scores is not None and not one.untrained}
    for one in stages[-1].candidates if stages else ():
        if one.scores is None or one.name not in current:
            continue
        for key, value in one.scores.values.items():
            later = current[one.name].values.get(key)
            if isinstance(value, float) and isinstance(later, float):
                changes.setdefault(key, []).append(later - value)
    return {key: _NORMAL * float(np.median(np.abs(np.array(numbers) - np.median(numbers)))) for key, numbers in changes.items()}
