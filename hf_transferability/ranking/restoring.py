"""Who must come back into a race: candidates that cannot be first themselves, but whose values may decide who is.

A score that is made of ranks counts who lies between two candidates. Of the dropped, the values on the whole sample are only
estimated. So they are drawn many times as far as the estimates may be wrong, and while another candidate ever comes first,
those that are most likely to lie between the two are scored on the whole sample as well.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import norm

from hf_transferability.metrics import get_metric
from hf_transferability.names import SCENARIOS
from hf_transferability.ranking.candidates import Candidate
from hf_transferability.ranking.estimates import Stage, change_error, estimated
from hf_transferability.ranking.pool import metric_over_pool
from hf_transferability.ranking.scoring import Value

_DRAWS = 60
_WIDER = 1.5  # than the error of those that are known on both samples, which are the best and no others
_AT_ONCE = 3
_NEGLIGIBLE = 0.01


def to_restore(stages: Sequence[Stage], now: Sequence[Candidate], sorting: str, variant: str, seed: int) -> list[str]:
    """The names of those that should be scored on the whole sample as well; nobody where the first is certain enough.

    Args:
        stages: before the whole sample.
        now: candidates with their scores on the whole sample.
        sorting: the metric that decides.
        variant: its form.
        seed: of the draws.
    """
    dropped_candidates = estimated(stages, now)
    if not get_metric(sorting).is_pool_relative or not dropped_candidates:
        return []
    errors = {key: _WIDER * error for key, error in change_error(stages, now).items()}
    scores = _scores(now, dropped_candidates, sorting, variant)
    if not np.isfinite(scores).any():
        return []
    first = int(np.nanargmax(scores))  # of several with one score the one that is listed first
    rng, others = np.random.default_rng(seed), np.zeros(len(now), dtype=int)
    for _ in range(_DRAWS):
        drawn = _scores(now, [_drawn(candidate, errors, rng) for candidate in dropped_candidates], sorting, variant)
        if drawn[winner := int(np.nanargmax(drawn))] > drawn[first]:  # also one that shares the first place by the estimates
            others[winner] += 1
    if not others.any():
        return []
    weights = [_between(one, now[first], now[int(others.argmax())], errors) for one in dropped_candidates]
    order = np.argsort(weights)[::-1][:_AT_ONCE].tolist()
    return [dropped_candidates[place].name for place in order if weights[place] > _NEGLIGIBLE]


def _scores(now: Sequence[Candidate], dropped_candidates: Sequence[Candidate], sorting: str, variant: str) -> np.ndarray:
    values = metric_over_pool(sorting, [*now, *dropped_candidates], SCENARIOS[0], variant)[: len(now)]
    return np.array([np.nan if value is None or now[i].untrained else value for i, value in enumerate(values)])


def _drawn(candidate: Candidate, errors: dict[str, float], rng: np.random.Generator) -> Candidate:
    """A candidate whose values are as far off as their estimates may be."""
    assert candidate.scores is not None
    values: dict[str, Value] = {
        key: value + errors.get(key, 0.0) * float(rng.standard_normal()) if isinstance(value, float) else value
        for key, value in candidate.scores.values.items()
    }
    return replace(candidate, scores=replace(candidate.scores, values=values))


def _between(candidate: Candidate, first: Candidate, second: Candidate, errors: dict[str, float]) -> float:
    """How uncertain it is whether a candidate lies between two others, summed over what the score is made of."""
    total = 0.0
    for key, error in errors.items():
        values = [one.scores.values.get(key) if one.scores else None for one in (candidate, first, second)]
        if error > 0 and all(isinstance(value, float) for value in values):
            value, low, high = float(values[0]), *sorted(map(float, values[1:]))  # type: ignore[arg-type]
            inside = float(norm.cdf((high - value) / error) - norm.cdf((low - value) / error))
            total += inside * (1 - inside)
    return total
