"""Rank arrays that the user already has, one file per candidate, so that images need not leave the building."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hf_transferability.benchmark.advice import advise
from hf_transferability.data.array_files import read_arrays
from hf_transferability.data.array_labels import labelled_arrays
from hf_transferability.errors import UsageError
from hf_transferability.extraction.cache import Arrays, Cache
from hf_transferability.metrics import all_metrics, get_metric
from hf_transferability.metrics._validation import task_of
from hf_transferability.ranking import pool
from hf_transferability.ranking.run import (
    HALVES,
    Ranking,
    check_choices,
    check_metrics,
    floors_needed,
    metric_versions,
    ranked,
    scored,
)
from hf_transferability.ranking.scoring import COMPONENTS, Request, Scores, add_floors, parts_of, score_candidate
from hf_transferability.results import Row


def rank_features(
    files: Sequence[str | Path],
    *,
    metrics: Sequence[str] = ("all",),
    scenario: str = "auto",
    variant: str = "default",
    intervals: bool = True,
    floor: bool = False,
    seed: int = 0,
    cache_dir: str | Path | None = None,
) -> Ranking:
    """Rank candidates by arrays in files, all of one sample of images in one order.

    Args:
        files: .npz or .safetensors, one per candidate; see `read_arrays`.
        metrics: names; the rows are sorted by the first; "all" stands for those that the files' arrays and labels allow.
        scenario: as in `rank`, but "auto" cannot look at architectures: for transferability of several files it must be named.
        variant, intervals, floor, seed, cache_dir: as in `rank`.

    Returns:
        The ranking; a row's "checkpoint" is its file.

    Raises:
        UsageError: files that cannot be read, labels that differ between them, or a metric that their arrays do not allow.
    """
    if not files:
        raise UsageError("`files` must name at least one file; got none.")
    check_choices(scenario, variant, seed)
    contents = [read_arrays(path) for path in files]
    labels = contents[0]["labels"]
    for path, content in zip(files, contents, strict=True):
        if not np.array_equal(content["labels"], labels, equal_nan=labels.dtype.kind == "f"):
            raise UsageError(
                f"{path} must have the same labels as {files[0]}; they differ. Extract all from one sample, in one order."
            )
    chosen = _choose_metrics(metrics, contents)
    if scenario == "auto" and len(files) > 1 and "transferability" in chosen:
        if "all" in metrics:
            chosen.remove("transferability")
        else:
            raise UsageError(
                "`scenario` must be source_dataset or architecture for transferability of files; got auto. Name it."
            )
    named = scenario != "auto"
    scenario = scenario if named else "source_dataset"
    target = labelled_arrays(labels, {"id": "(files)"})
    task = target.task
    cache = Cache(cache_dir)
    wanted = {*chosen, *(COMPONENTS if "transferability" in chosen else ())}
    request = Request(tuple(name for name in parts_of(chosen, task) if name in wanted), variant, HALVES * intervals, seed)
    rows: list[Row] = []
    scores: list[Scores | None] = []
    for path, content in zip(files, contents, strict=True):
        arrays = _arrays(content)
        revision = "sha256:" + hashlib.sha256(Path(path).read_bytes()).hexdigest()
        each = score_candidate(lambda arrays=arrays: arrays, target, request, cache)  # type: ignore[misc]
        floors = request.metrics if floor else floors_needed(scenario, chosen[0])
        add_floors(each, floors, lambda arrays=arrays: arrays, target, request, cache)  # type: ignore[misc]
        rows.append({"checkpoint": str(path), "revision": revision, "n_features": arrays.facts["n_features"]})
        scores.append(each)
    notes = pool.scenario_notes(scenario) if "transferability" in chosen else []
    rows, notes = ranked(rows, scores, chosen, variant, scenario, notes)
    # Files do not tell what differs between them; without that there is nothing to compare them with.
    advice = advise(chosen[0], variant, scenario, scored(rows), task) if named else None
    if advice:
        notes.append(advice["text"])
    return Ranking(rows, target.provenance, scenario, chosen[0], notes, metric_versions(request.metrics, chosen), advice=advice)


def _choose_metrics(metrics: Sequence[str], contents: Sequence[dict[str, np.ndarray]]) -> list[str]:
    check_metrics(metrics)
    task = task_of(contents[0]["labels"])
    possible = [name for name, metric in all_metrics().items() if task in metric.tasks and _allowed(name, contents)]
    chosen: list[str] = []
    for name in metrics:
        if name == "all":
            first = [each for each in ("transferability",) if each in possible]
            chosen += first or [each for each in COMPONENTS if each in possible]
            chosen += [each for each in possible if each not in COMPONENTS]
        elif name in possible:
            chosen.append(name)
        else:
            needs = ", ".join(get_metric(name).inputs)
            raise UsageError(
                f"{name} needs {needs}, for another kind of labels or of arrays than these files hold. "
                f"Possible: {', '.join(possible)}."
            )
    if not chosen:
        raise UsageError(f"the files must hold arrays for a metric; got {', '.join(contents[0])}. Add features, for example.")
    return list(dict.fromkeys(chosen))


def _allowed(name: str, contents: Sequence[dict[str, np.ndarray]]) -> bool:
    return all(part in content for content in contents for part in get_metric(name).inputs)


def _arrays(content: dict[str, np.ndarray]) -> Arrays:
    features = content.get("features", np.empty(0))
    facts: dict[str, Any] = {"n_features": int(features.shape[1]) if features.ndim == 2 else None, "layers": []}
    return Arrays(features, content.get("source_probabilities"), content.get("gradient_norms"), facts, {})
