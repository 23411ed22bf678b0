"""A sample's images as a network takes them: preprocessed ahead by threads, once for all candidates of one image processor."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any

from hf_transferability.data.targets import Target
from hf_transferability.machine import free_memory, usable_cores

if TYPE_CHECKING:
    import torch

    from hf_transferability.checkpoints.checkpoint import Checkpoint

_MOST_WORKERS = 4  # threads that decode and preprocess
_BUDGET = 2**30  # bytes of stored pixels: 1,700 images of 224 px
_SHARE = 0.1  # of the free memory, where that is less


class PixelStore:
    """Preprocessed images of one sample, by image processor and position, within a budget.

    Args:
        budget: bytes of pixels to store; what exceeds it is preprocessed again for each candidate. Default: 1 GiB, or a tenth
            of the free memory.
    """

    def __init__(self, budget: int | None = None):
        self._free = min(_BUDGET, int(_SHARE * free_memory())) if budget is None else budget
        self._stored: dict[tuple, torch.Tensor] = {}
        self._lock = threading.Lock()

    def get(self, key: str, positions: Sequence[int]) -> "torch.Tensor | None":
        """Pixels [len(positions), 3, height, width], if all of them are stored."""
        import torch

        parts = [self._stored.get((key, position)) for position in positions]
        present = [part for part in parts if part is not None]
        return torch.stack(present) if present and len(present) == len(parts) else None

    def add(self, key: str, positions: Sequence[int], pixels: "torch.Tensor") -> None:
        """Store those for which there is room."""
        with self._lock:
            for position, image in zip(positions, pixels, strict=True):
                if (key, position) not in self._stored and image.nbytes <= self._free:
                    self._free -= image.nbytes
                    self._stored[key, position] = image.clone()  # a view would hold the whole batch


def read_ahead(
    checkpoint: "Checkpoint", target: Target, store: PixelStore | None = None
) -> "Callable[[Sequence[range]], Iterator[torch.Tensor]]":
    """What gives a checkpoint's pixels for ranges of positions of the sample, computed ahead of their use.

    Args:
        checkpoint: its image processor is used.
        target: the sample.
        store: shared by candidates; None stores nothing.
    """
    key = processor_key(checkpoint.processor) if store is not None and checkpoint.input_names == ("pixel_values",) else None

    def read(part: range) -> "torch.Tensor":
        if store is None or key is None:
            return checkpoint.preprocess([target.images[position] for position in part])
        pixels = store.get(key, part)
        if pixels is None:
            pixels = checkpoint.preprocess([target.images[position] for position in part])
            store.add(key, part, pixels)
        return pixels

    return lambda parts: ahead(read, parts)


def processor_key(processor: Any) -> str | None:
    """What two image processors share exactly when they give the same pixels; None where that is not known."""
    kind = type(processor)
    if not kind.__module__.startswith("transformers.models."):  # code from elsewhere need not tell all its settings
        return None
    if (transforms := getattr(processor, "val_transforms", None)) is not None:  # timm's; `repr` rounds mean and std
        settings = [repr(transforms), {name: processor.data_config.get(name) for name in ("mean", "std")}]
    else:
        settings = [processor.to_dict()]
    return json.dumps([kind.__module__, kind.__qualname__, *settings], sort_keys=True, default=repr)


def ahead(function: "Callable[[range], torch.Tensor]", items: Sequence[range]) -> "Iterator[torch.Tensor]":
    """Like `map`, but threads compute the next results while the caller uses the current one."""
    workers = min(usable_cores(), _MOST_WORKERS)
    with ThreadPoolExecutor(workers) as pool:
        remaining = iter(items)
        futures: list[Future[torch.Tensor]] = [pool.submit(function, item) for item in islice(remaining, workers)]
        try:
            while futures:
                result = futures.pop(0).result()
                futures += [pool.submit(function, item) for item in islice(remaining, 1)]
                yield result
        finally:
            for future in futures:
                future.cancel()
