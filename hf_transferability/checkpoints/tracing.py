"""What a network does in one forward pass: which weights it uses in which order, and which module is its head.

A generic replacement for tables of model families: nothing here knows an architecture by name.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

_QUERY_NAMES = ("query", "q_proj", "q", "to_q", "wq")


_BEGIN_WITH_A_NORM = ("NormLinear", "LevitClassificationLayer")  # heads of timm and of transformers


@dataclass(frozen=True)
class UsedWeight:
    """A convolution's or linear layer's weight, in execution order; `tokens`: applied to more than one vector an image."""

    name: str
    convolution: bool
    tokens: bool


@dataclass(frozen=True)
class GradientLayer:
    """A layer whose gradient is measured: its weight, or the first `rows` rows of a fused one (None: all of it)."""

    name: str
    weight: nn.Parameter
    rows: int | None = None

    def norm(self, gradient: torch.Tensor) -> float:
        """L2 norm in float64 of the part of a weight gradient that belongs to the layer."""
        return float(gradient[: self.rows].detach().cpu().double().norm())


@dataclass(frozen=True)
class Trace:
    """One forward pass: weights in order of execution, and each linear or convolution module with its output."""

    weights: list[UsedWeight]
    outputs: list[tuple[str, nn.Module, torch.Tensor]]
    result: object


def trace(network: nn.Module, forward: Callable[[], object]) -> Trace:
    """Run `forward` once without gradients and record it.

    Weights are found both where a module is entered (its weight may be standardised before use) and where a function is called
    (a fused projection may be applied without entering its module).
    """
    names = {id(parameter): name for name, parameter in network.named_parameters(remove_duplicate=False)}
    used: dict[str, UsedWeight] = {}
    outputs: list[tuple[str, nn.Module, torch.Tensor]] = []

    def record(weight: torch.Tensor, values: torch.Tensor, convolution: bool) -> None:
        name = names.get(id(weight))
        if name is not None and name not in used:
            used[name] = UsedWeight(name, convolution, values.ndim > 2)

    def entering(module: nn.Module, inputs: tuple) -> None:
        assert isinstance(module.weight, torch.Tensor)
        record(module.weight, inputs[0], isinstance(module, nn.Conv2d))

    def leaving(name: str) -> Callable:
        return lambda module, inputs, output: outputs.append((name, module, output))

    class Functions(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            kwargs = kwargs or {}
            if function in (nn.functional.conv2d, nn.functional.linear):
                values = args[0] if args else kwargs["input"]
                weight = args[1] if len(args) > 1 else kwargs["weight"]
                record(weight, values, function is nn.functional.conv2d)
            return function(*args, **kwargs)

    handles = []
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            handles.append(module.register_forward_pre_hook(entering))
            handles.append(module.register_forward_hook(leaving(name)))
    try:
        with torch.no_grad(), Functions():
            result = forward()
    finally:
        for handle in handles:
            handle.remove()
    return Trace(list(used.values()), outputs, result)


def find_head(outputs: list[tuple[str, nn.Module, torch.Tensor]], logits: torch.Tensor) -> tuple[str, nn.Module] | None:
    """The module that makes the logits [batch, n_source_classes]: the last one whose output they are.

    Where they are an average over several heads, the first of those; over places, the last layer with as many outputs.
    """
    for name, module, output in reversed(outputs):
        if output.numel() == logits.numel() and torch.equal(output.reshape(logits.shape), logits):
            return name, module
    for name, module, output in outputs:
        if isinstance(module, nn.Linear) and output.shape == logits.shape:
            return name, module
    for name, module, output in reversed(outputs):
        if output.shape[1 if isinstance(module, nn.Conv2d) else -1] == logits.shape[-1]:
            return name, module
    return None


def with_norm(network: nn.Module, name: str, head: nn.Module) -> tuple[str, nn.Module]:
    """The head with the norm that it begins with, as in LeViT: without a head there is no such norm, and the features must be
    those of the same weights with one."""
    parent = name.rpartition(".")[0]
    module = network.get_submodule(parent)
    return (parent, module) if parent and type(module).__name__ in _BEGIN_WITH_A_NORM else (name, head)


def pooled(values: torch.Tensor, channels_first: bool) -> torch.Tensor:
    """One vector per image, [batch, n_features]: the mean over places of a map [batch, c, h, w] or of tokens [batch, t, c]."""
    if values.ndim > 2 and channels_first:
        return values.flatten(2).mean(dim=2)
    return values if values.ndim == 2 else values.flatten(1, -2).mean(dim=1)


def gradient_layers(network: nn.Module, used: list[UsedWeight], head: str | None) -> tuple[list[GradientLayer], bool]:
    """The first and second layer of the feature update ratio, and whether the second is the attention extension.

    The first two convolutions in execution order, depthwise ones included. With a single one (a plain vision transformer):
    that and the query projection of the first linear layer's block, or the first third of a fused one. Without any, the first
    linear layer over tokens embeds the patches and takes the convolution's place. Fewer than two layers: what there is.
    """
    parameters = dict(network.named_parameters(remove_duplicate=False))
    body = [weight for weight in used if head is None or not weight.name.startswith(f"{head}.")]
    convolutions = [GradientLayer(weight.name, parameters[weight.name]) for weight in body if weight.convolution]
    if len(convolutions) > 1:
        return convolutions[:2], False
    start = next((i for i, weight in enumerate(body) if weight.convolution or (weight.tokens and not convolutions)), None)
    if start is None:
        return [], False
    first = [GradientLayer(body[start].name, parameters[body[start].name])]
    first_linear = next((weight for weight in body[start + 1 :] if not weight.convolution and weight.tokens), None)
    if first_linear is None:
        return first if convolutions else [], False
    block = first_linear.name.rpartition(".")[0].rpartition(".")[0]
    for query in _QUERY_NAMES:
        if (name := f"{block}.{query}.weight") in parameters:
            return [*first, GradientLayer(name, parameters[name])], True
    weight = parameters[first_linear.name]
    rows = weight.shape[0] // 3 if weight.shape[0] % 3 == 0 and "qkv" in first_linear.name else None
    return [*first, GradientLayer(first_linear.name, weight, rows)], True
