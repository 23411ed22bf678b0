"""Facts of networks that the studies do not give: parameters without the classification head, features that the head takes.

Counted on networks that are built without weights, or taken apart from a count that includes the head.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import timm
import torch
import torchvision
from torch import nn


class Size(NamedTuple):
    """Parameters without the classification head, and the features that the head takes."""

    parameters: int
    feature_width: int


def timm_size(name: str) -> Size:
    """The size of a timm network."""
    with torch.device("meta"):
        network = timm.create_model(name, pretrained=False, num_classes=0)
    return Size(_count(network), network.head_hidden_size)


def torchvision_size(name: str) -> Size:
    """The size of a torchvision network; auxiliary classifiers do not count."""
    options: dict[str, Any] = {"aux_logits": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("meta"):
        network = (
            torchvision.models.get_model(name, weights=None, init_weights=False, **options)
            if options
            else (torchvision.models.get_model(name, weights=None))
        )
    head = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    return Size(_count(network) - _count(head), head.in_features)


def transformers_size(build: Callable[[], nn.Module], feature_width: int) -> Size:
    """The size of a transformers network without head, as `build` makes it."""
    with torch.device("meta"):
        return Size(_count(build()), feature_width)


def torchvision_top1(name: str) -> float:
    """Top-1 accuracy on ImageNet-1k, 0 to 1, of the first weights that torchvision published for a network."""
    weights = torchvision.models.get_model_weights(name).IMAGENET1K_V1
    return float(weights.meta["_metrics"]["ImageNet-1K"]["acc@1"]) / 100


def timm_top1(folder: Path, names: list[str]) -> dict[str, float]:
    """Top-1 accuracy on ImageNet-1k, 0 to 1, of timm's weights at the image size that timm trained them with.

    Args:
        folder: with timm's own table, `timm_imagenet.csv`.
        names: as in that table, with the tag of the weights.
    """
    table = pd.read_csv(folder / "timm_imagenet.csv").set_index(["model", "img_size"])["top1"]
    sizes = {name: timm.get_pretrained_cfg(name).input_size[-1] for name in names}
    return {name: float(table[name, size]) / 100 for name, size in sizes.items()}


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
