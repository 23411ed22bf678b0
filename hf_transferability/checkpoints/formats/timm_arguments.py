"""Arguments of a timm network that its config.json lacks and the weights show."""

import math
import re
from collections.abc import Mapping
from typing import Any

import timm
import timm.layers
import torch
from timm.layers import get_act_layer

_SWIGLU = {"mlp_layer": "SwiGLUPacked", "act_layer": "silu"}


_LAYERS = {"SwiGLUPacked", "SwiGLU", "GluMlp", "Mlp"}


def shown_by_weights(
    architecture: str, given: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], data_config: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments that the stored weights prove, for those that the configuration does not give.

    Args:
        architecture: timm's name of the network.
        given: arguments of config.json and of the user.
        shapes: name and shape of each stored weight.
        data_config: timm's pretrained_cfg, for the input size.

    Returns:
        init_values, reg_tokens, mlp_layer with mlp_ratio and act_layer, img_size and no_embed_class, where they apply.
    """
    found: dict[str, Any] = {}
    if any(re.fullmatch(r"blocks\.0\.(ls1\.gamma|gamma_1)", name) for name in shapes):
        found["init_values"] = 1e-5  # the stored gammas replace it
    if "reg_token" in shapes:
        found["reg_tokens"] = shapes["reg_token"][1]
    wide, narrow = shapes.get("blocks.0.mlp.fc1.weight"), shapes.get("blocks.0.mlp.fc2.weight")
    if architecture.startswith("vit_") and wide and narrow and wide[0] == 2 * narrow[1]:
        found |= {**_SWIGLU, "mlp_ratio": wide[0] / wide[1] + 1e-6}  # timm rounds the width down
    found |= _size_arguments(shapes, data_config)
    return {name: value for name, value in found.items() if name not in given}


def _size_arguments(shapes: Mapping[str, tuple[int, ...]], data_config: Mapping[str, Any]) -> dict[str, Any]:
    """Image size of a network with stored positions or a fixed input size, and whether positions leave out the class token."""
    size = tuple(data_config.get("input_size") or ())[-2:]
    found: dict[str, Any] = {}
    if len(size) == 2 and data_config.get("fixed_input_size"):
        found["img_size"] = list(size)
    positions, patch = shapes.get("pos_embed"), shapes.get("patch_embed.proj.weight")
    if len(size) != 2 or not positions or len(positions) != 3 or not patch or len(patch) != 4:
        return found
    n_patches = (size[0] // patch[-2]) * (size[1] // patch[-1])
    n_prefix = int("cls_token" in shapes) + (shapes["reg_token"][1] if "reg_token" in shapes else 0)
    if positions[1] in (n_patches, n_patches + n_prefix, n_patches + int("cls_token" in shapes)):
        found["img_size"] = list(size)
        if n_prefix and positions[1] == n_patches and math.isqrt(positions[1]) ** 2 == positions[1]:
            found["no_embed_class"] = True
    return found


def as_objects(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with layers in place of their names: mlp_layer and act_layer, also with their modules in front."""
    objects = dict(arguments)
    if (layer := _class_name(objects.get("mlp_layer"))) in _LAYERS:
        objects["mlp_layer"] = getattr(timm.layers, layer)
    if isinstance(objects.get("act_layer"), str):
        objects["act_layer"] = get_act_layer(_class_name(objects["act_layer"]).lower())
    return objects


def _class_name(value: Any) -> str:
    """SiLU of "torch.nn.SiLU" or "<class 'torch.nn.modules.activation.SiLU'>"; empty where the value is no text."""
    return value.strip("<>'").rpartition(".")[2] if isinstance(value, str) else ""


def accepts(architecture: str, arguments: Mapping[str, Any]) -> bool:
    """Whether timm makes that network with these arguments; nothing is allocated."""
    try:
        with torch.device("meta"):
            timm.create_model(architecture, pretrained=False, **as_objects(arguments))
    except (TypeError, AssertionError, ValueError):
        return False
    return True
