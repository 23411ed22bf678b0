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
    """Filters that hold while a block of any thread is open, of several kinds, which may overlap in any order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[Callable[[], None]] = []
        self._saved: warnings.catch_warnings | None = None

    @contextlib.contextmanager
    def block(self, set_them: Callable[[], None]) -> Iterator[None]:
        """Inside, the filters hold that `set_them` sets."""
        with self._lock:
            self._open.append(set_them)
            self._set()
        try:
            yield
        finally:
            with self._lock:
                self._open.remove(set_them)
                self._set()

    def _set(self) -> None:
        """Go back to the filters before the first block, and from there to those of the blocks that are open."""
        if self._saved is not None:
            self._saved.__exit__(None, None, None)
            self._saved = None
        if self._open:
            self._saved = warnings.catch_warnings()
            self._saved.__enter__()
            for set_them in self._open:
                set_them()


_filters = _Filters()


def _nothing() -> None:
    warnings.simplefilter("ignore")


def _not_sklearn() -> None:
    warnings.filterwarnings("ignore", module=r"sklearn\b")


def without_warnings() -> contextlib.AbstractContextManager[None]:
    """A block in which no warning is shown or raised, in any thread."""
    return _filters.block(_nothing)


def without_warnings_of_sklearn() -> contextlib.AbstractContextManager[None]:
    """A block in which no warning of scikit-learn is shown or raised, in any thread: for all of what several threads score.

    Libraries that load a network meanwhile save and restore the filters, too, and take those of `without_warnings` back while
    its block is still open. What they save within this block has these.
    """
    return _filters.block(_not_sklearn)


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
