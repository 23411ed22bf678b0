"""Short fine-tuning of the contenders, one after the other, as long as a budget lasts.

The runs are those of `training.grids`: each is a file when it ends. So what was interrupted goes on where it stopped, and the
time that counts is the sum of all runs in the folder, whoever made them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any

from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.choosing.contenders import Contender
from hf_transferability.choosing.decision import Result
from hf_transferability.choosing.reports import OneOfSeveral, OutOfTime, WithinTime
from hf_transferability.choosing.timing import Images, Step, measured_step, run_seconds
from hf_transferability.errors import CheckpointError, UsageError
from hf_transferability.extraction.processes import Processes
from hf_transferability.files import replace_file
from hf_transferability.names import file_name, plain_name
from hf_transferability.progress import Progress
from hf_transferability.training import run_files
from hf_transferability.training.grids import run_grid
from hf_transferability.training.one_run import load_checkpoint
from hf_transferability.training.samples import Splits
from hf_transferability.training.settings import Protocol, RowLabels, Setting, SplitNames

# Of the rates of `open`, this pair comes nearest to the best of all; of the paper's, one of about these (docs/choosing.md).
SETTINGS = (Setting(32, 0.01, 0.9, 0.0), Setting(32, 0.04, 0.9, 0.0))
PROTOCOL = Protocol(epochs=10, patience=4, validation_per_class=200)
_SETTINGS_FILE, _STEPS_FILE = "settings.json", "steps.json"
_OTHER_STEPS = f"`output` must be a folder of `choose`; {_STEPS_FILE} in it has other content. Remove it."


@dataclass(frozen=True)
class ShortRuns:
    """What every short run has in common.

    Attributes:
        dataset: Hub id or folder of the target.
        folder: where the runs are kept.
        images: of a run.
        n_classes: of the target.
        split_names: of the target.
        labels: of the rows.
        sources: candidate -> what its runs are called; no two alike.
        load: how checkpoints are read.
        reading: how the dataset is read: fields of `data.options.SampleOptions`.
    """

    dataset: str | Path
    folder: Path
    images: Images
    n_classes: int
    split_names: SplitNames
    labels: RowLabels
    sources: Mapping[str, str]
    load: LoadOptions
    reading: Mapping[str, Any]

    @cached_property
    def splits(self) -> Splits:
        """The images, read when they are first needed. All runs share them, and what is decoded as far as memory allows."""
        return Splits(self.dataset, names=self.split_names, token=self.load.token, **self.reading)


@dataclass(frozen=True)
class Outcome:
    """What a budget allowed.

    Attributes:
        results: of the contenders that were fine-tuned, in rank order.
        left_out: names of contenders for which no time was left.
        needed: seconds that two contenders need at least, where the budget is too small to compare any; else None.
        seconds: that all runs took.
        earlier_seconds: what of it earlier calls took.
    """

    results: list[Result]
    left_out: list[str]
    needed: float | None
    seconds: float
    earlier_seconds: float = 0.0


def fine_tune_within(budget: float, contenders: Sequence[Contender], work: ShortRuns, progress: Progress) -> Outcome:
    """Fine-tune contenders in rank order while the next one fits into the budget; one that does not after all is stopped.

    Args:
        budget: seconds for all runs, those of earlier calls on the folder included.
        contenders: in rank order.
        work: what the runs share.
        progress: shows what is done.

    Raises:
        UsageError: runs that were made in another way, on other images or of another revision are in the folder, or the
            dataset has no test split.
        TargetError: a dataset that cannot be read.
    """
    work.folder.mkdir(parents=True, exist_ok=True)
    settings = [setting._asdict() for setting in SETTINGS]
    replace_file(work.folder / _SETTINGS_FILE, (json.dumps(settings, indent=1) + "\n").encode())
    stored = {contender.name: _result(contender, work) for contender in contenders}
    if done := [name for name, result in stored.items() if result.runs == len(SETTINGS)]:
        _grid(done, work, OneOfSeveral(progress))  # trains nothing: refuses runs of other images, options or revisions
    estimates, results, earlier, longer = {}, {}, 0.0, 1.0  # longer: how many times as long as expected runs have taken
    for contender in contenders:
        finished = stored[contender.name]
        earlier += finished.seconds
        if contender.name in done:
            results[contender.name] = finished
            if measured := _stored_steps(work).get(_step_key(contender, work)):  # else this call would allow more than that one
                longer = max(longer, finished.seconds / _seconds_of_runs(_step_of(measured), work))
            continue
        try:
            step = _step(contender, work, progress)
        except CheckpointError as error:
            results[contender.name] = Result(contender.name, contender.rank, note=str(error))
            continue
        estimates[contender.name] = _seconds_of_runs(step, work)
    needed = _least(contenders, estimates, results)
    if needed is not None and needed > budget:
        return Outcome(_ordered(results, contenders), [*estimates], needed, _spent(results), _spent(results))
    left_out: list[str] = []
    for contender in contenders:
        if contender.name not in estimates:
            continue
        others = [estimates[name] for name in estimates if name not in (contender.name, *results, *left_out)]
        if longer * _needed_now(estimates[contender.name], others, results) > budget - _spent(results):
            left_out.append(contender.name)
            continue
        progress.start(1 + contenders.index(contender), len(contenders), plain_name(contender.name))
        _read_images(work, progress)
        remaining = budget - _spent(results) - stored[contender.name].seconds
        try:
            result = _run(contender, work, WithinTime(progress, remaining))
        except OutOfTime:
            progress.finish("stopped, as the budget was spent")
            left_out += [name for name in estimates if name not in (*results, *left_out)]
            break
        progress.finish("failed" if result.validation_auc is None else "done")
        results[contender.name] = result
        if result.runs:
            longer = max(longer, result.seconds / estimates[contender.name])
    spent = _spent(results)
    return Outcome(_ordered(results, contenders), left_out, None, spent, min(earlier, spent))


def _least(contenders: Sequence[Contender], estimates: Mapping[str, float], results: Mapping[str, Result]) -> float | None:
    """Seconds until two contenders can be compared, the cheapest two; None where two already can, or never will."""
    known = [result.seconds for result in results.values() if result.validation_auc is not None]
    if len(known) >= 2 or len(known) + len(estimates) < 2:
        return None
    return sum(known) + sum(sorted(estimates.values())[: 2 - len(known)])


def _needed_now(seconds: float, others: Sequence[float], results: Mapping[str, Result]) -> float:
    """What the runs of a contender take, and while there is nothing to compare it with, those of the cheapest other one."""
    alone = all(result.validation_auc is None for result in results.values())
    return seconds + (min(others, default=0.0) if alone else 0.0)


def _seconds_of_runs(step: Step, work: ShortRuns) -> float:
    return len(SETTINGS) * run_seconds(step, work.images, PROTOCOL)


def _ordered(results: Mapping[str, Result], contenders: Sequence[Contender]) -> list[Result]:
    return [results[contender.name] for contender in contenders if contender.name in results]


def _spent(results: Mapping[str, Result]) -> float:
    return sum(result.seconds for result in results.values())


def _run(contender: Contender, work: ShortRuns, progress: Progress) -> Result:
    """Make the runs of one contender that are not there yet."""
    try:
        _grid([contender.name], work, progress)
    except CheckpointError as error:
        return Result(contender.name, contender.rank, note=str(error))
    return _result(contender, work)


def _grid(names: Sequence[str], work: ShortRuns, progress: Progress) -> None:
    """Make the runs of these contenders that are not there yet, if all that are there were made in the same way."""
    _read_images(work, progress)
    run_grid(
        work.dataset,
        {work.sources[name]: name for name in names},
        work.folder,
        grid=work.folder / _SETTINGS_FILE,
        seeds=1,
        protocol=replace(PROTOCOL, image_size=work.load.image_size),
        labels=work.labels,
        split_names=work.split_names,
        splits=work.splits,
        progress=progress,
        **work.reading,
        **{name: value for name, value in vars(work.load).items() if name != "image_size"},  # the protocol has it
    )


def _read_images(work: ShortRuns, progress: Progress) -> None:
    """Read the images if they are not there yet: before runs, so that no run is charged for it."""
    if "splits" not in vars(work):
        progress.stage("reading images")
        _ = work.splits


def source_names(names: Sequence[str]) -> dict[str, str]:
    """What the runs of each candidate are called: its plain name, and a number where two folders share one."""
    sources: dict[str, str] = {}
    for name in names:
        plain, count = plain_name(name), 1
        while plain in sources.values():
            count += 1
            plain = f"{plain_name(name)}-{count}"
        sources[name] = plain
    return sources


def _rows(name: str, work: ShortRuns) -> list[dict[str, Any]]:
    """The runs of a contender in the folder, as rows of the table `runs`."""
    place = work.folder / file_name(plain_name(work.dataset)) / file_name(work.sources[name])
    return [run_files.read_run(file) for file in run_files.run_files(place)]


def best_run(name: str | None, work: ShortRuns) -> dict[str, Any] | None:
    """The run of a contender with the highest validation AUC, as a row of the table `runs`; None where none has a figure."""
    good = [row for row in _rows(name, work) if row["status"] == "ok"] if name else []
    return max(good, key=lambda row: (row["validation_auc"], -row["validation_loss"]), default=None)


def _result(contender: Contender, work: ShortRuns) -> Result:
    """What the finished runs of a contender in the folder reached."""
    rows, best = _rows(contender.name, work), best_run(contender.name, work)
    finished = [row for row in rows if row["status"] != "failed"]
    seconds = round(sum(float(row.get("seconds") or 0.0) for row in rows), 2)  # failed ones took time, too
    if best is None:
        note = "; ".join(dict.fromkeys(str(row.get("note") or row["status"]) for row in rows)) or None
        return Result(contender.name, contender.rank, runs=len(finished), seconds=seconds, note=note)
    return Result(
        contender.name,
        contender.rank,
        best["validation_auc"],
        best["test_auc"],
        best["learning_rate"],
        best["validation_images"],
        len(finished),
        seconds,
    )


def _step(contender: Contender, work: ShortRuns, progress: Progress) -> Step:
    """The measured step of a contender, which is kept, so that a second call decides as the first one did.

    Raises:
        CheckpointError: it cannot be loaded or trained.
    """
    stored, key = _stored_steps(work), _step_key(contender, work)
    if key not in stored:
        progress.stage(f"measuring a step of {plain_name(contender.name)}")
        checkpoint = load_checkpoint(contender.name, work.load)
        if isinstance(checkpoint, CheckpointError):
            raise checkpoint
        step = measured_step(checkpoint, work.n_classes, SETTINGS[0].batch_size, Processes().device)
        stored[key] = asdict(step)
        replace_file(work.folder / _STEPS_FILE, (json.dumps(stored, indent=1) + "\n").encode())
    return _step_of(stored[key])


def _step_key(contender: Contender, work: ShortRuns) -> str:
    return contender.name if work.load.image_size is None else f"{contender.name} at {work.load.image_size}"


def _stored_steps(work: ShortRuns) -> dict[str, Any]:
    """The measured steps of earlier calls, by `_step_key`."""
    file = work.folder / _STEPS_FILE
    try:
        stored = json.loads(file.read_text("utf-8")) if file.exists() else {}
    except (ValueError, RecursionError):
        stored = None
    if not isinstance(stored, dict):
        raise UsageError(_OTHER_STEPS)
    return stored


def _step_of(stored: Any) -> Step:
    names = [field.name for field in fields(Step)]
    if not isinstance(stored, dict) or sorted(stored) != sorted(names):
        raise UsageError(_OTHER_STEPS)
    if any(isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < inf for value in stored.values()):
        raise UsageError(_OTHER_STEPS)
    if stored["batch_size"] < 1:
        raise UsageError(_OTHER_STEPS)
    return Step(**stored)
