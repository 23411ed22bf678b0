"""How much memory a pass over a gradient batch may take, and how much a network's activations need."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hf_transferability.checkpoints.checkpoint import Checkpoint
from hf_transferability.machine import free_memory

_SHARE = 0.5  # of the free memory for activations; the rest is for pixels, metrics and other programs
_LARGEST_MICRO_BATCH = 256
# Bytes of activations per micro-batch on a CPU: more of them leave its caches and are not faster.
_CPU_MICRO_BATCH = 256 * 2**20
# Beside the saved activations, the backward pass holds gradients of those of one micro-batch.
_GRADIENTS = 2


@dataclass(frozen=True)
class Plan:
    """How many images to compute at once.

    Attributes:
        micro_batch: images per forward pass.
        one_pass: the largest gradient batch whose activations may all be held, so that one forward pass serves both the
            features and the gradients; 0 for none.
    """

    micro_batch: int
    one_pass: int

    def with_less_memory(self) -> "Plan | None":
        """The plan after running out of memory: two passes, then half as many images; None if nothing is left to reduce."""
        if self.one_pass:
            return Plan(self.micro_batch, 0)
        return Plan(self.micro_batch // 2, 0) if self.micro_batch > 1 else None


def make_plan(checkpoint: Checkpoint, pixels: torch.Tensor, device: torch.device) -> Plan:
    """The plan for a network whose activations are measured with these pixels of one image."""
    return _plan(activation_bytes(checkpoint, pixels), _SHARE * free_bytes(device), device.type == "cpu")


def _plan(size: int, budget: float, cpu: bool) -> Plan:
    largest = budget // ((1 + _GRADIENTS) * size)
    if cpu:
        largest = min(largest, _CPU_MICRO_BATCH // size)
    micro_batch = int(np.clip(largest, 1, _LARGEST_MICRO_BATCH))
    return Plan(micro_batch, max(int(budget // size) - _GRADIENTS * micro_batch, 0))


def activation_bytes(checkpoint: Checkpoint, pixels: torch.Tensor) -> int:
    """Bytes that the backward pass to both layers needs of one image's forward pass.

    Without both layers there is no such pass, but the images' activations take memory all the same: then those of a backward
    pass to the pixels, which are more than are ever held at once. At least the pixels and the output.
    """
    weights = {parameter.untyped_storage().data_ptr() for parameter in checkpoint.network.parameters()}
    saved: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with checkpoint.gradients(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        values, logits = checkpoint.forward(pixels if len(checkpoint.layers) == 2 else _with_gradient(pixels))
    outputs = sum(tensor.nbytes for tensor in (values, logits) if tensor is not None)
    return max(sum(saved.values()), pixels.nbytes + outputs)


def _with_gradient(pixels: Any) -> Any:
    """The same pixels, that ask for a gradient and may be written to."""
    if isinstance(pixels, dict):
        return type(pixels)({name: _with_gradient(value) for name, value in pixels.items()})
    return pixels.detach().requires_grad_() * 1 if pixels.is_floating_point() else pixels


def free_bytes(device: torch.device) -> int:
    """Bytes that are free on a device: on a card with what torch holds unused, on a CPU those of the machine."""
    module = getattr(torch, device.type, None)
    if module is not None and device.type != "cpu" and hasattr(module, "mem_get_info"):
        free, _ = module.mem_get_info(device)
        return free + module.memory_reserved(device) - module.memory_allocated(device)
    return free_memory()
