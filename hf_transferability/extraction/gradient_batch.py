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
        result, values = _forward(checkpoint, storing(), device)
    loss, gradient, n_triplets = triplet_loss(torch.cat(values), labels)
    del values

    def again() -> Iterator[torch.Tensor]:
        remaining = read(parts[len(stored) :])
        while stored:
            yield checkpoint.forward(stored.pop(0).to(device))[0]
        for pixels in remaining:
            yield checkpoint.forward(pixels.to(device))[0]

    with checkpoint.gradients():
        norms = _gradient_norms(checkpoint, again(), gradient)
    return result._replace(norms=norms, n_triplets=n_triplets, loss=loss)


def _forward(
    checkpoint: Checkpoint, pixels: Iterator[torch.Tensor], device: torch.device
) -> tuple[BatchResult, list[torch.Tensor]]:
    """Features and probabilities of micro-batches, and the features as they left the network."""
    values, probabilities = [], []
    for part in pixels:
        features, logits = checkpoint.forward(part.to(device))
        values.append(features)
        if logits is not None:
            probabilities.append(torch.softmax(logits.detach().cpu().double(), dim=1).float().numpy())
    joined = torch.cat([part_values.detach() for part_values in values]).cpu().numpy()
    return BatchResult(joined, np.concatenate(probabilities) if probabilities else None), values


def _gradient_norms(checkpoint: Checkpoint, values: Iterator[torch.Tensor], gradient: torch.Tensor) -> tuple[float, float]:
    """Norms of the gradients of both layers, from the gradient of the loss with respect to the features [batch, n_features].

    `values`: the features of each micro-batch with their graph.
    """
    if not gradient.any():
        return 0.0, 0.0
    weights = [layer.weight for layer in checkpoint.layers]
    sums = [torch.zeros(weight.shape, dtype=torch.float64) for weight in weights]
    start = 0
    for features in values:
        part = gradient[start : start + len(features)]
        start += len(features)
        for total, weight_gradient in zip(
            sums, torch.autograd.grad(features, weights, grad_outputs=part, allow_unused=True), strict=True
        ):
            if weight_gradient is not None:
                total += weight_gradient.cpu().double()
    first, second = (layer.norm(total) for layer, total in zip(checkpoint.layers, sums, strict=True))
    return first, second
