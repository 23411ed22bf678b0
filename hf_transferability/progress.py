"""What a long run says while it works: bars on a terminal, plain lines elsewhere, nothing by default from Python. All on stderr."""

import time
from typing import TextIO


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

    def finish(self, outcome: str) -> None:
        """The present checkpoint is done."""

    def close(self) -> None:
        """Nothing more follows."""


class Lines(Silent):
    """One plain line per checkpoint and stage, for logs and pipes."""

    def __init__(self, stream: TextIO):
        self._stream = stream
        self._place = ""
        self._began = time.monotonic()

    def note(self, text: str) -> None:
        self._say(text)

    def start(self, number: int, total: int, checkpoint: str) -> None:
        self._place = f"[{number}/{total}] {checkpoint}: "
        self._began = time.monotonic()

    def stage(self, name: str, total: int | None = None) -> None:
        self._say(f"{self._place}{name}" + (f" ({total})" if total else ""))

    def finish(self, outcome: str) -> None:
        self._say(f"{self._place}{outcome} ({time.monotonic() - self._began:.1f} s)")
        self._place = ""

    def _say(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class Bars(Silent):
    """A bar over the pool and one for the present stage, with finished checkpoints above them."""

    def __init__(self, stream: TextIO):
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(file=stream),
            transient=True,
        )
        self._progress.start()
        self._pool: int | None = None
        self._stage: int | None = None
        self._name = ""
        self._began = time.monotonic()

    def note(self, text: str) -> None:
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def start(self, number: int, total: int, checkpoint: str) -> None:
        self._name, self._began = checkpoint, time.monotonic()
        if self._pool is None:
            self._pool = self._progress.add_task("checkpoints", total=total)  # type: ignore[assignment]
        self._progress.update(self._pool, completed=number - 1)  # type: ignore[arg-type]

    def stage(self, name: str, total: int | None = None) -> None:
        if self._stage is not None:
            self._progress.remove_task(self._stage)  # type: ignore[arg-type]
        text = f"{self._name}: {name}" if self._name else name
        self._stage = self._progress.add_task(text, total=total)  # type: ignore[assignment]

    def advance(self, done: int) -> None:
        if self._stage is not None:
            self._progress.update(self._stage, completed=done)  # type: ignore[arg-type]

    def finish(self, outcome: str) -> None:
        self.note(f"{self._name}: {outcome} ({time.monotonic() - self._began:.1f} s)")
        if self._pool is not None:
            self._progress.advance(self._pool)  # type: ignore[arg-type]
        self._name = ""

    def close(self) -> None:
        self._progress.stop()


def reporter(stream: TextIO) -> Silent:
    """Bars where the stream is a terminal, lines elsewhere."""
    return Bars(stream) if stream.isatty() else Lines(stream)
