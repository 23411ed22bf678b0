"""Rank checkpoints for a target dataset: the road from names to a sorted table, one checkpoint after the other."""

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelerate.utils import broadcast_object_list, gather_object

from hf_transferability import files, provenance
from hf_transferability.benchmark.advice import advise
from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.data.images import ImageReport, Window
from hf_transferability.data.targets import Target, check_images, load_target
from hf_transferability.errors import TargetError, UsageError, unknown_name
from hf_transferability.extraction import passes
from hf_transferability.extraction.cache import Cache
from hf_transferability.metrics import all_metrics, get_metric
from hf_transferability.metrics.transferability import SCENARIOS
from hf_transferability.progress import Silent
from hf_transferability.ranking import pool
from hf_transferability.ranking.candidates import Work, candidate_arrays, reason
from hf_transferability.ranking.scoring import COMPONENTS, Request, Scores, add_floors, parts_of, score_candidate
from hf_transferability.results import Row

if TYPE_CHECKING:
    import datasets
    import pandas
    from matplotlib.figure import Figure

HALVES = 10  # half-samples for intervals and tie groups


@dataclass
class Ranking:
    """A ranked pool.

    Attributes:
        rows: one dict per candidate, best first; failed ones last, with their reason in "error".
        dataset: provenance of the target sample.
        scenario: how the components were combined.
        metric: the metric whose score the rows are sorted by.
        notes: remarks and cautions about the whole ranking.
        metric_versions: version of every metric that was computed.
        versions: of the packages that made it.
        advice: how far the benchmark says that the order can be trusted; see `benchmark.advice.advise`.
    """

    rows: list[Row]
    dataset: dict[str, Any]
    scenario: str
    metric: str
    notes: list[str] = field(default_factory=list)
    metric_versions: dict[str, int] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=provenance.package_versions)
    advice: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "dataset": self.dataset,
            "scenario": self.scenario,
            "metric": self.metric,
            "rows": self.rows,
            "notes": self.notes,
            "metric_versions": self.metric_versions,
            "advice": self.advice,
            "versions": self.versions,
        }

    def to_pandas(self) -> "pandas.DataFrame":
        """The rows as a data frame, in rank order."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    def save(self, path: str | Path) -> None:
        """Write .json (everything), .csv or .parquet (the rows).

        Raises:
            UsageError: another ending, or a folder that does not exist.
        """
        files.save(self.to_dict(), path)

    def plot(self) -> "Figure":
        """Scores with intervals, the components, and score against parameters, as one matplotlib figure.

        `plots.save(figure, path)` writes it; `plots.scores`, `plots.components` and `plots.cost` draw them one by one.

        Raises:
            UsageError: matplotlib is not installed.
        """
        from hf_transferability.reporting import plots

        return plots.ranking(self.to_dict())


def rank(
    dataset: "str | Path | datasets.Dataset",
    checkpoints: Sequence[str | Path],
    *,
    metrics: Sequence[str] = ("transferability",),
    scenario: str = "auto",
    variant: str = "default",
    config: str | None = None,
    split: str | None = None,
    revision: str | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    sample_size: int | str | None = None,
    draw: str = "random",
    seed: int = 0,
    streaming: bool = False,
    window: Window | None = None,
    skip_corrupt: bool = False,
    batches: str = "paper",
    micro_batch: int | None = None,
    intervals: bool = True,
    floor: bool = False,
    allow_pickle: bool = False,
    trust_remote_code: bool = False,
    processor: str | None = None,
    pooling: str = "native",
    model_args: Sequence[tuple[str, Any]] = (),
    architecture: str | None = None,
    token: str | None = None,
    cache_dir: str | Path | None = None,
    use_cache: bool = True,
    progress: Silent | None = None,
) -> Ranking:
    """Rank pretrained checkpoints by how well they should do on a dataset after fine-tuning, without fine-tuning them.

    Args:
        dataset: Hub id, local folder or loaded `datasets.Dataset` of labelled images.
        checkpoints: Hub ids ("owner/name", "owner/name@revision") or local folders.
        metrics: names; the rows are sorted by the first. "all" stands for every metric that the target allows.
        scenario: "source_dataset", "architecture", or "auto", which looks whether the candidates share one architecture.
        variant: "default" or "published", for the metrics that have both.
        config, split, revision, image_column, label_column: where in the dataset; see `targets.load_target`.
        sample_size: images to draw, "all", or None for 100 x classes.
        draw: "random" or "stratified".
        seed: of the draw, the order of the images, the half-samples and the shuffled labels.
        streaming: sample a Hub dataset without downloading it whole.
        window: (low, high) for images of more than 8 bits.
        skip_corrupt: leave out images that cannot be decoded.
        batches: "paper" or "balanced" gradient batches.
        micro_batch: images at once; default by measurement.
        intervals: 90 % intervals and tie groups from ten half-samples, at two to ten times the cost of the metrics.
        floor: also the highest value of each metric in five shuffles of the labels.
        allow_pickle: read pickle weights (with `weights_only`) where there are no safetensors.
        trust_remote_code: run the repositories' own code.
        processor: Hub id or folder whose image processor all candidates use.
        pooling: "native", "cls", "mean" or "cls+mean" of the tokens.
        model_args: more arguments of timm networks, as (name, value) pairs.
        architecture: "timm:NAME", the network of weights files without a configuration.
        token: Hub token; default the one of `hf auth login`.
        cache_dir: folder of the arrays; default huggingface_hub's assets cache.
        use_cache: False computes everything again (and still stores it).
        progress: what to say meanwhile; default nothing.

    Returns:
        The ranking; a candidate that fails is a row with its reason.

    Raises:
        UsageError: wrong arguments, or a dataset that does not fit them.
        TargetError: a dataset that cannot be read.
    """
    loading = LoadOptions(allow_pickle, trust_remote_code, token, processor, pooling, tuple(sorted(model_args)), architecture)
    names = _check_arguments(checkpoints, metrics, scenario, variant, batches, seed)
    progress = progress or Silent()
    state = passes.process_state()
    if not state.is_main_process:
        progress = Silent()
    if len(names) < len(checkpoints):
        progress.note(f"{len(checkpoints) - len(names)} checkpoints were named twice; each is ranked once.")
    cache = Cache(cache_dir)
    progress.stage("reading the dataset")
    target, failure = None, None
    with state.main_process_first():
        # Caught inside: an error that left this block would leave the other processes waiting at its end.
        try:
            target = load_target(
                dataset, config=config, split=split, revision=revision, image_column=image_column, label_column=label_column,
                sample=sample_size, draw=draw, seed=seed, streaming=streaming, window=window, token=token,
            )  # fmt: skip
            target = _checked(target, cache, skip_corrupt, progress)
        except Exception as error:
            failure = error
    target = _agreed(target, failure)
    chosen = _choose_metrics(metrics, target)
    where = target.provenance
    kind = {"single_label": "classes", "multi_label": "labels an image"}.get(target.task)
    progress.note(
        f"target {where['id']}, split {where['split']}: {len(target)} of {where['images_available']} images, "
        f"{f'{len(target.class_names)} {kind}' if kind else 'a number to predict'}, seed {seed}"
    )

    work = Work(
        target, cache, state, progress, use_cache=use_cache, batches=batches, micro_batch=micro_batch,
        loading=loading,
    )  # fmt: skip
    request = Request(parts_of(chosen, target.task), variant, HALVES if intervals else 0, seed)
    rows, scores, readers = _candidates(names, work, request)
    notes: list[str] = []
    advice: dict[str, Any] | None = None
    if state.is_main_process:
        scenario, notes = pool.choose_scenario(scenario, rows)
        # Where the published order turns round a bad network could come first, so its floor must be known.
        floors = request.metrics if floor else floors_needed(scenario, chosen[0])
        for each, read in zip(scores, readers, strict=True):
            if each is not None:
                add_floors(each, floors, read, target, request, cache)
        rows, notes = ranked(rows, scores, chosen, variant, scenario, notes)
        notes += [f"{cache.failure} Free some space: the next run starts anew."] if cache.failure else []
        if advice := advise(chosen[0], variant, scenario, scored(rows), target.task):
            notes.append(advice["text"])
    rows, scenario, notes, advice = broadcast_object_list([rows, scenario, notes, advice])
    for note in notes:
        progress.note(note)
    return Ranking(rows, target.provenance, scenario, chosen[0], notes, metric_versions(request.metrics, chosen), advice=advice)


def metric_versions(*names: Sequence[str]) -> dict[str, int]:
    """The version of each of these metrics."""
    return {name: get_metric(name).version for name in dict.fromkeys(itertools.chain(*names))}


def scored(rows: Sequence[Row]) -> int:
    """How many candidates have a score."""
    return sum(row["score"] is not None for row in rows)


def floors_needed(scenario: str, metric: str) -> tuple[str, ...]:
    """The floors without which an order would mislead: where it turns round, a bad network could come first."""
    return ("feature_quality",) if scenario == "architecture" and metric == "transferability" else ()


def _agreed(target: Target | None, failure: Exception | None) -> Target:
    """The target, if every process has the same one; else the reason, in all of them."""
    states = gather_object([(None if failure is None else reason(failure), target.key if target else None)])
    if failure is not None:
        raise failure
    if failures := [text for text, _ in states if text]:
        raise TargetError(f"another process cannot read the dataset: {failures[0]}")
    if target is None or len({key for _, key in states}) > 1:
        raise TargetError("the processes have drawn different samples: the dataset changed meanwhile. Pin it with --revision.")
    return target


def _candidates(names: Sequence[str], work: Work, request: Request) -> tuple[list[Row], list[Scores | None], list[Callable]]:
    """Rows, scores and arrays of all candidates; one candidate's metrics are computed while the next is extracted."""
    rows: list[Row] = []
    readers: list[Callable] = []
    futures: list[Future[Scores] | None] = []
    with ThreadPoolExecutor(1) as scorer:
        for number, name in enumerate(names, 1):
            work.progress.start(number, len(names), name)
            row: Row = {"checkpoint": name, "revision": None}
            future = None
            readers.append(lambda: None)
            try:
                readers[-1] = candidate_arrays(name, row, work)
                if work.state.is_main_process:
                    future = scorer.submit(score_candidate, readers[-1], work.target, request, work.cache)
                work.progress.finish("from the cache" if row["cached"] else "extracted")
            except Exception as error:  # whatever is wrong with one checkpoint, the others are still ranked
                row["error"] = reason(error)
                work.progress.finish(f"FAILED: {row['error']}")
            rows.append(row)
            futures.append(future)
        work.progress.stage("scoring", len(rows))
        scores = []
        for row, future in zip(rows, futures, strict=True):
            scores.append(_outcome(row, future))
            work.progress.advance(len(scores))
    return rows, scores, readers


def _check_arguments(
    checkpoints: Sequence[str | Path], metrics: Sequence[str], scenario: str, variant: str, batches: str, seed: int
) -> list[str]:
    if isinstance(checkpoints, str | Path) or isinstance(metrics, str):
        raise UsageError("`checkpoints` and `metrics` must be lists; got a single text. Put it in a list.")
    names = list(dict.fromkeys(str(name) for name in checkpoints))
    if not names:
        raise UsageError("`checkpoints` must name at least one checkpoint; got none.")
    check_choices(scenario, variant, seed)
    if batches not in passes.BATCHES:
        raise UsageError(unknown_name("batches", batches, passes.BATCHES))
    check_metrics(metrics)
    return names


def check_metrics(metrics: Sequence[str]) -> None:
    """Refuse a metric that there is not; "all" stands for all of them.

    Raises:
        UsageError: names those that exist, and the one that was probably meant.
    """
    known = [*all_metrics(), "all"]
    for name in metrics:
        if name not in known:
            raise UsageError(unknown_name("metric", name, known))


def check_choices(scenario: str, variant: str, seed: int) -> None:
    """Refuse what no ranking knows.

    Raises:
        UsageError: names the possible values.
    """
    if scenario not in ("auto", *SCENARIOS):
        raise UsageError(unknown_name("scenario", scenario, ("auto", *SCENARIOS)))
    if variant not in ("default", "published"):
        raise UsageError(unknown_name("variant", variant, ("default", "published")))
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise UsageError(f"`seed` must be 0 or a positive whole number; got {seed!r}.")


def _choose_metrics(metrics: Sequence[str], target: Target) -> list[str]:
    """The metrics to compute, the sorting one first; refuses by name those that cannot score this kind of target."""
    possible = [metric.name for metric in all_metrics().values() if target.task in metric.tasks]
    chosen: list[str] = []
    for metric in metrics or ("transferability",):
        if metric == "all":
            first = [name for name in ("transferability",) if name in possible]
            chosen += first + [name for name in possible if name not in COMPONENTS]
        elif metric in possible:
            chosen.append(metric)
        else:
            raise UsageError(
                f"{metric} cannot score a {target.task} target such as column {target.provenance['label_column']}. "
                f"Metrics that can: {', '.join(possible)}; name them with --metric."
            )
    return list(dict.fromkeys(chosen))


def _checked(target: Target, cache: Cache, skip_corrupt: bool, progress: Silent) -> Target:
    """The target without corrupt images; what decoding showed is remembered, so that a cached run need not decode."""
    key = {"kind": "images", "target": target.key}
    known = cache.read_json(key)
    report = None
    if known is not None:
        corrupt = {int(index): text for index, text in known["corrupt"].items()}
        report = ImageReport(known["modes"], corrupt, known.get("brightest"))
    else:
        progress.stage("decoding images", len(target))
    checked, report = check_images(target, skip_corrupt=skip_corrupt, report=report, progress=progress.advance)
    if known is None:
        cache.write_json(key, {"modes": report.modes, "corrupt": report.corrupt, "brightest": report.brightest})
    return checked


def _outcome(row: Row, future: Future[Scores] | None) -> Scores | None:
    """A candidate's scores when they are there; None, with the reason in its row, if it failed."""
    if future is None:
        return None
    try:
        return future.result()
    except Exception as error:  # a fault in a metric is one candidate's row, not the end of the run
        row["error"] = reason(error)
        return None


def ranked(
    rows: list[Row], scores: list[Scores | None], metrics: Sequence[str], variant: str, scenario: str, notes: list[str]
) -> tuple[list[Row], list[str]]:
    """Rows in rank order and published form, and the notes, of which those on the scenario are given; `rows` and `scores` go
    together, None has failed.
    """
    for row, each in zip(rows, scores, strict=True):
        row |= {"flags": each.flags if each else {}, "reasons": each.reasons if each else {}, "variant": variant}
        row |= {"intervals": {}, "halves": {}}
        if leak := row.pop("leak", None):
            row["flags"]["trained_on_target"] = leak
    of_scores = pool.add_scores(rows, scores, metrics, scenario, variant)
    for row in rows:
        _finish(row, metrics)
    ordered = pool.order(rows, scenario, metrics[0])
    for row in ordered:
        del row["halves"]
    if unranked := pool.no_ranking_notes(ordered, metrics[0]):
        return ordered, [*unranked, *of_scores]
    notes = notes if "transferability" in metrics else []
    return ordered, [*notes, *of_scores, *pool.tie_notes(ordered), *pool.disagreement_notes(ordered, metrics)]


def _finish(row: Row, metrics: Sequence[str]) -> None:
    """Bring a row into its published form: score, error, list of flags, and columns in a fixed order."""
    reasons = row.pop("reasons", {})
    details = row.pop("flags", {})
    for internal in ("cached", "no_gradient"):
        row.pop(internal, None)
    value = row.get(metrics[0])
    needed = COMPONENTS if metrics[0] == "transferability" else (metrics[0],)
    error = row.pop("error", None) or next((reasons[name] for name in needed if name in reasons), None)
    first = {
        "rank": None,
        "checkpoint": row.pop("checkpoint"),
        "score": value,
        "interval": row["intervals"].get(metrics[0]),
        "tie_group": None,
        **{name: row.pop(name, None) for name in COMPONENTS},
        **{name: row.pop(name, None) for name in metrics if name not in COMPONENTS},
        "n_features": row.pop("n_features", None),
        "parameters": row.pop("parameters", None),
        "licence": row.pop("licence", None),
        "revision": row.pop("revision"),
        "seconds": row.pop("seconds", None),
        "flags": list(details),
        "error": error,
        "flag_details": details,
        "undefined": {name: text for name, text in reasons.items() if name not in needed},
    }
    rest = dict(row)
    row.clear()
    row.update({**first, **rest})
