"""Threads that score candidates: one while others are extracted, every core afterwards, within the free memory."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Self, TypeVar

from hf_transferability.data.targets import Labelled
from hf_transferability.extraction.cache import Arrays, Cache
from hf_transferability.machine import free_memory, usable_cores
from hf_transferability.metrics._accelerator import lent
from hf_transferability.quiet import without_warnings_of_sklearn
from hf_transferability.ranking.scoring import Request, Scores, add_floors, few_threads, score_candidate

if TYPE_CHECKING:
    import torch

    from hf_transferability.accelerated.on_device import OnDevice

T = TypeVar("T")

_SHARE = 0.5  # of the free memory for all that are scored at once
# What scoring one candidate takes at most, measured over all metrics: copies of its features in float64, and bytes for each
# pair of images, of which PARC, the only metric that ranks all pairs, takes 8,000 images.
_COPIES, _PAIR_BYTES, _MOST_IMAGES = 10, 6, 8000


class Scorers:
    """Scores candidates in threads, where NumPy and SciPy let several run at once.

    Threads and not processes: arrays need no copy, and a script that ranks needs no guard around its main part. It begins
    with one thread, as more would take from an extraction on the same processor.

    Args:
        target, request, cache: as for `scoring.score_candidate`.
    """

    def __init__(self, target: Labelled, request: Request, cache: Cache):
        self._target, self._request, self._cache = target, request, cache
        self._open = 1
        self._places = threading.Semaphore(self._open)
        self._memory = _Budget(int(_SHARE * free_memory()))
        self._threads = ThreadPoolExecutor(usable_cores(), thread_name_prefix="scoring")
        self._limits = contextlib.ExitStack()
        self._accelerator: OnDevice | None = None

    def __enter__(self) -> Self:
        # Once for all: each thread would restore what another one has set.
        self._limits.enter_context(few_threads())
        self._limits.enter_context(without_warnings_of_sklearn())
        return self

    def __exit__(self, *error: object) -> None:
        self._threads.shutdown(cancel_futures=error[0] is not None)
        self._limits.close()

    def use_cores(self, number: int) -> None:
        """Score so many candidates at once from now on, at most one for each core, if there is memory for them."""
        if (more := min(number, usable_cores()) - self._open) > 0:
            self._places.release(more)
            self._open += more

    def use_device(self, device: "torch.device | None") -> None:
        """Let metrics that gain compute on a device from now on; None changes nothing, and imports nothing."""
        if device is not None:
            from hf_transferability.accelerated.on_device import on_device

            self._accelerator = on_device(device)

    def notes(self) -> list[str]:
        """What went wrong on the device since the last call; the scores are those of the processor then."""
        return [] if self._accelerator is None else self._accelerator.notes()

    def score(self, read: Callable[[], Arrays | None]) -> Future[Scores]:
        """Score a candidate soon; the future raises what `scoring.score_candidate` does."""

        def scores(given: Callable[[], Arrays | None]) -> Scores:
            return score_candidate(given, self._target, self._request, self._cache)

        return self._threads.submit(self._within_bounds, scores, read)

    def floors(self, scores: Scores, names: Sequence[str], read: Callable[[], Arrays | None]) -> Future[None]:
        """Add the floors of these keys to a candidate's scores soon; the future raises what `scoring.add_floors` does."""

        def add(given: Callable[[], Arrays | None]) -> None:
            add_floors(scores, names, given, self._target, self._request, self._cache)

        return self._threads.submit(self._within_bounds, add, read)

    def _within_bounds(self, work: Callable[[Callable[[], Arrays | None]], T], read: Callable[[], Arrays | None]) -> T:
        with self._places:
            arrays = read()
            with self._memory.taken(0 if arrays is None else _bytes(arrays)), lent(self._accelerator):
                return work(lambda: arrays)


class _Budget:
    """Bytes that several threads share. What exceeds the whole must wait until it is alone."""

    def __init__(self, size: int):
        self._size, self._taken, self._number = size, 0, 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """A block that starts when so many bytes are left, and gives them back at its end."""
        with self._changed:
            self._changed.wait_for(lambda: self._number == 0 or self._taken + size <= self._size)
            self._taken, self._number = self._taken + size, self._number + 1
        try:
            yield
        finally:
            with self._changed:
                self._taken, self._number = self._taken - size, self._number - 1
                self._changed.notify_all()


def _bytes(arrays: Arrays) -> int:
    n = len(arrays.features) if arrays.features.ndim else 0  # files of probabilities alone hold an empty array
    return _COPIES * 8 * arrays.features.size + _PAIR_BYTES * min(n, _MOST_IMAGES) ** 2
