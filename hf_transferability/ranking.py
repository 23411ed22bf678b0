"""Rank checkpoints for a target dataset: the road from names to a sorted table, one checkpoint after the other."""

import gc
import logging
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object

from hf_transferability import extraction, results
from hf_transferability.cache import Arrays, Cache
from hf_transferability.checkpoints import Source, load, resolve
from hf_transferability.errors import CheckpointError, TransferabilityError, UsageError
from hf_transferability.images import ImageReport, Window
from hf_transferability.metrics import ScoreWarning, all_metrics, get_metric, score
from hf_transferability.metrics.transferability import SCENARIOS, combine
from hf_transferability.progress import Silent
from hf_transferability.results import Row
from hf_transferability.targets import Target, check_images, load_target

if TYPE_CHECKING:
    import datasets
    import pandas

log = logging.getLogger(__name__)

_COMPONENTS = ("feature_quality", "feature_update_ratio")
_SCENARIO_NOTES = {
    "source_dataset": "scenario source_dataset: the candidates share one architecture; score = m(FQ) * m(FU), "
    "published agreement with fine-tuning 0.52 (mean weighted Kendall tau over 11 targets).",
    "architecture": "scenario architecture: the candidates differ in architecture; score = (1 - m(FQ)) * (1 - m(FU)). That the order "
    "turns round here is a hypothesis found on the data that it was published on, with weak agreement (0.26, against 0.52 within one "
    "architecture); it can favour bad networks. A candidate whose feature quality does not exceed that of shuffled labels stands last.",
}


@dataclass
class Ranking:
    """A ranked pool.

    Attributes:
        rows: one dict per candidate, best first; failed ones last, with their reason in "error".
        dataset: provenance of the target sample.
        scenario: how the components were combined.
        metric: the metric whose score the rows are sorted by.
        notes: remarks and cautions about the whole ranking.
        versions: of the packages that made it.
    """

    rows: list[Row]
    dataset: dict[str, Any]
    scenario: str
    metric: str
    notes: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=results.package_versions)

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "dataset": self.dataset,
            "scenario": self.scenario,
            "metric": self.metric,
            "rows": self.rows,
            "notes": self.notes,
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
        results.save(self.to_dict(), path)


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
    allow_pickle: bool = False,
    trust_remote_code: bool = False,
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
        seed: of the draw, the order of the images and the shuffled labels of the floor.
        streaming: sample a Hub dataset without downloading it whole.
        window: (low, high) for images of more than 8 bits.
        skip_corrupt: leave out images that cannot be decoded.
        batches: "paper" or "balanced" gradient batches.
        micro_batch: images at once; default by measurement.
        allow_pickle: read pickle weights (with `weights_only`) where there are no safetensors.
        trust_remote_code: run the repositories' own code.
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
    names = _check_arguments(checkpoints, metrics, scenario, variant, batches)
    progress = progress or Silent()
    state = extraction.process_state()
    if not state.is_main_process:
        progress = Silent()
    cache = Cache(cache_dir)
    progress.stage("reading the dataset")
    with state.main_process_first():
        target = load_target(
            dataset, config=config, split=split, revision=revision, image_column=image_column, label_column=label_column,
            sample=sample_size, draw=draw, seed=seed, streaming=streaming, window=window, token=token,
        )  # fmt: skip
        target = _checked(target, cache, skip_corrupt, progress)
    chosen = _choose_metrics(metrics, target)
    where = target.provenance
    progress.note(
        f"target {where['id']}, split {where['split']}: {len(target)} of {where['images_available']} images, "
        f"{len(target.class_names)} {'labels' if target.task == 'multi_label' else 'classes'}, seed {seed}"
    )

    rows: list[Row] = []
    pool: list[Arrays | None] = []
    for number, name in enumerate(names, 1):
        progress.start(number, len(names), name)
        row: Row = {"checkpoint": name, "revision": None}
        arrays = None
        try:
            arrays = _arrays(
                name, row, target, cache, state, progress, use_cache=use_cache, batches=batches, micro_batch=micro_batch,
                allow_pickle=allow_pickle, trust_remote_code=trust_remote_code, token=token,
            )  # fmt: skip
            if arrays is not None and state.is_main_process:
                progress.stage("scoring")
                row |= _scored(arrays, target, chosen, variant)
            progress.finish("done" + (", from the cache" if row.get("cached") else ""))
        except Exception as error:  # whatever is wrong with one checkpoint, the others are still ranked
            arrays = None
            row["error"] = _reason(error)
            progress.finish(f"FAILED: {row['error']}")
        rows.append(row)
        pool.append(arrays)
    rows, scenario, notes = _combined(rows, pool, target, chosen, scenario, seed) if state.is_main_process else ([], "", [])
    shared: list[Any] = [rows, scenario, notes]
    rows, scenario, notes = broadcast_object_list(shared)
    for note in notes:
        progress.note(note)
    return Ranking(rows, target.provenance, scenario, chosen[0], notes)


def _check_arguments(
    checkpoints: Sequence[str | Path], metrics: Sequence[str], scenario: str, variant: str, batches: str
) -> list[str]:
    if isinstance(checkpoints, str | Path) or isinstance(metrics, str):
        raise UsageError("`checkpoints` and `metrics` must be lists; got a single text. Put it in a list.")
    names = list(dict.fromkeys(str(name) for name in checkpoints))
    if not names:
        raise UsageError("`checkpoints` must name at least one checkpoint; got none.")
    if scenario not in ("auto", *SCENARIOS):
        raise UsageError(f"`scenario` must be one of auto, {', '.join(SCENARIOS)}; got {scenario!r}. Choose one of these.")
    if variant not in ("default", "published"):
        raise UsageError(f"`variant` must be default or published; got {variant!r}. Choose one of these.")
    if batches not in extraction.BATCHES:
        raise UsageError(f"`batches` must be one of {', '.join(extraction.BATCHES)}; got {batches!r}. Choose one of these.")
    for metric in metrics:
        if metric != "all":
            try:
                get_metric(metric)
            except ValueError as error:
                raise UsageError(str(error)) from None
    return names


def _choose_metrics(metrics: Sequence[str], target: Target) -> list[str]:
    """The metrics to compute, the sorting one first; refuses by name those that cannot score this kind of target."""
    possible = [metric.name for metric in all_metrics().values() if target.task in metric.tasks]
    chosen: list[str] = []
    for metric in metrics or ("transferability",):
        if metric == "all":
            first = [name for name in ("transferability",) if name in possible]
            chosen += first + [name for name in possible if name not in _COMPONENTS]
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
        report = ImageReport(known["modes"], {int(index): reason for index, reason in known["corrupt"].items()})
    else:
        progress.stage("decoding images", len(target))
    checked, report = check_images(target, skip_corrupt=skip_corrupt, report=report, progress=progress.advance)
    if known is None:
        cache.write_json(key, {"modes": report.modes, "corrupt": report.corrupt})
    return checked


def _arrays(
    name: str,
    row: Row,
    target: Target,
    cache: Cache,
    state: PartialState,
    progress: Silent,
    *,
    use_cache: bool,
    batches: str,
    micro_batch: int | None,
    allow_pickle: bool,
    trust_remote_code: bool,
    token: str | None,
) -> Arrays | None:
    """One checkpoint's arrays, from the cache or by extraction, as the main process decides; cached ones are only there."""
    began = time.monotonic()
    arrays, decision = None, [None]
    if state.is_main_process:
        source, key, failure = _resolved(name, target, batches, allow_pickle, trust_remote_code, token, progress)
        arrays = cache.read(key) if use_cache and failure is None else None
        decision = [(source, key, failure, arrays is not None)]  # type: ignore[list-item]
    source, key, failure, cached = broadcast_object_list(decision)[0]
    if failure is not None:
        raise CheckpointError(failure)
    row["revision"], row["cached"] = source.revision, cached
    if not cached:
        arrays = _extracted(source, target, state, progress, batches, micro_batch, token)
        arrays.facts["seconds"] = round(time.monotonic() - began, 2)
        if state.is_main_process:
            try:
                cache.write(key, arrays)
            except OSError as error:
                progress.note(f"{name}: its arrays could not be stored ({error}); free some space before the next run.")
    if arrays is not None:
        row |= {"flags": {**target.flags, **arrays.flags}, **arrays.facts}
    return arrays


def _resolved(
    name: str,
    target: Target,
    batches: str,
    allow_pickle: bool,
    trust_remote_code: bool,
    token: str | None,
    progress: Silent,
) -> tuple[Source | None, dict[str, Any], str | None]:
    """The resolved checkpoint and the key of its arrays, or the reason why there are none."""
    progress.stage("resolving")
    try:
        source = resolve(name, allow_pickle=allow_pickle, trust_remote_code=trust_remote_code, token=token)
    except Exception as error:
        return None, {}, _reason(error)
    key = {"kind": "arrays", "checkpoint": source.key, "target": target.key, "batches": batches}
    return source, key | {"extraction": extraction.VERSION, "code": trust_remote_code}, None


def _extracted(
    source: Source,
    target: Target,
    state: PartialState,
    progress: Silent,
    batches: str,
    micro_batch: int | None,
    token: str | None,
) -> Arrays:
    failure, checkpoint = None, None
    progress.stage("loading")
    try:
        with state.local_main_process_first():  # one download per machine
            checkpoint = load(source, token)
    except Exception as error:
        failure = _reason(error)
    failures = [text for text in gather_object([failure]) if text]
    if failures or checkpoint is None:
        raise CheckpointError(failures[0])
    try:
        progress.stage("extracting features and gradients", len(target) // state.num_processes)
        return extraction.extract(
            checkpoint, target, batches=batches, micro_batch=micro_batch, state=state, progress=progress.advance
        )
    finally:
        del checkpoint
        gc.collect()
        if torch.accelerator.is_available():
            torch.accelerator.empty_cache()


def _scored(arrays: Arrays, target: Target, metrics: Sequence[str], variant: str) -> Row:
    """Values, flags and reasons of one checkpoint; pool-relative metrics leave their raw components under their own name."""
    row: Row = {"reasons": {}}
    flags = {**target.flags, **arrays.flags}
    inputs = {
        "features": arrays.features,
        "labels": target.labels,
        "source_probabilities": arrays.source_probabilities,
        "gradient_norms": arrays.gradient_norms,
    }
    components = [name for name in _COMPONENTS if target.task in get_metric(name).tasks]
    for name in [*components, *(name for name in metrics if name not in components and name != "transferability")]:
        metric = get_metric(name)
        row[name] = None
        if "source_probabilities" in metric.inputs and arrays.source_probabilities is None:
            row["reasons"][name] = f"{name} needs source probabilities, and the checkpoint has no source head"
            continue
        if "gradient_norms" in metric.inputs and arrays.gradient_norms is None:
            row["reasons"][name] = f"{name} needs two gradient layers; traced: {', '.join(arrays.facts['layers']) or 'none'}"
            continue
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                row[name] = score(name, **inputs, variant=variant if variant in metric.variants else "default")  # type: ignore[arg-type]
            except (ValueError, TypeError, FloatingPointError, np.linalg.LinAlgError) as error:
                row["reasons"][name] = f"{name} is undefined: {error}"
        for warning in caught:
            if isinstance(warning.message, ScoreWarning):
                flags.setdefault(warning.message.flag, str(warning.message).partition("(")[2].rstrip(")"))
    row["flags"] = flags
    row["variant"] = variant
    return row


def _combined(
    rows: list[Row], pool: list[Arrays | None], target: Target, metrics: Sequence[str], scenario: str, seed: int
) -> tuple[list[Row], str, list[str]]:
    """Rows in rank order with their scores, the scenario that was taken, and notes."""
    notes: list[str] = []
    signatures = {row["signature"] for row in rows if "signature" in row}
    if scenario == "auto":
        scenario = "source_dataset" if len(signatures) <= 1 else "architecture"
    elif scenario == "source_dataset" and len(signatures) > 1:
        notes.append(f"scenario source_dataset was asked for, but the candidates have {len(signatures)} architectures.")
    if "transferability" in metrics and signatures:
        notes.append(_SCENARIO_NOTES[scenario])
    for name in metrics if signatures else ():
        _add_pool_scores(name, rows, scenario, notes)
    if scenario == "architecture" and "transferability" in metrics:
        _add_floor(rows, pool, target, seed)
    for row in rows:
        _finish(row, metrics)
    order = sorted(range(len(rows)), key=lambda i: _place(rows[i]))
    rows = [rows[i] for i in order]
    _number(rows)
    return rows, scenario, notes


def _add_pool_scores(name: str, rows: list[Row], scenario: str, notes: list[str]) -> None:
    """Replace raw components of a pool-relative metric by scores, keeping the components as columns of their own."""
    metric = get_metric(name)
    if metric.combine is None:
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if name == "transferability":
            values = combine(*([row.get(part) for row in rows] for part in _COMPONENTS), scenario=scenario)
        else:
            raw = [row.get(name) for row in rows]
            for row, parts in zip(rows, raw, strict=True):
                row |= {f"{name}_{part}": value for part, value in (parts or {}).items()}
            values = metric.combine(raw)
    for row, value in zip(rows, values, strict=True):
        row[name] = value
    for warning in caught:
        if isinstance(warning.message, ScoreWarning):
            notes.append(f"{name}: {warning.message}.")
            for row in rows:
                if "flags" in row:
                    row["flags"].setdefault(warning.message.flag, "")


def _add_floor(rows: list[Row], pool: list[Arrays | None], target: Target, seed: int) -> None:
    """Beside each feature quality the value that shuffled labels give; flag candidates that do not exceed it."""
    shuffled = np.random.default_rng(seed).permutation(target.labels)
    for row, arrays in zip(rows, pool, strict=True):
        if arrays is None or row.get("feature_quality") is None:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ScoreWarning)
            floor = score("feature_quality", features=arrays.features, labels=shuffled)
        row["feature_quality_floor"] = floor
        if row["feature_quality"] <= floor:  # type: ignore[operator]
            row["flags"]["at_floor"] = f"{row['feature_quality']:.3f} against {floor:.3f}"


def _finish(row: Row, metrics: Sequence[str]) -> None:
    """Bring a row into its published form: score, error, list of flags, and columns in a fixed order."""
    reasons = row.pop("reasons", {})
    details = row.pop("flags", {})
    row.pop("cached", None)
    value = row.get(metrics[0])
    needed = _COMPONENTS if metrics[0] == "transferability" else (metrics[0],)
    error = row.pop("error", None) or next((reasons[name] for name in needed if name in reasons), None)
    first = {
        "rank": None,
        "checkpoint": row.pop("checkpoint"),
        "score": value,
        **{name: row.pop(name, None) for name in _COMPONENTS},
        **{name: row.pop(name, None) for name in metrics if name not in _COMPONENTS},
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


def _place(row: Row) -> tuple[int, float]:
    """Sorting key: scored, then scored at the floor, then without score, then failed."""
    if row["score"] is not None:
        return (1 if "at_floor" in row["flags"] else 0), -row["score"]
    return (3 if row["error"] else 2), 0.0


def _number(rows: Iterable[Row]) -> None:
    """Ranks from 1; equal scores share a rank."""
    last: tuple[int, float] | None = None
    rank_now = 0
    for number, row in enumerate(rows, 1):
        if row["score"] is None:
            continue
        place = _place(row)
        rank_now = rank_now if place == last else number
        row["rank"], last = rank_now, place


def _reason(error: Exception) -> str:
    if isinstance(error, TransferabilityError):
        return str(error)
    log.debug("unexpected error", exc_info=error)
    return f"unexpected {type(error).__name__}: {error}"
