"""A grid of fine-tuning runs over checkpoints, settings and seeds, shared by any number of processes.

Every run is a file when it ends, and a process claims a run before it starts it. So an interrupted grid continues where it
stopped, and several processes on one folder (started by accelerate or by hand, one per GPU) share the work without messages.
"""

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hf_transferability import arguments, provenance
from hf_transferability.checkpoints.checkpoint import Checkpoint
from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.data.options import DRAWING, SampleOptions
from hf_transferability.errors import CheckpointError, UnknownArgument, UsageError
from hf_transferability.extraction.processes import Processes
from hf_transferability.names import file_name, plain_name, split_options
from hf_transferability.progress import Progress, given
from hf_transferability.training import run_files
from hf_transferability.training.one_run import RunContext, load_checkpoint, run_row
from hf_transferability.training.overlap import draw_findings
from hf_transferability.training.reading_notes import tell_reading
from hf_transferability.training.run_tables import collect, write_tables
from hf_transferability.training.samples import Splits
from hf_transferability.training.settings import Protocol, RowLabels, Setting, SplitNames, grid_settings
from hf_transferability.training.trial import check_trainable

if TYPE_CHECKING:
    import pandas as pd


class RunGroup(NamedTuple):
    """The runs of one source with one seed, which share a loaded network.

    Attributes:
        source: name of the checkpoint in the rows.
        checkpoint: its Hub id or folder.
        place: number of the source in the pool, from 1.
        seed: seed of these runs.
        settings: file of each run -> its hyperparameters.
    """

    source: str
    checkpoint: str | Path
    place: int
    seed: int
    settings: dict[Path, Setting]


class RunQueue:
    """The runs of a grid that remain to be done, from the files in its folder.

    Runs that failed before this queue was made are open again, and are tried once by whichever process comes first. Runs that
    fail later, here or in another process, are not.
    """

    def __init__(self, groups: Sequence[RunGroup]):
        self.groups = groups
        self.n_sources = len({group.source for group in groups})
        files = [file for group in groups for file in group.settings]
        failed = [file for file in files if file.exists() and not run_files.is_finished(file)]
        self._failed_before = {file: file.stat().st_mtime_ns for file in failed}

    def open_files(self, group: RunGroup) -> list[Path]:
        """The files of a group's runs that are still to be done."""
        return [file for file in group.settings if self._is_open(file)]

    @contextlib.contextmanager
    def claim(self, file: Path) -> Iterator[bool]:
        """Claim a run; yields False if another process has claimed or done it."""
        with run_files.claim(file) as claimed:
            yield claimed and self._is_open(file)

    def finish(self, file: Path, row: Mapping[str, Any]) -> None:
        """Write the row of a claimed run."""
        run_files.write_run(file, row)
        self._failed_before.pop(file, None)

    def n_missing(self) -> int:
        """Number of runs without a file, which other processes have claimed."""
        return sum(not file.exists() for group in self.groups for file in group.settings)

    def _is_open(self, file: Path) -> bool:
        if not file.exists():
            return True
        return not run_files.is_finished(file) and file.stat().st_mtime_ns == self._failed_before.get(file)


_MOST_RUNS = 1_000_000


def run_grid(
    dataset: str | Path,
    checkpoints: Sequence[str | Path] | Mapping[str, str | Path],
    folder: str | Path,
    *,
    grid: str | Path = "small",
    seeds: int = 2,
    protocol: Protocol | None = None,
    labels: RowLabels | None = None,
    split_names: SplitNames | None = None,
    splits: Splits | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> "pd.DataFrame":
    """Fine-tune every checkpoint with every setting and seed, except for runs that are finished already.

    Args:
        dataset: target: Hub id or local folder with a training and a test split.
        checkpoints: Hub ids or local folders; as a mapping, by the names that they get as sources.
        folder: gets `TARGET/SOURCE/run-0000.json` ..., and runs.parquet and ground_truth.parquet with all of its runs.
        grid: see `settings.grid_settings`.
        seeds: repetitions of each setting, with seeds 0, 1, ... for head, order, dropout and augmentation.
        protocol: how every run is made.
        labels: benchmark and scenario of the rows.
        split_names: names of the dataset's splits.
        splits: the dataset as it was read with these names and options, for calls that share it; default it is read.
        progress: gets the progress; default none.
        options: fields of `checkpoints.options.LoadOptions`, and of `data.options.SampleOptions` but for split, sample_size,
            draw, seed and streaming.

    Returns:
        Rows of the table `runs` for this target, with the runs of other processes that have ended.

    Raises:
        UsageError: wrong arguments, or a folder with runs of another protocol, or of another checkpoint of the same name.
        TargetError: a dataset that cannot be read.
        TypeError: an unknown option.
    """
    protocol, labels, split_names = protocol or Protocol(), labels or RowLabels(), split_names or SplitNames()
    for name, path in {"dataset": dataset, "folder": folder}.items():
        arguments.text(name, path, path=True)
    arguments.whole("seeds", seeds, 1, _MOST_RUNS)
    sources = _named(checkpoints)
    columns, load_options = _reading_options(options)
    progress, state = given(progress), Processes()
    splits = splits or _read(dataset, split_names, load_options, columns, progress)
    for split in splits.pools.values():
        tell_reading(split.target, progress)
    hyperparameters = grid_settings(grid, len(splits.classes))
    _check_size(len(sources) * len(hyperparameters) * seeds)
    draw = splits.draw(protocol.sample_seed, protocol.train_per_class, protocol.validation_per_class)
    target = plain_name(dataset)
    shared = _shared_columns(target, splits, protocol, labels, provenance.hardware(state.device.type))
    context = RunContext(str(dataset), draw, protocol, shared, state.device)
    place = Path(folder) / file_name(target)
    document = context.protocol_document(hyperparameters)
    document |= {"loading": load_options.identity(), "processor": load_options.processor}
    run_files.check_protocol(place, document)
    shared_labels = {"benchmark": labels.benchmark, "scenario": labels.scenario}
    for source, checkpoint in sources.items():
        run_files.check_source(place / file_name(source), source, str(checkpoint), shared_labels, load_options)
    queue = RunQueue(_groups(place, sources, hyperparameters, seeds))
    load_options = replace(load_options, image_size=protocol.image_size)
    context = _checked_before_any_run(queue, context, load_options, progress)
    run_files.check_protocol(place, document, {name: pool.target.provenance["account"] for name, pool in splits.pools.items()})
    state.wait_for_everyone()  # processes that start together must not take each other's new failures for earlier ones
    try:
        # Again until nothing is open: another process may have been stopped in the middle of a run that it had claimed.
        while _do_open_runs(queue, context, load_options, progress):
            pass
        state.wait_for_everyone()  # processes that start together see each other's last runs
        if n_missing := queue.n_missing():
            progress.note(
                f"{n_missing} runs are left to other processes that work on this folder: wait for them, or start the same "
                "command again."
            )
    finally:  # also after an error, the tables have the runs that ended before it
        if run_files.run_files(folder):
            write_tables(folder)
    return collect(place)


def _read(dataset: Any, names: SplitNames, load_options: LoadOptions, columns: Mapping[str, Any], progress: Progress) -> Splits:
    """The images of all splits."""
    progress.stage("reading images")
    return Splits(dataset, names=names, token=load_options.token, **columns)


def _reading_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], LoadOptions]:
    """How the dataset and the checkpoints are read; the whole splits are read, and the protocol draws from them.

    Raises:
        UnknownArgument: an option that is the protocol's.
    """
    sample, load_options = split_options(run_grid, options, SampleOptions, LoadOptions)
    if decided := [name for name in (*DRAWING, "image_size") if name in options]:
        raise UnknownArgument(
            f"run_grid() got an unexpected keyword argument {decided[0]!r}. Set it in `protocol` or `split_names`."
        )
    return {name: getattr(sample, name) for name in options if name in SampleOptions.names()}, load_options


def _checked_before_any_run(queue: RunQueue, context: RunContext, load_options: LoadOptions, progress: Progress) -> RunContext:
    """The context with notes on images that occur twice, after every checkpoint with open runs has been tried.

    Raises:
        UsageError: names the checkpoints that cannot be trained.
    """
    open_groups = [group for group in queue.groups if queue.open_files(group)]
    findings = draw_findings(context.draw) if open_groups else []
    for finding in findings:
        progress.note(f"{finding.told}; correct or remove one of each pair, as they falsify the figures.")
    notes = (*context.draw.notes, *(finding.kept for finding in findings))
    context = replace(context, draw=replace(context.draw, notes=notes))
    progress.stage("trying every checkpoint")
    check_trainable({group.source: group.checkpoint for group in open_groups}, load_options, context.device)
    return context


def _named(checkpoints: Sequence[str | Path] | Mapping[str, str | Path]) -> dict[str, str | Path]:
    """Name in the rows -> Hub id or folder."""
    if isinstance(checkpoints, Mapping):
        arguments.texts("checkpoints", [*checkpoints.keys()])
        arguments.texts("checkpoints", [*checkpoints.values()], paths=True)
        sources = dict(checkpoints)
    else:
        checkpoints = arguments.texts("checkpoints", checkpoints, paths=True)
        sources = {plain_name(checkpoint): checkpoint for checkpoint in checkpoints}
    if len(sources) < len(checkpoints) or not sources:
        raise UsageError("`checkpoints` must be one or more of different names; two folders have one name, or there are none.")
    return sources


def _check_size(n_runs: int) -> None:
    """Refuse a grid that nobody could wait for, whose list of runs alone would fill the memory.

    Raises:
        UsageError: more than _MOST_RUNS.
    """
    if n_runs > _MOST_RUNS:
        raise UsageError(f"the grid must have at most {_MOST_RUNS:,} runs; got {n_runs:,}. Take fewer seeds or settings.")


def _shared_columns(target: str, splits: Splits, protocol: Protocol, labels: RowLabels, hardware: str) -> dict[str, Any]:
    """Columns of `runs` with the same value in every row of a target."""
    return {
        "benchmark": labels.benchmark,
        "scenario": labels.scenario,
        "target": target,
        "epochs": protocol.epochs,
        "dataset": target,
        "dataset_config": splits.provenance["config"],
        "dataset_revision": splits.provenance["revision"],
        "split": "; ".join(pool.target.provenance["split"] for pool in splits.pools.values()),
        "draw": f"random, groups ({column}) in turn" if (column := splits.provenance.get("group_column")) else "random",
        "versions": "; ".join(f"{name} {number}" for name, number in sorted(provenance.package_versions().items())),
        "hardware": hardware,
    }


def _groups(folder: Path, sources: Mapping[str, str | Path], hyperparameters: Sequence[Setting], seeds: int) -> list[RunGroup]:
    """All runs of a target, one seed after the other, so that an early stop leaves every source with equally many."""
    groups = []
    for seed, (place, (source, checkpoint)) in itertools.product(range(seeds), enumerate(sources.items(), start=1)):
        first = seed * len(hyperparameters)
        files = {
            run_files.run_file(folder / file_name(source), first + offset): setting
            for offset, setting in enumerate(hyperparameters)
        }
        groups.append(RunGroup(source, checkpoint, place, seed, files))
    return groups


def _do_open_runs(queue: RunQueue, context: RunContext, load_options: LoadOptions, progress: Progress) -> int:
    """Do every run that is open and that no other process has claimed; returns how many these were."""
    return sum(_do_group(queue, group, context, load_options, progress) for group in queue.groups)


def _do_group(queue: RunQueue, group: RunGroup, context: RunContext, load_options: LoadOptions, progress: Progress) -> int:
    """Do the open runs of a group, with a network that is loaded for the first of them; returns how many these were."""
    open_files = queue.open_files(group)
    checkpoint: Checkpoint | CheckpointError | None = None
    n_done, epochs = 0, context.protocol.epochs
    for position, file in enumerate(open_files, start=1):
        with queue.claim(file) as claimed:
            if not claimed:
                continue
            if checkpoint is None:
                number = group.seed * queue.n_sources + group.place
                progress.start(number, len(queue.groups), f"{group.source}, seed {group.seed}")
                # Runs that stop early leave epochs out: what is told to be left is the most.
                progress.stage(f"fine-tuning, {len(open_files)} runs", len(open_files) * epochs, "epochs")
                checkpoint = load_checkpoint(str(group.checkpoint), load_options)
            row = run_row(
                context,
                checkpoint,
                group.settings[file],
                source=group.source,
                name=group.checkpoint,
                seed=group.seed,
                number=run_files.run_number(file),
                progress=lambda epoch, before=(position - 1) * epochs: progress.advance(before + epoch),  # type: ignore[misc]
            )
            queue.finish(file, row)
            n_done += 1
        progress.advance(position * epochs)
    if checkpoint is not None:
        progress.finish("done")
    return n_done
