"""Repositories of open_clip in miniature."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from helpers.formats import SIZE

OPEN_CLIP = {
    "embed_dim": 8,
    "vision_cfg": {"image_size": SIZE, "layers": 2, "width": 64, "patch_size": 8},
    "text_cfg": {"context_length": 8, "vocab_size": 50, "width": 16, "heads": 2, "layers": 1},
}


def save_open_clip(folder: Path, weights: dict[str, torch.Tensor], model=None, file="open_clip_model.safetensors") -> None:
    """open_clip_config.json with a preprocessing of odd values, and the weights."""
    folder.mkdir()
    save_file({name: value.clone().contiguous() for name, value in weights.items()}, folder / file)
    preprocess = {"mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28], "interpolation": "bicubic", "resize_mode": "shortest"}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": model or OPEN_CLIP, "preprocess_cfg": preprocess}))
