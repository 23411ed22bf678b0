"""One pass of a network over a sample: features, source probabilities and gradient norms, on the devices of Accelerate.

The sample is divided into the same gradient batches for any number of processes, and each process takes complete batches, so
the triplets do not depend on the number of processes. `gradient_batch` says how micro-batches bound the memory without changing
the gradients, and `memory` how many images fit.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

from hf_transferability import provenance
from hf_transferability.checkpoints.checkpoint import Checkpoint
from hf_transferability.data.targets import Target
from hf_transferability.errors import CheckpointError
from hf_transferability.extraction.allocator import reused_memory
from hf_transferability.extraction.cache import Arrays
from hf_transferability.extraction.gradient_batch import BatchResult, Read, extract_batch
from hf_transferability.extraction.memory import Plan, make_plan
from hf_transferability.extraction.pixels import PixelStore, Reader
from hf_transferability.extraction.precision import full_precision
from hf_transferability.extraction.processes import Processes
from hf_transferability.extraction.triplet_loss import MARGIN

_N_BATCHES = 6


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
    gradients: bool = True,
    state: Processes | None = None,
    store: PixelStore | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Arrays:
    """Features, source probabilities and gradient norms of a target sample.

    Args:
        checkpoint: a loaded network.
        target: a checked sample; gradient norms need single labels.
        batches: rule of `gradient_batches`.
        micro_batch: images whose activations may be held at once, halved if memory is insufficient; default from the measured
            size of the network's activations and the free memory.
        gradients: False leaves out the gradient norms, and with them the backward passes.
        state: state of this process; the batches are divided among all processes.
        store: preprocessed images that other candidates may share.
        progress: called with the number of images that this process has finished.

    Returns:
        The arrays of the whole sample, in every process.

    Raises:
        CheckpointError: out of memory with a single image, features that are not finite, or a failure in another process.
    """
    state = state or Processes()
    results: list[tuple[int, BatchResult]] = []  # of this process
    failure: str | None = None
    # A limit that the caller sets holds for all activations at once.
    plan = Plan(micro_batch, micro_batch) if micro_batch is not None else Plan(1, 0)
    labels = target.labels if gradients and target.task == "single_label" and len(checkpoint.layers) == 2 else None
    try:
        if state.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(state.device)
        checkpoint.network.to(state.device)
        if micro_batch is None:
            plan = make_plan(checkpoint, checkpoint.preprocess([target.images[0]]).to(state.device), state.device)
        done = 0
        numbered_batches = list(enumerate(gradient_batches(len(target), batches)))[state.process_index :: state.num_processes]
        with reused_memory(), Reader(checkpoint, target, [batch for _, batch in numbered_batches], store) as read:
            for index, batch in numbered_batches:
                with full_precision():
                    part = None if labels is None else labels[batch]
                    result, plan = _with_less_memory(checkpoint, read, batch, part, plan, state.device)
                results.append((index, result))
                done += batch.stop - batch.start
                progress(done)
    except CheckpointError as error:
        failure = str(error)
    except Exception as error:
        failure = f"{checkpoint.name} failed on the images: {type(error).__name__}: {error}"
    gathered: list[tuple[str | None, list[tuple[int, BatchResult]], str]]
    gathered = state.gather((failure, results, provenance.hardware(state.device.type)))
    if failures := [text for text, _, _ in gathered if text]:
        raise CheckpointError(failures[0])
    ordered = [result for _, result in sorted((pair for _, pairs, _ in gathered for pair in pairs), key=lambda pair: pair[0])]
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
    facts = {**checkpoint.facts, "micro_batch": plan.micro_batch, **_facts_of_device(state.device), "batches": batches}
    facts |= {"hardware": provenance.together(hardware for _, _, hardware in gathered), "date": provenance.now()}
    facts["no_gradient"] = None if norms is None else _why_no_gradient(ordered, norms)
    return Arrays(features, probabilities, norms, facts, dict(checkpoint.flags), gradients)


def _facts_of_device(device: torch.device) -> dict[str, Any]:
    facts: dict[str, Any] = {"device": device.type, "torch": torch.__version__}
    if device.type == "cuda":
        facts["device_memory"] = round(torch.cuda.max_memory_allocated(device) / 2**30, 2)
    return facts


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
    checkpoint: Checkpoint, read: Read, batch: slice, labels: np.ndarray | None, plan: Plan, device: torch.device
) -> tuple[BatchResult, Plan]:
    """The arrays of a batch and the plan that was used, which is reduced as long as memory is insufficient."""
    while True:
        try:
            return extract_batch(checkpoint, read, batch, labels, plan, device), plan
        except Exception as error:
            if not should_reduce_batch_size(error):
                raise
            if (reduced := plan.with_less_memory()) is None:
                raise CheckpointError(
                    f"{checkpoint.name} runs out of memory with a single image. Choose a smaller network, or a larger device."
                ) from error
        plan = reduced
        clear_device_cache(garbage_collection=True)
