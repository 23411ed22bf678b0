"""Weights that no library of networks would write, put into a repository in miniature under its image tower's names."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

PLAIN = "weights.pth"
# Beginnings of names outside the image towers of the cases.
_OUTSIDE = (
    "text", "transformer.", "token_embedding", "positional_embedding", "ln_final", "visual.proj", "visual.head.", "visual_proj",
    "visual.attnpool.c_proj", "classifier", "cls_classifier", "head.", "fc.", "lm_head", "decoder", "multiscale", "pooler.",
)  # fmt: skip


def add_unknown(folder: Path) -> set[str]:
    """Add one unknown weight at each level above the image tower's first layer; returns the ends of their names.

    Their beginnings differ in messages: transformers gives some of them the names of today.
    """
    file, weights = _stored(folder)
    parts = first_layer(weights).split(".")[:-2]
    ends = [f"attn_pool_level{level}.query" for level in range(len(parts) + 1)]
    added = {".".join([*parts[:level], end]): torch.ones(3) for level, end in enumerate(ends)}
    _save(file, weights | added)
    return set(ends)


def rename_one(folder: Path) -> set[str]:
    """Give the largest weight of the image tower an unknown name; returns the end of the new name."""
    file, weights = _stored(folder)
    name = max((name for name in weights if not name.startswith(_OUTSIDE)), key=lambda name: (weights[name].numel(), name))
    layer, _, kind = name.rpartition(".")
    weights[f"{layer}_other.{kind}"] = weights.pop(name)
    _save(file, weights)
    return {f"_other.{kind}"}


def first_layer(weights: dict[str, torch.Tensor]) -> str:
    """The name of the first convolution's weight, or of a linear patch embedding's."""
    convolutions = [name for name, value in weights.items() if value.ndim == 4 and name.endswith("weight")]
    inputs = [name for name in convolutions if weights[name].shape[1] == 3 and not name.startswith("decoder")]
    return min(inputs or [name for name in weights if "embed" in name and name.endswith("proj.weight")] or convolutions)


def _stored(folder: Path) -> tuple[Path, dict[str, torch.Tensor]]:
    file = next((file for file in sorted(folder.iterdir()) if file.suffix == ".safetensors"), folder / PLAIN)
    if file.suffix == ".safetensors":
        return file, load_file(file)
    state = torch.load(file, weights_only=True)
    return file, dict(state.get("model") or state.get("state_dict") or state)


def _save(file: Path, weights: dict[str, torch.Tensor]) -> None:
    if file.suffix == ".safetensors":
        save_file(weights, file, metadata={"format": "pt"})
    else:
        torch.save(weights, file)
