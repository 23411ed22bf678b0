"""The accelerator that a run lends to its metrics: what is computed there, from which size on, and what if it goes wrong.

Values are those of the processor up to rounding: float64 stays float64 and float32 float32, without TF32. So a stored score
does not say which of the two computed it, just as it does not say which processor: what moves most with rounding, the optimiser
of feature quality, is the same for both, and its stated tolerance covers it.

The optimisers stay on the processor and ask the device for values and gradients. Nobody may have measured the device at hand,
so each kind of work is first done on a small problem both here and there. Where the results differ by more than rounding, or
something fails later, the processor computes instead and a note says so.
"""

import functools
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate.utils.memory import should_reduce_batch_size

from hf_transferability.accelerated import logistic, neighbourhood_components, neighbours, pairs
from hf_transferability.accelerated.place import Place
from hf_transferability.accelerated.self_check import difference

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Work:
    """A piece of a metric.

    Attributes:
        made: gives the function that computes on a place, from its inputs; None where there is no memory for it. The function
            gives NotImplemented where the result is not settled by its inputs, but by how the processor's code is written.
        multiplications: of one call, from the inputs.
        worth: so many are needed; for fewer, launching and copying (0.1 to 1 ms a call) cost what they save on a core of 20
            billion a second.
        floats: position of the input whose precision is that of the work; None for float64.
    """

    made: Callable[..., Callable[..., Any] | None]
    multiplications: Callable[..., int]
    worth: float
    floats: int | None = None


WORK = {
    # 400 images with 50 dimensions: a call has 25 launches, and a fit about 60 calls.
    "neighbourhood components": Work(
        neighbourhood_components.objective, neighbourhood_components.multiplications, worth=2.4e7, floats=0
    ),
    # 550 images x 512 features x 5 folds x 5 classes.
    "logistic regressions": Work(logistic.loss, logistic.multiplications, worth=2.7e7, floats=0),
    # 1,000 images with 200 features, which must be copied there: one call.
    "neighbours": Work(neighbours.nearest, neighbours.multiplications, worth=2e8),
    "neighbours with ties": Work(neighbours.within_reach, neighbours.multiplications_of_rows, worth=2e8),
    "neighbours outside groups": Work(neighbours.outside, neighbours.multiplications, worth=2e8),
    "shares of neighbours": Work(neighbours.shares, neighbours.multiplications, worth=2e8),
    # 2,000 images: two million pairs.
    "ranks of pairs": Work(pairs.correlation, pairs.multiplications, worth=4.8e7),
}


class OnDevice:
    """A device that computes in the processor's place; an `Accelerator` of the metrics, for any number of threads.

    Args:
        device: of torch.
        always: also where it is not worth it, for tests and measurements.

    Attributes:
        trusted: kinds of work that were checked, and whether the device does them.
    """

    def __init__(self, device: torch.device, *, always: bool = False):
        self.place, self._always = Place(device), always
        self._checking, self._telling = threading.Lock(), threading.Lock()
        self.trusted: dict[str, bool] = {}
        self._notes: list[str] = []
        self._told: set[str] = set()

    def in_place_of(self, work: str, own: Callable[..., Any], inputs: tuple[Any, ...]) -> Callable[..., Any]:
        """A function that computes on the device, or `own` where that is not worth it or not to be trusted."""
        kind = WORK[work]
        if not self.place.computes_in(_precision(kind, inputs)):
            return own
        if not self._always and kind.multiplications(*inputs) < kind.worth:
            return own
        return _Attempt(self, work, own, inputs) if self._is_trusted(work) else own

    def notes(self) -> list[str]:
        """What went wrong since the last call, a sentence for each kind of work."""
        with self._telling:
            notes, self._notes = self._notes, []
            self._told.clear()
        return notes

    def compute(self, work: str, inputs: tuple[Any, ...]) -> Callable[..., Any] | None:
        """What computes on the device, without any check; None where there is no memory for it."""
        return WORK[work].made(self.place, *inputs)

    def failed(self, work: str, error: Exception) -> None:
        """The device failed at some work: after anything but a lack of memory, which passes, it does no more of this kind."""
        log.debug("%s failed on %s; the processor computes instead", work, self.place.device, exc_info=error)
        if should_reduce_batch_size(error):
            self._tell(work, f"the {self.place.device.type} device lacked memory for {work}, so the processor computed them.")
            return
        self.trusted[work] = False
        kind = type(error).__name__
        self._tell(work, f"the {self.place.device.type} device failed at {work} ({kind}), so the processor computed them.")

    def _is_trusted(self, work: str) -> bool:
        with self._checking:
            if work not in self.trusted:
                self.trusted[work] = self._agrees(work)
            return self.trusted[work]

    def _agrees(self, work: str) -> bool:
        try:
            found = difference(work, _Strict(self, work))
        except Exception as error:
            self.failed(work, error)
            return False
        if found is None:
            return True
        log.debug("%s on %s: %s", work, self.place.device, found)
        self._tell(work, f"the {self.place.device.type} device gives other {work} than the processor, which computed them.")
        return False

    def _tell(self, work: str, note: str) -> None:
        with self._telling:
            if work not in self._told:
                self._told.add(work)
                self._notes.append(note)


@functools.cache
def on_device(device: torch.device) -> OnDevice:
    """The accelerator for a device, one for the whole process, so that it is checked once."""
    return OnDevice(device)


class _Attempt:
    """Work on the device; by the processor from the first failure on."""

    def __init__(self, device: OnDevice, work: str, own: Callable[..., Any], inputs: tuple[Any, ...]):
        self._device, self._work, self._own, self._inputs = device, work, own, inputs
        self._compute: Callable[..., Any] | None = None
        self._begun = False

    def __call__(self, *given: Any) -> Any:
        try:
            with self._device.place.turn():
                if not self._begun:
                    self._begun, self._compute = True, self._device.compute(self._work, self._inputs)
                result = NotImplemented if self._compute is None else self._compute(*given)
            if result is not NotImplemented:
                return result
        except Exception as error:
            self._compute = None  # and with it what it holds on the device
            self._device.failed(self._work, error)
        return self._own(*given)


class _Strict:
    """The device for one kind of work, with nothing in its place where it fails: for its check."""

    def __init__(self, device: OnDevice, work: str):
        self._device, self._checked = device, work

    def in_place_of(self, work: str, own: Callable[..., Any], inputs: tuple[Any, ...]) -> Callable[..., Any]:
        if work != self._checked or not self._device.place.computes_in(_precision(WORK[work], inputs)):
            return own

        def strict(*given: Any) -> Any:
            with self._device.place.turn():
                compute = self._device.compute(work, inputs)
                if compute is None:
                    raise MemoryError(f"no memory for {work}")
                result = compute(*given)
            return own(*given) if result is NotImplemented else result

        return strict


def _precision(kind: Work, inputs: tuple[Any, ...]) -> np.dtype:
    return np.dtype(np.float64) if kind.floats is None else inputs[kind.floats].dtype
