"""How a network's output becomes one vector per image, and the name of that pooling for the row of results."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from hf_transferability.checkpoints.tracing import pooled
from hf_transferability.errors import CheckpointError

_MOST_PREFIX_TOKENS = 16  # class and register tokens before the patch tokens


@dataclass(frozen=True)
class Embedding:
    """Where the features of a network without a head come from.

    Attributes:
        output: "logits" (a head of zero classes), "pooler_output", or "cls", "mean" or "cls+mean" of last_hidden_state.
        n_prefix: tokens before the patch tokens, which the mean of last_hidden_state leaves out; None while unknown.
        norm: name of the module that is applied to the last hidden state first; None where it is normalised already.
        last_norm: name of the module that is applied to the pooled tokens.
        channels_first: whether a map [batch, ., ., .] has its channels first.
    """

    output: str
    n_prefix: int | None = None
    norm: str | None = None
    last_norm: str | None = None
    channels_first: bool = True

    def read(self, network: nn.Module, result: Any) -> torch.Tensor:
        """Features [batch, n_features] from the output of the network's forward."""
        if self.output == "logits":
            return result.logits.flatten(1)
        if self.output == "pooler_output":
            return result.pooler_output.flatten(1)
        tokens = result.last_hidden_state
        if tokens.ndim != 3:
            vectors = [pooled(tokens, channels_first=self.channels_first and tokens.ndim == 4)]
        else:
            tokens = network.get_submodule(self.norm)(tokens) if self.norm else tokens
            parts = {"cls": tokens[:, 0], "mean": tokens[:, self.n_prefix or 0 :].mean(dim=1)}
            vectors = [parts[name] for name in self.output.split("+")]
        if self.last_norm:
            vectors = [network.get_submodule(self.last_norm)(vector) for vector in vectors]
        return torch.cat(vectors, dim=1)

    def source(self) -> str:
        """The fact `feature_source` of a row."""
        if self.output in ("logits", "pooler_output"):
            return self.output
        return f"{self.output.replace('+', ' and ')} of last_hidden_state"


def prefix_tokens(n_tokens: int, n_patches: int | None) -> int:
    """Class and register tokens before the patch tokens, whose number is the largest square that fits where it is unknown."""
    if n_patches is not None and 0 <= n_tokens - n_patches <= _MOST_PREFIX_TOKENS:
        return n_tokens - n_patches
    rest = n_tokens - math.isqrt(n_tokens) ** 2
    return rest if rest <= _MOST_PREFIX_TOKENS else 0


def checked(checkpoint: str, embedding: Embedding, hidden: Any) -> None:
    """Refuse a pooling that the network's tokens do not allow.

    Raises:
        CheckpointError: a class token was asked for and there is none.
    """
    if "cls" in embedding.output and not (torch.is_tensor(hidden) and hidden.ndim == 3 and embedding.n_prefix):
        raise CheckpointError(
            f"{checkpoint} has no class token, so `pooling` cannot be {embedding.output}. Take mean or native."
        )


def name_pooling(network: nn.Module, forward: Callable[[], torch.Tensor]) -> str:
    """The pooling that gives the features, found by comparing them with what the modules compute in one forward pass.

    Returns:
        "cls", "mean" (over patches or places), "mean of all tokens", "cls+mean", "attention", or "native" where none fits.
        A normalisation after the pooling does not count.
    """
    calls: list[tuple[nn.Module, str, torch.Tensor | None, torch.Tensor]] = []

    def hook(name: str) -> Callable:
        def record(module: nn.Module, inputs: tuple, output: Any) -> None:
            if torch.is_tensor(output):
                calls.append((module, name, inputs[0] if inputs and torch.is_tensor(inputs[0]) else None, output))

        return record

    handles = [module.register_forward_hook(hook(name)) for name, module in network.named_modules()]
    try:
        with torch.no_grad():
            features = forward()
    finally:
        for handle in handles:
            handle.remove()
    targets = [features]
    for _, _, given, output in reversed(calls):  # undo layers between the pooling and the features that keep the shape
        keeps = given is not None and given.ndim >= 2 and given.numel() == output.numel() == features.numel()
        if given is not None and keeps and any(_same(output.flatten(1), target) for target in targets):
            targets.append(given.flatten(1))
    for module, name, given, output in reversed(calls):
        attends = re.search(r"attn_?pool|Attention\w*Pool|Pooling?Head", f"{name.rpartition('.')[2]} {type(module).__name__}")
        if attends and any(_same(part, target) for target in targets for part in _vectors(output)):
            return "attention"
        for values in (output, given):
            if values is not None and (found := _named(values, targets)) is not None:
                return "mean" if found == "cls" and _leads_with_mean(given) else found
    return "native"


def _vectors(output: torch.Tensor) -> list[torch.Tensor]:
    return [output] if output.ndim == 2 else [output[:, 0]] if output.ndim == 3 else []


def _leads_with_mean(values: torch.Tensor | None) -> bool:
    """Whether the first token is no class token but the mean of the others, as in DINOv3's ConvNeXt."""
    return values is not None and values.ndim == 3 and values.shape[1] > 1 and _same(values[:, 0], values[:, 1:].mean(dim=1))


def _named(values: torch.Tensor, targets: list[torch.Tensor]) -> str | None:
    """The pooling of tokens or of a map whose result is one of the targets."""
    if values.ndim == 4:
        means = (values.mean(dim=(2, 3)), values.mean(dim=(1, 2)))
        return "mean" if any(_same(mean, target) for mean in means for target in targets) else None
    if values.ndim != 3 or values.shape[1] < 2:
        return None
    first, everything = values[:, 0], values.mean(dim=1)
    if any(_same(first, target) for target in targets):
        return "cls"
    square = prefix_tokens(values.shape[1], None)
    for n_prefix in sorted({square, 1, 2, 5, 0}, key=lambda n: n != square):
        if n_prefix >= values.shape[1]:
            continue
        patches = values[:, n_prefix:].mean(dim=1)
        if any(_same(torch.cat([first, patches], dim=1), target) for target in targets):
            return "cls+mean"
        if n_prefix and any(_same(patches, target) for target in targets):
            return "mean"
    if any(_same(everything, target) for target in targets):
        return "mean" if square == 0 else "mean of all tokens"
    if any(_same(values.mean(dim=2), target) for target in targets):  # channels before tokens, as in a pooling layer
        return "mean"
    return None


def _same(left: torch.Tensor, right: torch.Tensor) -> bool:
    return left.shape == right.shape and torch.allclose(left, right, rtol=1e-4, atol=1e-5 * float(right.abs().max()))
