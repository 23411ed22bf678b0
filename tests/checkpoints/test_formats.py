"""Networks as people have them, in miniature: whatever the packaging, the features are those that the authors embed with."""

import dataclasses
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import transformers as hf
from helpers.checkpoint_folders import assert_same, change_json, change_weights, drop, opened, perturbed, refused
from safetensors.torch import load_file, save_file
from timm.models import save_for_hf
from torch import nn

from hf_transferability import hub
from hf_transferability.checkpoints.checkpoint import Checkpoint
from hf_transferability.checkpoints.formats.timm_arguments import as_objects, known_arguments
from hf_transferability.checkpoints.loading import load
from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.checkpoints.resolving import resolve

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


# One set of weights, every packaging


def clip_config() -> hf.CLIPConfig:
    return hf.CLIPConfig(vision_config={**VIT, "hidden_act": "gelu"}, text_config=TEXT, projection_dim=8)


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> tuple[Path, hf.CLIPModel]:
    folder = tmp_path_factory.mktemp("clip") / "full"
    return folder, save_hf(folder, hf.CLIPModel(clip_config()))


def test_full_clip_gives_the_class_token_after_its_norm(clip):
    folder, network = clip
    checkpoint = opened(folder)
    features, pixels = features_of(checkpoint)
    with torch.no_grad():
        assert_same(features, network.vision_model(pixel_values=pixels).pooler_output)
    assert checkpoint.facts["pooling"] == "cls"
    assert "text tower" in checkpoint.facts["weights_left_out"]
    assert not checkpoint.has_source_head


def test_clip_gives_one_set_of_features_in_every_packaging(clip, tmp_path):
    folder, network = clip
    expected, pixels = features_of(opened(folder))
    vision = hf.CLIPVisionModel(network.config.vision_config)
    vision.load_state_dict(network.vision_model.state_dict())
    vision.save_pretrained(tmp_path / "vision")
    hf.ViTImageProcessor(size={"height": SIZE, "width": SIZE}).save_pretrained(tmp_path / "vision")
    visual = open_clip_names(network)
    save_open_clip(tmp_path / "open_clip", visual)
    for packaging in ("vision", "open_clip"):
        checkpoint = opened(tmp_path / packaging)
        with torch.no_grad():
            assert_same(checkpoint.forward(pixels)[0], expected)
        assert checkpoint.facts["pooling"] == "cls"
    twin = timm.create_model(
        "vit_base_patch16_clip_224", num_classes=512, img_size=SIZE, patch_size=8, embed_dim=64, depth=2, num_heads=1
    ).eval()
    from timm.models.vision_transformer import checkpoint_filter_fn

    twin.load_state_dict(checkpoint_filter_fn({**visual, "visual.proj": torch.randn(64, 512)}, twin))
    arguments = {"img_size": SIZE, "patch_size": 8, "embed_dim": 64, "depth": 2, "num_heads": 1}
    save_for_hf(twin, str(tmp_path / "timm"), model_config={"num_classes": 512}, model_args=arguments, safe_serialization=True)
    change_json(tmp_path / "timm", pretrained_cfg={"tag": "openai", "input_size": [3, SIZE, SIZE], "fixed_input_size": True})
    checkpoint = opened(tmp_path / "timm")
    with torch.no_grad():
        assert_same(checkpoint.forward(pixels)[0], expected)
    assert not checkpoint.has_source_head
    assert "projection" in checkpoint.flags["no_source_head"]


def open_clip_names(network: hf.CLIPModel) -> dict[str, torch.Tensor]:
    """The vision tower's weights under the names of open_clip."""
    names = {
        "embeddings.class_embedding": "class_embedding",
        "embeddings.position_embedding.weight": "positional_embedding",
        "embeddings.patch_embedding.weight": "conv1.weight",
        "pre_layrnorm": "ln_pre",
        "post_layernorm": "ln_post",
        "encoder.layers": "transformer.resblocks",
        "layer_norm1": "ln_1",
        "layer_norm2": "ln_2",
        "mlp.fc1": "mlp.c_fc",
        "mlp.fc2": "mlp.c_proj",
        "self_attn": "attn",
    }
    weights = dict(network.vision_model.state_dict())
    visual = {}
    for name, value in weights.items():
        if "position_ids" in name or any(f"{part}_proj" in name for part in "qkv"):
            continue
        for theirs, ours in names.items():
            name = name.replace(theirs, ours)
        visual[f"visual.{name}"] = value
    for layer in range(VIT["num_hidden_layers"]):
        for kind in ("weight", "bias"):
            parts = [weights[f"encoder.layers.{layer}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
            visual[f"visual.transformer.resblocks.{layer}.attn.in_proj_{kind}"] = torch.cat(parts)
    return visual


OPEN_CLIP = {
    "embed_dim": 8,
    "vision_cfg": {"image_size": SIZE, "layers": 2, "width": 64, "patch_size": 8},
    "text_cfg": {"context_length": 8, "vocab_size": 50, "width": 16, "heads": 2, "layers": 1},
}


def save_open_clip(folder: Path, weights: dict[str, torch.Tensor], model=None, file="open_clip_model.safetensors") -> None:
    folder.mkdir()
    save_file({name: value.clone().contiguous() for name, value in weights.items()}, folder / file)
    preprocess = {"mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28], "interpolation": "bicubic", "resize_mode": "shortest"}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": model or OPEN_CLIP, "preprocess_cfg": preprocess}))


@pytest.mark.parametrize("pool", ["tok", "quick", "trunk", "trunk without projection"])
def test_open_clip_equals_the_library(tmp_path, pool):
    pytest.importorskip("open_clip", reason="open_clip_torch is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg, CustomTextCLIP
    from open_clip.transform import image_transform

    model = json.loads(json.dumps(OPEN_CLIP))
    if pool == "quick":
        model["quick_gelu"] = True
    if pool.startswith("trunk"):
        projection = "linear" if pool == "trunk" else ""
        model["vision_cfg"] = {"timm_model_name": "test_vit", "timm_pool": "", "timm_proj": projection, "image_size": 160}
        if not projection:
            model["vision_cfg"]["timm_pool"] = "token"
    vision, text = CLIPVisionCfg(**model["vision_cfg"]), CLIPTextCfg(**model["text_cfg"])
    kind = CustomTextCLIP if pool.startswith("trunk") else CLIP
    network = perturbed(kind(8, vision, text, quick_gelu=model.get("quick_gelu", False)))
    save_open_clip(tmp_path / "x", network.state_dict(), model)
    checkpoint = opened(tmp_path / "x")
    image = np.random.default_rng(1).integers(0, 256, (170, 201, 3), dtype=np.uint8)
    pixels = checkpoint.preprocess([image])
    from PIL import Image

    transform = image_transform(
        model["vision_cfg"]["image_size"],
        is_train=False,
        mean=(0.48, 0.46, 0.41),
        std=(0.27, 0.26, 0.28),
        interpolation="bicubic",
    )
    torch.testing.assert_close(pixels[0], transform(Image.fromarray(image)), rtol=0, atol=1e-4)
    with torch.no_grad():
        features = checkpoint.forward(pixels)[0]
        encoded = network.encode_image(pixels)
        if pool == "trunk":
            expected = network.visual.head(features)
        elif pool == "trunk without projection":
            expected = network.visual.trunk.head(features)
        else:
            expected = features @ network.visual.proj
    assert_same(expected, encoded)
    assert checkpoint.facts["pooling"] == "cls"
    assert not checkpoint.has_source_head
    assert len(checkpoint.layers) == 2


def test_open_clip_pickle_needs_the_option(clip, tmp_path):
    save_open_clip(tmp_path / "x", open_clip_names(clip[1]))
    weights = load_file(tmp_path / "x" / "open_clip_model.safetensors")
    (tmp_path / "x" / "open_clip_model.safetensors").unlink()
    torch.save(weights, tmp_path / "x" / "open_clip_pytorch_model.bin")
    refused(tmp_path / "x", r"only pickle weights \(open_clip_pytorch_model.bin\)")
    assert "pickle_weights" in opened(tmp_path / "x", allow_pickle=True).flags


@pytest.mark.parametrize("change", [{"layers": [1, 1, 1, 1]}, {"attentional_pool": True}, {"pool_type": "avg"}])
def test_open_clip_towers_that_timm_cannot_build_are_refused(clip, tmp_path, change):
    save_open_clip(tmp_path / "x", open_clip_names(clip[1]), {**OPEN_CLIP, "vision_cfg": {**OPEN_CLIP["vision_cfg"], **change}})
    refused(tmp_path / "x", "cannot be built by timm")


def test_siglip_gives_its_attention_pool_in_every_packaging(tmp_path):
    config = hf.SiglipConfig(vision_config=VIT, text_config=TEXT)
    network = save_hf(tmp_path / "full", hf.SiglipModel(config))
    vision = hf.SiglipVisionModel(config.vision_config)
    vision.load_state_dict(network.vision_model.state_dict())
    save = tmp_path / "vision"
    vision.save_pretrained(save)
    hf.ViTImageProcessor(size={"height": SIZE, "width": SIZE}).save_pretrained(save)
    full, tower = opened(tmp_path / "full"), opened(save)
    features, pixels = features_of(full)
    with torch.no_grad():
        assert_same(features, network.vision_model(pixel_values=pixels).pooler_output)
        assert_same(tower.forward(pixels)[0], features)
    assert full.facts["pooling"] == tower.facts["pooling"] == "attention"


def test_timm_siglip_gives_its_attention_pool(tmp_path):
    network = save_timm(tmp_path / "x", "vit_base_patch16_siglip_224", n_classes=0, **TIMM_VIT)
    checkpoint = opened(tmp_path / "x")
    features, pixels = features_of(checkpoint)
    assert_same(features, embedded(network, pixels))
    assert checkpoint.facts["pooling"] == "attention"


# Poolings


@pytest.mark.parametrize(
    "make, pooling",
    [
        (lambda: hf.Dinov2Model(hf.Dinov2Config(**VIT, mlp_ratio=2)), "cls"),
        (lambda: hf.Dinov2ForImageClassification(hf.Dinov2Config(**VIT, mlp_ratio=2, num_labels=5)), "cls+mean"),
        (lambda: hf.ViTForImageClassification(hf.ViTConfig(**VIT, num_labels=5)), "cls"),
        (lambda: hf.BeitForImageClassification(hf.BeitConfig(**VIT, num_labels=5)), "mean"),
        (lambda: hf.CLIPForImageClassification(clip_config()), "mean"),
        (lambda: hf.ConvNextForImageClassification(hf.ConvNextConfig(hidden_sizes=[8] * 4, depths=[1] * 4)), "mean"),
        (lambda: hf.IJepaModel(hf.IJepaConfig(**VIT)), "mean"),
    ],
    ids=["dinov2 encoder", "dinov2 classifier", "vit", "beit", "clip classifier", "convnext", "ijepa"],
)
def test_the_pooling_is_named(tmp_path, make, pooling):
    save_hf(tmp_path / "x", make())
    assert opened(tmp_path / "x").facts["pooling"] == pooling


def test_dinov2_encoder_gives_the_class_token_and_another_pooling_on_request(tmp_path):
    network = save_hf(tmp_path / "x", hf.Dinov2Model(hf.Dinov2Config(**VIT, mlp_ratio=2)))
    features, pixels = features_of(opened(tmp_path / "x"))
    with torch.no_grad():
        tokens = network(pixel_values=pixels).last_hidden_state
    cls, mean = tokens[:, 0], tokens[:, 1:].mean(dim=1)
    assert_same(features, cls)
    for pooling, expected in (("cls", cls), ("mean", mean), ("cls+mean", torch.cat([cls, mean], dim=1))):
        checkpoint = opened(tmp_path / "x", pooling=pooling)
        assert_same(features_of(checkpoint)[0], expected)
        assert checkpoint.facts["pooling"] == pooling
        assert not {"mean_hidden_state", "pooler_output"} & set(checkpoint.flags)


def test_pooling_of_a_classifier_leaves_its_head_out(tmp_path):
    network = save_hf(tmp_path / "x", hf.ViTForImageClassification(hf.ViTConfig(**VIT, num_labels=5)))
    checkpoint = opened(tmp_path / "x", pooling="mean")
    features, pixels = features_of(checkpoint)
    with torch.no_grad():
        assert_same(features, network.vit(pixel_values=pixels).last_hidden_state[:, 1:].mean(dim=1))
    assert not checkpoint.has_source_head
    assert checkpoint.facts["weights_left_out"] == "head: 2"


def test_pooling_of_timm_tokens_leaves_out_class_and_register_tokens(tmp_path):
    network = save_timm(tmp_path / "x", "vit_tiny_patch16_224", **TIMM_VIT, reg_tokens=3)
    checkpoint = opened(tmp_path / "x", pooling="cls+mean")
    features, pixels = features_of(checkpoint)
    with torch.no_grad():
        tokens = network.forward_features(pixels)
    assert_same(features, torch.cat([tokens[:, 0], tokens[:, 4:].mean(dim=1)], dim=1))


def test_a_pooling_that_the_network_does_not_have_is_refused(tmp_path, make_checkpoint):
    refused(make_checkpoint(), "no class token", pooling="cls")


def test_the_cache_tells_options_apart(tmp_path, make_checkpoint):
    folder = str(make_checkpoint())
    keys = {
        resolve(folder, options).key
        for options in (
            LoadOptions(),
            LoadOptions(pooling="mean"),
            LoadOptions(model_args=(("depth", 2),)),
            LoadOptions(processor=folder),
        )
    }
    assert len(keys) == 4


# Weights that the network does not take


def test_layer_scale_without_its_argument_is_found_from_the_weights(tmp_path):
    network = save_timm(tmp_path / "x", "vit_tiny_patch16_224", given={**TIMM_VIT}, **TIMM_VIT, init_values=0.1)
    checkpoint = opened(tmp_path / "x")
    features, pixels = features_of(checkpoint)
    assert_same(features, embedded(network, pixels))
    assert "init_values" in checkpoint.facts["model_args"]
    assert checkpoint.facts["weights_used"] == len(load_file(tmp_path / "x" / "model.safetensors"))


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("vit_tiny_patch16_224", {"reg_tokens": 4}),
        ("vit_tiny_patch16_224", {"reg_tokens": 4, "no_embed_class": True}),
        ("vit_tiny_patch16_224", {"mlp_layer": timm.layers.SwiGLUPacked, "act_layer": nn.SiLU, "mlp_ratio": 16 / 3}),
        (
            "vit_tiny_patch16_224",
            {"init_values": 0.1, "reg_tokens": 2, "mlp_layer": timm.layers.SwiGLUPacked, "act_layer": nn.SiLU},
        ),
    ],
    ids=["register tokens", "positions of patches only", "SwiGLU", "all of them"],
)
def test_arguments_that_stand_only_in_the_authors_code(tmp_path, name, arguments):
    network = save_timm(
        tmp_path / "x", name, given={n: v for n, v in TIMM_VIT.items() if n != "img_size"}, **TIMM_VIT, **arguments
    )
    features, pixels = features_of(opened(tmp_path / "x"))
    assert_same(features, embedded(network, pixels))


def test_unused_weights_of_the_network_are_named_with_their_argument(tmp_path):
    save_timm(tmp_path / "x", "vit_tiny_patch16_224", **TIMM_VIT)
    change_weights(tmp_path / "x", lambda weights: weights.update({"blocks.0.attn.q_norm.weight": torch.ones(8)}))
    text = refused(tmp_path / "x", "does not take")
    assert "blocks.0.attn.q_norm.weight" in text
    assert "qk_norm" in text
    assert "--model-args" in text


@pytest.mark.parametrize("prefix", ["", "dinov2."])
@pytest.mark.parametrize("head", [True, False])
def test_register_tokens_do_not_slip_through(tmp_path, prefix, head):
    config = hf.Dinov2Config(**VIT, mlp_ratio=2, num_labels=5)
    save_hf(tmp_path / "x", hf.Dinov2ForImageClassification(config) if head else hf.Dinov2Model(config))
    change_weights(
        tmp_path / "x", lambda weights: weights.update({f"{prefix}embeddings.register_tokens": torch.ones(1, 4, 64)})
    )
    assert "register" in refused(tmp_path / "x", "does not take")


@pytest.mark.parametrize(
    "name",
    [
        "text_model.embeddings.token_embedding.weight", "logit_scale", "text_projection.weight", "decoder.layers.0.weight",
        "decoder_blocks.0.norm1.weight", "lm_head.weight", "pooler.dense.weight", "mask_token", "head.weight", "fc.bias",
        "cls_classifier.weight", "layers.0.blocks.0.attn.relative_position_index", "prompt_encoder.no_mask_embed.weight",
    ],
)  # fmt: skip
def test_parts_that_may_be_left_out(tmp_path, name):
    network = save_hf(tmp_path / "x", hf.Dinov2Model(hf.Dinov2Config(**VIT, mlp_ratio=2)))
    change_weights(tmp_path / "x", lambda weights: weights.update({name: torch.ones(3)}))
    checkpoint = opened(tmp_path / "x")
    assert checkpoint.facts["weights_left_out"].endswith(": 1")
    assert checkpoint.facts["weights_used"] == len(network.state_dict())


@pytest.mark.parametrize(
    "name",
    [
        "head.mlp.fc1.weight", "vision_model.head.probe", "layers.9.attention.q_proj.weight", "blocks.0.ls1.gamma", "reg_token",
        "norm.weight", "fc_norm.weight", "visual.trunk.norm.weight", "encoder.layer.0.layer_scale1.lambda1",
        "classifier_norm.weight",
    ],
)  # fmt: skip
def test_parts_that_may_not_be_left_out(tmp_path, name):
    save_hf(tmp_path / "x", hf.Dinov2Model(hf.Dinov2Config(**VIT, mlp_ratio=2)))
    change_weights(tmp_path / "x", lambda weights: weights.update({name: torch.ones(3)}))
    refused(tmp_path / "x", "lacks|does not take")


def test_own_code_for_a_known_model_type_is_not_replaced_in_silence(tmp_path):
    save_hf(tmp_path / "x", hf.Dinov2Model(hf.Dinov2Config(**VIT, mlp_ratio=2)))
    change_json(tmp_path / "x", auto_map={"AutoModel": "modeling_own.OwnModel"})
    refused(tmp_path / "x", r"needs code from its own repository.*dinov2.*--trust-remote-code")
    change_json(tmp_path / "x", auto_map={"AutoImageProcessor": "processing_own.OwnProcessor"})
    change_json(tmp_path / "x", "config.json")


# Masked autoencoders, patches of any shape, segmentation


def test_masked_autoencoder_is_its_encoder_without_masking(tmp_path):
    network = save_hf(tmp_path / "x", hf.ViTMAEForPreTraining(hf.ViTMAEConfig(**VIT, **DECODER)))
    checkpoint = opened(tmp_path / "x")
    features, pixels = features_of(checkpoint)
    plain = hf.ViTModel(hf.ViTConfig(**VIT, layer_norm_eps=network.config.layer_norm_eps), add_pooling_layer=False).eval()
    plain.load_state_dict(network.vit.state_dict())
    with torch.no_grad():
        assert_same(features, plain(pixel_values=pixels).last_hidden_state[:, 0])
    assert checkpoint.facts["pooling"] == "cls"
    assert "decoder" in checkpoint.facts["weights_left_out"]
    assert len(checkpoint.layers) == 2
    encoder = save_hf(tmp_path / "encoder", hf.ViTMAEModel(hf.ViTMAEConfig(**VIT, **DECODER)))
    assert features_of(opened(tmp_path / "encoder"))[0].shape == (3, encoder.config.hidden_size)


def test_beit_before_fine_tuning_keeps_its_final_norm(tmp_path):
    network = save_hf(tmp_path / "x", hf.BeitForMaskedImageModeling(hf.BeitConfig(**VIT)))
    features, pixels = features_of(opened(tmp_path / "x"))
    with torch.no_grad():
        tokens = network.beit(pixel_values=pixels, bool_masked_pos=None).last_hidden_state
        assert_same(features, network.layernorm(tokens[:, 1:].mean(dim=1)))


HIERA = {
    "embed_dim": 8, "image_size": [SIZE, SIZE], "patch_kernel": [7, 7], "patch_stride": [4, 4], "patch_padding": [3, 3],
    "depths": [1, 1], "num_heads": [1, 2], "num_query_pool": 1, "masked_unit_size": [4, 4], "query_stride": [2, 2],
    "decoder_hidden_size": 8, "decoder_depth": 1, "decoder_num_heads": 1, "mlp_ratio": 2.0, "embed_dim_multiplier": 2.0,
}  # fmt: skip


def test_hiera_before_fine_tuning_keeps_its_final_norm(tmp_path):
    network = save_hf(tmp_path / "x", hf.HieraForPreTraining(hf.HieraConfig(**HIERA)))
    checkpoint = opened(tmp_path / "x")
    assert checkpoint.facts["pooling"] == "mean"
    features, pixels = features_of(checkpoint)
    plain = hf.HieraModel(network.config).eval()
    plain.load_state_dict(
        {**network.hiera.state_dict(), **{f"pooler.layernorm.{k}": v for k, v in network.encoder_norm.state_dict().items()}}
    )
    with torch.no_grad():
        assert_same(features, plain(pixel_values=pixels).pooler_output)


def naflex(folder: Path, full: bool):
    vision = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 32}
    vision |= {"num_patches": 16, "patch_size": 8}
    folder.mkdir()
    if full:
        network = perturbed(hf.Siglip2Model(hf.Siglip2Config(vision_config=vision, text_config=TEXT)))
    else:
        network = perturbed(hf.Siglip2VisionModel(hf.Siglip2VisionConfig(**vision)))
    network.save_pretrained(folder)
    hf.Siglip2ImageProcessor(patch_size=8, max_num_patches=16).save_pretrained(folder)
    return network.vision_model if full else network


@pytest.mark.parametrize("full", [True, False], ids=["full", "vision"])
def test_siglip2_naflex_takes_its_processors_whole_output(tmp_path, full):
    network = naflex(tmp_path / "x", full)
    checkpoint = opened(tmp_path / "x")
    features, pixels = features_of(checkpoint)
    assert set(pixels) == {"pixel_values", "pixel_attention_mask", "spatial_shapes"}
    assert pixels.nbytes == sum(value.nbytes for value in pixels.values())
    with torch.no_grad():
        assert_same(features, network(**pixels).pooler_output)
    assert checkpoint.facts["pooling"] == "attention"
    assert [layer.name.rpartition(".")[0].split(".")[-1] for layer in checkpoint.layers] == ["patch_embedding", "q_proj"]


def test_timm_naflexvit(tmp_path):
    arguments = {"embed_dim": 24, "depth": 2, "num_heads": 3, "patch_size": 8}
    network = save_timm(tmp_path / "x", "naflexvit_base_patch16_gap", **arguments)
    checkpoint = opened(tmp_path / "x")
    features, pixels = features_of(checkpoint)
    assert_same(features, embedded(network, pixels))
    assert len(checkpoint.layers) == 2


def test_sam_gives_its_vision_encoder(tmp_path):
    vision = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 32, "image_size": SIZE}
    vision |= {
        "patch_size": 8,
        "output_channels": 12,
        "num_pos_feats": 6,
        "mlp_dim": 32,
        "window_size": 2,
        "global_attn_indexes": [1],
    }
    prompt = {"hidden_size": 12, "image_size": SIZE, "patch_size": 8, "mask_input_channels": 4}
    mask = {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 1, "mlp_dim": 16, "iou_head_hidden_dim": 8}
    network = save_hf(
        tmp_path / "x", hf.SamModel(hf.SamConfig(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=mask))
    )
    checkpoint = opened(tmp_path / "x")
    features, pixels = features_of(checkpoint)
    with torch.no_grad():
        maps = network.vision_encoder(pixel_values=pixels).last_hidden_state
    assert_same(features, maps.mean(dim=(2, 3)))
    assert checkpoint.facts["pooling"] == "mean"
    assert "decoder" in checkpoint.facts["weights_left_out"]


# timm configurations


def test_timm_without_pooling_takes_that_of_its_family(tmp_path):
    network = save_timm(tmp_path / "x", "vit_tiny_patch16_224", **TIMM_VIT, n_classes=0)
    change_json(tmp_path / "x", model_args={**TIMM_VIT, "global_pool": ""})
    checkpoint = opened(tmp_path / "x")
    features, pixels = features_of(checkpoint)
    with torch.no_grad():
        assert_same(features, network(pixels))
    assert checkpoint.facts["pooling"] == "cls"


def test_timm_configuration_of_early_versions(tmp_path):
    network = save_timm(tmp_path / "x", "resnet18", n_classes=3)
    old = {"architecture": "resnet18", "num_classes": 3, "input_size": [3, SIZE, SIZE], "mean": [0.5] * 3, "std": [0.5] * 3}
    (tmp_path / "x" / "config.json").write_text(json.dumps(old))
    features, pixels = features_of(opened(tmp_path / "x"))
    assert_same(features, embedded(network, pixels))


def test_given_arguments_build_the_network(tmp_path):
    network = save_timm(tmp_path / "x", "vit_tiny_patch16_224", given={"img_size": SIZE, "patch_size": 8}, **TIMM_VIT)
    refused(tmp_path / "x", "lacks|does not take")
    arguments = (("depth", 2), ("embed_dim", 24), ("num_heads", 3))
    checkpoint = opened(tmp_path / "x", model_args=arguments)
    features, pixels = features_of(checkpoint)
    assert_same(features, embedded(network, pixels))
    assert "depth=2" in checkpoint.facts["model_args"]
    refused(tmp_path / "x", "names other weights", model_args=(("checkpoint_path", "evil.pth"),))


# Heads that give no probabilities


@pytest.mark.parametrize("problem", ["multi_label_classification", "regression"])
def test_heads_that_are_no_softmax_give_no_probabilities(tmp_path, problem):
    save_hf(tmp_path / "x", hf.ViTForImageClassification(hf.ViTConfig(**VIT, num_labels=5, problem_type=problem)))
    checkpoint = opened(tmp_path / "x")
    assert checkpoint.forward(checkpoint.preprocess(IMAGES))[1] is None
    assert problem.replace("_", " ") in checkpoint.flags["no_source_head"]


# Processors


def test_a_lent_processor(tmp_path):
    save_hf(tmp_path / "x", hf.ViTForImageClassification(hf.ViTConfig(**VIT, num_labels=5)))
    (tmp_path / "x" / "preprocessor_config.json").unlink()
    refused(tmp_path / "x", r"no usable image processor .*--processor")
    save_timm(tmp_path / "lender", "vit_tiny_patch16_224", **TIMM_VIT)
    checkpoint = opened(tmp_path / "x", processor=str(tmp_path / "lender"))
    assert type(checkpoint.processor).__name__ == "TimmWrapperImageProcessor"
    assert checkpoint.facts["lent_processor"].startswith(str(tmp_path / "lender"))
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "x", "no image processor to lend", processor=str(tmp_path / "empty"))


# Plain weights


@pytest.mark.parametrize(
    "wrap", [lambda w: w, lambda w: {"model": {f"module.encoder.{k}": v for k, v in w.items()}, "epoch": 3}]
)
def test_plain_weights_of_a_named_architecture(tmp_path, wrap):
    network = perturbed(timm.create_model("test_vit", num_classes=4))
    torch.save(wrap(network.state_dict()), tmp_path / "weights.pth")
    file = tmp_path / "weights.pth"
    options = {"allow_pickle": True, "architecture": "timm:test_vit"}
    refused(file, "only pickle weights", architecture="timm:test_vit")
    refused(file, "--architecture", allow_pickle=True)
    checkpoint = opened(file, **options)
    features, pixels = features_of(checkpoint)
    assert_same(features, embedded(network, pixels))
    assert checkpoint.has_source_head
    assert "pickle_weights" in checkpoint.flags
    refused(tmp_path, "Pass --architecture timm:NAME")
    assert load(resolve(str(tmp_path), LoadOptions(**options))).facts["n_features"] == features.shape[1]
    refused(file, "lacks|does not take", allow_pickle=True, architecture="timm:test_vit2")
    refused(file, "must be a network of timm", allow_pickle=True, architecture="timm:no_such_net")


# What cannot be ranked


@pytest.mark.parametrize(
    "files, what",
    [
        (["model.keras"], "Keras"),
        (["tf_model.h5", "config.json"], "Keras"),
        (["model.onnx"], "ONNX"),
        (["configs.json", "metadata.json"], "MONAI"),
        (["model_index.json"], "diffusion"),
    ],
)
def test_what_cannot_be_ranked_is_named(tmp_path, files, what):
    for file in files:
        (tmp_path / file).write_text("{}")
    assert "hf-transferability score" in refused(tmp_path, what)


def test_a_network_for_texts_or_grey_images_is_refused(tmp_path):
    save_hf(
        tmp_path / "text",
        hf.BertModel(hf.BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)),
    )
    refused(tmp_path / "text", "cannot be ranked|cannot be loaded")
    save_hf(tmp_path / "grey", hf.ViTForImageClassification(hf.ViTConfig(**VIT, num_channels=1, num_labels=3)))
    refused(tmp_path / "grey", "colour channels")
    save_hf(tmp_path / "size", hf.ViTForImageClassification(hf.ViTConfig(**{**VIT, "image_size": 48}, num_labels=3)))
    refused(tmp_path / "size", "--processor")


# Adapters


def test_a_lora_adapter_is_merged_into_its_network(tmp_path):
    peft = pytest.importorskip("peft", reason="peft is not installed")
    save_hf(tmp_path / "base", hf.ViTForImageClassification(hf.ViTConfig(**VIT, num_labels=5)))
    network = hf.ViTForImageClassification.from_pretrained(tmp_path / "base", num_labels=3, ignore_mismatched_sizes=True)
    lora = peft.LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], modules_to_save=["classifier"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        adapted = peft.get_peft_model(network, lora)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_" in name or "modules_to_save" in name:
                weight.add_(torch.randn_like(weight))
    adapted.base_model.model.config._name_or_path = str(tmp_path / "base")
    adapted.peft_config["default"].base_model_name_or_path = str(tmp_path / "base")
    adapted.save_pretrained(tmp_path / "adapter")
    checkpoint = opened(tmp_path / "adapter")
    pixels = checkpoint.preprocess(IMAGES)
    with torch.no_grad():
        features, logits = checkpoint.forward(pixels)
        assert_same(logits, adapted.eval()(pixel_values=pixels).logits)
    plain = opened(tmp_path / "base")
    assert not torch.allclose(features, features_of(plain)[0], rtol=1e-2)
    assert checkpoint.facts["adapter_of"].startswith(str(tmp_path / "base"))
    assert resolve(str(tmp_path / "adapter")).key != resolve(str(tmp_path / "base")).key
    change_weights_of_adapter = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    change_weights_of_adapter["base_model.model.vit.layers.7.attention.q_proj.lora_A.weight"] = torch.zeros(4, 64)
    save_file(change_weights_of_adapter, tmp_path / "adapter" / "adapter_model.safetensors", metadata={"format": "pt"})
    refused(tmp_path / "adapter", "has no place for|does not fit")


def test_an_adapter_without_peft_is_told_how_to_merge(tmp_path, monkeypatch):
    save_hf(tmp_path / "base", hf.ViTForImageClassification(hf.ViTConfig(**VIT, num_labels=5)))
    (tmp_path / "adapter").mkdir()
    content = {"base_model_name_or_path": str(tmp_path / "base"), "peft_type": "LORA", "r": 4, "target_modules": ["q_proj"]}
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps(content))
    save_file({"base_model.model.vit.x.lora_A.weight": torch.zeros(4, 64)}, tmp_path / "adapter" / "adapter_model.safetensors")
    monkeypatch.setitem(sys.modules, "peft", None)
    refused(tmp_path / "adapter", rf"is an adapter for {tmp_path / 'base'}.*adapters")


def test_dropped_parts_of_a_tower_are_missing(tmp_path):
    save_hf(tmp_path / "x", hf.CLIPModel(clip_config()))
    change_weights(tmp_path / "x", drop("post_layernorm"))
    refused(tmp_path / "x", "lacks 2 of the network's weights")


# The reviewed table of arguments


# Hub id: architecture in its config.json, arguments there, number of parameters as its authors give it (in millions).
REVIEWED = {
    "mahmoodlab/uni": ("vit_large_patch16_224", {}, 303.4),
    "mahmoodlab/uni2-h": ("vit_giant_patch14_224", {}, 681.4),
    "paige-ai/virchow": ("vit_huge_patch14_224", {"mlp_ratio": 5.3375}, 631.2),
    "paige-ai/virchow2": ("vit_huge_patch14_224", {"mlp_ratio": 5.3375, "init_values": 1e-5, "reg_tokens": 4}, 631.2),
    "bioptimus/h-optimus-0": ("vit_giant_patch14_reg4_dinov2", {"img_size": 224}, 1134.8),
}


@pytest.mark.parametrize("repo_id", REVIEWED)
def test_reviewed_arguments_build_the_network(repo_id):
    architecture, written, millions = REVIEWED[repo_id]
    arguments, _ = known_arguments(repo_id.upper())
    with torch.device("meta"):
        network = timm.create_model(architecture, num_classes=0, **as_objects({**written, **arguments}))
    assert sum(weight.numel() for weight in network.parameters()) / 1e6 == pytest.approx(millions, rel=1e-3)


def test_a_repository_of_the_table_gets_its_arguments_and_pooling(tmp_path):
    swiglu = {"mlp_layer": timm.layers.SwiGLUPacked, "act_layer": nn.SiLU}
    network = save_timm(tmp_path / "x", "vit_tiny_patch16_224", given={**TIMM_VIT}, **TIMM_VIT, **swiglu, n_classes=0)
    source = resolve(str(tmp_path / "x"))
    checkpoint = load(dataclasses.replace(source, model=hub.Snapshot("paige-ai/Virchow2", "0" * 40, source.files)))
    features, pixels = features_of(checkpoint)
    with torch.no_grad():
        tokens = network.forward_features(pixels)
    assert_same(features, torch.cat([tokens[:, 0], tokens[:, 1:].mean(dim=1)], dim=1))
    assert checkpoint.facts["pooling"] == "cls+mean"
    assert "mlp_layer=SwiGLUPacked" in checkpoint.facts["model_args"]
    assert load(source).facts["pooling"] == "cls"
