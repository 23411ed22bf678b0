"""Changes of a checkpoint's folder, and checks of the loaded network."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from hf_transferability.checkpoints.loading import load
from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.checkpoints.resolving import resolve
from hf_transferability.errors import CheckpointError

VIT = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 32}
VIT |= {"image_size": 24, "patch_size": 8}
IMAGES = list(np.random.default_rng(0).integers(0, 256, (3, 24, 24, 3), dtype=np.uint8))


def change_weights(folder: Path, change) -> dict[str, torch.Tensor]:
    path = folder / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path, metadata={"format": "pt"})
    return weights


def change_json(folder: Path, name: str = "config.json", **values) -> None:
    content = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**content, **values}))


def drop(*patterns: str):
    def change(weights: dict[str, torch.Tensor]) -> None:
        gone = [name for name in weights if any(re.search(pattern, name) for pattern in patterns)]
        assert gone
        for name in gone:
            del weights[name]

    return change


def opened(folder: Path, **options):
    return load(resolve(str(folder), LoadOptions(**options)))


def outputs(checkpoint):
    with torch.no_grad():
        return checkpoint.forward(checkpoint.preprocess(IMAGES))


def refused(folder: Path, text: str, **options) -> str:
    with pytest.raises(CheckpointError, match=text) as caught:
        opened(folder, **options)
    return str(caught.value)


def assert_same(left: torch.Tensor, right: torch.Tensor) -> None:
    """Equal up to rounding: networks that were loaded separately lie elsewhere in memory, and so may add in another order."""
    torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-5 * float(right.abs().max()))


def perturbed(network: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """The network in evaluation mode with noise on every weight, so that a dropped or exchanged one shows in the features."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in sorted(network.state_dict().items()):
            if weight.is_floating_point():
                noise = torch.randn(weight.shape, generator=generator)
                weight.add_(noise.abs() if name.endswith("running_var") else 0.1 * noise)
    return network.eval()
