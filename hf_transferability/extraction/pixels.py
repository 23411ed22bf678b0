"""A sample's images as a network takes them: preprocessed ahead by threads, once for all candidates of one image processor."""

import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

from hf_transferability.data.targets import Target
from hf_transferability.errors import CheckpointError
from hf_transferability.machine import free_memory, usable_cores

if TYPE_CHECKING:
    import torch

    from hf_transferability.checkpoints.checkpoint import Checkpoint

_MOST_WORKERS = 4  # threads that decode and preprocess
_CHUNK = 32  # images that one thread preprocesses together: several chunks to a batch, so that all threads have work
_CHUNK_BYTES = 64 * 2**20  # of pixels; larger images come in smaller chunks
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
        """Pixels [len(positions), 3, height, width], if all of them are stored in one size."""
        import torch

        parts = [self._stored.get((key, position)) for position in positions]
        present = [part for part in parts if part is not None]
        complete = len(present) == len(parts) and len({part.shape for part in present}) == 1
        return torch.stack(present) if complete else None

    def part(self, positions: Sequence[int]) -> "PixelStore":
        """This store for some images of the sample, which have other positions among themselves."""
        return _PartOfStore(self, positions)

    def add(self, key: str, positions: Sequence[int], pixels: "torch.Tensor") -> None:
        """Store those for which there is room."""
        with self._lock:
            for position, image in zip(positions, pixels, strict=True):
                if (key, position) not in self._stored and image.nbytes <= self._free:
                    self._free -= image.nbytes
                    self._stored[key, position] = image.clone()  # a view would hold the whole batch


class _PartOfStore(PixelStore):
    """A store whose position i is position `positions[i]` of another store."""

    def __init__(self, whole: PixelStore, positions: Sequence[int]):
        self._whole, self._positions = whole, list(positions)

    def get(self, key: str, positions: Sequence[int]) -> "torch.Tensor | None":
        return self._whole.get(key, [self._positions[position] for position in positions])

    def add(self, key: str, positions: Sequence[int], pixels: "torch.Tensor") -> None:
        self._whole.add(key, [self._positions[position] for position in positions], pixels)


class Reader:
    """A checkpoint's pixels, computed ahead of their use by threads: for the rest of a batch and for the next one.

    In chunks of fixed positions, some of which are held at a time, so that memory does not grow with the batches. Use it in a
    `with` block, at whose end the threads stop.

    Args:
        checkpoint: its image processor is used.
        target: the sample.
        batches: positions that will be read, in this order; a part is never of two batches.
        store: shared by candidates; None stores nothing.
    """

    def __init__(self, checkpoint: "Checkpoint", target: Target, batches: Sequence[slice], store: PixelStore | None = None):
        self._checkpoint, self._target, self._store = checkpoint, target, store
        shared = store is not None and checkpoint.input_names == ("pixel_values",)
        self._key = processor_key(checkpoint.processor) if shared else None
        height, width = checkpoint.image_size
        size = max(min(_CHUNK, _CHUNK_BYTES // max(12 * height * width, 1)), 1)  # three colours in float32
        starts = [(start, batch.stop) for batch in batches for start in range(batch.start, batch.stop, size)]
        self._chunks = [range(start, min(start + size, stop)) for start, stop in starts]
        self._number = {position: number for number, chunk in enumerate(self._chunks) for position in chunk}
        workers = min(usable_cores(), _MOST_WORKERS)
        self._ahead = workers + 1  # chunks: one for each thread, and one that is ready
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="pixels")
        self._futures: dict[int, Future[torch.Tensor]] = {}
        self._form: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    def __call__(self, parts: Sequence[range]) -> "Iterator[torch.Tensor]":
        """The pixels of each range of positions.

        Raises:
            CheckpointError: the processor fails, or gives images of several sizes.
        """
        for part in parts:
            yield self._part(part)

    def _part(self, part: range) -> "torch.Tensor":
        pieces = []
        for number in range(self._number[part.start], self._number[part.stop - 1] + 1):
            chunk, pixels = self._chunks[number], self._chunk(number)
            if chunk.start < part.start or part.stop < chunk.stop:
                pixels = _rows(pixels, slice(max(part.start - chunk.start, 0), part.stop - chunk.start))
            pieces.append(pixels)
        return pieces[0] if len(pieces) == 1 else _joined(pieces)

    def _chunk(self, number: int) -> "torch.Tensor":
        wanted = range(number, min(number + self._ahead + 1, len(self._chunks)))
        for other in [other for other in self._futures if other not in wanted]:
            self._futures.pop(other).cancel()
        for other in wanted:
            if other not in self._futures:
                self._futures[other] = self._threads.submit(self._read, self._chunks[other])
        pixels = self._futures[number].result()
        form = _form(pixels)
        if self._form is not None and form != self._form:
            raise CheckpointError(
                f"{type(self._checkpoint.processor).__name__} of {self._checkpoint.name} gives images of several sizes, "
                "so features would depend on the batches. Lend the processor of another checkpoint with --processor."
            )
        self._form = form
        return pixels

    def _read(self, chunk: range) -> "torch.Tensor":
        if self._store is None or self._key is None:
            return self._checkpoint.preprocess([self._target.images[position] for position in chunk])
        pixels = self._store.get(self._key, chunk)
        if pixels is None:
            pixels = self._checkpoint.preprocess([self._target.images[position] for position in chunk])
            self._store.add(self._key, chunk, pixels)
        return pixels


def _form(pixels: Any) -> Any:
    """The size of one image's input."""
    return {name: value.shape[1:] for name, value in pixels.items()} if isinstance(pixels, dict) else pixels.shape[1:]


def _rows(pixels: Any, rows: slice) -> Any:
    if isinstance(pixels, dict):
        return type(pixels)({name: value[rows] for name, value in pixels.items()})
    return pixels[rows]


def _joined(pieces: Sequence[Any]) -> Any:
    import torch

    if isinstance(pieces[0], dict):
        return type(pieces[0])({name: torch.cat([piece[name] for piece in pieces]) for name in pieces[0]})
    return torch.cat(list(pieces))


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
