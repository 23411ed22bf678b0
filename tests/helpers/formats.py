"""Networks of several libraries in miniature, every weight perturbed, saved in their own layouts."""

import json
from pathlib import Path

import numpy as np
import timm
import torch
import transformers as hf
from timm.models import save_for_hf
from torch import nn

from helpers.checkpoint_folders import perturbed
from hf_transferability.checkpoints.checkpoint import Checkpoint

SIZE = 32
VIT = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 1, "intermediate_size": 256}
VIT |= {"image_size": SIZE, "patch_size": 8}
TEXT = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 50}
TEXT |= {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
DECODER = {
    "decoder_hidden_size": 16,
    "decoder_num_attention_heads": 2,
    "decoder_num_hidden_layers": 1,
    "decoder_intermediate_size": 16,
}
TIMM_VIT = {"img_size": SIZE, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 3}
IMAGES = list(np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8))


def save_hf(folder: Path, network, **processor) -> nn.Module:
    folder.mkdir(exist_ok=True)
    perturbed(network).save_pretrained(folder)
    hf.ViTImageProcessor(size={"height": SIZE, "width": SIZE}, **processor).save_pretrained(folder)
    return network


def save_timm(folder: Path, name: str, given: dict | None = None, n_classes: int = 7, **arguments) -> nn.Module:
    """A timm network whose config.json holds only the `given` arguments."""
    folder.mkdir(exist_ok=True)
    network = perturbed(timm.create_model(name, num_classes=n_classes, **arguments))
    network.pretrained_cfg |= {"input_size": (3, SIZE, SIZE), "crop_pct": 1.0}
    written = {name: str(value) for name, value in arguments.items() if name.endswith("_layer")}  # classes cannot be written
    save_for_hf(network, str(folder), model_config={"num_classes": n_classes}, model_args=written, safe_serialization=True)
    config = json.loads((folder / "config.json").read_text())
    config["model_args"] = given if given is not None else {"img_size": SIZE, **arguments}
    (folder / "config.json").write_text(json.dumps(config))
    return network


def features_of(checkpoint: Checkpoint) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of the images and the pixels that they were computed from."""
    pixels = checkpoint.preprocess(IMAGES)
    with torch.no_grad():
        return checkpoint.forward(pixels)[0], pixels


def embedded(network: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    """timm's own embedding."""
    with torch.no_grad():
        return network.forward_head(network.forward_features(pixels), pre_logits=True)


def clip_config() -> hf.CLIPConfig:
    return hf.CLIPConfig(vision_config={**VIT, "hidden_act": "gelu"}, text_config=TEXT, projection_dim=8)
