"""Whether a network was ever trained, as far as its normalisation layers tell."""

from collections.abc import Iterator

import torch
from torch import nn

_INITIAL = {"weight": (0.0, 1.0), "bias": (0.0,), "running_mean": (0.0,), "running_var": (1.0,)}


def untrained(network: nn.Module) -> str | None:
    """Why a network counts as untrained, in words; None where it does not.

    It does if it has normalisation layers with values of their own and every one of them still holds those that it is made
    with: weights all 1 or all 0, biases and running means 0, running variances 1. The first step of any training moves some
    of them. A network without such layers (VGG, AlexNet), or one whose running statistics were collected in training mode
    without training a weight, cannot be recognised. One that keeps such layers without effect throughout its training, as
    after they were merged into convolutions, would be taken for untrained.
    """
    layers = list(_normalisation_layers(network))
    if not layers or not all(_holds_initial_values(values) for values in layers):
        return None
    return f"{len(layers)} of {len(layers)} normalisation layers hold their initial values"


def _normalisation_layers(network: nn.Module) -> Iterator[dict[str, torch.Tensor]]:
    """The own values of every layer that has "norm" in the name of its class, as all in torch, timm and transformers do."""
    for module in network.modules():
        if "norm" in type(module).__name__.lower():
            own = dict([*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)])
            if values := {name: own[name] for name in _INITIAL if name in own}:
                yield values


def _holds_initial_values(values: dict[str, torch.Tensor]) -> bool:
    return all(any(bool((tensor == value).all()) for value in _INITIAL[name]) for name, tensor in values.items())
