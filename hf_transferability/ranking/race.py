"""A race: all candidates on a small sample, and only those that may still be among the best on a larger one.

Every stage computes what the order needs and no more: features of the images that the stage before did not have. Where metrics
need gradients, which take a second pass and do not decide, only the best on the whole sample get them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hf_transferability.errors import UsageError
from hf_transferability.extraction.pixels import PixelStore
from hf_transferability.names import SCENARIOS
from hf_transferability.ranking.candidates import Candidate, Found, Work, find_candidate
from hf_transferability.ranking.choices import keys_to_compute, needs_gradients
from hf_transferability.ranking.dropping import BelowThreshold, below_threshold, best_positions, stage_sizes
from hf_transferability.ranking.estimates import Stage, estimated
from hf_transferability.ranking.nested import NestedSamples
from hf_transferability.ranking.network_cache import NetworkCache
from hf_transferability.ranking.pipeline import Find, scored_candidates
from hf_transferability.ranking.pool import MetricScores, Place, PoolScores, score_pool
from hf_transferability.ranking.restoring import to_restore
from hf_transferability.ranking.rows import published, shown_metrics
from hf_transferability.ranking.scoring import Request
from hf_transferability.results import Row

DROPPED = "dropped"  # the flag of a candidate that a race drops
RACING_HALVES = 10
_SCENARIO = SCENARIOS[0]  # of a metric that needs gradients only, and that cannot sort a race


@dataclass(frozen=True)
class Dropped:
    """A dropped candidate.

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
class Raced:
    """The outcome of the stages before the whole sample.

    Attributes:
        names: candidates that go on; at the end, those on the whole sample.
        failed: candidates that could not be read; they need no second attempt.
        dropped: the dropped candidates; in the main process alone.
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
    if len(names) <= keep or (len(sizes) == 1 and not work.gradients):
        why = "more candidates than it keeps" if len(names) <= keep else "a larger sample"
        work.progress.note(f"no race: it needs {why}.")
        return Raced(list(names), find_candidate)
    kept = NetworkCache(n_processes=work.state.num_processes)
    work = replace(work, kept=kept, store=work.store or PixelStore())
    samples = NestedSamples(work, sizes)
    asked = Request(keys_to_compute([sorting], target.task, request.variant, ()), request.variant, RACING_HALVES, request.seed)
    raced = Raced(list(names), find_candidate)
    for number, size in enumerate(sizes):
        work.progress.note(f"race: features of {len(raced.names)} candidates on {size} of {len(target)} images.")
        raced = _after_stage(raced, number, samples, work, metrics, asked, keep)
    best = _best(raced, work, keep)
    kept.keep_only(best)
    if work.gradients and len(best) < len(raced.names):
        work.progress.note(f"race: gradients of the {len(best)} best only; the ranks of the others do not need them.")

    def find(name: str, whole: Work) -> Found:
        return samples.find_again(name, replace(whole, gradients=whole.gradients and name in best))

    return replace(raced, find=find)


def _best(raced: Raced, work: Work, keep: int) -> set[str]:
    """The K best on the whole sample, the same names in every process."""
    names: set[str] = set()
    if work.state.is_main_process:
        stage = raced.stages[-1]
        names = {stage.candidates[i].name for i in best_positions(stage.scores, keep)}
    return work.state.broadcast(names)


def _after_stage(
    raced: Raced, number: int, samples: NestedSamples, work: Work, metrics: Sequence[str], request: Request, keep: int
) -> Raced:
    """The race after one more stage, the same names in every process."""
    last = number == len(samples.sizes) - 1

    def scored(names: Sequence[str]) -> list[Candidate]:
        return scored_candidates(
            names, work, request, find=lambda name, _: samples.find(name, number), sample=samples.labels(number)
        )[0]

    found = scored(raced.names)
    while last:
        back = _brought_back(raced, found, work, metrics[0], request)
        if not back:
            break
        work.progress.note(f"race: {len(back)} come back, as they may decide which candidate is first.")
        found += scored(back)
        raced = _without(raced, back)
    failed = [candidate for candidate in found if candidate.error is not None]
    out: Any = None
    if work.state.is_main_process:  # it alone has scores, and knows whose scoring failed
        read, size = [one for one in found if one.error is None], samples.sizes[number]
        stage, dropped = _stage(raced, read, size, metrics, request.variant, keep, last)
        raced = replace(raced, dropped=[*raced.dropped, *dropped], stages=[*raced.stages, stage])
        out = {entry.candidate.name for entry in dropped} | {one.name for one in failed}
    out = work.state.broadcast(out)
    going_on = [one.name for one in found if one.name not in out]
    return replace(raced, names=going_on, failed=[*raced.failed, *failed])


def _brought_back(raced: Raced, found: Sequence[Candidate], work: Work, sorting: str, request: Request) -> list[str]:
    """Those who must be scored on the whole sample as well, the same names in every process."""
    names: list[str] = []
    if work.state.is_main_process:
        now = [one for one in found if one.error is None]
        names = to_restore(raced.stages, now, sorting, request.variant, request.seed)
    return work.state.broadcast(names)


def _without(raced: Raced, back: Sequence[str]) -> Raced:
    """The race as if these candidates had not been dropped."""

    def kept(stage: Stage) -> Stage:
        return replace(stage, below=[entry for entry in stage.below if stage.candidates[entry.position].name not in back])

    dropped = [entry for entry in raced.dropped if entry.candidate.name not in back]
    return replace(raced, dropped=dropped, stages=[kept(stage) for stage in raced.stages])


def _stage(
    raced: Raced, candidates: Sequence[Candidate], size: int, metrics: Sequence[str], variant: str, keep: int, last: bool
) -> tuple[Stage, list[Dropped]]:
    """A stage's decision over the candidates that have arrays."""
    dropped_candidates = estimated(raced.stages, candidates)
    pool = _over_stage(candidates, metrics, variant, dropped_candidates)
    scores = pool.metrics[metrics[0]]
    trained = [None if one.untrained else scores.values[i] for i, one in enumerate(candidates)]
    out = [] if last else below_threshold(trained, scores.halves, keep)
    dropped = [
        Dropped(candidates[entry.position], entry.position, pool, size, _detail(entry, keep, len(candidates), size))
        for entry in out
    ]
    dropped += [
        Dropped(one, i, pool, size, f"untrained, after {size} images") for i, one in enumerate(candidates) if one.untrained
    ]
    return Stage(size, candidates, out, trained), dropped


def _over_stage(
    candidates: Sequence[Candidate], metrics: Sequence[str], variant: str, dropped_candidates: Sequence[Candidate]
) -> PoolScores:
    """The sorting metric and what it is made of over a stage's pool; no value of the other metrics of the ranking."""
    computed = {name for one in candidates if one.scores for name in one.scores.values} | {metrics[0]}
    names = shown_metrics(metrics)
    pool = score_pool(
        candidates, [name for name in names if name in computed], _SCENARIO, variant, metrics[0], dropped_candidates
    )
    nothing = MetricScores([None] * len(candidates), [None] * len(candidates), [])
    return replace(pool, metrics={name: pool.metrics.get(name, nothing) for name in names})


def dropped_rows(
    dropped: Sequence[Dropped], candidates: Sequence[Candidate], metrics: Sequence[str], variant: str
) -> list[Row]:
    """The rows of candidates that were dropped, those of the larger sample and the higher score first.

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


def _detail(entry: BelowThreshold, keep: int, n_candidates: int, size: int) -> str:
    return (
        f"{entry.score:.3g}, at most {entry.highest:.3g}, after {size} images, below {entry.threshold:.3g} of place {keep} "
        f"of {n_candidates}"
    )
