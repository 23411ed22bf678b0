"""Repositories of timm and open_clip, adapters and plain weights in miniature: cases as in `format_cases`."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
import torch
import transformers as hf
from torch import nn

from helpers.checkpoint_folders import change_json, perturbed
from helpers.format_cases import CLASSIFIERS, ENCODERS, Case, Reference
from helpers.formats import SIZE, TIMM_VIT, VIT, embedded, save_hf, save_timm
from helpers.open_clip_folders import OPEN_CLIP, save_open_clip

SWIGLU = {"mlp_layer": timm.layers.SwiGLUPacked, "act_layer": nn.SiLU}
OWN = "forward_head(pre_logits=True)"


def _timm(
    name: str,
    pooling: str,
    architecture: str,
    classes: int = 7,
    given: dict | None = None,
    config: dict | None = None,
    **arguments,
) -> Case:
    """timm's own embedding, for a config.json with the `given` arguments."""

    def make(folder: Path) -> Reference:
        network = save_timm(folder, architecture, given, classes, **arguments)
        if config:
            change_json(folder, **config)
        return lambda pixels: embedded(network, pixels)

    return Case("timm", name, OWN, make, pooling, classes > 1)


def _vit(name: str, pooling: str = "cls", architecture: str = "vit_tiny_patch16_224", **more) -> Case:
    return _timm(name, pooling, architecture, **{**TIMM_VIT, **more})


CONVNEXT = {"dims": (8, 12, 16, 20), "depths": (1, 1, 1, 1)}
DENSENET = {"growth_rate": 4, "block_config": (1, 1, 1, 1)}
SWIN = {"img_size": SIZE, "window_size": 4, "embed_dim": 12, "depths": (1, 1), "num_heads": (1, 2)}
GIVEN = dict(TIMM_VIT)
NETWORKS = [
    _timm("ResNet", "mean", "test_resnet", given={}),
    _timm("ConvNeXt", "mean", "convnext_atto", given=CONVNEXT, **CONVNEXT),
    _timm("DenseNet", "mean", "densenet121", given=DENSENET, **DENSENET),
    _timm("EfficientNet", "mean", "test_efficientnet", given={}),
    _timm("RepVGG-like (byobnet)", "mean", "test_byobnet", given={}),
    _timm("NFNet", "mean", "test_nfnet", given={}),
    _timm("MobileNetV3", "mean", "mobilenetv3_small_050", given={}),
    _timm("MambaOut, a layer after pooling", "native", "test_mambaout", given={}),
    _vit("ViT"),
    _vit("ViT, average and fc_norm (RETFound fine-tuned)", "mean", global_pool="avg"),
    _vit("ViT, one output", classes=1),
    _vit("DINOv2 with registers (H-optimus-0)", "cls", "vit_small_patch14_reg4_dinov2"),
    _vit("SigLIP", "attention", "vit_base_patch16_siglip_224", classes=0),
    _vit("BEiT", "mean", "beit_base_patch16_224"),
    _vit("EVA-02", "mean", "eva02_tiny_patch14_224"),
    _vit("CaiT", "cls", "cait_xxs24_224"),
    _timm("Swin", "mean", "swin_tiny_patch4_window7_224", **SWIN),
    _timm("Swin v2", "mean", "swinv2_tiny_window8_256", **SWIN),
    _timm("NaFlexViT", "mean", "naflexvit_base_patch16_gap", embed_dim=24, depth=2, num_heads=3, patch_size=8),
    _timm("Mixer", "mean", "mixer_s16_224", img_size=SIZE),
    _vit("UNI: LayerScale not in the configuration", given=GIVEN, init_values=0.1),
    _vit(
        "UNI2-h: registers, SwiGLU not in the configuration",
        given=GIVEN,
        init_values=0.1,
        reg_tokens=2,
        no_embed_class=True,
        **SWIGLU,
    ),
    _vit("Virchow2: SwiGLU not in the configuration", given=GIVEN, reg_tokens=4, **SWIGLU),
    _vit("no img_size in the configuration", given={name: value for name, value in TIMM_VIT.items() if name != "img_size"}),
    _vit('global_pool ""', given={**GIVEN, "global_pool": ""}),
    _vit("Prov-GigaPath: no classes", classes=0),
]


def _projection(folder: Path) -> Reference:
    network = save_timm(folder, "vit_base_patch16_clip_224", None, 512, **TIMM_VIT)
    change_json(folder, pretrained_cfg={"tag": "openai", "input_size": [3, SIZE, SIZE], "fixed_input_size": True})
    return lambda pixels: embedded(network, pixels)


def _old(folder: Path) -> Reference:
    network = save_timm(folder, "test_resnet", {}, 3)
    old = {"architecture": "test_resnet", "num_classes": 3, "input_size": [3, SIZE, SIZE], "mean": [0.5] * 3, "std": [0.5] * 3}
    (folder / "config.json").write_text(json.dumps(old))
    return lambda pixels: embedded(network, pixels)


def _wrapped(folder: Path) -> Reference:
    """Saved by transformers: model_type timm_wrapper, names with timm_model in front."""
    save_timm(folder, "test_vit", {}, 7)
    network = hf.TimmWrapperForImageClassification.from_pretrained(folder).eval()
    network.save_pretrained(folder)
    hf.AutoImageProcessor.from_pretrained(folder).save_pretrained(folder)
    return lambda pixels: embedded(network.timm_model, pixels)


def _distilled(folder: Path) -> Reference:
    """The class token, as in transformers; timm's own embedding is its average with the distillation token."""
    network = save_timm(folder, "deit_tiny_distilled_patch16_224", None, 7, **TIMM_VIT)
    return lambda pixels: network.forward_features(pixels)[:, 0]


def _grey(folder: Path) -> None:
    save_timm(folder, "test_resnet", {"in_chans": 1}, 3, in_chans=1)


def _unused(folder: Path) -> None:
    network = save_timm(folder, "vit_tiny_patch16_224", GIVEN, 7, **TIMM_VIT)
    from safetensors.torch import save_file

    weights = {**network.state_dict(), "blocks.0.attn.q_norm.weight": torch.ones(8)}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


TIMM_SPECIAL = [
    Case("timm", "CLIP with projection", OWN, _projection, "cls"),
    Case("timm", "configuration of early versions", OWN, _old, "mean", True),
    Case("timm", "saved by transformers (timm_wrapper)", OWN, _wrapped, "cls", True),
    Case("timm", "DeiT, distilled", "class token", _distilled, "cls", True),
    Case("timm", "one input channel", "refused: colour channels", _grey),
    Case("timm", "a weight too many", "refused: does not take", _unused),
]


def _hf_grey(folder: Path) -> None:
    save_hf(folder, hf.ViTForImageClassification(hf.ViTConfig(**VIT, num_channels=1, num_labels=3)))


def _hf_other_size(folder: Path) -> None:
    save_hf(folder, hf.ViTForImageClassification(hf.ViTConfig(**{**VIT, "image_size": 48}, num_labels=3)))


def _no_processor(folder: Path) -> None:
    save_hf(folder, hf.ViTModel(hf.ViTConfig(**VIT)))
    (folder / "preprocessor_config.json").unlink()


HF_REFUSED = [
    Case("transformers", "one input channel", "refused: colour channels", _hf_grey),
    Case("transformers", "processor of another size", "refused: --processor", _hf_other_size),
    Case("transformers", "no processor", "refused: --processor", _no_processor),
]


def _open_clip(
    name: str, pooling: str, vision: dict | None = None, embedding: str = "input of the projection", **model
) -> Case:
    """open_clip's own embedding before its projection, which is set to the identity in its own network."""

    def make(folder: Path) -> Reference | None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg, CustomTextCLIP
        content = {**OPEN_CLIP, "vision_cfg": vision or OPEN_CLIP["vision_cfg"], **model}
        kind = CustomTextCLIP if "timm_model_name" in content["vision_cfg"] else CLIP
        settings = CLIPVisionCfg(**content["vision_cfg"])
        torch.manual_seed(0)
        network = kind(8, settings, CLIPTextCfg(**content["text_cfg"]), quick_gelu=bool(model.get("quick_gelu")))
        network = perturbed(network) if not isinstance(settings.layers, list) else _branches_on(network.eval())
        save_open_clip(folder, network.state_dict(), content)
        if embedding.startswith("refused"):
            return None
        _without_projection(network.visual)
        return lambda pixels: network.encode_image(pixels)

    return Case("open_clip", name, embedding, make, pooling)


def _branches_on(network: nn.Module) -> nn.Module:
    """A deep ResNet whose residual branches count: open_clip starts with zeros at their ends."""
    with torch.no_grad():
        for number, (name, value) in enumerate(network.state_dict().items()):
            if ("visual." in name and ".bn" in name) or "downsample.1" in name:
                if name.endswith(("weight", "running_var")):
                    value.fill_(0.5 + 0.01 * (number % 7))
                elif value.is_floating_point():
                    value.fill_(0.01 * (number % 5))
    return network


def _without_projection(visual: Any) -> None:
    if hasattr(visual, "trunk"):
        visual.head = nn.Identity()
    elif hasattr(visual, "attnpool"):
        visual.attnpool.c_proj = nn.Linear(visual.attnpool.q_proj.in_features, visual.attnpool.q_proj.in_features)
        nn.init.eye_(visual.attnpool.c_proj.weight)
        nn.init.zeros_(visual.attnpool.c_proj.bias)
    else:
        visual.proj = None


OWN_TOWER: dict[str, Any] = dict(OPEN_CLIP["vision_cfg"])
OPEN_CLIP_CASES = [
    _open_clip("ViT", "cls"),
    _open_clip("ViT, quick GELU", "cls", quick_gelu=True),
    _open_clip("ViT without ln_pre", "cls", {**OWN_TOWER, "no_ln_pre": True}),
    _open_clip(
        "timm trunk, linear projection (BiomedCLIP)",
        "cls",
        {"timm_model_name": "test_vit", "timm_pool": "", "timm_proj": "linear", "image_size": 160},
    ),
    _open_clip(
        "timm trunk, MLP projection",
        "cls",
        {"timm_model_name": "test_vit", "timm_pool": "token", "timm_proj": "mlp", "image_size": 160},
    ),
    _open_clip(
        "timm ConvNeXt trunk",
        "mean",
        {"timm_model_name": "test_convnext", "timm_pool": "avg", "timm_proj": "linear", "image_size": 64},
    ),
    _open_clip(
        "ResNet-50 with attention pool",
        "attention",
        {"image_size": 64, "layers": [3, 4, 6, 3], "width": 64, "patch_size": None},
    ),
    _open_clip("CoCa", "", {**OWN_TOWER, "attentional_pool": True, "attn_pooler_heads": 8}, "refused: cannot be built by timm"),
    _open_clip("pool_type avg", "", {**OWN_TOWER, "pool_type": "avg"}, "refused: cannot be built by timm"),
]


def _adapter(base: Callable[[], nn.Module], targets: list[str], kind: str = "lora", **more) -> Callable[[Path], Reference]:
    """An adapter of peft beside its base; the reference is peft's own unmerged network."""

    def make(folder: Path) -> Reference:
        import peft

        network = save_hf(folder.parent / "base", base())
        config: Any = {
            "lora": lambda: peft.LoraConfig(r=4, lora_alpha=8, target_modules=targets, **more),
            "dora": lambda: peft.LoraConfig(r=4, lora_alpha=8, target_modules=targets, use_dora=True, **more),
            "ia3": lambda: peft.IA3Config(target_modules=targets, feedforward_modules=[], **more),
        }[kind]()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            adapted = peft.get_peft_model(network, config).eval()
        with torch.no_grad():
            for name, weight in adapted.named_parameters():
                if "lora_" in name or "ia3_" in name:
                    weight.add_(0.3 * torch.randn_like(weight))
        adapted.peft_config["default"].base_model_name_or_path = str(folder.parent / "base")
        adapted.save_pretrained(folder)
        return lambda pixels: _hidden(adapted, pixels)

    return make


def _hidden(network: Any, pixels: Any) -> torch.Tensor:
    return network(pixel_values=pixels, output_hidden_states=True).last_hidden_state[:, 0]


def _dinov2() -> nn.Module:
    return hf.Dinov2Model(hf.Dinov2Config(**VIT, mlp_ratio=2))


ADAPTERS = [
    Case("adapter", kind, "peft's own network, not merged", _adapter(_dinov2, ["q_proj", "v_proj"], kind), "cls")
    for kind in ("lora", "dora", "ia3")
]


def _plain(
    architecture: str, wrap: Callable = lambda weights: weights, extra: dict | None = None
) -> Callable[[Path], Reference]:
    def make(folder: Path) -> Reference:
        folder.mkdir()
        network = perturbed(timm.create_model(architecture, num_classes=4))
        torch.save(wrap({**network.state_dict(), **(extra or {})}), folder / "weights.pth")
        return lambda pixels: embedded(network, pixels)

    return make


MAE_EXTRA = {"mask_token": torch.zeros(1, 1, 8), "decoder_embed.weight": torch.zeros(8, 8), "decoder_pos_embed": torch.zeros(1)}
READ = {"allow_pickle": True}
PLAIN = [
    Case("plain", "ViT", OWN, _plain("test_vit"), "cls", True, {**READ, "architecture": "timm:test_vit"}, "weights.pth"),
    Case(
        "plain",
        "ResNet, in state_dict behind module.",
        OWN,
        _plain("test_resnet", lambda w: {"state_dict": {f"module.{k}": v for k, v in w.items()}}),
        "mean",
        True,
        {**READ, "architecture": "timm:test_resnet"},
        "weights.pth",
    ),
    Case(
        "plain",
        "masked autoencoder with decoder (RETFound)",
        OWN,
        _plain("test_vit", lambda w: {"model": w}, MAE_EXTRA),
        "cls",
        True,
        {**READ, "architecture": "timm:test_vit"},
        "weights.pth",
    ),
    Case(
        "plain",
        "another network",
        "refused: weights",
        _plain("test_vit"),
        options={**READ, "architecture": "timm:test_vit2"},
        file="weights.pth",
    ),
]


def all_cases() -> list[Case]:
    """Every case of both modules, in the order of the table."""
    timm_cases = [*NETWORKS, *TIMM_SPECIAL]
    return [*CLASSIFIERS, *ENCODERS, *HF_REFUSED, *timm_cases, *OPEN_CLIP_CASES, *ADAPTERS, *PLAIN]
