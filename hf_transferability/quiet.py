"""Warnings and log lines of other libraries held back, also from several threads at once.

`warnings.catch_warnings` saves and restores filters that all threads share: of two that overlap, the second one to end
restores what the first had set, and warnings stay off. Here the first to enter saves the filters, the last restores them.
"""

import contextlib
import logging
import threading
import warnings
from collections.abc import Callable, Iterator


class _Filters:
    """Filters that hold while a block of any thread is open.

    Args:
        set_them: sets them.
    """

    def __init__(self, set_them: Callable[[], None]):
        self._set = set_them
        self._lock = threading.Lock()
        self._inside = 0
        self._saved: warnings.catch_warnings | None = None

    @contextlib.contextmanager
    def block(self) -> Iterator[None]:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._saved = warnings.catch_warnings()
                self._saved.__enter__()
                self._set()
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if self._inside == 0 and self._saved is not None:
                    self._saved.__exit__(None, None, None)
                    self._saved = None


_nothing = _Filters(lambda: warnings.simplefilter("ignore"))
_not_sklearn = _Filters(lambda: warnings.filterwarnings("ignore", module=r"sklearn\b"))


def without_warnings() -> contextlib.AbstractContextManager[None]:
    """A block in which no warning is shown or raised, in any thread."""
    return _nothing.block()


def without_warnings_of_sklearn() -> contextlib.AbstractContextManager[None]:
    """A block in which no warning of scikit-learn is shown or raised, in any thread: for all of what several threads score.

    Libraries that load a network meanwhile save and restore the filters, too, and take those of `without_warnings` back while
    its block is still open. What they save within this block has these.
    """
    return _not_sklearn.block()


class _OtherThreads(logging.Filter):
    """Lets the lines of other threads pass only."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        return record.thread != self._thread


@contextlib.contextmanager
def without_log(*loggers: str) -> Iterator[None]:
    """A block in which these loggers write nothing from this thread; an error is raised as before.

    Args:
        loggers: their full names; those below them are not meant.
    """
    only_others, named = _OtherThreads(), [logging.getLogger(name) for name in loggers]
    for logger in named:
        logger.addFilter(only_others)
    try:
        yield
    finally:
        for logger in named:
            logger.removeFilter(only_others)
