"""Progress reports of long runs on stderr: one live panel on a terminal, plain lines elsewhere; by default none from Python."""

import contextlib
import copy
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from hf_transferability.errors import UsageError, shown
from hf_transferability.escaping.terminal import printable
from hf_transferability.heartbeat import SILENCE, Heartbeat

if TYPE_CHECKING:
    from rich.console import RenderableType

CACHED = "from the cache"  # the outcome of a candidate that needed no work
_BARS_OF_DATASETS = ("starting", "reading the dataset", "reading images")  # stages in which it draws its own while it downloads
_LARGE = 10**7  # bytes; smaller downloads get no line of their own
_UNNAMED = "working"  # what is done between two stages


class Progress:
    """The events that a long run reports; this base class ignores them, and subclasses show those they want."""

    def note(self, text: str) -> None:
        """Show a remark that matters for reading the result."""

    def account(self, text: str) -> None:
        """Show the account of a dataset: what was found, used and left out."""
        self.note(text)

    def advise(self, text: str) -> None:
        """Show what to do with the result."""
        self.note(text)

    def start(self, number: int, total: int, checkpoint: str) -> None:
        """Begin work on checkpoint `number` of `total`, counted from 1."""

    def stage(self, name: str, total: int | None = None, unit: str = "images") -> None:
        """Begin the next stage of the current work, with `total` steps, called `unit`, if they can be counted."""

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


class Passing(Progress):
    """Passes every event on to another progress; subclasses change some of them."""

    def __init__(self, progress: Progress):
        self._progress = progress

    def note(self, text: str) -> None:
        self._progress.note(text)

    def start(self, number: int, total: int, checkpoint: str) -> None:
        self._progress.start(number, total, checkpoint)

    def stage(self, name: str, total: int | None = None, unit: str = "images") -> None:
        self._progress.stage(name, total, unit)

    def advance(self, done: int) -> None:
        self._progress.advance(done)

    def download(self, file: str, done: int, total: int | None) -> None:
        self._progress.download(file, done, total)

    def finish(self, outcome: str) -> None:
        self._progress.finish(outcome)

    def close(self) -> None:
        self._progress.close()


def given(progress: Progress | None) -> Progress:
    """The progress that a caller has passed; one that reports nothing for None.

    Raises:
        UsageError: something else.
    """
    if progress is not None and not isinstance(progress, Progress):
        raise UsageError(f"`progress` must be a Progress; got {shown(progress)}. Leave it out.")
    return NullProgress() if progress is None else progress


def tell(notes: Iterable[str], advice: Iterable[str], progress: Progress) -> None:
    """Show the notes and the advice that belong to a result."""
    for note in notes:
        progress.note(note)
    for line in advice:
        progress.advise(line)


@dataclass
class _Work:
    """What is being done, and how fast.

    Attributes:
        number, size: place of the current candidate, from 1, and how many there are; 0 before the first.
        name: of the current candidate; "" between candidates.
        stage, unit, total, done: of the current stage; "" and None where there is none or nothing to count.
        arriving: the file that is downloaded, with its bytes that are here and all of them; None where there is none.
        durations: seconds of each candidate that needed work.
    """

    number: int = 0
    size: int = 0
    name: str = ""
    began: float = field(default_factory=time.monotonic)
    stage: str = ""
    unit: str = ""
    total: int | None = None
    done: int = 0
    arriving: tuple[str, int, int] | None = None
    stage_began: float = field(default_factory=time.monotonic)
    finished: int = 0
    cached: int = 0
    durations: list[float] = field(default_factory=list)

    def start(self, number: int, size: int, name: str) -> None:
        self.number, self.size, self.name, self.began = number, size, name, time.monotonic()
        self.start_stage("", None, "")

    def start_stage(self, name: str, total: int | None, unit: str) -> None:
        self.stage, self.total, self.unit, self.done, self.stage_began = name, total, unit, 0, time.monotonic()
        self.arriving = None

    def finish(self, outcome: str) -> float:
        """End the candidate; returns its seconds."""
        seconds = time.monotonic() - self.began
        self.finished += 1
        if outcome == CACHED:
            self.cached += 1
        else:
            self.durations.append(seconds)
        self.name = ""
        self.start_stage("", None, "")
        return seconds

    @property
    def rate(self) -> float | None:
        """Steps per second of the current stage."""
        seconds = time.monotonic() - self.stage_began
        return self.done / seconds if self.stage and self.done and seconds > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """An estimate, from the candidates before and the speed of the current stage; None where neither says anything."""
        of_stage = (self.total - self.done) / self.rate if self.total and self.rate else None
        if not self.name:
            return of_stage
        spent = time.monotonic() - self.began
        if self.durations:
            each = sum(self.durations) / len(self.durations)
            current = max(each - spent, 0.0) if of_stage is None else of_stage
        elif of_stage is None:
            return None
        else:
            each, current = spent + of_stage, of_stage
        return current + each * (self.size - self.number)

    def in_words(self) -> str:
        """The current stage, how far it is and how long the rest may take."""
        parts = [self.stage or _UNNAMED]
        if self.arriving is not None:
            name, here, size = self.arriving
            parts.append(f"{_megabytes(here)[:-3]} of {_megabytes(size)} of {name}")
        elif self.total and self.done:
            parts.append(f"{self.done} of {self.total} {self.unit}".rstrip())
        parts += filter(None, [self.speed()])
        parts.append(f"{_clock(time.monotonic() - (self.began if self.name else self.stage_began))} so far")
        if self.seconds_left is not None:
            parts.append(f"about {_clock(self.seconds_left)} left")
        return ", ".join(parts)

    def speed(self) -> str:
        """Such as 84 images per second; "" where nothing is counted."""
        return f"{self.rate:.3g} {self.unit} per second" if self.rate and self.unit else ""


class Lines(Progress):
    """One plain line per checkpoint and stage, for logs and pipes, and from `watch` to `close` one whenever there was none for
    a while, also between two stages. The first stage watches.

    Args:
        stream: where they go.
        silence: seconds without a line after which one says how far the work is.
    """

    def __init__(self, stream: TextIO, silence: float = SILENCE):
        self._stream: TextIO | None = stream
        self._work = _Work()
        self._place = ""
        self._download = ("", "")
        self._heartbeat = Heartbeat(self._go_on, silence)

    def watch(self, what: str = "") -> None:
        """From now on nothing is silent for long; `what` is done until the first stage, and is not said before."""
        self._place = ""
        self._work.name = ""
        self._work.start_stage(what, None, "")
        self._heartbeat.start()

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """Inside, no line comes by itself: something is printed that must stay in one piece."""
        return self._heartbeat.held()

    def note(self, text: str) -> None:
        self._print(text)

    def start(self, number: int, total: int, checkpoint: str) -> None:
        self._place = f"[{number}/{total}] {checkpoint}: "
        self._work.start(number, total, checkpoint)

    def stage(self, name: str, total: int | None = None, unit: str = "images") -> None:
        self._work.start_stage(name, total, unit)
        self._print(f"{self._place}{name}" + (f" ({total})" if total else ""))
        self._heartbeat.start()

    def advance(self, done: int) -> None:
        self._work.done = done

    def download(self, file: str, done: int, total: int | None) -> None:
        if (total or 0) < _LARGE:
            return
        self._work.arriving = (file, done, total or 0) if done < (total or 0) else None
        if (self._place, file) != self._download:
            self._download = self._place, file
            self._print(f"{self._place}downloading {file} ({_megabytes(total)})")

    def finish(self, outcome: str) -> None:
        self._print(f"{self._place}{outcome} ({self._work.finish(outcome):.1f} s)")
        self._place = ""

    def close(self) -> None:
        self._heartbeat.stop()

    def _go_on(self) -> None:
        self._print(f"{self._place}{copy.copy(self._work).in_words()}")  # of one moment, as the work goes on

    def _print(self, text: str) -> None:
        self._heartbeat.heard()
        if self._stream is None:
            return
        try:
            # One call with the line's end, so that lines of two threads do not mix.
            self._stream.write(f"{printable(text)}\n")
            self._stream.flush()
        except (OSError, ValueError):  # the reader has closed the pipe, or the disk is full; the work goes on
            self._stream = None


class Panel(Progress):
    """One live panel below the finished checkpoints: candidates, stage, speed, time left and what came from the cache.

    It does not appear while `datasets` may draw its own bars, and nothing of it remains at the end.
    """

    def __init__(self, stream: TextIO):
        from rich.console import Console
        from rich.live import Live

        self._work = _Work()
        self._file = ""
        self._live = Live(
            console=Console(file=stream, highlight=False, markup=False, emoji=False),
            get_renderable=self._render,
            transient=True,
            redirect_stdout=False,  # the result belongs on stdout, not above the panel
        )

    def note(self, text: str) -> None:
        self._live.console.print(printable(text))

    def start(self, number: int, total: int, checkpoint: str) -> None:
        self._work.start(number, total, checkpoint)
        self._file = ""
        self._live.start()

    def stage(self, name: str, total: int | None = None, unit: str = "images") -> None:
        if name in _BARS_OF_DATASETS:
            self.note(f"{name} ...")
        else:
            self._live.start()
        self._work.start_stage(name, total, unit)
        self._file = ""

    def advance(self, done: int) -> None:
        self._work.done = done

    def download(self, file: str, done: int, total: int | None) -> None:
        if self._file != file:
            self.stage(f"downloading {file}", total, "bytes")
            self._file = file
        self._work.done, self._work.total = done, total

    def finish(self, outcome: str) -> None:
        name = self._work.name
        self.note(f"{name}: {outcome} ({self._work.finish(outcome):.1f} s)")

    def close(self) -> None:
        # A signal in the middle of starting leaves the display half set up, and stopping that fails; the cursor must return.
        with contextlib.suppress(Exception):
            self._live.stop()
        self._live.console.show_cursor()

    def _render(self) -> "RenderableType":
        from rich.panel import Panel as Box
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        work = copy.copy(self._work)  # of one moment, as the work goes on
        grid = Table.grid(padding=(0, 2, 0, 0))
        if work.size and work.unit != "candidates":  # a stage that counts candidates has a bar of its own
            cached = f"{work.cached} {CACHED}" if work.cached else ""
            grid.add_row("candidates", ProgressBar(work.size, work.finished, 24), f"{work.finished} of {work.size}", cached)
        if work.stage and work.total:
            counts, speed = f"{work.done} of {work.total}", work.speed()
            if work.unit == "bytes":
                counts, speed = f"{_megabytes(work.done)[:-3]} of {_megabytes(work.total)}", _per_second(work.rate)
            grid.add_row("" if work.unit == "bytes" else work.unit, ProgressBar(work.total, work.done, 24), counts, speed)
        left = work.seconds_left
        spent = time.monotonic() - (work.began if work.name else work.stage_began)
        times = f"{_clock(spent)} so far" + (f", about {_clock(left)} left" if left is not None else "")
        lines = Table.grid()
        if what := ": ".join(filter(None, [shorten(printable(work.name)), work.stage])):
            lines.add_row(f"{what}, {times}")
        lines.add_row(grid)
        return Box.fit(lines)


def _megabytes(size: int | None) -> str:
    return "?" if size is None else f"{size / 1e6:.1f} MB"


def _per_second(rate: float | None) -> str:
    return f"{rate / 1e6:.1f} MB per second" if rate else ""


def _clock(seconds: float) -> str:
    """Seconds as 42 s, 3:05 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02}" if minutes else f"{rest} s"


def shorten(name: str, width: int = 32) -> str:
    """The end of a long id or path, which differs from others more often than its beginning."""
    return name if len(name) <= width else f"…{name[1 - width :]}"


def reporter(stream: TextIO) -> Progress:
    """A panel if the stream is a terminal that can move its cursor, lines otherwise; nothing except in the first process."""
    if not _is_first():
        return NullProgress()
    return lines_for(stream) or Panel(stream)


def lines_for(stream: TextIO) -> Lines | None:
    """Lines, in the first process and unless the stream is a terminal that can move its cursor."""
    movable = stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")
    return Lines(stream) if _is_first() and not movable else None


def _is_first() -> bool:
    """Whether this is the one that reports, of the processes that were started together."""
    return os.environ.get("RANK", "0") == "0"
