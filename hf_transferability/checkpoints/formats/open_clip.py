"""Repositories of open_clip: the image tower, built by timm.

The features are the input of the projection into the space shared with texts, as for CLIP towers of transformers and timm.
"""

import json
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models.byobnet import checkpoint_filter_fn as resnet_names
from transformers import TimmWrapperConfig

from hf_transferability.checkpoints.formats.built import Built
from hf_transferability.checkpoints.formats.choosing import OPEN_CLIP
from hf_transferability.checkpoints.formats.pooling_choice import choose_pooling
from hf_transferability.checkpoints.formats.processors import image_processor, timm_processor
from hf_transferability.checkpoints.formats.timm_arguments import shown_by_weights
from hf_transferability.checkpoints.formats.timm_layout import load_timm
from hf_transferability.checkpoints.source import Source
from hf_transferability.checkpoints.unneeded_weights import OPEN_CLIP as _KIND
from hf_transferability.checkpoints.unneeded_weights import part_of
from hf_transferability.checkpoints.weights import WeightUse, stored_weights
from hf_transferability.errors import CheckpointError

_KINDS = frozenset({_KIND})
_TRUNK = "visual.trunk."
# open_clip's resize_mode -> timm's crop_mode.
_CROP = {"shortest": "center", "longest": "border", "squash": "squash"}
# Settings of open_clip's own transformer that timm's has no counterpart for, and their usual values.
_USUAL = {
    "attentional_pool": False, "pool_type": "tok", "pos_embed_type": "learnable", "final_ln_after_pool": False,
    "qk_norm": False, "scaled_cosine_attn": False, "scale_heads": False, "scale_attn_inner": False, "scale_attn": False,
    "scale_fc": False, "act_kwargs": None, "norm_kwargs": None, "ls_init_value": None, "block_type": None,
}  # fmt: skip
# Settings of the image tower that are read here, or that do not change what it computes after training. Any other one, such as
# those of older versions of open_clip, is refused.
_KNOWN = {
    "layers", "width", "head_width", "mlp_ratio", "patch_size", "image_size", "no_ln_pre", "patch_dropout", "output_tokens",
    "attn_pooler_queries", "attn_pooler_heads", "timm_model_name", "timm_model_pretrained", "timm_pool", "timm_proj",
    "timm_proj_bias", "timm_drop", "timm_drop_path",
}  # fmt: skip
# Blocks in each stage and width of open_clip's ResNets -> timm's name for the same network.
_RESNETS = {
    ((3, 4, 6, 3), 64): "resnet50_clip",
    ((3, 4, 23, 3), 64): "resnet101_clip",
    ((4, 6, 10, 6), 80): "resnet50x4_clip",
    ((6, 8, 18, 8), 96): "resnet50x16_clip",
    ((3, 15, 36, 10), 128): "resnet50x64_clip",
}
# Parts of weight names in open_clip's vision transformer -> timm's, applied in this order.
_NAMES = (
    ("conv1", "patch_embed.proj"),
    ("positional_embedding", "pos_embed"),
    ("class_embedding", "cls_token"),
    ("transformer.resblocks.", "blocks."),
    ("ln_pre", "norm_pre"),
    ("ln_post", "norm"),
    ("ln_", "norm"),
    ("in_proj_", "qkv."),
    ("out_proj", "proj"),
    ("mlp.c_fc", "mlp.fc1"),
    ("mlp.c_proj", "mlp.fc2"),
)


def build(source: Source, folder: Path) -> Built:
    """The image tower of a repository of open_clip.

    Raises:
        CheckpointError: a tower that timm cannot build.
    """
    content = json.loads((folder / OPEN_CLIP).read_text("utf-8"))
    vision = content["model_cfg"]["vision_cfg"]
    stored = stored_weights(folder, source.weights)
    tower = _TRUNK if vision.get("timm_model_name") else "visual."
    inside = [name for name in stored if name.startswith(tower) and part_of(name, _KINDS) != "projection"]
    if vision.get("timm_model_name"):
        architecture, arguments = _trunk(source, vision)
        names = {name: name.removeprefix(_TRUNK) for name in inside}
    elif isinstance(vision.get("layers", 12), list | tuple):
        architecture, arguments, names = _resnet(source, vision, inside)
    else:
        architecture, arguments = _transformer(source, content["model_cfg"])
        names = {name: _timm_name(name) for name in inside}
    # timm has a bias there without a norm before the blocks, open_clip never.
    own = {"patch_embed.proj.bias": torch.zeros(arguments["embed_dim"])} if arguments.get("pre_norm") is False else {}
    weights, stored_names = _renamed(stored, names, own)
    arguments |= dict(source.options.model_args)
    data_config = _data_config(content.get("preprocess_cfg") or {}, vision)
    shown = shown_by_weights(
        architecture, arguments, {name: tuple(value.shape) for name, value in weights.items()}, data_config
    )
    config = TimmWrapperConfig.from_dict(
        {"architecture": architecture, "num_classes": 0, "pretrained_cfg": data_config, "model_args": {**shown, **arguments}}
    )
    built = load_timm(config, pooling=choose_pooling(source, {}, {}), n_stored=len(stored_names), weights=weights)
    unused = {stored_names.get(name, name) for name in built.use.unused} | (stored.keys() - set(inside))
    built.use = WeightUse(built.use.n_used, built.use.missing, unused)
    built.kinds = _KINDS
    built.processor = image_processor(source, folder, timm_processor(data_config, architecture))
    built.model_args = ", ".join(f"{name}={value}" for name, value in sorted(source.options.model_args))
    built.architecture = f"open_clip {architecture}"
    return built


def _renamed(
    stored: dict[str, torch.Tensor], names: dict[str, str], own: dict[str, torch.Tensor]
) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The weights by timm's names with timm's `own` ones, and the stored name of each.

    A weight whose new name another one has already keeps its stored name, so that it counts as one too many.
    """
    weights = dict(own)
    stored_names: dict[str, str] = {}
    for name, new in names.items():
        short = name if new in weights else new
        value = stored[name]
        if name in ("visual.class_embedding", "visual.positional_embedding"):  # timm's have a dimension for the batch
            value = value.reshape(1, -1, value.shape[-1])
        weights[short], stored_names[short] = value, name
    return weights, stored_names


def _trunk(source: Source, vision: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Name and arguments of a tower that is a network of timm."""
    pool = vision.get("timm_pool", "avg")
    if pool in ("abs_attn", "rot_attn"):
        raise CheckpointError(
            f"{source.name} pools its image tower by {pool}, which timm does not build. "
            "Extract its features with open_clip and rank them with `hf-transferability score`."
        )
    return vision["timm_model_name"], {"global_pool": pool} if pool else {}


def _resnet(source: Source, vision: dict[str, Any], inside: list[str]) -> tuple[str, dict[str, Any], dict[str, str]]:
    """Name and arguments of open_clip's own ResNet, which ends in an attention pool, as timm's; timm's names of its weights."""
    layers, width = tuple(vision["layers"]), vision.get("width", 64)
    architecture = _RESNETS.get((layers, width))
    if architecture is None or vision.get("head_width", 64) != 64:
        raise CheckpointError(
            f"{source.name} has an image tower with a ResNet of unusual size, which cannot be built by timm. "
            "Extract its features with open_clip and rank them with `hf-transferability score`."
        )
    size = {"img_size": vision.get("image_size", 224)}
    with torch.device("meta"):
        network = timm.create_model(architecture, pretrained=False, num_classes=0, **size)
    # timm's function renames a dictionary's keys and hands on its values, here the stored names.
    renamed = resnet_names({name: name for name in inside}, network)  # type: ignore[arg-type, misc]
    names = {str(name): new for new, name in renamed.items()}
    return architecture, size, {name: names.get(name, name) for name in inside}


def _transformer(source: Source, model: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Name and arguments of open_clip's own vision transformer as timm's."""
    vision = model["vision_cfg"]
    unusual = [name for name, usual in _USUAL.items() if vision.get(name, usual) != usual]
    unknown = sorted(name for name, value in vision.items() if value and name not in _KNOWN and name not in _USUAL)
    if unusual or unknown:
        tool = "its authors' code" if unknown else "open_clip"
        raise CheckpointError(
            f"{source.name} has an image tower with the settings {', '.join(unusual + unknown)}, "
            f"which cannot be built by timm. Extract its features with {tool} and rank them with `hf-transferability score`."
        )
    width, head_width = vision.get("width", 768), vision.get("head_width", 64)
    quick = bool(model.get("quick_gelu"))
    arguments = {
        "img_size": vision.get("image_size", 224),
        "patch_size": vision.get("patch_size", 16),
        "embed_dim": width,
        "depth": vision.get("layers", 12),
        "num_heads": width // head_width,
        "mlp_ratio": vision.get("mlp_ratio", 4.0),
        "pre_norm": not vision.get("no_ln_pre", False),
    }
    return f"vit_base_patch16_clip_{'quickgelu_' if quick else ''}224", arguments


def _timm_name(name: str) -> str:
    """timm's name for a weight of open_clip's own vision transformer."""
    short = name.removeprefix("visual.")
    for theirs, ours in _NAMES:
        short = short.replace(theirs, ours)
    return short


def _data_config(preprocess: dict[str, Any], vision: dict[str, Any]) -> dict[str, Any]:
    """open_clip's preprocessing as timm's data configuration; open_clip's own defaults where nothing is said."""
    size = preprocess.get("size") or vision.get("image_size", 224)
    height, width = (size, size) if isinstance(size, int) else size
    return {
        "input_size": (3, height, width),
        "mean": preprocess.get("mean", (0.48145466, 0.4578275, 0.40821073)),
        "std": preprocess.get("std", (0.26862954, 0.26130258, 0.27577711)),
        "interpolation": preprocess.get("interpolation", "bicubic"),
        "crop_pct": 1.0,
        "crop_mode": _CROP[preprocess.get("resize_mode", "shortest")],
    }
