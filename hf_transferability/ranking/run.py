"""Rank checkpoints for a target dataset: from names to a sorted table, one checkpoint after the other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_transferability import arguments
from hf_transferability.benchmark.known import KnownResults
from hf_transferability.checkpoints.missing import missing
from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.data.duplicates import HASHING_VERSION
from hf_transferability.data.images import ImageReport
from hf_transferability.data.options import SampleOptions
from hf_transferability.data.targets import Target, check_images, load_target
from hf_transferability.errors import TargetError, TransferabilityError, UsageError, unknown_name
from hf_transferability.extraction.cache import Cache
from hf_transferability.extraction.pixels import PixelStore
from hf_transferability.extraction.processes import Processes
from hf_transferability.machine import usable_cores
from hf_transferability.metrics import all_metrics
from hf_transferability.names import BATCHES, KEEP, LEAK_IMAGES, SCENARIOS, first_of_each, plain_name, split_options
from hf_transferability.progress import NullProgress, Progress, given, tell
from hf_transferability.provenance import package_versions
from hf_transferability.ranking.assembling import assemble_ranking
from hf_transferability.ranking.candidates import Candidate, Work, find_candidate, reason, with_downloads
from hf_transferability.ranking.choices import (
    check_choices,
    check_metrics,
    choose_metrics,
    floors_needed,
    keys_to_extract,
    needs_gradients,
)
from hf_transferability.ranking.estimates import estimated
from hf_transferability.ranking.known import read_known
from hf_transferability.ranking.label_check import candidate_p_value
from hf_transferability.ranking.leaks import with_leaks, with_test_overlap
from hf_transferability.ranking.notes import few, repeated
from hf_transferability.ranking.parts import Part
from hf_transferability.ranking.pipeline import scored_candidates
from hf_transferability.ranking.race import Raced, run_race
from hf_transferability.ranking.result import Ranking
from hf_transferability.ranking.scenario import choose_scenario
from hf_transferability.ranking.scorers import Scorers
from hf_transferability.ranking.scoring import Request

if TYPE_CHECKING:
    import datasets

# Of these, all machines must have one version; others change no number, or only how fast it comes.
_SAME_VERSIONS = ("hf-transferability", "torch", "transformers", "timm", "torchvision", "pillow", "datasets")
HALVES = 10  # half-samples for intervals and tie groups


def rank(
    dataset: "str | Path | datasets.Dataset",
    checkpoints: Sequence[str | Path],
    *,
    metrics: Sequence[str] = (),
    scenario: str = "auto",
    variant: str = "default",
    intervals: bool = True,
    floor: bool = False,
    race: bool = False,
    keep: int = KEEP,
    known: Sequence[str | Path] = (),
    leak_check: int = 0,
    part: bool = False,
    skip_corrupt: bool = False,
    batches: str = "paper",
    micro_batch: int | None = None,
    cache_dir: str | Path | None = None,
    use_cache: bool = True,
    progress: Progress | None = None,
    **options: Any,
) -> Ranking:
    """Rank pretrained checkpoints by how well they should do on a dataset after fine-tuning, without fine-tuning them.

    Args:
        dataset: Hub id, local folder or loaded `datasets.Dataset` of labelled images.
        checkpoints: Hub ids ("owner/name", "owner/name@revision") or local folders.
        metrics: names; the rows are sorted by the first. "all" stands for every metric that the target allows, and none
            for the default table: consensus, transferability and logme, where the target allows them.
        scenario: for transferability: "source_dataset", "architecture", or "auto", which looks whether the candidates
            share one architecture.
        variant: "default" or "published", for the metrics that have both.
        intervals: 90% intervals and tie groups from ten half-samples, at two to ten times the cost of the metrics.
        floor: also the highest value of each metric in five shuffles of the labels.
        race: all candidates on a part of the sample, and those that may be among the best on all of it (`ranking.race`).
        keep: with race, how many candidates at least are scored on the whole sample.
        known: your own ground truth, beside the bundled results, for the rows' known_elsewhere: tables, folders of
            `finetune`, or Hub datasets of results; see `ranking.known.read_known`.
        leak_check: compare the sample with so many images of each dataset that a candidate's card names as its training
            data, as far as it is on the Hub; 0 for none. With 1,000 of the dataset's own test split, or so many if these are
            more, it is always compared, but for a stream.
        part: the checkpoints are a part of a larger pool, which is ranked elsewhere: also compute what that may need, for the
            ranking's `part`; see `ranking.parts`.
        skip_corrupt: leave out images that cannot be decoded.
        batches: "paper" or "balanced" gradient batches.
        micro_batch: images at once; default by measurement.
        cache_dir: folder of the arrays; default huggingface_hub's assets cache.
        use_cache: False computes everything again (and still stores it).
        progress: shows what is done meanwhile; default nothing.
        options: fields of `data.options.SampleOptions` (split, label_column, sample_size, seed, window, ...) and of
            `checkpoints.options.LoadOptions` (token, allow_pickle, pooling, ...). The seed also decides half-samples.

    Returns:
        The ranking; a candidate that fails is a row with its reason.

    Raises:
        UsageError: wrong arguments, or a dataset that does not fit them.
        TargetError: a dataset that cannot be read.
        TypeError: an unknown option.
    """
    sample, load = split_options(rank, options, SampleOptions, LoadOptions)
    checkpoints, metrics = arguments.texts("checkpoints", checkpoints, paths=True), arguments.texts("metrics", metrics)
    known = arguments.texts("known", known, paths=True)
    flags = {"intervals": intervals, "floor": floor, "race": race, "part": part}
    _check_work(flags | {"skip_corrupt": skip_corrupt, "use_cache": use_cache}, micro_batch, leak_check, keep, cache_dir)
    names = _check_arguments(checkpoints, metrics, scenario, variant, batches, sample.seed)
    reports = given(progress)
    state = Processes()
    progress = reports if state.is_main_process else NullProgress()
    for note in repeated([str(name) for name in checkpoints], first_of_each(checkpoints)):
        progress.note(note)
    absent = _tell_missing(names, load, part, state, progress)
    run = _Run(metrics, scenario, variant, HALVES * intervals, floor, tuple(known), leak_check, part, keep * race)
    cache = Cache(cache_dir)
    progress.stage("reading the dataset")
    target, elsewhere = _read(dataset, sample, load, run, cache, skip_corrupt, state, progress)
    how = {"use_cache": use_cache, "batches": batches, "micro_batch": micro_batch, "load": load, "missing": absent}
    work = Work(target, cache, state, progress, **how)
    return _ranking(dataset, names, work, run, elsewhere, sample)


@dataclass(frozen=True)
class _Run:
    """What to compute and how to combine it; the fields are those of `rank`."""

    metrics: Sequence[str]
    scenario: str
    variant: str
    n_halves: int
    floor: bool
    known: tuple[str | Path, ...]
    leak_check: int
    part: bool
    keep: int  # 0 for no race


def _read(
    dataset: Any,
    sample: SampleOptions,
    load: LoadOptions,
    run: _Run,
    cache: Cache,
    skip_corrupt: bool,
    state: Processes,
    progress: Progress,
) -> tuple[Target, KnownResults]:
    """The checked target, the same in every process, and what is known of checkpoints elsewhere."""
    target, elsewhere, failure = None, None, None
    with state.main_first():
        # Caught inside: an error that left this block would leave the other processes waiting at its end.
        try:
            target = _checked(load_target(dataset, sample, token=load.token), cache, skip_corrupt, progress)
            elsewhere = read_known(run.known, load.token)
        except Exception as error:
            failure = error
    agreed = _agreed(target, failure, state)
    progress.account(agreed.account)
    for note in agreed.notes_here:
        progress.note(note)
    where = agreed.provenance
    kind = {"single_label": "classes", "multi_label": "labels an image"}.get(agreed.task)
    grouped = f" of {where['groups']} groups ({sample.group_column})" if "groups" in where else ""
    progress.note(
        f"target {where['id']}, split {where['split']}: {len(agreed)} of {where['images_available']} images{grouped}, "
        f"{f'{len(agreed.class_names)} {kind}' if kind else 'a number to predict'}, seed {sample.seed}"
    )
    return agreed, elsewhere  # type: ignore[return-value]


def _ranking(
    dataset: Any, names: Sequence[str], work: Work, run: _Run, elsewhere: KnownResults, sample: SampleOptions
) -> Ranking:
    """The candidates' arrays and scores, and their order, which the main process forms and all get."""
    target, cache = work.target, work.cache
    chosen = _choose_metrics(run.metrics, target)
    request = Request(keys_to_extract(chosen, target.task, run.variant), run.variant, run.n_halves, sample.seed)
    store = PixelStore() if len(names) > 1 else None
    work = with_downloads(replace(work, gradients=needs_gradients(request.keys), store=store), names)
    raced = run_race(names, work, chosen, request, run.keep) if run.keep else Raced(list(names), find_candidate)
    candidates, readers = scored_candidates(raced.names, work, request, find=raced.find)
    formed: Any = None
    part: Part | None = None
    if work.state.is_main_process:
        if floors := _floors(chosen[0], candidates, run, request):
            _add_floors(candidates, floors, readers, Scorers(target, request, cache), work)
        by_name = dict(zip(raced.names, readers, strict=True))
        dropped_candidates = estimated(raced.stages, candidates)
        candidates += [*raced.failed, *(entry.candidate for entry in raced.dropped)]
        candidates, notes, told_of_leaks = _with_leaks(candidates, dataset, work, run, sample)
        notes += [f"{cache.failure} Free some space: the next run starts anew."] if cache.failure else []
        where = {**target.provenance, "id": plain_name(target.provenance["id"])}
        part = Part(candidates, where, target.task, chosen, request.keys, notes)

        def p_value(name: str) -> float | None:
            return candidate_p_value(by_name[name], target, sample.seed, cache)

        if run.part:
            p_values = {candidate.name: p_value(candidate.name) for candidate in candidates if candidate.scores}
            part = replace(part, label_p_values=p_values)
        asked = run.scenario, run.variant
        ranking, told, advised = assemble_ranking(
            part, dataset, *asked, elsewhere, sample, work.load, p_value, dropped_candidates, raced.dropped
        )
        formed = ranking, [*told_of_leaks, *told], advised
    ranking, told, advised = work.state.broadcast(formed)
    tell(told, advised, work.progress)
    ranking.part = part if run.part else None
    return ranking


def _floors(sorting: str, candidates: Sequence[Candidate], run: _Run, request: Request) -> tuple[str, ...]:
    """The keys whose floors are needed; for a part of a pool those of every scenario, as it cannot know that of the pool."""
    if run.floor:
        return request.keys
    if run.part and run.scenario == "auto":
        return tuple(dict.fromkeys(key for scenario in SCENARIOS for key in floors_needed(sorting, scenario)))
    return floors_needed(sorting, choose_scenario(run.scenario, candidates)[0])


def _with_leaks(
    candidates: list[Candidate], dataset: Any, work: Work, run: _Run, sample: SampleOptions
) -> tuple[list[Candidate], list[str], list[str]]:
    """The candidates with what is known of leaks, notes on what is unknown, and notes for who runs this only."""
    notes: list[str] = []
    where = (work.cache, work.load.token, work.progress)
    if run.leak_check:
        candidates, notes = with_leaks(candidates, work.target, sample, run.leak_check, *where)
    if sample.streaming and not run.leak_check:  # a stream may be as long as it likes to its first test image
        return candidates, notes, []
    n_test = max(run.leak_check, LEAK_IMAGES)
    candidates, more, told = with_test_overlap(candidates, dataset, work.target, sample, n_test, *where)
    return candidates, [*notes, *more], told


def _agreed(target: Target | None, failure: Exception | None, state: Processes) -> Target:
    """The target, if every process has the same one; else the reason, in all of them."""
    versions = {name: number for name, number in package_versions().items() if name in _SAME_VERSIONS}
    states = state.gather((None if failure is None else reason(failure), target.key if target else None, versions))
    if failure is not None:
        raise failure
    if failures := [text for text, _, _ in states if text]:
        raise TargetError(f"another process cannot read the dataset: {failures[0]}")
    if target is None or len({key for _, key, _ in states}) > 1:
        raise TargetError(
            "the processes have drawn different samples: the dataset changed meanwhile, or differs between machines. "
            "Pin it with --revision, or copy the folder to all."
        )
    if others := [(name, number) for _, _, theirs in states for name, number in versions.items() if theirs.get(name) != number]:
        raise TransferabilityError(
            f"the machines have different versions of {others[0][0]}, which can change the numbers. "
            f"Install {others[0][1]} on all."
        )
    return target


def _add_floors(
    candidates: Sequence[Candidate], floors: Sequence[str], readers: Sequence[Callable], scorers: Scorers, work: Work
) -> None:
    """Put the floors of these keys into the candidates' scores, on every core and on the accelerator, if there is one."""
    with scorers:
        scorers.use_cores(usable_cores())
        scorers.use_device(work.state.accelerator)
        scored = [(candidate.scores, read) for candidate, read in zip(candidates, readers, strict=True) if candidate.scores]
        for future in [scorers.floors(scores, floors, read) for scores, read in scored]:
            future.result()
    for note in scorers.notes():
        work.progress.note(note)


def _check_work(
    flags: dict[str, Any], micro_batch: int | None, leak_check: int, keep: int, cache_dir: str | Path | None
) -> None:
    for name, value in flags.items():
        arguments.flag(name, value)
    if micro_batch is not None:
        arguments.whole("micro_batch", micro_batch, 1)
    arguments.whole("leak_check", leak_check, 0)
    arguments.whole("keep", keep, 2)  # one survivor would have no pool to be compared with
    if cache_dir is not None:
        arguments.text("cache_dir", cache_dir, path=True)
    if flags["race"] and flags["part"]:
        raise UsageError("`race` must have the whole pool; got a part of one. Leave one of the two out.")


def _check_arguments(
    checkpoints: Sequence[str | Path], metrics: Sequence[str], scenario: str, variant: str, batches: str, seed: int
) -> list[str]:
    names = [str(checkpoints[number]) for number in first_of_each(checkpoints)]
    if not names:
        raise UsageError("`checkpoints` must name at least one checkpoint; got none.")
    check_choices(scenario, variant, seed)
    if not isinstance(batches, str) or batches not in BATCHES:
        raise UsageError(unknown_name("batches", batches, BATCHES))
    check_metrics(metrics)
    return names


def _tell_missing(names: Sequence[str], load: LoadOptions, part: bool, state: Processes, progress: Progress) -> dict[str, str]:
    """Say which candidates lead nowhere before images are read; each becomes a row, unless there is no other.

    Returns:
        Name -> reason.

    Raises:
        UsageError: all of them, in every process; a part of a pool may be of such candidates alone.
    """
    found: dict[str, str] = state.broadcast(missing(names, load) if state.is_main_process else None)
    if len(found) == len(names) and not part:
        raise UsageError(few([*found.values()], 3, " "))
    for why in found.values():
        progress.note(f"this candidate fails: {why}")
    return found


def _choose_metrics(metrics: Sequence[str], target: Target) -> list[str]:
    """The metrics to compute, the sorting one first; refuses by name those that cannot score this kind of target."""
    possible = [metric.name for metric in all_metrics().values() if target.task in metric.tasks]

    def refusal(name: str) -> str:
        return (
            f"{name} cannot score a {target.task} target such as column {target.provenance['label_column']}. "
            f"Metrics that can: {', '.join(possible)}; name them with --metric."
        )

    return choose_metrics(metrics, possible, refusal)


def _checked(target: Target, cache: Cache, skip_corrupt: bool, progress: Progress) -> Target:
    """The target without corrupt images; what decoding showed is remembered, so that a cached run need not decode."""
    key = {"kind": "images", "target": target.key, "hashing": HASHING_VERSION}
    known = cache.read_json(key)
    report = None
    if known is not None and known.get("hashes") is not None:  # older versions stored none
        report = ImageReport.from_dict(known)
    else:
        known = None
        progress.stage("decoding images", len(target))
    checked, report = check_images(target, skip_corrupt=skip_corrupt, report=report, progress=progress.advance)
    if known is None:
        cache.write_json(key, report.to_dict())
    return checked
