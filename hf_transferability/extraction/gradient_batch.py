"""The arrays of one gradient batch: features, source probabilities, and the norms of the gradients of two layers.

In one pass where memory allows: micro-batches go forward and their activations are held; the loss over the whole batch gives
the gradient with respect to the features; and each micro-batch goes back with its part of it. Otherwise in two passes: the
first without activations for the features, the second forward and back for each micro-batch. Both give the same gradients.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from hf_transferability.checkpoints.checkpoint import Checkpoint
from hf_transferability.extraction.memory import Plan
from hf_transferability.extraction.transfers import moved
from hf_transferability.extraction.triplet_loss import triplet_loss

_STORED_PIXELS = 512 * 2**20  # bytes of preprocessed pixels stored between the two passes over a gradient batch
Parts = Sequence[range]
Read = Callable[[Parts], Iterator[torch.Tensor]]


class BatchResult(NamedTuple):
    """The arrays of one gradient batch.

    Attributes:
        features: float32 [batch, n_features].
        probabilities: float32 [batch, n_source_classes]; None without a source head.
        norms: norms of the gradients of the first and second layer; None if they were not asked for.
        n_triplets, loss: reasons why a gradient may vanish.
    """

    features: np.ndarray
    probabilities: np.ndarray | None
    norms: tuple[float, float] | None = None
    n_triplets: int = 0
    loss: float = 0.0


def extract_batch(
    checkpoint: Checkpoint, read: Read, batch: slice, labels: np.ndarray | None, plan: Plan, device: torch.device
) -> BatchResult:
    """The arrays of a gradient batch.

    Args:
        checkpoint: a network on the device, whose parameters need no gradient.
        read: gives the pixels of each range of positions.
        batch: positions of the batch.
        labels: its class codes [batch]; None for no gradients.
        plan: images per forward pass, and whether one pass will do.
        device: where to compute.
    """
    starts = range(batch.start, batch.stop, plan.micro_batch)
    parts = [range(start, min(start + plan.micro_batch, batch.stop)) for start in starts]
    if labels is None:
        with torch.no_grad():
            return _forward(checkpoint, read(parts), device)[0]
    codes = torch.from_numpy(labels)
    if batch.stop - batch.start <= plan.one_pass:
        return _one_pass(checkpoint, read(parts), codes, device)
    return _two_passes(checkpoint, read, parts, codes, device)


def _one_pass(
    checkpoint: Checkpoint, pixels: Iterator[torch.Tensor], labels: torch.Tensor, device: torch.device
) -> BatchResult:
    with checkpoint.gradients():
        result, values = _forward(checkpoint, pixels, device)
        loss, gradient, n_triplets = triplet_loss(torch.cat([features.detach() for features in values]), labels)

        def remaining() -> Iterator[torch.Tensor]:
            while values:  # the activations of each micro-batch are freed after its way back
                yield values.pop(0)

        norms = _gradient_norms(checkpoint, remaining(), gradient)
    return result._replace(norms=norms, n_triplets=n_triplets, loss=loss)


def _two_passes(checkpoint: Checkpoint, read: Read, parts: Parts, labels: torch.Tensor, device: torch.device) -> BatchResult:
    stored: list[torch.Tensor] = []  # pixels of the first parts, for the second pass

    def storing() -> Iterator[torch.Tensor]:
        free = _STORED_PIXELS
        for pixels in read(parts):
            free -= pixels.nbytes
            if free >= 0:
                stored.append(pixels)
            yield pixels

    with torch.no_grad():
        result, features = _forward(checkpoint, storing(), device)
    loss, gradient, n_triplets = triplet_loss(torch.cat(features), labels)
    del features

    def again() -> Iterator[torch.Tensor]:
        remaining = read(parts[len(stored) :])
        while stored:
            yield stored.pop(0)
        yield from remaining

    with checkpoint.gradients():
        values = (checkpoint.forward(pixels)[0] for pixels in moved(again(), device))
        norms = _gradient_norms(checkpoint, values, gradient)
    return result._replace(norms=norms, n_triplets=n_triplets, loss=loss)


def _forward(
    checkpoint: Checkpoint, pixels: Iterator[torch.Tensor], device: torch.device
) -> tuple[BatchResult, list[torch.Tensor]]:
    """Features and probabilities of micro-batches, and the features as they left the network."""
    values, logits = [], []
    for part in moved(pixels, device):
        features, part_logits = checkpoint.forward(part)
        values.append(features)
        if part_logits is not None:
            logits.append(part_logits.detach())
    # Copied once all are queued, together: each copy waits for the device, which would wait for the host meanwhile.
    joined = torch.cat([part_values.detach() for part_values in values]).cpu().numpy()
    if device.type != "cpu" and logits:
        logits = [torch.cat(logits)]
    probabilities = [torch.softmax(part.cpu().double(), dim=1).float().numpy() for part in logits]
    return BatchResult(joined, np.concatenate(probabilities) if probabilities else None), values


def _gradient_norms(checkpoint: Checkpoint, values: Iterator[torch.Tensor], gradient: torch.Tensor) -> tuple[float, float]:
    """Norms of the gradients of both layers, from the gradient of the loss with respect to the features [batch, n_features].

    `values`: the features of each micro-batch with their graph.
    """
    if not gradient.any():
        return 0.0, 0.0
    weights = [layer.weight for layer in checkpoint.layers]
    # Summed where they arise, so that a device need not be waited for; MPS has no float64.
    where = gradient.device if gradient.device.type != "mps" else torch.device("cpu")
    sums = [torch.zeros(weight.shape, dtype=torch.float64, device=where) for weight in weights]
    start = 0
    for features in values:
        part = gradient[start : start + len(features)]
        start += len(features)
        for total, weight_gradient in zip(
            sums, torch.autograd.grad(features, weights, grad_outputs=part, allow_unused=True), strict=True
        ):
            if weight_gradient is not None:
                total += weight_gradient.to(where).double()
    first, second = (layer.norm(total) for layer, total in zip(checkpoint.layers, sums, strict=True))
    return first, second
