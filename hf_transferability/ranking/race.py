"""A race: all candidates on a small sample, and only those that may still be among the best on a larger one.

Every stage computes what the order needs and no more. Those that go on are scored on the whole sample as without a race.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hf_transferability.errors import UsageError
from hf_transferability.extraction.pixels import PixelStore
from hf_transferability.names import SCENARIOS
from hf_transferability.ranking.candidates import Candidate, Work, find_candidate
from hf_transferability.ranking.choices import keys_to_compute, needs_gradients
from hf_transferability.ranking.dropping import Behind, behind, stage_sizes
from hf_transferability.ranking.kept import KeptNetworks
from hf_transferability.ranking.nested import NestedSamples
from hf_transferability.ranking.pool import MetricScores, Place, PoolScores, score_pool
from hf_transferability.ranking.rows import published, shown_metrics
from hf_transferability.ranking.scored import Find, scored_candidates
from hf_transferability.ranking.scoring import Request, Scores, Value
from hf_transferability.results import Row

DROPPED = "dropped"  # the flag of a candidate that a race leaves behind
RACING_HALVES = 10
_SCENARIO = SCENARIOS[0]  # of a metric that needs gradients only, and that cannot sort a race


@dataclass(frozen=True)
class Dropped:
    """A candidate that stays behind.

    Attributes:
        candidate: with its scores on the stage's sample.
        place: its position in the stage's pool.
        pool: the metrics over the stage's pool.
        images: of the stage's sample.
        detail: the numbers that decided.
    """

    candidate: Candidate
    place: int
    pool: PoolScores
    images: int
    detail: str


@dataclass(frozen=True)
class Stage:
    """One stage: its candidates with their scores, and those of them that stay behind, by position."""

    images: int
    candidates: Sequence[Candidate]
    behind: Sequence[Behind]


@dataclass(frozen=True)
class Raced:
    """The outcome of the stages before the whole sample.

    Attributes:
        names: candidates that go on.
        failed: candidates that could not be read; they need no second attempt.
        dropped: candidates that stay behind; in the main process alone.
        stages: what each stage found; in the main process alone.
        find: gets a survivor's arrays on the whole sample.
    """

    names: list[str]
    find: Find
    failed: list[Candidate] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)


def check_race(sorting: str, task: str, variant: str) -> None:
    """Refuse a metric whose value on a part of the images says nothing about the whole.

    Raises:
        UsageError: the metric needs gradients.
    """
    if needs_gradients(keys_to_compute([sorting], task, variant, ())):
        raise UsageError(
            f"`race` must go with a metric of features; got {sorting}, which needs gradients of the whole sample. Leave out "
            "--race, or sort by consensus."
        )


def run_race(names: Sequence[str], work: Work, metrics: Sequence[str], request: Request, keep: int) -> Raced:
    """The stages of a race before the whole sample.

    Args:
        names: the candidates.
        work: on the whole sample.
        metrics: of the ranking; the first one decides.
        request: of the whole ranking; its variant and seed hold here, too.
        keep: how many go on at least.
    """
    target, sorting = work.target, metrics[0]
    check_race(sorting, target.task, request.variant)
    sizes = stage_sizes(len(target), len(target.class_names) if target.task == "single_label" else 1)
    if len(sizes) < 2 or len(names) <= keep:
        why = f"{len(target)} images are too few to begin with fewer" if len(sizes) < 2 else f"no more than {keep} candidates"
        work.progress.note(f"no race: {why}; all candidates are ranked on the whole sample.")
        return Raced(list(names), find_candidate)
    work = replace(work, kept=KeptNetworks(), store=work.store or PixelStore())
    samples = NestedSamples(work, sizes)
    asked = Request(keys_to_compute([sorting], target.task, request.variant, ()), request.variant, RACING_HALVES, request.seed)
    raced = Raced(list(names), samples.find_whole)
    for number, size in enumerate(sizes[:-1]):
        work.progress.note(f"race: {len(raced.names)} candidates on {size} of {len(target)} images.")
        raced = _after_stage(raced, number, samples, work, metrics, asked, keep)
    return replace(raced, find=lambda name, whole: samples.find_whole(name, replace(whole, kept=work.kept, store=work.store)))


def _after_stage(
    raced: Raced, number: int, samples: NestedSamples, work: Work, metrics: Sequence[str], request: Request, keep: int
) -> Raced:
    """The race after one more stage, the same names in every process."""
    size = samples.sizes[number]
    found, _ = scored_candidates(
        raced.names, work, request, find=lambda name, _: samples.find(name, number), sample=samples.labels(number)
    )
    decision: tuple[list[Dropped], list[Stage], list[str]] | None = None
    failed = [candidate for candidate in found if candidate.error is not None]
    if work.state.is_main_process:
        stage, dropped = _stage(raced, [one for one in found if one.error is None], size, metrics, request.variant, keep)
        out = {entry.candidate.name for entry in dropped}
        decision = ([*raced.dropped, *dropped], [*raced.stages, stage], [one.name for one in failed] + sorted(out))
    decision = work.state.broadcast(decision)
    all_dropped, stages, out_names = decision
    going_on = [name for name in raced.names if name not in out_names]
    assert work.kept is not None
    work.kept.keep_only(going_on)
    return replace(raced, names=going_on, failed=[*raced.failed, *failed], dropped=all_dropped, stages=stages)


def _stage(
    raced: Raced, candidates: Sequence[Candidate], size: int, metrics: Sequence[str], variant: str, keep: int
) -> tuple[Stage, list[Dropped]]:
    """A stage's decision over the candidates that have arrays."""
    beside = estimated(raced.stages, candidates)
    pool = _over_stage(candidates, metrics, variant, beside)
    scores = pool.metrics[metrics[0]]
    trained = [None if one.untrained else scores.values[i] for i, one in enumerate(candidates)]
    out = behind(trained, scores.halves, keep)
    dropped = [
        Dropped(candidates[entry.position], entry.position, pool, size, _detail(entry, keep, len(candidates), size))
        for entry in out
    ]
    dropped += [
        Dropped(one, i, pool, size, f"untrained, after {size} images") for i, one in enumerate(candidates) if one.untrained
    ]
    return Stage(size, candidates, out), dropped


def _over_stage(
    candidates: Sequence[Candidate], metrics: Sequence[str], variant: str, beside: Sequence[Candidate]
) -> PoolScores:
    """The sorting metric and what it is made of over a stage's pool; no value of the other metrics of the ranking."""
    computed = {name for one in candidates if one.scores for name in one.scores.values} | {metrics[0]}
    names = shown_metrics(metrics)
    pool = score_pool(candidates, [name for name in names if name in computed], _SCENARIO, variant, metrics[0], beside)
    nothing = MetricScores([None] * len(candidates), [None] * len(candidates), [])
    return replace(pool, metrics={name: pool.metrics.get(name, nothing) for name in names})


def dropped_rows(
    dropped: Sequence[Dropped], candidates: Sequence[Candidate], metrics: Sequence[str], variant: str
) -> list[Row]:
    """The rows of candidates that stayed behind, those of the larger sample and the higher score first.

    Args:
        dropped: of `Raced`.
        candidates: the same ones, with what has been found out about them since.
        metrics: to show; the first sorts.
        variant: the form of the metrics.
    """
    rows = []
    for entry, candidate in zip(dropped, candidates, strict=True):
        row = published(candidate, Place(entry.place), entry.pool, metrics, variant)
        details = {**row["flag_details"], DROPPED: entry.detail}
        rows.append({**row, "flags": list(details), "flag_details": details, "dropped_at": entry.images})
    return sorted(rows, key=lambda row: (row["score"] is None, -row["dropped_at"], -(row["score"] or 0.0)))


def _detail(entry: Behind, keep: int, n_candidates: int, size: int) -> str:
    return (
        f"{entry.score:.3g}, at most {entry.highest:.3g}, after {size} images, below {entry.threshold:.3g} of place {keep} "
        f"of {n_candidates}"
    )


def estimated(stages: Sequence[Stage], now: Sequence[Candidate]) -> list[Candidate]:
    """The candidates that earlier stages left behind, with the scores that they would have now.

    A score that exists only over a pool would be coarse among the few that are left, and would not be the one of a ranking
    without a race. So those that stayed behind remain part of the pool: with their last values, and what the values of the
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
        for entry in stage.behind:
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
