"""Progress reports of long runs on stderr: bars on a terminal, plain lines elsewhere; by default none from Python."""

import os
import time
from typing import Any, TextIO

from hf_transferability.errors import UsageError, shown
from hf_transferability.escaping.terminal import printable

_LARGE = 10**7  # bytes; smaller downloads get no line of their own


class Progress:
    """The events that a long run reports; this base class ignores them, and subclasses show those they want."""

    def note(self, text: str) -> None:
        """Show a remark that matters for reading the result."""

    def start(self, number: int, total: int, checkpoint: str) -> None:
        """Begin work on checkpoint `number` of `total`, counted from 1."""

    def stage(self, name: str, total: int | None = None) -> None:
        """Begin the next stage of the current work, with `total` steps if they can be counted."""

    def advance(self, done: int) -> None:
        """Set the number of finished steps of the current stage."""

    def download(self, file: str, done: int, total: int | None) -> None:
        """Set the number of bytes of a file that have arrived."""

    def finish(self, outcome: str) -> None:
        """End work on the current checkpoint."""

    def close(self) -> None:
        """End all reports."""


class NullProgress(Progress):
    """Reports nothing."""


def given(progress: Progress | None) -> Progress:
    """The progress that a caller has passed; one that reports nothing for None.

    Raises:
        UsageError: something else.
    """
    if progress is not None and not isinstance(progress, Progress):
        raise UsageError(f"`progress` must be a Progress; got {shown(progress)}. Leave it out.")
    return NullProgress() if progress is None else progress


class Lines(Progress):
    """One plain line per checkpoint and stage, for logs and pipes."""

    def __init__(self, stream: TextIO):
        self._stream: TextIO | None = stream
        self._place = ""
        self._download = ("", "")
        self._began = time.monotonic()

    def note(self, text: str) -> None:
        self._print(text)

    def start(self, number: int, total: int, checkpoint: str) -> None:
        self._place = f"[{number}/{total}] {checkpoint}: "
        self._began = time.monotonic()

    def stage(self, name: str, total: int | None = None) -> None:
        self._print(f"{self._place}{name}" + (f" ({total})" if total else ""))

    def download(self, file: str, done: int, total: int | None) -> None:
        if (self._place, file) != self._download and (total or 0) >= _LARGE:
            self._download = self._place, file
            self._print(f"{self._place}downloading {file} ({_megabytes(total)})")

    def finish(self, outcome: str) -> None:
        self._print(f"{self._place}{outcome} ({time.monotonic() - self._began:.1f} s)")
        self._place = ""

    def _print(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            print(printable(text), file=self._stream, flush=True)
        except OSError:  # the reader has closed the pipe, or the disk is full; the work goes on
            self._stream = None


class Bars(Progress):
    """A bar for the pool and one for the current stage, below the finished checkpoints.

    No bar appears before there is something to count, so that `datasets` can show its own bars while it downloads.
    """

    def __init__(self, stream: TextIO):
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        self._bars = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(),
            console=Console(file=stream, highlight=False, markup=False, emoji=False),
            transient=True,
        )
        self._pool: Any = None
        self._stage: Any = None
        self._total: int | None = None
        self._file = ""
        self._name = ""
        self._number = self._size = 0
        self._began = time.monotonic()

    def note(self, text: str) -> None:
        self._bars.console.print(printable(text))

    def start(self, number: int, total: int, checkpoint: str) -> None:
        self._name, self._began = checkpoint, time.monotonic()
        self._number, self._size = number - 1, total
        self._end_stage()
        self._bars.start()
        if self._pool is None:
            self._pool = self._bars.add_task("", total=total, count=f"0/{total}")
        self._bars.update(self._pool, description=shorten(checkpoint))

    def stage(self, name: str, total: int | None = None) -> None:
        if total is None and self._pool is None:
            self.note(f"{name} ...")
            return
        self._bars.start()
        self._end_stage()
        self._total = total
        self._stage = self._bars.add_task(name, total=total, count=f"0/{total}" if total else "")

    def advance(self, done: int) -> None:
        if self._stage is not None:
            self._bars.update(self._stage, completed=done, count=f"{done}/{self._total}" if self._total else "")

    def download(self, file: str, done: int, total: int | None) -> None:
        if self._file != file or self._stage is None:
            self.stage(f"downloading {file}")
            self._file = file
        self._bars.update(self._stage, completed=done, total=total, count=f"{_megabytes(done)[:-3]}/{_megabytes(total)}")

    def finish(self, outcome: str) -> None:
        self.note(f"{self._name}: {outcome} ({time.monotonic() - self._began:.1f} s)")
        self._end_stage()
        self._number += 1
        self._bars.update(self._pool, description="checkpoints", completed=self._number, count=f"{self._number}/{self._size}")

    def close(self) -> None:
        self._bars.stop()

    def _end_stage(self) -> None:
        if self._stage is not None:
            self._bars.remove_task(self._stage)
        self._stage, self._file = None, ""


def _megabytes(size: int | None) -> str:
    return "?" if size is None else f"{size / 1e6:.1f} MB"


def shorten(name: str, width: int = 32) -> str:
    """The end of a long id or path, which differs from others more often than its beginning."""
    return name if len(name) <= width else f"…{name[1 - width :]}"


def reporter(stream: TextIO) -> Progress:
    """Bars if the stream is a terminal, lines otherwise; nothing except in the first of several processes."""
    if os.environ.get("RANK", "0") != "0":
        return NullProgress()
    return Bars(stream) if stream.isatty() else Lines(stream)
