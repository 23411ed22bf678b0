"""Rank arrays that the user already has, one file per candidate, so that images need not leave the building."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hf_transferability import arguments
from hf_transferability.benchmark.advice import advise, without_conclusions
from hf_transferability.data.array_files import read_candidate
from hf_transferability.data.array_labels import labelled_arrays
from hf_transferability.errors import UsageError, shown
from hf_transferability.extraction.cache import Arrays, Cache
from hf_transferability.metrics import all_metrics, can_score, get_metric
from hf_transferability.metrics._validation import task_of
from hf_transferability.metrics.consensus import SAME_SIZE
from hf_transferability.names import first_of_each
from hf_transferability.ranking.candidates import Candidate
from hf_transferability.ranking.choices import (
    SHOWN_PARTS,
    check_choices,
    check_metrics,
    choose_metrics,
    floors_needed,
    keys_to_compute,
)
from hf_transferability.ranking.label_check import candidate_p_value, checked_labels
from hf_transferability.ranking.notes import repeated
from hf_transferability.ranking.result import Ranking
from hf_transferability.ranking.rows import metric_versions, ranked
from hf_transferability.ranking.run import HALVES
from hf_transferability.ranking.scenario import scenario_notes
from hf_transferability.ranking.scorers import Scorers
from hf_transferability.ranking.scoring import Request, Scores
from hf_transferability.results import label_alarm

Sizes = Mapping[str, int] | Sequence[int]


@arguments.checked_names
def rank_features(
    files: Sequence[str | Path],
    *,
    metrics: Sequence[str] = ("all",),
    parameters: Sizes = (),
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
        metrics: names; the rows are sorted by the first; "all" stands for those that the files' arrays and labels allow,
            consensus first.
        parameters: how many parameters each network has (without source head), which consensus looks at: one number per
            file, or by file: its path, name, or name without ending. What is given here goes before what the files say.
        scenario: as in `rank`, but "auto" can only look at the width of the features and at the sizes. Where these do not tell,
            it is taken to be source_dataset, which a note says, and must be named for an order by transferability.
        variant, intervals, floor, seed, cache_dir: as in `rank`.

    Returns:
        The ranking; a row's "checkpoint" is its file.

    Raises:
        UsageError: files that cannot be read, labels that differ between them, a metric that their arrays do not allow, or
            parameters that do not fit the files.
    """
    files, metrics = arguments.texts("files", files, paths=True), arguments.texts("metrics", metrics)
    for name, value in {"intervals": intervals, "floor": floor}.items():
        arguments.flag(name, value)
    if cache_dir is not None:
        arguments.text("cache_dir", cache_dir, path=True)
    if not isinstance(parameters, Mapping | Sequence) or isinstance(parameters, str | bytes):
        raise UsageError(f"`parameters` must be numbers, one per file, or by file; got {shown(parameters)}. Pass a list.")
    if not files:
        raise UsageError("`files` must name at least one file; got none.")
    check_choices(scenario, variant, seed)
    files, parameters, repeats = _each_once(files, parameters)
    candidates = [read_candidate(path) for path in files]
    contents = [arrays for arrays, _ in candidates]
    sizes = _sizes(files, [size for _, size in candidates], parameters)
    labels, groups = _common(files, contents)
    scenario = _scenario(contents, sizes) if scenario == "auto" else scenario
    chosen = _choose_metrics(metrics, contents)
    is_assumed = scenario == "auto" and len(files) > 1
    if is_assumed and get_metric(chosen[0]).uses_scenario:
        raise UsageError(f"`scenario` must be source_dataset or architecture for {chosen[0]} of files; got auto. Name it.")
    scenario = "source_dataset" if scenario == "auto" else scenario
    target = labelled_arrays(labels, {"id": "(files)"}, groups)
    cache = Cache(cache_dir)
    always = [name for name in SHOWN_PARTS if (not metrics or "all" in metrics) and _possible(name, contents)]
    request = Request(keys_to_compute(chosen, target.task, variant, always), variant, HALVES * intervals, seed)
    floors = request.keys if floor else floors_needed(chosen[0], scenario)
    all_arrays = [_arrays(content) for content in contents]
    readers = [_reader(arrays) for arrays in all_arrays]
    with Scorers(target, request, cache) as scorers:
        scores = _scored(readers, floors, scorers)
    ranked_files = [_candidate(*each) for each in zip(files, all_arrays, sizes, scores, strict=True)]
    rows, notes = ranked(ranked_files, chosen, variant, scenario)
    notes = [*repeats, *notes]
    if get_metric(chosen[0]).uses_scenario:
        notes = [*scenario_notes(scenario), *notes]
    if is_assumed:
        notes += [
            f"{name} assumes that the networks have one architecture, as sizes are unknown: give --parameters or --scenario."
            for name in chosen
            if get_metric(name).uses_scenario
        ]
    by_file = dict(zip(map(str, files), readers, strict=True))
    label_check = checked_labels(rows, lambda file: candidate_p_value(by_file[file], target, seed, cache))
    notes += (alarm := label_alarm({"label_check": label_check}))
    advice = advise(rows, chosen[0], variant, scenario, None, target.task)
    advice = without_conclusions(advice) if alarm else advice
    notes += advice["text"] if advice else []
    versions = metric_versions(request.keys, chosen)
    return Ranking(rows, target.provenance, scenario, chosen[0], notes, versions, advice=advice, label_check=label_check)


def _scored(readers: Sequence[Callable[[], Arrays]], floors: Sequence[str], scorers: Scorers) -> list[Scores]:
    """The scores of all candidates, with the floors of these keys."""
    scorers.use_cores(len(readers))
    scores = [scored.result() for scored in [scorers.score(read) for read in readers]]
    for done in [scorers.floors(*each) for each in zip(scores, [floors] * len(readers), readers, strict=True)]:
        done.result()
    return scores


def _each_once(files: Sequence[str | Path], parameters: Sizes) -> tuple[list[str | Path], Sizes, list[str]]:
    """The files without those that are named again, with their sizes, and a note on what was left out."""
    kept = first_of_each(files)
    if not isinstance(parameters, Mapping) and len(parameters) == len(files):
        parameters = [parameters[number] for number in kept]
    return [files[number] for number in kept], parameters, repeated([str(path) for path in files], kept)


def _common(files: Sequence[str | Path], contents: Sequence[dict[str, np.ndarray]]) -> tuple[np.ndarray, np.ndarray | None]:
    """The labels and groups of all files.

    Raises:
        UsageError: they differ between files.
    """
    labels, groups = contents[0]["labels"], contents[0].get("groups")
    for path, content in zip(files, contents, strict=True):
        if not np.array_equal(content["labels"], labels, equal_nan=labels.dtype.kind == "f"):
            raise UsageError(
                f"{path} must have the same labels as {files[0]}; they differ. Extract all from one sample, in one order."
            )
        if not _same_groups(content.get("groups"), groups):
            raise UsageError(
                f"{path} must have the same groups as {files[0]}; they differ. Put the same array into every file."
            )
    return labels, groups


def _candidate(path: str | Path, arrays: Arrays, size: int | None, scores: Scores) -> Candidate:
    revision = "sha256:" + hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return Candidate(str(path), revision, {"n_features": arrays.facts["n_features"], "parameters": size}, scores)


def _scenario(contents: Sequence[dict[str, np.ndarray]], sizes: Sequence[int | None]) -> str:
    """ "architecture" where widths or sizes differ, "source_dataset" where all sizes are known and the same, else "auto"."""
    widths = {content["features"].shape[1] for content in contents if "features" in content and content["features"].ndim == 2}
    known = {size for size in sizes if size is not None}
    if len(widths) > 1 or (known and max(known) > SAME_SIZE * min(known)):
        return "architecture"
    return "source_dataset" if known and None not in sizes else "auto"


def _choose_metrics(metrics: Sequence[str], contents: Sequence[dict[str, np.ndarray]]) -> list[str]:
    """The metrics to show, the sorting one first.

    Raises:
        UsageError: a metric that was named is not possible, or none is.
    """
    check_metrics(metrics)
    possible = [name for name in all_metrics() if _possible(name, contents)]

    def refusal(name: str) -> str:
        needs = ", ".join(get_metric(name).inputs)
        return (
            f"{name} needs {needs}, for another kind of labels or of arrays than these files hold. "
            f"Possible: {', '.join(possible)}."
        )

    chosen = choose_metrics(metrics, possible, refusal)
    if not chosen:
        raise UsageError(f"the files must hold arrays for a metric; got {', '.join(contents[0])}. Add features, for example.")
    return chosen


def _same_groups(first: np.ndarray | None, second: np.ndarray | None) -> bool:
    return np.array_equal(first, second) if first is not None and second is not None else first is second


def _possible(name: str, contents: Sequence[dict[str, np.ndarray]]) -> bool:
    task = task_of(contents[0]["labels"])
    return all(can_score(name, task, content) for content in contents)


def _sizes(files: Sequence[str | Path], from_metadata: Sequence[int | None], given: Sizes) -> list[int | None]:
    """The number of parameters of every file's network: as given, else as found in the file.

    Raises:
        UsageError: a file that is not among these, or that two of them may be; another number of sizes than of files; a size
            that is not a positive whole number.
    """
    sizes = list(from_metadata)
    for size in given.values() if isinstance(given, Mapping) else given:
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            raise UsageError(f"`parameters` must be positive whole numbers; got {shown(size)}. Count the network's weights.")
    if not isinstance(given, Mapping):
        if given and len(given) != len(files):
            raise UsageError(f"`parameters` must be one number per file; got {len(given)} for {len(files)}. Name the files.")
        return [int(size) for size in given] or sizes
    for name, size in given.items():
        meant = [i for i, path in enumerate(files) if str(name) in (str(path), Path(path).name, Path(path).stem)]
        if len(meant) != 1:
            known = ", ".join(map(str, files))
            raise UsageError(f"`parameters` must name one of the files {known}; got {name!r}. Write FILE=NUMBER.")
        sizes[meant[0]] = int(size)
    return sizes


def _reader(arrays: Arrays) -> Callable[[], Arrays]:
    return lambda: arrays


def _arrays(content: dict[str, np.ndarray]) -> Arrays:
    features = content.get("features", np.empty(0))
    facts: dict[str, Any] = {"n_features": int(features.shape[1]) if features.ndim == 2 else None, "layers": []}
    return Arrays(features, content.get("source_probabilities"), content.get("gradient_norms"), facts, {})
