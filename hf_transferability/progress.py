"""What a long run says while it works, on stderr: bars on a terminal, plain lines elsewhere; by default nothing from Python."""

import os
import time
from typing import Any, TextIO

_LARGE = 10**7  # bytes of a file whose download is worth a line


class Silent:
    """Says nothing; the base of the others."""

    def note(self, text: str) -> None:
        """A remark that the reader of the result should know."""

    def start(self, number: int, total: int, checkpoint: str) -> None:
        """Work on one checkpoint of the pool begins."""

    def stage(self, name: str, total: int | None = None) -> None:
        """The next stage of the present work; `total` steps if they can be counted."""

    def advance(self, done: int) -> None:
        """So many steps of the stage are done."""

    def download(self, file: str, done: int, total: int | None) -> None:
        """So many bytes of a file have arrived."""

    def finish(self, outcome: str) -> None:
        """The present checkpoint is done."""

    def close(self) -> None:
        """Nothing more follows."""


class Lines(Silent):
    """One plain line per checkpoint and stage, for logs and pipes."""

    def __init__(self, stream: TextIO):
        self._stream: TextIO | None = stream
        self._place = ""
        self._download = ("", "")
        self._began = time.monotonic()

    def note(self, text: str) -> None:
        self._say(text)

    def start(self, number: int, total: int, checkpoint: str) -> None:
        self._place = f"[{number}/{total}] {checkpoint}: "
        self._began = time.monotonic()

    def stage(self, name: str, total: int | None = None) -> None:
        self._say(f"{self._place}{name}" + (f" ({total})" if total else ""))

    def download(self, file: str, done: int, total: int | None) -> None:
        if (self._place, file) != self._download and (total or 0) >= _LARGE:
            self._download = self._place, file
            self._say(f"{self._place}downloading {file} ({_megabytes(total)})")

    def finish(self, outcome: str) -> None:
        self._say(f"{self._place}{outcome} ({time.monotonic() - self._began:.1f} s)")
        self._place = ""

    def _say(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            print(text, file=self._stream, flush=True)
        except BrokenPipeError:  # nobody reads any more, which is no reason to stop the work
            self._stream = None


class Bars(Silent):
    """A bar over the pool and one for the present stage, with finished checkpoints above them.

    Nothing is drawn before there is something to count, so that `datasets` can show its own bars while it downloads.
    """

    def __init__(self, stream: TextIO):
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._progress = Progress(
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
        self._progress.console.print(text)

    def start(self, number: int, total: int, checkpoint: str) -> None:
        self._name, self._began = checkpoint, time.monotonic()
        self._number, self._size = number - 1, total
        self._end_stage()
        self._progress.start()
        if self._pool is None:
            self._pool = self._progress.add_task("", total=total, count=f"0/{total}")
        self._progress.update(self._pool, description=shorten(checkpoint))

    def stage(self, name: str, total: int | None = None) -> None:
        if total is None and self._pool is None:
            self.note(f"{name} ...")
            return
        self._progress.start()
        self._end_stage()
        self._total = total
        self._stage = self._progress.add_task(name, total=total, count=f"0/{total}" if total else "")

    def advance(self, done: int) -> None:
        if self._stage is not None:
            self._progress.update(self._stage, completed=done, count=f"{done}/{self._total}" if self._total else "")

    def download(self, file: str, done: int, total: int | None) -> None:
        if self._file != file or self._stage is None:
            self.stage(f"downloading {file}")
            self._file = file
        self._progress.update(self._stage, completed=done, total=total, count=f"{_megabytes(done)[:-3]}/{_megabytes(total)}")

    def finish(self, outcome: str) -> None:
        self.note(f"{self._name}: {outcome} ({time.monotonic() - self._began:.1f} s)")
        self._end_stage()
        self._number += 1
        self._progress.update(
            self._pool, description="checkpoints", completed=self._number, count=f"{self._number}/{self._size}"
        )

    def close(self) -> None:
        self._progress.stop()

    def _end_stage(self) -> None:
        if self._stage is not None:
            self._progress.remove_task(self._stage)
        self._stage, self._file = None, ""


def _megabytes(size: int | None) -> str:
    return "?" if size is None else f"{size / 1e6:.1f} MB"


def shorten(name: str, width: int = 32) -> str:
    """The end of a long id or path, which tells it from others."""
    return name if len(name) <= width else f"…{name[1 - width :]}"


def reporter(stream: TextIO) -> Silent:
    """Bars where the stream is a terminal, lines elsewhere; silent in all but the first of several processes."""
    if os.environ.get("RANK", "0") != "0":
        return Silent()
    return Bars(stream) if stream.isatty() else Lines(stream)
