"""A pool of candidates: scores that exist only over it, intervals, ranks and places."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata
from scipy.stats import t as student

from hf_transferability.metrics import collect_flags, describe, get_metric
from hf_transferability.ranking.candidates import Candidate
from hf_transferability.ranking.choices import metric_and_variant, part_keys
from hf_transferability.ranking.scoring import UNSTABLE, Value
from hf_transferability.ranking.tie_groups import tie_groups

Numbers = list[float | None]


@dataclass(frozen=True)
class MetricScores:
    """One metric over the pool, one entry per candidate in the order of the pool.

    Attributes:
        values: scores, None where undefined.
        intervals: [low, high] of 90%, None where undefined.
        halves: scores on each half-sample, [n_halves][n_candidates].
    """

    values: Numbers
    intervals: list[list[float] | None]
    halves: list[Numbers]

    def halves_of(self, candidate: int) -> Numbers:
        """One candidate's scores on the half-samples."""
        return [half[candidate] for half in self.halves]


@dataclass(frozen=True)
class PoolScores:
    """All metrics over the pool.

    Attributes:
        metrics: name -> its scores.
        flags: one dict per candidate: flag that the pool gives it -> detail.
        notes: what holds for the whole pool: its flag, and the note in words.
    """

    metrics: dict[str, MetricScores]
    flags: list[dict[str, str]]
    notes: list[tuple[str, str]]


@dataclass(frozen=True)
class Entry:
    """What decides a candidate's place.

    Attributes:
        score: by the sorting metric, None where it has none.
        halves: its scores on the half-samples.
        at_floor: its feature quality does not exceed that of shuffled labels, where that counts.
        untrained: None where the network could not be loaded.
        failed: it has no score for a reason of its own.
    """

    score: float | None
    halves: Sequence[float | None] = ()
    at_floor: bool = False
    untrained: bool | None = False
    failed: bool = False


@dataclass(frozen=True)
class Place:
    """A candidate's position in the pool, its rank and tie group, and the share of half-samples in which it is first."""

    position: int
    rank: int | None = None
    tie_group: int | None = None
    first_share: float | None = None


def score_pool(
    candidates: Sequence[Candidate],
    metrics: Sequence[str],
    scenario: str,
    variant: str = "default",
    sorting: str | None = None,
    dropped_candidates: Sequence[Candidate] = (),
) -> PoolScores:
    """Every metric's scores and intervals over the pool.

    Args:
        candidates: the pool; those without scores have failed and get None everywhere.
        metrics: names.
        scenario: for metrics whose formula depends on it.
        variant: "default" or "published".
        sorting: the metric whose unstable ranks are flagged; default the first.
        dropped_candidates: those that belong to the pool of the sorting metric and are not among those asked for; see `race`.
    """
    sorting, n = sorting or metrics[0], len(candidates)
    scored: dict[str, MetricScores] = {}
    flags: list[dict[str, str]] = [{} for _ in candidates]
    notes: dict[tuple[str, str], list[str]] = {}
    alive = [i for i, candidate in enumerate(candidates) if candidate.scores is not None]
    n_halves = max((len(halves) for i in alive for halves in candidates[i].scores.halves.values()), default=0)  # type: ignore[union-attr]
    for name in metrics:
        members = [*candidates, *(dropped_candidates if name == sorting else ())]
        with collect_flags() as raised:
            values = metric_over_pool(name, members, scenario, variant)[:n]
        trained = [i for i in alive if not candidates[i].untrained]
        compared = [i for i in trained if values[i] is not None]
        numbers = {values[i] for i in compared}
        if len(compared) > 1 and len(numbers) == 1:
            raised.setdefault("constant_over_pool", f"{name} {numbers.pop():.4g}")
        for flag, detail in raised.items():
            notes.setdefault((flag, describe(flag, detail)), []).append(name)
            for i in compared or trained:  # the untrained, and who lacks the metric, have no part in what holds for its pool
                flags[i].setdefault(flag, f"{name}: {detail}" if detail else name)
        with collect_flags():  # what holds for a half says nothing about the whole
            halves = [metric_over_pool(name, members, scenario, variant, half)[:n] for half in range(n_halves)]
        if name == sorting:
            for i, detail in _unstable_ranks(compared, halves).items():
                flags[i].setdefault(UNSTABLE, f"{name}: {detail}")
        ranges = _reachable(name, members, scenario, variant)
        intervals = [
            _interval(value, [half[i] for half in halves if half[i] is not None], ranges[i]) for i, value in enumerate(values)
        ]
        scored[name] = MetricScores(values, intervals, halves)
    return PoolScores(scored, flags, [(flag, f"{', '.join(names)}: {text}.") for (flag, text), names in notes.items()])


def metric_over_pool(
    name: str, candidates: Sequence[Candidate], scenario: str, variant: str = "default", half: int | None = None
) -> Numbers:
    """One metric's score of every candidate, on the whole sample or on one half-sample.

    Candidates count as one pool, in which the untrained ones have no part; a metric that is not pool-relative has a value
    for these, too.
    """
    metric = get_metric(name)
    if not metric.is_pool_relative:
        return [_value(candidate, name, half) for candidate in candidates]  # type: ignore[misc]
    columns = _columns(name, candidates, variant, half)
    return metric.combine(columns, variant=metric_and_variant(name, variant)[1], scenario=scenario)


def _columns(name: str, candidates: Sequence[Candidate], variant: str, half: int | None = None) -> dict[str, list]:
    """What the formula of a pool-relative metric is applied to: name -> one value per candidate, None for untrained ones."""
    metric = get_metric(name)
    trained = [candidate if not candidate.untrained else Candidate(candidate.name) for candidate in candidates]
    columns: dict[str, list] = {fact: [candidate.facts.get(fact) for candidate in trained] for fact in metric.facts}
    for part, key in part_keys(name, variant).items():
        columns[part] = [_value(candidate, key, half) for candidate in trained]
    for component in metric.components:
        values = [_value(candidate, name, half) for candidate in trained]
        columns[component] = [value[component] if isinstance(value, dict) else None for value in values]
    return columns


def _reachable(name: str, candidates: Sequence[Candidate], scenario: str, variant: str) -> list[tuple[float, float]]:
    """The lowest and highest score that each candidate could have in this pool, whatever its images.

    For a score that exists only over the pool: with each of the candidate's raw numbers below or above those of all others,
    while the others and its facts, such as its size, stay. Otherwise the metric's range.
    """
    metric = get_metric(name)
    widest = metric.range_of(variant)
    if not metric.is_pool_relative:
        return [widest] * len(candidates)
    columns = {key: np.array(values, dtype=float) for key, values in _columns(name, candidates, variant).items()}
    raw = [key for key in metric.raw_names if np.isfinite(columns[key]).any()]
    sides = np.array(list(itertools.product((False, True), repeat=len(raw))))
    ranges = []
    for i in range(len(candidates)):
        moved = {key: np.tile(values, (len(sides), 1)) for key, values in columns.items()}
        for key, above in zip(raw, sides.T, strict=True):
            low, high = np.nanmin(columns[key]), np.nanmax(columns[key])
            margin = (high - low) or 1.0
            if np.isfinite(columns[key][i]):
                moved[key][:, i] = np.where(above, high + margin, low - margin)
        scores = metric.combine_pools(moved, variant=metric_and_variant(name, variant)[1], scenario=scenario)[:, i]
        scores = scores[np.isfinite(scores)]
        ranges.append((float(scores.min()), float(scores.max())) if len(scores) else widest)
    return ranges


def order(entries: Sequence[Entry]) -> list[Place]:
    """Places in rank order: scored, then scored at the floor, then without score, then failed on the images, then untrained,
    and those that could not be loaded last.

    Equal scores share a rank; see `tie_groups` for the groups.
    """
    positions = sorted(range(len(entries)), key=lambda i: _place_key(entries[i]))
    scored = [i for i in positions if entries[i].score is not None]
    if len(scored) < 2:
        return [Place(i) for i in positions]  # one alone has no rank
    ranks: dict[int, int] = {}
    for number, i in enumerate(scored, 1):
        before = scored[number - 2] if number > 1 else None
        same = before is not None and _place_key(entries[before]) == _place_key(entries[i])
        ranks[i] = ranks[before] if same and before is not None else number
    groups: dict[int, int] = {}
    shares: dict[int, float] = {}
    if any(len(entries[i].halves) for i in scored):
        for at_floor in (False, True):  # a candidate at its floor is not tied with one above it, whatever their scores
            members = [i for i in scored if entries[i].at_floor == at_floor]
            numbers = tie_groups([(entries[i].score, entries[i].halves) for i in members])
            last = max(groups.values(), default=0)
            groups |= {i: last + number for i, number in zip(members, numbers, strict=True)}
        ahead = [i for i in scored if not entries[i].at_floor] or scored  # one at its floor is never listed before these
        shares = dict.fromkeys(scored, 0.0) | _first_shares({i: entries[i].halves for i in ahead})
    return [Place(i, ranks.get(i), groups.get(i), shares.get(i)) for i in positions]


def _place_key(entry: Entry) -> tuple[int, float]:
    if entry.score is not None:
        return int(entry.at_floor), -entry.score
    if entry.untrained:
        return 4, 0.0
    if entry.failed:
        return (5 if entry.untrained is None else 3), 0.0
    return 2, 0.0


def _value(candidate: Candidate, key: str, half: int | None = None) -> Value:
    """What was computed under a key, or that on one half-sample."""
    if candidate.scores is None:
        return None
    if half is None:
        return candidate.scores.values.get(key)
    halves = candidate.scores.halves.get(key)  # none where the metric is undefined for this candidate
    return halves[half] if halves else None


def _interval(value: float | None, halves: Sequence[float | None], reachable: tuple[float, float]) -> list[float] | None:
    """Student's 90% interval from the half-samples, without what the score cannot reach."""
    if value is None or len(halves) < 2:
        return None
    low, high = reachable
    reach = float(student.ppf(0.95, len(halves) - 1) * np.std(np.array(halves, dtype=float), ddof=1))
    return [max(value - reach, min(low, value)), min(value + reach, max(high, value))]


def _unstable_ranks(compared: Sequence[int], halves: Sequence[Numbers]) -> dict[int, str]:
    """The candidates whose rank moves over more than half of the pool between half-samples, each with its range."""
    complete = [[half[i] for i in compared] for half in halves if all(half[i] is not None for i in compared)]
    if len(compared) < 4 or not complete:
        return {}
    ranks = np.array([rankdata(-np.array(half, dtype=float)) for half in complete])
    return {
        i: f"rank {low:g} to {high:g} of {len(compared)} on half-samples"
        for i, low, high in zip(compared, ranks.min(axis=0), ranks.max(axis=0), strict=True)
        if high - low > len(compared) / 2
    }


def _first_shares(halves: dict[int, Sequence[float | None]]) -> dict[int, float]:
    """Share of half-samples in which each candidate comes first; those that tie for it share it."""
    firsts = dict.fromkeys(halves, 0.0)
    n_compared = 0
    for half in zip(*halves.values(), strict=True):
        numbers = {i: value for i, value in zip(halves, half, strict=True) if value is not None}
        if not numbers:
            continue
        n_compared += 1
        best = [i for i, value in numbers.items() if value == max(numbers.values())]
        for i in best:
            firsts[i] += 1 / len(best)
    return {i: round(share / n_compared, 4) for i, share in firsts.items()} if n_compared else {}
