"""One pass of a network over a sample: features, source probabilities and gradient norms, on whatever devices Accelerate finds.

The sample is cut into gradient batches once, for any number of processes, and each process takes whole batches; so an image
always meets the same companions. Within a batch memory is bounded by micro-batches, with exact gradients: first the features
without a graph, then the loss and its gradient by the features, then a backward pass for each micro-batch with that gradient.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

from hf_transferability import provenance
from hf_transferability.checkpoints.loading import Checkpoint
from hf_transferability.data.targets import Target
from hf_transferability.errors import CheckpointError, TransferabilityError
from hf_transferability.extraction.cache import Arrays
from hf_transferability.extraction.triplet_loss import MARGIN, triplet_loss

VERSION = 2  # part of every cache key: raise it when the same input would give other arrays or facts
BATCHES = ("paper", "balanced")
_N_BATCHES = 6
_LARGEST_MICRO_BATCH = 256
_CPU_ACTIVATIONS = 1.5 * 2**30  # bytes of activations to hold at once on a CPU; on an accelerator a quarter of its memory
_KEPT_PIXELS = 512 * 2**20  # bytes of preprocessed pixels kept between the two passes over a gradient batch
T = TypeVar("T")


class BatchResult(NamedTuple):
    """What one gradient batch gives; `n_triplets` and `loss` tell why its gradient may vanish."""

    features: np.ndarray
    probabilities: np.ndarray | None
    norms: tuple[float, float] | None
    n_triplets: int
    loss: float


def process_state() -> PartialState:
    """Accelerate's view of this process: its device, its rank, and how many processes share the work.

    Raises:
        TransferabilityError: several processes were started but do not see each other, so each would do all the work.
    """
    world = int(os.environ.get("WORLD_SIZE", 1))
    patience = {"timeout": timedelta(hours=6)}  # for the others while one downloads or scores
    state = PartialState(cpu=world > 1 and not torch.accelerator.is_available(), **patience)
    if state.num_processes != world:
        raise TransferabilityError(
            f"{world} processes were started, but Accelerate sees {state.num_processes}. Start with "
            "`accelerate launch --multi_gpu ...` or `torchrun --nproc_per_node ...`."
        )
    return state


def gradient_batches(n_samples: int, rule: str = "paper") -> list[slice]:
    """The gradient batches of a sample, in its order.

    Args:
        n_samples: at least 6.
        rule: "paper": batches of floor(n / 6) images and the remainder as one more; "balanced": 6 of equal size, or nearly so.
    """
    if rule == "balanced":
        edges = np.linspace(0, n_samples, _N_BATCHES + 1).round().astype(int).tolist()
    else:
        size = n_samples // _N_BATCHES
        edges = [*range(0, n_samples, size), n_samples]
    return [slice(a, b) for a, b in pairwise(edges) if b > a]


def extract(
    checkpoint: Checkpoint,
    target: Target,
    *,
    batches: str = "paper",
    micro_batch: int | None = None,
    state: PartialState | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Arrays:
    """Features, source probabilities and gradient norms of a target sample.

    Args:
        checkpoint: a loaded network.
        target: a checked sample; gradient norms need single labels.
        batches: rule of `gradient_batches`.
        micro_batch: images at once; default from a measurement of the network's activations. Halved when memory runs out.
        state: of the process; the batches are shared between all.
        progress: called with the number of images that this process has finished.

    Returns:
        The arrays of the whole sample, in every process.

    Raises:
        CheckpointError: out of memory with a single image, features that are not finite, or a failure in another process.
    """
    state = state or process_state()
    mine: list[tuple[int, BatchResult]] = []
    failure: str | None = None
    size = micro_batch or 0
    try:
        checkpoint.network.to(state.device)
        size = size or _affordable_micro_batch(checkpoint, target, state.device)
        done = 0
        everything = list(enumerate(gradient_batches(len(target), batches)))
        for index, batch in everything[state.process_index :: state.num_processes]:
            with _full_precision():
                result, size = _with_less_memory(checkpoint, target, batch, size, state.device)
            mine.append((index, result))
            done += batch.stop - batch.start
            progress(done)
    except CheckpointError as error:
        failure = str(error)
    except Exception as error:
        failure = f"{checkpoint.name} failed on the images: {type(error).__name__}: {error}"
    gathered: list[tuple[str | None, list[tuple[int, BatchResult]]]] = gather_object([(failure, mine)])
    if failures := [text for text, _ in gathered if text]:
        raise CheckpointError(failures[0])
    ordered = [result for _, result in sorted((pair for _, pairs in gathered for pair in pairs), key=lambda pair: pair[0])]
    features = np.concatenate([result.features for result in ordered])
    assert len(features) == len(target), "every batch exactly once"
    if bad := int((~np.isfinite(features)).any(axis=1).sum()):
        raise CheckpointError(
            f"{checkpoint.name} gives NaN or infinite features for {bad} of {len(features)} images. "
            "Its weights may be damaged or overflow in float32."
        )
    probabilities = norms = None
    if checkpoint.has_source_head:
        probabilities = np.concatenate([result.probabilities for result in ordered if result.probabilities is not None])
    if all(result.norms is not None for result in ordered):
        norms = np.array([result.norms for result in ordered], dtype=np.float64)
    device = str(state.device.type)
    facts = {**checkpoint.facts, "micro_batch": size, "device": device, "torch": torch.__version__, "batches": batches}
    facts |= {"hardware": provenance.hardware(device, state.num_processes), "date": provenance.now()}
    facts["no_gradient"] = None if norms is None else _why_no_gradient(ordered, norms)
    return Arrays(features, probabilities, norms, facts, dict(checkpoint.flags))


@contextlib.contextmanager
def _full_precision() -> Iterator[None]:
    """Convolutions and products in float32 on every device; cuDNN's default of TF32 would move results by some 1e-3."""
    products = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(enabled=torch.backends.cudnn.enabled, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(products)


def _why_no_gradient(results: Sequence[BatchResult], norms: np.ndarray) -> str | None:
    """Why there is no feature update ratio, as far as the batches tell; None where the first layer has a gradient."""
    if norms[:, 0].any():
        return None
    if not any(result.n_triplets for result in results):
        return "no gradient batch holds two images of one class and one of another. Take a larger sample."
    if not any(result.loss for result in results):
        return (
            f"the network already keeps the classes apart by more than the margin of {MARGIN} in every gradient batch, so the "
            "loss has no gradient. The target is too easy to tell candidates apart this way; compare them by another metric."
        )
    return "the loss gradient vanishes before it reaches the first layer: an untrained or collapsed network."


def _with_less_memory(
    checkpoint: Checkpoint, target: Target, batch: slice, size: int, device: torch.device
) -> tuple[BatchResult, int]:
    """A batch's arrays and the micro-batch that fitted, halved as often as memory runs out."""
    while True:
        try:
            return _extract_batch(checkpoint, target, batch, size, device), size
        except Exception as error:
            if not should_reduce_batch_size(error):
                raise
            if size == 1:
                raise CheckpointError(
                    f"{checkpoint.name} runs out of memory with a single image. Choose a smaller network, or a larger device."
                ) from error
        size = max(size // 2, 1)
        clear_device_cache(garbage_collection=True)


def _extract_batch(checkpoint: Checkpoint, target: Target, batch: slice, size: int, device: torch.device) -> BatchResult:
    parts = [range(start, min(start + size, batch.stop)) for start in range(batch.start, batch.stop, size)]
    kept: list[torch.Tensor] = []
    kept_bytes = 0
    features, probabilities = [], []
    with torch.no_grad():
        for pixels in _ahead(lambda part: checkpoint.preprocess([target.images[i] for i in part]), parts):
            kept_bytes += pixels.nbytes
            if kept_bytes <= _KEPT_PIXELS:
                kept.append(pixels)
            values, logits = checkpoint.forward(pixels.to(device))
            features.append(values)
            if logits is not None:
                probabilities.append(torch.softmax(logits.cpu().double(), dim=1).float().numpy())
    values = torch.cat(features)
    norms, n_triplets, loss = None, 0, 0.0
    if target.task == "single_label" and len(checkpoint.layers) == 2:
        labels = torch.from_numpy(target.labels[batch])
        loss, gradient, n_triplets = triplet_loss(values, labels)
        norms = _gradient_norms(checkpoint, target, parts, kept, gradient, device)
    joined = np.concatenate(probabilities) if probabilities else None
    return BatchResult(values.cpu().numpy(), joined, norms, n_triplets, loss)


def _gradient_norms(
    checkpoint: Checkpoint,
    target: Target,
    parts: Sequence[range],
    kept: list[torch.Tensor],
    gradient: torch.Tensor,
    device: torch.device,
) -> tuple[float, float]:
    """Norms at both layers of the batch's loss gradient, given its gradient by the features [batch, n_features]."""
    if not gradient.any():
        return 0.0, 0.0
    weights = [layer.weight for layer in checkpoint.layers]
    sums = [torch.zeros(weight.shape, dtype=torch.float64) for weight in weights]
    later = _ahead(lambda part: checkpoint.preprocess([target.images[i] for i in part]), parts[len(kept) :])
    start = parts[0].start
    for weight in weights:
        weight.requires_grad_(True)
    try:
        for part in parts:
            pixels = kept.pop(0) if kept else next(later)
            values, _ = checkpoint.forward(pixels.to(device))
            outer = gradient[part.start - start : part.stop - start]
            for total, weight_gradient in zip(
                sums, torch.autograd.grad(values, weights, grad_outputs=outer, allow_unused=True), strict=True
            ):
                if weight_gradient is not None:
                    total += weight_gradient.cpu().double()
    finally:
        for weight in weights:
            weight.requires_grad_(False)
    first, second = (layer.norm(total) for layer, total in zip(checkpoint.layers, sums, strict=True))
    return first, second


def _affordable_micro_batch(checkpoint: Checkpoint, target: Target, device: torch.device) -> int:
    """Images whose activations fit the budget, from the activations that one image leaves for the backward pass."""
    pixels = checkpoint.preprocess([target.images[0]]).to(device)
    owned = {parameter.untyped_storage().data_ptr() for parameter in checkpoint.network.parameters()}
    saved: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in owned:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    for layer in checkpoint.layers:
        layer.weight.requires_grad_(True)
    try:
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            values, _ = checkpoint.forward(pixels)
    finally:
        for layer in checkpoint.layers:
            layer.weight.requires_grad_(False)
    del values
    budget = _CPU_ACTIVATIONS
    if device.type == "cuda":
        budget = torch.cuda.get_device_properties(device).total_memory / 4
    # The backward pass needs about as much again for the gradients of what was saved.
    return int(np.clip(budget // (2 * max(sum(saved.values()), 1)), 1, _LARGEST_MICRO_BATCH))


def _ahead(function: Callable[[Any], T], items: Iterable[Any]) -> Iterator[T]:
    """`map`, with the next result computed in a thread while the caller works on the present one."""
    with ThreadPoolExecutor(1) as pool:
        waiting = None
        for item in items:
            following = pool.submit(function, item)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()
