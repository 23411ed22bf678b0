"""The files of the next candidate are found and downloaded while the present one is extracted."""

import contextlib
import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.checkpoints.resolving import resolve
from hf_transferability.checkpoints.source import Source


class Downloads:
    """Works one candidate ahead, in a thread that ends with the program.

    What goes wrong ahead of time is tried again when the candidate is asked for.

    Args:
        names: the candidates in their order.
        options: how they are read.
        needed: whether a resolved candidate must be downloaded; it is not if its arrays are stored.
    """

    def __init__(self, names: Sequence[str], options: LoadOptions, needed: Callable[[Source], bool]):
        self._next = dict(itertools.pairwise(names))
        self._options, self._needed = options, needed
        self._sources: dict[str, Future[Source]] = {}
        self._current: str | None = None

    def resolve(self, name: str) -> Source:
        """The source of a candidate, which is the present one from now on: its download is shown, if it still goes on.

        Raises:
            CheckpointError: it cannot be resolved.
        """
        self._current = name
        ahead = self._sources.get(name)
        if ahead is not None and ahead.exception() is None:
            return ahead.result()
        return resolve(name, self._options)

    def start_after(self, name: str) -> None:
        """Start with the candidate after this one, whose own files are here now."""
        following = self._next.get(name)
        if following is None or following in self._sources:
            return
        self._sources[following] = Future()
        threading.Thread(target=self._work, args=(following,), daemon=True, name="download").start()

    def _work(self, name: str) -> None:
        future = self._sources[name]
        try:
            source = resolve(name, self._options)
        except BaseException as error:
            future.set_exception(error)
            return
        future.set_result(source)
        with contextlib.suppress(Exception):
            if self._needed(source):
                for part in (source, source.base, source.lender):
                    if part is not None:
                        part.fetch(shown=lambda: self._current == name)
