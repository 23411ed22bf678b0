"""Where metrics compute beside an extraction on the same card: which device, with how much of its memory, in whose turn."""

import contextlib
import threading
from collections.abc import Iterator

import numpy as np
import torch

from hf_transferability.extraction.memory import free_bytes
from hf_transferability.extraction.precision import full_precision

_SHARE = 0.125  # of the memory that is free on the device; an extraction takes half of what it finds free
_MOST = 2**30  # bytes


class Place:
    """A device that the threads of metrics use one at a time, while an extraction may be at work on it.

    On a CUDA card their work goes into a stream of its own, of higher priority: it need not wait for the seconds of work that
    an extraction has queued, and takes little from it, as it is short. They hold at most an eighth of the memory that is free
    when they begin. If the extraction has taken it meanwhile, the processor computes instead; if an extraction finds too
    little, it takes smaller batches, as ever.
    """

    def __init__(self, device: torch.device):
        self.device = device
        self._lock = threading.RLock()
        self._stream: torch.cuda.Stream | None = None

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """A block in which this thread alone computes on the device, in full precision and without gradients."""
        with self._lock, torch.no_grad(), full_precision():
            if self.device.type != "cuda":
                yield
                return
            if self._stream is None:
                self._stream = torch.cuda.Stream(self.device, priority=-1)
            with torch.cuda.stream(self._stream):
                yield

    def computes_in(self, dtype: np.dtype) -> bool:
        """Whether the device has numbers of this precision."""
        return self.device.type != "mps" or np.dtype(dtype).itemsize < 8

    def budget(self) -> int:
        """Bytes that a piece of work may hold now."""
        return min(int(_SHARE * free_bytes(self.device)), _MOST)

    def rows(self, row_bytes: int, arrays: int = 0) -> int:
        """How many rows of so many bytes may be held at once beside arrays of so many bytes; 0 if not even one."""
        return max(self.budget() - arrays, 0) // max(row_bytes, 1)

    def put(self, array: np.ndarray) -> torch.Tensor:
        """An array on the device; not to be written to."""
        writeable = array if array.flags.writeable else array.copy()  # torch warns of others
        return torch.as_tensor(np.ascontiguousarray(writeable), device=self.device)
