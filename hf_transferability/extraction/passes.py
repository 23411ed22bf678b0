"""One pass of a network over a sample: features, source probabilities and gradient norms, on the devices of Accelerate.

The sample is divided into the same gradient batches for any number of processes, and each process takes complete batches, so
the triplets do not depend on the number of processes. Micro-batches bound the memory without changing the gradients: first
come the features without a graph, then the loss and its gradient with respect to the features, then one backward pass for each
micro-batch with that gradient.
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
from hf_transferability.checkpoints.checkpoint import Checkpoint
from hf_transferability.data.targets import Target
from hf_transferability.errors import CheckpointError, TransferabilityError
from hf_transferability.extraction.cache import Arrays
from hf_transferability.extraction.triplet_loss import MARGIN, triplet_loss

VERSION = 5  # part of every cache key: raise it when the same input would give other arrays or facts
BATCHES = ("paper", "balanced")
_N_BATCHES = 6
_LARGEST_MICRO_BATCH = 256
_CPU_ACTIVATIONS = 1.5 * 2**30  # bytes of activations to hold at once on a CPU; on an accelerator a quarter of its memory
_STORED_PIXELS = 512 * 2**20  # bytes of preprocessed pixels stored between the two passes over a gradient batch
T = TypeVar("T")


class BatchResult(NamedTuple):
    """The arrays of one gradient batch.

    Attributes:
        features: float32 [batch, n_features].
        probabilities: float32 [batch, n_source_classes]; None without a source head.
        norms: norms of the gradients of the first and second layer; None for a multi-label target or without two layers.
        n_triplets, loss: reasons why a gradient may vanish.
    """

    features: np.ndarray
    probabilities: np.ndarray | None
    norms: tuple[float, float] | None
    n_triplets: int
    loss: float


def process_state() -> PartialState:
    """Accelerate's state of this process: device, rank and number of processes.

    Raises:
        TransferabilityError: several processes were started but are not connected, so each would do all the work.
    """
    world = int(os.environ.get("WORLD_SIZE", 1))
    # While one process downloads or scores, the others wait.
    options = {"timeout": timedelta(hours=6)}
    state = PartialState(cpu=world > 1 and not torch.accelerator.is_available(), **options)
    if state.num_processes != world:
        raise TransferabilityError(
            f"{world} processes were started, but Accelerate sees {state.num_processes}. Start with "
            "`accelerate launch --multi_gpu ...` or `torchrun --nproc_per_node ...`."
        )
    return state


def gradient_batches(n_samples: int, rule: str = "paper") -> list[slice]:
    """Divide a sample into gradient batches, in its order.

    Args:
        n_samples: at least 6.
        rule: "paper": batches of floor(n / 6) images, and one more with the remainder; "balanced": 6 batches whose sizes differ
            by at most one image.
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
        micro_batch: images per forward pass, halved if memory is insufficient; default from the measured size of the
            network's activations.
        state: state of this process; the batches are divided among all processes.
        progress: called with the number of images that this process has finished.

    Returns:
        The arrays of the whole sample, in every process.

    Raises:
        CheckpointError: out of memory with a single image, features that are not finite, or a failure in another process.
    """
    state = state or process_state()
    results: list[tuple[int, BatchResult]] = []  # of this process
    failure: str | None = None
    size = micro_batch or 0
    try:
        checkpoint.network.to(state.device)
        size = size or _affordable_micro_batch(checkpoint, target, state.device)
        done = 0
        numbered_batches = list(enumerate(gradient_batches(len(target), batches)))
        for index, batch in numbered_batches[state.process_index :: state.num_processes]:
            with _full_precision():
                result, size = _with_less_memory(checkpoint, target, batch, size, state.device)
            results.append((index, result))
            done += batch.stop - batch.start
            progress(done)
    except CheckpointError as error:
        failure = str(error)
    except Exception as error:
        failure = f"{checkpoint.name} failed on the images: {type(error).__name__}: {error}"
    gathered: list[tuple[str | None, list[tuple[int, BatchResult]]]] = gather_object([(failure, results)])
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
    """Compute in float32 on every device; cuDNN's default of TF32 would change results by about 1e-3."""
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(enabled=torch.backends.cudnn.enabled, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)


def _why_no_gradient(results: Sequence[BatchResult], norms: np.ndarray) -> str | None:
    """Why there is no feature update ratio; None if the first layer has a gradient."""
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
    """The arrays of a batch and the micro-batch that was used, which is halved as long as memory is insufficient."""
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
    stored: list[torch.Tensor] = []  # pixels of the first parts, for the backward pass
    stored_bytes = 0
    features, probabilities = [], []
    with torch.no_grad():
        for pixels in _prefetched(lambda part: checkpoint.preprocess([target.images[i] for i in part]), parts):
            stored_bytes += pixels.nbytes
            if stored_bytes <= _STORED_PIXELS:
                stored.append(pixels)
            values, logits = checkpoint.forward(pixels.to(device))
            features.append(values)
            if logits is not None:
                probabilities.append(torch.softmax(logits.cpu().double(), dim=1).float().numpy())
    values = torch.cat(features)
    norms, n_triplets, loss = None, 0, 0.0
    if target.task == "single_label" and len(checkpoint.layers) == 2:
        labels = torch.from_numpy(target.labels[batch])
        loss, gradient, n_triplets = triplet_loss(values, labels)
        norms = _gradient_norms(checkpoint, target, parts, stored, gradient, device)
    joined = np.concatenate(probabilities) if probabilities else None
    return BatchResult(values.cpu().numpy(), joined, norms, n_triplets, loss)


def _gradient_norms(
    checkpoint: Checkpoint,
    target: Target,
    parts: Sequence[range],
    stored: list[torch.Tensor],
    gradient: torch.Tensor,
    device: torch.device,
) -> tuple[float, float]:
    """Norms of the gradients of both layers, from the gradient of the loss with respect to the features [batch, n_features]."""
    if not gradient.any():
        return 0.0, 0.0
    weights = [layer.weight for layer in checkpoint.layers]
    sums = [torch.zeros(weight.shape, dtype=torch.float64) for weight in weights]
    remaining = _prefetched(lambda part: checkpoint.preprocess([target.images[i] for i in part]), parts[len(stored) :])
    start = parts[0].start
    for weight in weights:
        weight.requires_grad_(True)
    try:
        for part in parts:
            pixels = stored.pop(0) if stored else next(remaining)
            values, _ = checkpoint.forward(pixels.to(device))
            feature_gradient = gradient[part.start - start : part.stop - start]
            for total, weight_gradient in zip(
                sums, torch.autograd.grad(values, weights, grad_outputs=feature_gradient, allow_unused=True), strict=True
            ):
                if weight_gradient is not None:
                    total += weight_gradient.cpu().double()
    finally:
        for weight in weights:
            weight.requires_grad_(False)
    first, second = (layer.norm(total) for layer, total in zip(checkpoint.layers, sums, strict=True))
    return first, second


def _affordable_micro_batch(checkpoint: Checkpoint, target: Target, device: torch.device) -> int:
    """The number of images whose activations fit into the budget, measured with one image."""
    pixels = checkpoint.preprocess([target.images[0]]).to(device)
    weights = {parameter.untyped_storage().data_ptr() for parameter in checkpoint.network.parameters()}
    saved: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
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
    # The backward pass needs about as much memory again for the gradients of the saved activations.
    return int(np.clip(budget // (2 * max(sum(saved.values()), 1)), 1, _LARGEST_MICRO_BATCH))


def _prefetched(function: Callable[[Any], T], items: Iterable[Any]) -> Iterator[T]:
    """Like `map`, but a thread computes the next result while the caller uses the current one."""
    with ThreadPoolExecutor(1) as pool:
        current = None
        for item in items:
            following = pool.submit(function, item)
            if current is not None:
                yield current.result()
            current = following
        if current is not None:
            yield current.result()
