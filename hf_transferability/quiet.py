"""Warnings and log lines of other libraries held back, also from several threads at once.

`warnings.catch_warnings` saves and restores filters that all threads share: of two that overlap, the second one to end
restores what the first had set, and warnings stay off. Here the first to enter saves the filters, the last restores them.
"""

import contextlib
import logging
import threading
import warnings
from collections.abc import Iterator

_lock = threading.Lock()
_inside = 0
_saved: warnings.catch_warnings | None = None


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """A block in which no warning is shown or raised, in any thread."""
    global _inside, _saved
    with _lock:
        _inside += 1
        if _inside == 1:
            _saved = warnings.catch_warnings()
            _saved.__enter__()
            warnings.simplefilter("ignore")
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _saved is not None:
                _saved.__exit__(None, None, None)
                _saved = None


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
