"""A grid of fine-tuning runs over checkpoints, settings and seeds: each a file when it ends, shared by any number of processes.

A process claims a run by a lock that dies with it; so a killed grid goes on where it stopped, and several processes on one
folder (started by accelerate or by hand, one per GPU) divide the work without talking to each other.
"""

import contextlib
import itertools
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from filelock import FileLock, Timeout

from hf_transferability import provenance
from hf_transferability.benchmark import tables
from hf_transferability.benchmark.ground_truth import PAIR, PUBLISHED, from_runs
from hf_transferability.checkpoints.loading import Checkpoint, load, resolve
from hf_transferability.errors import CheckpointError, TransferabilityError, UsageError
from hf_transferability.extraction import passes
from hf_transferability.metrics import SCENARIOS
from hf_transferability.names import file_name, plain_name, without_folders
from hf_transferability.progress import Silent
from hf_transferability.ranking.candidates import trained_on
from hf_transferability.training.finetuning import Setting, fine_tune
from hf_transferability.training.samples import Splits

if TYPE_CHECKING:
    import pandas as pd

GRIDS = ("small", "paper")
BEST = 5
BEST_FEW = f"mean_of_best_{BEST}"  # the second selection of the ground truth


def settings(grid: str | Path, n_classes: int) -> list[Setting]:
    """The hyperparameters to try.

    Args:
        grid: "small" (6 settings), "paper" (120: two batch sizes that grow with the classes, six learning rates, with and
            without momentum, five weight decays), or a .json file: {"batch_size": [...], "learning_rate": [...], "momentum":
            [...], "weight_decay": [...]} for all combinations, or a list of single settings {"batch_size": 32, ...}.
        n_classes: of the target.

    Raises:
        UsageError: no such grid, or a file that is none; a batch of one image is none, as training skips it.
    """
    if grid == "small":
        return [Setting(32, rate, 0.9, decay) for rate, decay in itertools.product((1e-3, 1e-2, 1e-1), (0.0, 1e-3))]
    if grid == "paper":
        # The published grids took 32 and 64 images for 2 classes, 64 and 128 for 4 and 5, and so on to 256 and 512 for 14.
        smaller = 2 ** round(torch.tensor(16.0 * n_classes).log2().item())
        rates, decays = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0), (0.0, 1e-6, 1e-5, 1e-4, 1e-3)
        every = itertools.product((smaller, 2 * smaller), rates, (0.0, 0.9), decays)
        return [Setting(int(size), *others) for size, *others in every]
    path = Path(grid)
    if path.suffix != ".json":
        raise UsageError(f"`grid` must be {', '.join(GRIDS)} or a .json file; got {str(grid)!r}. Choose one of these.")
    try:
        found = json.loads(path.read_text("utf-8"))
        if isinstance(found, dict):
            lists = [found.pop(name) for name in Setting._fields]
            if found:
                raise ValueError(f"unknown {', '.join(found)}")
            chosen = [Setting(*values) for values in itertools.product(*lists)]
        else:
            chosen = [Setting(**each) for each in found]
        for each in chosen:
            if not (isinstance(each.batch_size, int) and each.batch_size >= 2):
                raise ValueError(f"batch_size must be a whole number of at least 2, got {each.batch_size!r}")
            if not (each.learning_rate > 0 and all(map(math.isfinite, each))):  # no row could hold others
                raise ValueError(f"{each}")
            if not (0 <= each.momentum < 1 and each.weight_decay >= 0):
                raise ValueError(f"{each}")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(
            f"`grid` must be a file with values of {', '.join(Setting._fields)}; {grid} is none: {error}. Correct it, for "
            'example to {"batch_size": [32], "learning_rate": [0.01, 0.1], "momentum": [0.9], "weight_decay": [0]}.'
        ) from error
    if not chosen or len(set(chosen)) < len(chosen):
        raise UsageError(f"`grid` must hold one or more different settings; got {len(chosen)}. Correct {grid}.")
    return chosen


def run_grid(
    dataset: str | Path,
    checkpoints: Sequence[str | Path] | Mapping[str, str | Path],
    folder: str | Path,
    *,
    grid: str | Path = "small",
    seeds: int = 2,
    sample_seed: int = 0,
    image_size: int = 224,
    epochs: int = 200,
    patience: int = 50,
    train_per_class: int = 100,
    validation_per_class: int = 25,
    dropout: float = 0.5,
    augment: bool = True,
    benchmark: str = "own",
    scenario: str = "source_dataset",
    train_split: str = "train",
    validation_split: str | None = None,
    test_split: str = "test",
    allow_pickle: bool = False,
    trust_remote_code: bool = False,
    token: str | None = None,
    progress: Silent | None = None,
    **where: Any,
) -> "pd.DataFrame":
    """Fine-tune every checkpoint with every setting and seed, as far as that is not done yet.

    Args:
        dataset: target: Hub id or local folder with a training and a test split.
        checkpoints: Hub ids or local folders; as a mapping, by the names that they get as sources.
        folder: gets `TARGET/SOURCE/run-0000.json` ..., and runs.parquet and ground_truth.parquet of all that is there.
        grid: see `settings`.
        seeds: repetitions of each setting, with seeds 0, 1, ...; a seed draws head, order, dropout and augmentation.
        sample_seed: of the training and validation images, the same in all runs, as in the paper: validation losses on
            different images could not be compared, and the lowest would go to the easiest draw.
        image_size: side of the square images, in pixels.
        epochs, patience, dropout, augment: see `finetuning.fine_tune`.
        train_per_class, validation_per_class: see `samples.Splits.draw`.
        benchmark, scenario: for the rows: the set of results that they belong to, and what differs between the checkpoints.
        train_split, validation_split, test_split: names; without a validation split, its images are drawn from training.
        allow_pickle, trust_remote_code, token: see `checkpoints.resolve`.
        progress: what to say meanwhile; default nothing.
        where: `config`, `revision`, `image_column`, `label_column` and `window` of the dataset.

    Returns:
        Rows of the table `runs` of this target, those of other processes included as far as they have ended.

    Raises:
        UsageError: wrong arguments, or a folder with runs of another protocol, or of another checkpoint of the same name.
        TargetError: a dataset that cannot be read.
    """
    if scenario not in SCENARIOS:
        raise UsageError(f"`scenario` must be one of {', '.join(SCENARIOS)}; got {scenario!r}. Choose one of these.")
    if not 0 <= dropout < 1:
        raise UsageError(f"`dropout` must be at least 0 and less than 1; got {dropout:g}. Choose another, 0.5 for example.")
    progress, state = progress or Silent(), passes.process_state()
    progress.stage("reading images")
    splits = Splits(dataset, image_size, train=train_split, validation=validation_split, test=test_split, token=token, **where)
    target = plain_name(dataset)
    chosen = settings(grid, len(splits.classes))
    named = checkpoints if isinstance(checkpoints, Mapping) else {plain_name(each): each for each in checkpoints}
    if len(named) < len(checkpoints) or not named:
        raise UsageError("`checkpoints` must be one or more of different names; two folders have one name, or there are none.")
    draw = splits.draw(sample_seed, train_per_class, validation_per_class)
    protocol = {
        "settings": chosen, "image_size": image_size, "epochs": epochs, "patience": patience,
        "train_per_class": train_per_class, "validation_per_class": validation_per_class, "sample_seed": sample_seed,
        "dropout": dropout, "augment": augment, "images": draw.fingerprint,
    }  # fmt: skip
    place = Path(folder) / file_name(target)
    _check_protocol(place / "protocol.json", protocol)
    for source, given in named.items():
        _check_source(
            place / file_name(source), source, str(given), {"benchmark": benchmark, "scenario": scenario},
            allow_pickle=allow_pickle, trust_remote_code=trust_remote_code, token=token,
        )  # fmt: skip
    shared = {
        "benchmark": benchmark,
        "scenario": scenario,
        "target": target,
        "epochs": epochs,
        "dataset": target,
        "dataset_config": splits.provenance["config"],
        "dataset_revision": splits.provenance["revision"],
        "split": "; ".join(pool.target.provenance["split"] for pool in splits.pools.values()),
        "draw": "random",
        "preprocessing": f"{image_size} px, {'random views' if augment else 'no augmentation'}, dropout {dropout:g}",
        "versions": "; ".join(f"{name} {number}" for name, number in sorted(provenance.package_versions().items())),
        "hardware": provenance.hardware(state.device.type),
    }
    every = {
        (seed, source): {place / file_name(source) / f"run-{seed * len(chosen) + k:04}.json": k for k in range(len(chosen))}
        for seed, source in itertools.product(range(seeds), named)
    }
    # Those that failed before this call are tried again, once by whichever process comes first.
    failed = {file: file.stat().st_mtime_ns for files in every.values() for file in files if file.exists() and not _ended(file)}
    state.wait_for_everyone()  # those that were started together must not take each other's failures for earlier ones

    def is_open(file: Path) -> bool:
        return not file.exists() or (not _ended(file) and file.stat().st_mtime_ns == failed.get(file))

    def take_up() -> int:
        """Do every run that is open and that no other process has claimed; how many they were."""
        taken = 0
        for (seed, source), files in every.items():
            given, open_files = named[source], [file for file in files if is_open(file)]
            checkpoint: Checkpoint | CheckpointError | None = None
            for done, file in enumerate(open_files, start=1):
                with _claim(file) as mine:
                    if not mine or not is_open(file):
                        continue
                    if checkpoint is None:
                        progress.start(list(named).index(source) + 1, len(named), f"{source}, seed {seed}")
                        progress.stage("fine-tuning", len(open_files))
                        checkpoint = _loaded(str(given), allow_pickle, trust_remote_code, token)
                    row = shared | {
                        "source": source,
                        "run": int(file.stem.removeprefix("run-")),
                        "seed": seed,
                        **chosen[files[file]]._asdict(),
                        "checkpoint": plain_name(given),
                        "dataset_fingerprint": draw.fingerprint,
                        "sample_size": len(draw.train),
                        "sample_seed": sample_seed,
                        "date": provenance.now(),
                        "validation_images": len(draw.validation),
                        "test_images": len(draw.test),
                        "note": "; ".join(draw.notes) or None,
                    }
                    if isinstance(checkpoint, CheckpointError):
                        outcome = _failed(str(checkpoint), given)
                    else:
                        row["checkpoint_revision"] = checkpoint.facts["revision"]
                        if leak := trained_on(checkpoint.facts["training_datasets"], str(dataset)):
                            row["note"] = "; ".join([*draw.notes, f"{source} was trained on {leak}, as its model card says"])
                        try:
                            outcome = fine_tune(
                                checkpoint, draw, chosen[files[file]], seed=seed, epochs=epochs, patience=patience,
                                dropout=dropout, augment=augment, device=state.device,
                            )  # fmt: skip
                            json.dumps(outcome, allow_nan=False)  # a figure that cannot be written ends this run, not the grid
                        except TransferabilityError:
                            raise
                        except Exception as error:  # out of memory, or a network that cannot be trained at this size
                            first_line = next(iter(str(error).splitlines()), "")
                            outcome = _failed(f"{type(error).__name__}: {first_line}", given)
                    _write(file, row | outcome)
                    failed.pop(file, None)
                    taken += 1
                progress.advance(done)
            if checkpoint is not None:
                progress.finish("done")
        return taken

    try:
        while take_up():  # once more, as another process may have ended in the middle of a run that was its own
            pass
        state.wait_for_everyone()  # those that were started together see each other's last runs
        if left := sum(not file.exists() for files in every.values() for file in files):
            progress.note(
                f"{left} runs are left to other processes that work on this folder; the tables do not have them yet. "
                "Wait for these, or start the same command again."
            )
    finally:  # an error ends the grid, but not what is known of the runs before it
        if any(Path(folder).rglob("run-*.json")):
            write_tables(folder)
    return collect(place)


def _failed(why: str, given: str | Path) -> dict[str, Any]:
    return {"status": "failed", "note": without_folders(why, given)}


def collect(folder: str | Path) -> "pd.DataFrame":
    """All runs that have ended in a folder, in order, as the table `runs`.

    Raises:
        UsageError: there are none.
    """
    import pandas as pd

    files = sorted(Path(folder).rglob("run-*.json"))
    if not files:
        raise UsageError(f"no run in {folder} has ended. Wait for the processes that work on it, or check the path.")
    return tables.check(pd.DataFrame([json.loads(file.read_text("utf-8")) for file in files]), "runs", str(folder))


def write_tables(folder: str | Path) -> None:
    """Write runs.parquet and ground_truth.parquet of all runs that have ended in a folder.

    One process at a time: the last one to write has seen every run.
    """
    with FileLock(Path(folder) / ".tables.lock"):
        runs = collect(folder)
        for name, frame in (("runs", runs), ("ground_truth", ground_truth(runs))):
            path = Path(folder) / f"{name}.parquet"
            part = path.with_name(f".{path.name}.{os.getpid()}.part")
            frame.to_parquet(part, index=False)
            os.replace(part, path)


def ground_truth(runs: "pd.DataFrame") -> "pd.DataFrame":
    """The table `ground_truth` of some runs, as the paper takes it and as the mean of the best five, with provenance.

    Where runs differ in provenance (their hardware, for example), it is that of the run with the lowest validation loss.
    """
    import pandas as pd

    best = runs[runs["status"] == "ok"].sort_values(["validation_loss", "run"]).drop_duplicates(PAIR)
    known = best[[*PAIR, *(name for name in tables.PROVENANCE if name in runs)]]
    both = pd.concat([from_runs(runs, selection) for selection in (PUBLISHED, BEST_FEW)])
    return tables.check(both.merge(known, on=PAIR), "ground_truth")


def _loaded(name: str, allow_pickle: bool, trust_remote_code: bool, token: str | None) -> Checkpoint | CheckpointError:
    try:
        source = resolve(name, allow_pickle=allow_pickle, trust_remote_code=trust_remote_code, token=token)
        checkpoint = load(source, token)
    except CheckpointError as error:
        return error
    checkpoint.facts["revision"] = source.revision
    return checkpoint


def _check_protocol(file: Path, protocol: Mapping[str, Any]) -> None:
    """Write how the runs of a folder are made, or refuse to add others that are made differently."""
    text = json.dumps(protocol, indent=2)
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.parent / ".protocol.lock"):  # of two that start at once, the second must see what the first wrote
        if not file.exists():
            _replace(file, text)
        found = json.loads(file.read_text("utf-8"))
    if found != (own := json.loads(text)):
        other = "; ".join(_change(name, found.get(name), own[name]) for name in own if found.get(name) != own[name])
        raise UsageError(
            f"`output` must be a folder whose runs were made in the same way. Those in {file.parent} were not: {other}. "
            "Choose another --output, or ask for what it has."
        )


def _change(name: str, found: Any, own: Any) -> str:
    """How a part of the protocol differs, in words."""
    if name == "images":
        return "other images or labels in the training or validation sample or in the test split"
    if isinstance(own, list):
        return f"other {name} ({len(found or [])} there, {len(own)} now)"
    return f"{name} {found} there, {own} now"


def _check_source(folder: Path, source: str, given: str, asked: Mapping[str, str], **access: Any) -> None:
    """Refuse a folder whose ended runs are of another checkpoint (by its revision), or were asked for otherwise.

    Runs that failed are done again, so they count for nothing here. A Hub checkpoint that cannot be reached now is taken
    for the one that has runs: a finished grid can be read without network.
    """
    rows = [json.loads(file.read_text("utf-8")) for file in sorted(folder.glob("run-*.json")) if _ended(file)]
    if not rows:
        return
    wanted = dict(asked)
    try:
        wanted["checkpoint_revision"] = resolve(given, **access).revision
    except CheckpointError as error:
        if Path(given).expanduser().is_dir():
            wanted["checkpoint_revision"] = str(error)
    for name, value in wanted.items():
        if found := sorted({str(row.get(name)) for row in rows} - {value}):
            raise UsageError(
                f"runs of {source} must all have one {name}; those in {folder} have {', '.join(found)}, and {given} now: "
                f"{value}. Choose another --output, or give the checkpoint another name."
            )


@contextlib.contextmanager
def _claim(file: Path) -> Iterator[bool]:
    """Whether this process may do a run; another that tries meanwhile may not."""
    lock = FileLock(file.parent / ".locks" / f"{file.stem}.lock")
    lock_folder = file.parent / ".locks"
    lock_folder.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _ended(file: Path) -> bool:
    """Whether a run has ended; one that failed is tried again."""
    return file.exists() and json.loads(file.read_text("utf-8"))["status"] != "failed"


def _write(file: Path, row: Mapping[str, Any]) -> None:
    _replace(file, json.dumps(row, indent=1, allow_nan=False))


def _replace(file: Path, text: str) -> None:
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    part.write_text(text + "\n", "utf-8")
    os.replace(part, file)
