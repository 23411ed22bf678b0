"""Work that the accelerator of a run may do in the processor's place.

Metrics know no device. Where one is worth it, they name a piece of their work and hand in what computes it here; a run that
extracts on an accelerator lends it (`lent`), and gets the same numbers back up to rounding. Without one nothing changes, and
nothing is imported.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Protocol


class Accelerator(Protocol):
    """What computes elsewhere."""

    def in_place_of(self, work: str, own: Callable[..., Any], inputs: tuple[Any, ...]) -> Callable[..., Any]:
        """A function with the arguments and the results of `own`, which it calls itself where it should or must.

        Args:
            work: what is computed, such as "neighbourhood components".
            own: computes it on the processor.
            inputs: what it is computed from: arrays, and numbers that the result depends on.
        """


_lent: ContextVar[Accelerator | None] = ContextVar("accelerator", default=None)


@contextlib.contextmanager
def lent(accelerator: Accelerator | None) -> Iterator[None]:
    """A block in which the metrics of this thread may use an accelerator; None for none."""
    before = _lent.set(accelerator)
    try:
        yield
    finally:
        _lent.reset(before)


def on_accelerator(work: str, own: Callable[..., Any], *inputs: Any) -> Callable[..., Any]:
    """`own`, or what takes its place in a block of `lent`; see `Accelerator.in_place_of`."""
    accelerator = _lent.get()
    return own if accelerator is None else accelerator.in_place_of(work, own, inputs)
