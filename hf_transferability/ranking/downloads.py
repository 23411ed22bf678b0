"""The next candidate is found, downloaded and, where that pays, loaded while the present one is extracted."""

import contextlib
import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.checkpoints.resolving import resolve
from hf_transferability.checkpoints.source import Source

if TYPE_CHECKING:
    from hf_transferability.checkpoints.checkpoint import Checkpoint

Load = Callable[[Source], "Checkpoint | None"]


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
        self._networks: dict[str, Future[Checkpoint | None]] = {}
        self._current: str | None = None

    def resolve(self, name: str) -> Source:
        """The source of a candidate, which is the present one from now on: its download is shown, if it still goes on.

        Raises:
            CheckpointError: it cannot be resolved.
        """
        self._current = name
        self._networks = {other: network for other, network in self._networks.items() if other == name}
        ahead = self._sources.get(name)
        if ahead is not None and ahead.exception() is None:
            return ahead.result()
        return resolve(name, self._options)

    def take(self, name: str) -> "Checkpoint | None":
        """The network of a candidate if it is loaded, or as soon as it is if that has begun; the caller alone has it then.

        None if there is none, or something went wrong: then the candidate is loaded now, as if nothing had been tried.
        """
        network = self._networks.pop(name, None)
        return None if network is None else network.result()

    def start_after(self, name: str, load: Load | None = None) -> None:
        """Start with the candidate after this one, whose own files are here now; with `load`, its network is loaded, too."""
        following = self._next.get(name)
        if following is None or following in self._sources:
            return
        self._sources[following] = Future()
        network: Future[Checkpoint | None] = Future()
        if load is not None:
            self._networks[following] = network
        threading.Thread(target=self._work, args=(following, load, network), daemon=True, name="download").start()

    def _work(self, name: str, load: Load | None, network: "Future[Checkpoint | None]") -> None:
        loaded = None
        try:
            loaded = self._fetched(name, load)
        finally:
            network.set_result(loaded)

    def _fetched(self, name: str, load: Load | None) -> "Checkpoint | None":
        future = self._sources[name]
        try:
            source = resolve(name, self._options)
        except BaseException as error:
            future.set_exception(error)
            return None
        future.set_result(source)
        with contextlib.suppress(Exception):
            if self._needed(source):
                for part in (source, source.base, source.lender):
                    if part is not None:
                        part.fetch(shown=lambda: self._current == name)
                return None if load is None else load(source)
        return None
