"""Weights that are NaN or infinite: damaged in a copy, or saved after a training that diverged."""

import re
from collections.abc import Collection

import torch
from torch import nn

from hf_transferability.checkpoints.unneeded_weights import is_head
from hf_transferability.checkpoints.weights import some_of
from hf_transferability.errors import CheckpointError

DAMAGED_HEAD = "its head holds NaN or infinite weights, so its outputs are no probabilities"


def not_finite(network: nn.Module, ignored: Collection[str] = ()) -> list[str]:
    """Names of the parameters and running statistics that hold NaN or infinite values.

    Args:
        network: with its weights loaded.
        ignored: names of weights that were not loaded, about which the files say nothing.
    """
    statistics = {name: value for name, value in network.named_buffers() if re.search(r"(^|\.)running_(mean|var)$", name)}
    values = {**dict(network.named_parameters()), **statistics}
    return [
        name
        for name, value in values.items()
        if name not in ignored and not name.endswith("mask_token") and value.is_floating_point() and not _is_finite(value)
    ]


def check_finite(checkpoint: str, damaged: Collection[str]) -> None:
    """Refuse a network whose weights are damaged.

    Raises:
        CheckpointError: it names them.
    """
    if damaged:
        raise CheckpointError(
            f"{checkpoint} holds NaN or infinite values in {len(damaged)} of its weights ({some_of(damaged)}), "
            "so its features would be invalid. Use another copy, or an earlier training checkpoint."
        )


def silence_damaged_head(network: nn.Module, ignored: Collection[str] = ()) -> str | None:
    """Replace a damaged head's weights by zeros, so that the layers before it can be traced; its features are not affected.

    Returns:
        Why its outputs are no source probabilities; None for a head without damage, or none.
    """
    damaged = [name for name in not_finite(network, ignored) if is_head(name.removeprefix("timm_model."))]
    parameters = dict(network.named_parameters())
    for name in damaged:
        parameters[name].zero_()
    return DAMAGED_HEAD if damaged else None


def _is_finite(values: torch.Tensor) -> bool:
    """The sum of finite values is finite but for an overflow, and needs no memory."""
    return bool(torch.isfinite(values.sum())) or bool(torch.isfinite(values).all())
