"""A thread that speaks whenever nothing was said for a while, so that a log of long work has no gaps."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

SILENCE = 20.0  # seconds; a busy machine may be some seconds late, and a log is to have a line every 30


class Heartbeat:
    """Speaks whenever nothing was heard for a while, from `start` to `stop`, whatever the program does meanwhile.

    A process that is forked from this one has no such thread, so it repeats nothing.

    Args:
        speak: writes a line; it is called in the thread, and never inside `held`.
        silence: seconds without a line after which it is called.
        clock: the time in seconds.
    """

    def __init__(self, speak: Callable[[], None], silence: float = SILENCE, clock: Callable[[], float] | None = None):
        self._speak = speak
        self._silence = silence
        self._clock = clock or time.monotonic
        self._heard = self._clock()
        self._ended = threading.Event()
        self._turn = threading.RLock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, unless it has begun or ended already."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True, name="heartbeat")
            self._thread.start()

    def heard(self) -> None:
        """A line was written by somebody."""
        self._heard = self._clock()

    def beat(self) -> float:
        """Speak if it is time to; returns the seconds until the next look."""
        with self._turn:
            if not self._ended.is_set() and self._clock() - self._heard >= self._silence:
                self.heard()  # before it speaks: what fails is not tried again at once
                self._speak()
        return max(self._heard + self._silence - self._clock(), 0.01)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Inside, it says nothing: somebody else writes what must stay in one piece."""
        with self._turn:
            yield
        self.heard()

    def stop(self) -> None:
        """End; nothing is said afterwards, unless a line is just being written."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(1)

    def _run(self) -> None:
        while not self._ended.wait(self.beat()):
            pass
