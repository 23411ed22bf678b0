"""Repositories in miniature, each with the embedding that its own library computes: the check of every layout.

A case makes a folder and returns a function from the network's input to that embedding; None where it must be refused.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from torch import nn

from helpers.formats import DECODER, SIZE, TEXT, VIT, clip_config, save_hf

Reference = Callable[[Any], torch.Tensor]
STAGES = {"hidden_sizes": [8, 12, 16, 20], "depths": [1, 1, 1, 1], "num_labels": 5}
SWIN = {"image_size": SIZE, "patch_size": 4, "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4}
HIERA = {
    "embed_dim": 8,
    "image_size": [SIZE, SIZE],
    "patch_kernel": [7, 7],
    "patch_stride": [4, 4],
    "patch_padding": [3, 3],
    "depths": [1, 1],
    "num_heads": [1, 2],
    "num_query_pool": 1,
    "masked_unit_size": [4, 4],
    "query_stride": [2, 2],
    "decoder_hidden_size": 8,
    "decoder_depth": 1,
    "decoder_num_heads": 1,
    "mlp_ratio": 2.0,
    "embed_dim_multiplier": 2.0,
}


@dataclass(frozen=True)
class Case:
    """One repository in miniature.

    Attributes:
        layout: whose layout it is.
        name: the network.
        embedding: the library's own embedding, in words; "refused: TEXT" where the error must hold that text.
        make: makes the folder and gives the embedding.
        pooling: what the row must say.
        probabilities: whether the row has source probabilities.
        options: of `LoadOptions`.
        file: a file in the folder that is the checkpoint, instead of the folder.
    """

    layout: str
    name: str
    embedding: str
    make: Callable[[Path], Reference | None]
    pooling: str = ""
    probabilities: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    file: str | None = None


def head_input(network: nn.Module, head: str) -> Reference:
    """What goes into a module in the library's own forward, averaged over places if it is a map."""

    def read(pixels: Any) -> torch.Tensor:
        inputs: list[torch.Tensor] = []
        handle = network.get_submodule(head).register_forward_pre_hook(lambda module, given: inputs.append(given[0]))
        network(**pixels) if isinstance(pixels, dict) else network(pixel_values=pixels)
        handle.remove()
        return inputs[-1]

    return read


def _classifier(name: str, model: Callable[[], nn.Module], pooling: str, head: str = "classifier", probabilities=True) -> Case:
    def make(folder: Path) -> Reference:
        network = save_hf(folder, model())
        return head_input(network, head)

    return Case("transformers, classifier", name, f"input of {head}", make, pooling, probabilities)


def _encoder(name: str, model: Callable[[], nn.Module], embedding: str, read: Callable, named: str = "", **options) -> Case:
    def make(folder: Path) -> Reference:
        network = save_hf(folder, model())
        return lambda pixels: read(network, pixels)

    return Case("transformers", name, embedding, make, named, False, options)


def _pooler(network: Any, pixels: Any) -> torch.Tensor:
    return network(pixel_values=pixels).pooler_output.flatten(1)


def _class_token(network: Any, pixels: Any) -> torch.Tensor:
    return network(pixel_values=pixels).last_hidden_state[:, 0]


def _tower_pooler(network: Any, pixels: Any) -> torch.Tensor:
    return network.vision_model(pixel_values=pixels).pooler_output


def _labelled(kind: str, problem: str | None = None, n_labels: int = 5) -> nn.Module:
    config = hf.ViTConfig(**VIT, num_labels=n_labels, problem_type=problem)
    assert kind == "vit"
    return hf.ViTForImageClassification(config)


def _siglip() -> hf.SiglipConfig:
    return hf.SiglipConfig(vision_config=VIT, text_config=TEXT)


CLASSIFIERS = [
    _classifier(
        "ResNet", lambda: hf.ResNetForImageClassification(hf.ResNetConfig(embedding_size=8, **STAGES)), "mean", "classifier.1"
    ),
    _classifier(
        "RegNet",
        lambda: hf.RegNetForImageClassification(hf.RegNetConfig(embedding_size=8, groups_width=4, **STAGES)),
        "mean",
        "classifier.1",
    ),
    _classifier("ConvNeXt", lambda: hf.ConvNextForImageClassification(hf.ConvNextConfig(**STAGES)), "mean"),
    _classifier("ConvNeXt V2", lambda: hf.ConvNextV2ForImageClassification(hf.ConvNextV2Config(**STAGES)), "mean"),
    _classifier(
        "MobileNetV2",
        lambda: hf.MobileNetV2ForImageClassification(
            hf.MobileNetV2Config(image_size=SIZE, depth_multiplier=0.25, finegrained_output=False, num_labels=5)
        ),
        "mean",
    ),
    _classifier(
        "BiT",
        lambda: hf.BitForImageClassification(
            hf.BitConfig(embedding_size=8, num_groups=4, **{**STAGES, "hidden_sizes": [8, 16, 24, 32]})
        ),
        "mean",
        "classifier.1",
    ),
    _classifier(
        "PVT v2",
        lambda: hf.PvtV2ForImageClassification(
            hf.PvtV2Config(
                image_size=SIZE,
                hidden_sizes=[8, 8, 16, 16],
                depths=[1, 1, 1, 1],
                num_attention_heads=[1, 1, 2, 2],
                mlp_ratios=[2, 2, 2, 2],
                strides=[4, 2, 1, 1],
                num_labels=5,
            )
        ),
        "mean",
    ),
    _classifier(
        "SegFormer",
        lambda: hf.SegformerForImageClassification(
            hf.SegformerConfig(
                hidden_sizes=[8, 8, 16, 16],
                depths=[1, 1, 1, 1],
                num_attention_heads=[1, 1, 2, 2],
                mlp_ratios=[2, 2, 2, 2],
                num_labels=5,
            )
        ),
        "mean",
    ),
    _classifier(
        "PoolFormer",
        lambda: hf.PoolFormerForImageClassification(
            hf.PoolFormerConfig(hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], num_labels=5)
        ),
        "mean",
    ),
    _classifier(
        "FocalNet",
        lambda: hf.FocalNetForImageClassification(
            hf.FocalNetConfig(
                image_size=SIZE, embed_dim=8, depths=[1, 1], focal_levels=[1, 1], focal_windows=[3, 3], num_labels=5
            )
        ),
        "mean",
    ),
    _classifier(
        "MobileViT",
        lambda: hf.MobileViTForImageClassification(
            hf.MobileViTConfig(
                image_size=64,
                hidden_sizes=[12, 12, 16],
                neck_hidden_sizes=[4, 8, 8, 12, 12, 16, 20],
                num_attention_heads=2,
                num_labels=5,
            )
        ),
        "mean",
    ),
    _classifier("ViT", lambda: _labelled("vit"), "cls"),
    _classifier("DeiT", lambda: hf.DeiTForImageClassification(hf.DeiTConfig(**VIT, num_labels=5)), "cls"),
    _classifier(
        "DeiT with teacher",
        lambda: hf.DeiTForImageClassificationWithTeacher(hf.DeiTConfig(**VIT, num_labels=5)),
        "cls",
        "cls_classifier",
    ),
    _classifier("ViT-MSN", lambda: hf.ViTMSNForImageClassification(hf.ViTMSNConfig(**VIT, num_labels=5)), "cls"),
    _classifier("Swin", lambda: hf.SwinForImageClassification(hf.SwinConfig(**SWIN, num_labels=5)), "mean"),
    _classifier("Swin v2", lambda: hf.Swinv2ForImageClassification(hf.Swinv2Config(**SWIN, num_labels=5)), "mean"),
    _classifier("BEiT", lambda: hf.BeitForImageClassification(hf.BeitConfig(**VIT, num_labels=5)), "mean"),
    _classifier(
        "Data2Vec", lambda: hf.Data2VecVisionForImageClassification(hf.Data2VecVisionConfig(**VIT, num_labels=5)), "mean"
    ),
    _classifier(
        "DINOv2", lambda: hf.Dinov2ForImageClassification(hf.Dinov2Config(**VIT, mlp_ratio=2, num_labels=5)), "cls+mean"
    ),
    _classifier(
        "DINOv2 with registers",
        lambda: hf.Dinov2WithRegistersForImageClassification(hf.Dinov2WithRegistersConfig(**VIT, mlp_ratio=2, num_labels=5)),
        "cls+mean",
    ),
    _classifier("Hiera", lambda: hf.HieraForImageClassification(hf.HieraConfig(**HIERA, num_labels=5)), "mean"),
    _classifier("I-JEPA", lambda: hf.IJepaForImageClassification(hf.IJepaConfig(**VIT, num_labels=5)), "mean"),
    _classifier("CLIP", lambda: hf.CLIPForImageClassification(clip_config()), "mean"),
    _classifier("SigLIP", lambda: hf.SiglipForImageClassification(_siglip()), "mean"),
    _classifier("ViT, one output", lambda: _labelled("vit", None, 1), "cls", probabilities=False),
    _classifier("ViT, multi-label", lambda: _labelled("vit", "multi_label_classification"), "cls", probabilities=False),
    _classifier("ViT, regression", lambda: _labelled("vit", "regression"), "cls", probabilities=False),
]


def _simmim(network: Any, pixels: Any) -> torch.Tensor:
    return network.swin(pixel_values=pixels).last_hidden_state.mean(dim=1)


def _beit_norm(network: Any, pixels: Any) -> torch.Tensor:
    tokens = network.beit(pixel_values=pixels, bool_masked_pos=None).last_hidden_state
    return network.layernorm(tokens[:, 1:].mean(dim=1))


def _mae(network: Any, pixels: Any) -> torch.Tensor:
    encoder = getattr(network, "vit", network)
    plain = hf.ViTModel(hf.ViTConfig(**VIT, layer_norm_eps=network.config.layer_norm_eps), add_pooling_layer=False).eval()
    plain.load_state_dict(encoder.state_dict())
    return plain(pixel_values=pixels).last_hidden_state[:, 0]


def _hiera_norm(network: Any, pixels: Any) -> torch.Tensor:
    plain = hf.HieraModel(network.config).eval()
    norm = {f"pooler.layernorm.{name}": value for name, value in network.encoder_norm.state_dict().items()}
    plain.load_state_dict({**network.hiera.state_dict(), **norm})
    return plain(pixel_values=pixels).pooler_output


def _cls_mean(network: Any, pixels: Any) -> torch.Tensor:
    tokens = network(pixel_values=pixels).last_hidden_state
    return torch.cat([tokens[:, 0], tokens[:, 1:].mean(dim=1)], dim=1)


CLS, MEAN, ATTENTION, POOLER = "class token after the last norm", "mean of the patches", "attention pool", "pooler_output"
ENCODERS = [
    _encoder("ViT without pooler", lambda: hf.ViTModel(hf.ViTConfig(**VIT), add_pooling_layer=False), CLS, _class_token, "cls"),
    _encoder("ViT with pooler", lambda: hf.ViTModel(hf.ViTConfig(**VIT)), CLS, _class_token, "cls"),
    _encoder(
        "ViT, masked image modelling",
        lambda: hf.ViTForMaskedImageModeling(hf.ViTConfig(**VIT, encoder_stride=8)),
        CLS,
        lambda network, pixels: network.vit(pixel_values=pixels).last_hidden_state[:, 0],
        "cls",
    ),
    _encoder("DeiT encoder", lambda: hf.DeiTModel(hf.DeiTConfig(**VIT)), CLS, _class_token, "cls"),
    _encoder(
        "DINOv2 (RAD-DINO, Phikon-v2)", lambda: hf.Dinov2Model(hf.Dinov2Config(**VIT, mlp_ratio=2)), CLS, _class_token, "cls"
    ),
    _encoder(
        "DINOv2, cls+mean (Midnight)",
        lambda: hf.Dinov2Model(hf.Dinov2Config(**VIT, mlp_ratio=2)),
        "class token and mean",
        _cls_mean,
        "cls+mean",
        pooling="cls+mean",
    ),
    _encoder(
        "DINOv2 with registers",
        lambda: hf.Dinov2WithRegistersModel(hf.Dinov2WithRegistersConfig(**VIT, mlp_ratio=2)),
        CLS,
        _class_token,
        "cls",
    ),
    _encoder("DINOv3 ViT", lambda: hf.DINOv3ViTModel(hf.DINOv3ViTConfig(**VIT)), CLS, _class_token, "cls"),
    _encoder(
        "DINOv3 ConvNeXt",
        lambda: hf.DINOv3ConvNextModel(hf.DINOv3ConvNextConfig(hidden_sizes=[8, 12, 16, 20], depths=[1, 1, 1, 1])),
        POOLER,
        _pooler,
        "mean",
    ),
    _encoder("ConvNeXt encoder", lambda: hf.ConvNextModel(hf.ConvNextConfig(**STAGES)), POOLER, _pooler, "mean"),
    _encoder("ResNet encoder", lambda: hf.ResNetModel(hf.ResNetConfig(embedding_size=8, **STAGES)), POOLER, _pooler, "mean"),
    _encoder("Swin encoder", lambda: hf.SwinModel(hf.SwinConfig(**SWIN)), POOLER, _pooler, "mean"),
    _encoder(
        "Swin, masked image modelling",
        lambda: hf.SwinForMaskedImageModeling(hf.SwinConfig(**SWIN, encoder_stride=8)),
        "mean of the encoder's tokens",
        _simmim,
        "mean",
    ),
    _encoder(
        "BEiT before fine-tuning",
        lambda: hf.BeitForMaskedImageModeling(hf.BeitConfig(**VIT)),
        "mean after the final norm",
        _beit_norm,
        "mean",
    ),
    _encoder("BEiT encoder", lambda: hf.BeitModel(hf.BeitConfig(**VIT)), POOLER, _pooler, "mean"),
    _encoder(
        "Hiera before fine-tuning",
        lambda: hf.HieraForPreTraining(hf.HieraConfig(**HIERA)),
        "mean after the final norm",
        _hiera_norm,
        "mean",
    ),
    _encoder(
        "ViT-MAE before fine-tuning",
        lambda: hf.ViTMAEForPreTraining(hf.ViTMAEConfig(**VIT, **DECODER)),
        "class token without masking",
        _mae,
        "cls",
    ),
    _encoder(
        "ViT-MAE encoder", lambda: hf.ViTMAEModel(hf.ViTMAEConfig(**VIT, **DECODER)), "class token without masking", _mae, "cls"
    ),
    _encoder("ViT-MSN encoder", lambda: hf.ViTMSNModel(hf.ViTMSNConfig(**VIT)), CLS, _class_token, "cls"),
    _encoder(
        "I-JEPA encoder",
        lambda: hf.IJepaModel(hf.IJepaConfig(**VIT)),
        MEAN,
        lambda network, pixels: network(pixel_values=pixels).last_hidden_state.mean(dim=1),
        "mean",
    ),
    _encoder("CLIP, full", lambda: hf.CLIPModel(clip_config()), CLS, _tower_pooler, "cls"),
    _encoder("CLIP, vision", lambda: hf.CLIPVisionModel(clip_config().vision_config), CLS, _pooler, "cls"),
    _encoder(
        "CLIP, vision with projection",
        lambda: hf.CLIPVisionModelWithProjection(clip_config().vision_config),
        CLS,
        _tower_pooler,
        "cls",
    ),
    _encoder(
        "Chinese-CLIP, full",
        lambda: hf.ChineseCLIPModel(hf.ChineseCLIPConfig(vision_config=VIT, text_config=TEXT, projection_dim=8)),
        CLS,
        lambda network, pixels: network.vision_model(pixel_values=pixels).pooler_output,
        "cls",
    ),
    _encoder(
        "AltCLIP, full",
        lambda: hf.AltCLIPModel(hf.AltCLIPConfig(vision_config=VIT, text_config={**TEXT, "project_dim": 8}, projection_dim=8)),
        CLS,
        _tower_pooler,
        "cls",
    ),
    _encoder(
        "MetaCLIP 2, full",
        lambda: hf.MetaClip2Model(hf.MetaClip2Config(vision_config=VIT, text_config=TEXT, projection_dim=8)),
        CLS,
        _tower_pooler,
        "cls",
    ),
    _encoder(
        "BLIP, full",
        lambda: hf.BlipModel(
            hf.BlipConfig(vision_config=VIT, text_config={**TEXT, "encoder_hidden_size": 64}, projection_dim=8)
        ),
        CLS,
        _tower_pooler,
        "cls",
    ),
    _encoder("SigLIP, full (MedSigLIP)", lambda: hf.SiglipModel(_siglip()), ATTENTION, _tower_pooler, "attention"),
    _encoder("SigLIP, vision", lambda: hf.SiglipVisionModel(_siglip().vision_config), ATTENTION, _pooler, "attention"),
    _encoder("AIMv2, vision", lambda: hf.Aimv2VisionModel(hf.Aimv2VisionConfig(**VIT)), ATTENTION, _pooler, "attention"),
]
