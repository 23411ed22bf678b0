"""The files of a grid: TARGET/protocol.json, TARGET/account.json (what was read of the target), TARGET/SOURCE/run-0000.json for
every run, and a lock for each run in progress.

A process claims a run by a file lock, which the operating system releases when the process ends, even if it is killed.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from hf_transferability.benchmark.tables import TABLES, Column
from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.checkpoints.resolving import resolve
from hf_transferability.errors import CheckpointError, UsageError
from hf_transferability.files import make_folder, replace_file
from hf_transferability.names import expanded
from hf_transferability.training.settings import DTYPE, OWN


def run_file(folder: Path, number: int) -> Path:
    """The file of a source's run."""
    return folder / f"run-{number:04}.json"


def run_number(file: Path) -> int:
    """The number of a run, from the name of its file."""
    return int(file.stem.removeprefix("run-"))


def run_files(folder: str | Path) -> list[Path]:
    """The files of all runs below a folder, in order."""
    return sorted(Path(folder).rglob("run-*.json"))


def read_run(file: Path) -> dict[str, Any]:
    """The row of a run.

    Raises:
        UsageError: the file was damaged since it was written.
    """
    row = _object(file)
    if row is None or not all(_fits(row.get(name), column) for name, column in TABLES["runs"].columns.items()):
        raise UsageError(f"{file} is damaged: it is no longer the result of a run. Remove it, and the run is made again.")
    return row


def _object(file: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None if it holds none."""
    try:
        content = json.loads(file.read_text("utf-8"))
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _fits(value: Any, column: Column) -> bool:
    if value is None:
        return not column.needed
    if column.kind == "text":
        return isinstance(value, str)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        return False
    return column.kind == "number" or (0 <= value <= 1 if column.kind == "share" else float(value).is_integer())


def write_run(file: Path, row: Mapping[str, Any]) -> None:
    """Write the row of a run atomically.

    Raises:
        ValueError: a number is not finite.
    """
    replace_file(file, (json.dumps(row, indent=1, allow_nan=False) + "\n").encode())


def is_finished(file: Path) -> bool:
    """Whether a run has a result; a failed run does not count, as it is repeated."""
    return file.exists() and read_run(file)["status"] != "failed"


@contextlib.contextmanager
def claim(file: Path) -> Iterator[bool]:
    """Claim a run for this process; yields False if another process has claimed it."""
    lock = FileLock(file.parent / ".locks" / f"{file.stem}.lock")
    Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


# What folders mean that were made before these were recorded.
_BEFORE = {"loading": "", "processor": None, "normalisation": OWN, "dtype": DTYPE}


def check_protocol(folder: Path, protocol: Mapping[str, Any], accounts: Mapping[str, Mapping[str, Any]] | None = None) -> None:
    """Compare how the runs of a target's folder are made with what is stored.

    Args:
        folder: the target's folder.
        protocol: everything in which runs may not differ.
        accounts: split -> the account of its data, to store both where there is no protocol; None to store nothing.

    Raises:
        UsageError: the folder cannot be made, or has runs that were made in another way.
    """
    file = folder / "protocol.json"
    text = json.dumps(protocol, indent=2)
    make_folder(folder, "output")
    with FileLock(folder / ".protocol.lock"):  # if two start at once, the second must read what the first has written
        if not file.exists():
            if accounts is None:
                return
            replace_file(folder / "account.json", (json.dumps(accounts, indent=2) + "\n").encode())
            replace_file(file, (text + "\n").encode())
        written = _object(file)
        if written is None:
            raise UsageError(
                f"{file} is damaged: how the runs beside it were made is not known. Restore it, or choose another --output."
            )
        stored = _BEFORE | written
    requested = _BEFORE | json.loads(text)
    if stored != requested:
        differing = [name for name in requested if stored.get(name) != requested[name]]
        differences = "; ".join(_difference(name, stored.get(name), requested[name]) for name in differing)
        raise UsageError(
            f"`output` must be a folder whose runs were made in the same way. Those in {folder} were not: {differences}. "
            "Choose another --output, or use the same options as before."
        )


def _difference(name: str, stored: Any, requested: Any) -> str:
    """In words, how one part of the stored protocol differs from the requested one."""
    if name == "images":
        return "other images or labels in the training or validation sample or in the test split"
    if isinstance(requested, list):
        return f"other {name} ({len(stored or [])} there, {len(requested)} now)"
    return f"{name} {stored} there, {requested} now"


def check_source(folder: Path, source: str, checkpoint: str, labels: Mapping[str, str], options: LoadOptions) -> None:
    """Refuse a source's folder whose finished runs are of another checkpoint (by its revision) or have other labels.

    Failed runs are repeated, so they are ignored here. A Hub checkpoint that cannot be reached is assumed to be the one with
    runs, so that a finished grid can be read without network.

    Args:
        folder: folder of the source's runs.
        source: name of the checkpoint in the rows.
        checkpoint: Hub id or local folder.
        labels: columns that all rows of the source must share, with their values now.
        options: how the checkpoint is resolved.

    Raises:
        UsageError: one of the columns has another value in a finished run.
    """
    rows = [read_run(file) for file in run_files(folder) if is_finished(file)]
    if not rows:
        return
    expected = dict(labels)
    try:
        expected["checkpoint_revision"] = resolve(checkpoint, options).revision
    except CheckpointError as error:
        if os.path.isdir(expanded(checkpoint)):
            expected["checkpoint_revision"] = str(error)
    for name, value in expected.items():
        if others := sorted({str(row.get(name)) for row in rows} - {value}):
            raise UsageError(
                f"runs of {source} must all have one {name}; those in {folder} have {', '.join(others)}, and {checkpoint} now: "
                f"{value}. Choose another --output, or give the checkpoint another name."
            )
