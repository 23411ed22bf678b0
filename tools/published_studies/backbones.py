"""Sizes without head of the transformers networks in TransferGraph, whose own counts include the head.

Such a count is that of a known backbone and of a head with a whole number of classes, which tells both: classes times one more
than the width of the features. Distilled DeiT networks have two heads.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import transformers
from torch import nn

from tools.published_studies.networks import Size, transformers_size

LARGEST_HEAD = 22_000  # classes; ImageNet-21k has 21,841
# transformers 5 has no VAN any more. Its counts with 1,000 and with 10 classes (26,579,496 and 26,071,626) differ by 990 times
# 513, which tells the width 512 and the rest, the backbone; the other three have 1,000 classes and widths of 256 and 512.
_VAN = {"van-tiny": Size(3_849_312, 256), "van-small": Size(13_349_824, 512), "van-base": Size(26_066_496, 512),
        "van-large": Size(44_253_632, 512)}  # fmt: skip
# Two tiny networks for tests, of 1,000 and 2 classes: 76,936 and 44,002 parameters differ by 998 times 33.
_FOR_TESTS = Size(43_936, 32)
_VIT = {"ti": (192, 3, 12), "s": (384, 6, 12), "b": (768, 12, 12), "l": (1024, 16, 24)}  # width, attention heads, blocks


class Found(NamedTuple):
    """What a count with head tells.

    Attributes:
        architecture: the network's architecture.
        size: without head.
        classes: outputs of the head.
    """

    architecture: str
    size: Size
    classes: int


def take_apart(model_type: str, parameters: int, backbones: "dict[str, dict[str, tuple[Size, int]]]") -> Found:
    """The one backbone and the number of classes that a count with head can be made of.

    Args:
        model_type: as the study says.
        parameters: with head.
        backbones: what `known` returned.

    Raises:
        ValueError: no backbone fits, or several.
    """
    fits: list[Found] = []
    for fewer in (0, 1):  # a copy of a distilled network that transformers fine-tuned has one head in place of two
        fits = fits or [
            Found(architecture, size, classes)
            for architecture, (size, heads) in backbones[model_type].items()
            for classes, rest in [divmod(parameters - size.parameters, max(heads - fewer, 1) * (size.feature_width + 1))]
            if rest == 0 and 2 <= classes <= LARGEST_HEAD
        ]
    if len(fits) != 1:
        raise ValueError(f"{parameters} parameters of a {model_type} fit {[fit.architecture for fit in fits]}")
    return fits[0]


def known() -> "dict[str, dict[str, tuple[Size, int]]]":
    """Model type -> architecture -> (size without head, number of heads)."""
    return {
        "vit": {name: (size, 1) for name, size in _vits().items()},
        "deit": _deits(),
        "beit": {name: (size, 1) for name, size in _beits("Beit").items()},
        "data2vec-vision": {"data2vec-vision-base": (_beits("Data2VecVision")["beit-base-patch16-224"], 1)},
        "convnext": {name: (size, 1) for name, size in _convnexts().items()},
        "swin": {name: (size, 1) for name, size in _swins().items()},
        "van": {name: (size, 1) for name, size in _VAN.items()},
        "resnet": {"resnet-50": (_built(transformers.ResNetModel, transformers.ResNetConfig(), 2048), 1)},
    }


def _built(model: Callable[..., nn.Module], config: Any, width: int, **options: Any) -> Size:
    return transformers_size(lambda: model(config, **options), width)


def _vit_config(config: Callable[..., Any], size: str, patch: int = 16, image: int = 224) -> Any:
    width, heads, blocks = _VIT[size]
    return config(
        hidden_size=width, num_attention_heads=heads, num_hidden_layers=blocks, intermediate_size=4 * width,
        patch_size=patch, image_size=image,
    )  # fmt: skip


def _vits() -> dict[str, Size]:
    kinds = [("ti", 16, 224), ("s", 16, 224), *(("b", patch, image) for patch, image in ((16, 224), (16, 384), (32, 384))),
             ("l", 16, 224), ("l", 32, 384)]  # fmt: skip
    names = {"ti": "tiny", "s": "small", "b": "base", "l": "large"}
    backbones = {
        f"vit-{names[size]}-patch{patch}-{image}": _built(
            transformers.ViTModel, _vit_config(transformers.ViTConfig, size, patch, image), _VIT[size][0],
            add_pooling_layer=False,
        )
        for size, patch, image in kinds
    }  # fmt: skip
    return backbones | {"vit-for-tests": _FOR_TESTS}


def _deits() -> "dict[str, tuple[Size, int]]":
    backbones = {}
    for size, name, image in (("ti", "tiny", 224), ("s", "small", 224), ("b", "base", 224), ("b", "base", 384)):
        config = _vit_config(transformers.DeiTConfig, size, image=image)
        built = _built(transformers.DeiTModel, config, _VIT[size][0], add_pooling_layer=False)
        backbones[f"deit-{name}-distilled-patch16-{image}"] = (built, 2)
    return backbones


def _beits(family: str) -> dict[str, Size]:
    config, model = getattr(transformers, f"{family}Config"), getattr(transformers, f"{family}Model")
    backbones = {}
    for size, name, image in (("b", "base", 224), ("l", "large", 224), ("l", "large", 384)):
        settings = _vit_config(config, size, image=image)
        settings.use_relative_position_bias, settings.use_mask_token, settings.use_mean_pooling = True, False, True
        backbones[f"beit-{name}-patch16-{image}"] = _built(model, settings, _VIT[size][0], add_pooling_layer=True)
    settings = _vit_config(config, "b")
    settings.use_shared_relative_position_bias, settings.use_mask_token, settings.use_mean_pooling = True, True, True
    backbones["beit-base-patch16-224-pt22k"] = _built(model, settings, 768, add_pooling_layer=True)
    return backbones


def _convnexts() -> dict[str, Size]:
    kinds = {"tiny": ([3, 3, 9, 3], 96), "small": ([3, 3, 27, 3], 96), "base": ([3, 3, 27, 3], 128),
             "large": ([3, 3, 27, 3], 192), "xlarge": ([3, 3, 27, 3], 256)}  # fmt: skip
    return {
        f"convnext-{name}": _built(
            transformers.ConvNextModel,
            transformers.ConvNextConfig(depths=depths, hidden_sizes=[width * 2**stage for stage in range(4)]),
            width * 8,
        )
        for name, (depths, width) in kinds.items()
    }


def _swins() -> dict[str, Size]:
    kinds = [("tiny", 96, [2, 2, 6, 2], 3, 7, 224), ("small", 96, [2, 2, 18, 2], 3, 7, 224)]
    kinds += [(name, width, [2, 2, 18, 2], heads, window, image) for name, width, heads in (("base", 128, 4), ("large", 192, 6))
              for window, image in ((7, 224), (12, 384))]  # fmt: skip
    backbones = {}
    for name, width, depths, heads, window, image in kinds:
        config = transformers.SwinConfig(
            embed_dim=width, depths=depths, num_heads=[heads * 2**stage for stage in range(4)], window_size=window,
            image_size=image,
        )  # fmt: skip
        backbones[f"swin-{name}-patch4-window{window}-{image}"] = _built(transformers.SwinModel, config, width * 8)
    return backbones
