"""Pixels on their way to the device."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch


def moved(parts: Iterator[Any], device: torch.device) -> Iterator[Any]:
    """Micro-batches of pixels on the device, each asked for when the one before has been given to the network.

    To a CUDA card they are copied from pinned memory, in a stream of their own: nothing waits, so while the card still computes
    one micro-batch, the next one is preprocessed and copied. Elsewhere as ever; what is on the device already is not copied.
    """
    if device.type != "cuda":
        for part in parts:
            yield part.to(device)
        return
    copying = _copying(device)
    for part in parts:
        computing = torch.cuda.current_stream(device)
        with torch.cuda.stream(copying):
            # The pinned memory is not used again before the copy has ended: torch remembers in which stream it is read.
            there = _each(part, lambda tensor: _pinned(tensor).to(device, non_blocking=True))
        computing.wait_stream(copying)
        _each(there, lambda tensor: tensor.record_stream(computing))  # noqa: B023 - used at once
        yield there


@functools.cache
def _copying(device: torch.device) -> torch.cuda.Stream:
    """The stream for all copies to a card: each stream keeps memory of its own."""
    return torch.cuda.Stream(device)


def _pinned(tensor: torch.Tensor) -> torch.Tensor:
    """A copy in pinned memory; the tensor itself where the system gives none, which is copied more slowly."""
    try:
        return tensor.pin_memory()
    except RuntimeError:
        return tensor


def _each(pixels: Any, do: Callable[[torch.Tensor], Any]) -> Any:
    """What a function makes of every tensor of the pixels, in the same form."""
    if isinstance(pixels, dict):
        return type(pixels)({name: do(tensor) for name, tensor in pixels.items()})
    return do(pixels)
