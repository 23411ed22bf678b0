"""Whatever the packaging, the features are those that the authors embed with."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import transformers as hf
from helpers.checkpoint_folders import assert_same, change_json, opened, perturbed, refused
from helpers.formats import SIZE, TEXT, TIMM_VIT, VIT, clip_config, embedded, features_of, save_hf, save_timm
from helpers.open_clip_folders import OPEN_CLIP, save_open_clip
from safetensors.torch import load_file, save_file
from timm.models import save_for_hf

from hf_transferability.checkpoints.formats.timm_layout import is_projection
from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.checkpoints.resolving import resolve


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


@pytest.mark.parametrize(
    "change", [{"layers": [1, 1, 1, 1]}, {"attentional_pool": True}, {"pool_type": "avg"}, {"global_average_pool": True}]
)
def test_open_clip_towers_that_timm_cannot_build_are_refused(clip, tmp_path, change):
    save_open_clip(tmp_path / "x", open_clip_names(clip[1]), {**OPEN_CLIP, "vision_cfg": {**OPEN_CLIP["vision_cfg"], **change}})
    refused(tmp_path / "x", "cannot be built by timm")


def timm_siglip_names(network: hf.SiglipModel) -> dict[str, torch.Tensor]:
    """The vision tower's weights under the names of timm."""
    names = {
        "embeddings.position_embedding.weight": "pos_embed",
        "embeddings.patch_embedding": "patch_embed.proj",
        "encoder.layers": "blocks",
        "layer_norm": "norm",
        "self_attn.out_proj": "attn.proj",
        "post_layernorm": "norm",
        "head.probe": "attn_pool.latent",
        "head.attention.out_proj": "attn_pool.proj",
        "head.layernorm": "attn_pool.norm",
        "head.mlp": "attn_pool.mlp",
    }
    weights = network.vision_model.state_dict()
    converted = {}
    for name, value in weights.items():
        if any(part in name for part in ("q_proj", "k_proj", "v_proj", "in_proj", "position_ids")):
            continue
        for theirs, ours in names.items():
            name = name.replace(theirs, ours)
        converted[name] = value[None] if name == "pos_embed" else value
    width = VIT["hidden_size"]
    for kind in ("weight", "bias"):
        for layer in range(VIT["num_hidden_layers"]):
            parts = [weights[f"encoder.layers.{layer}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
            converted[f"blocks.{layer}.attn.qkv.{kind}"] = torch.cat(parts)
        joined = weights[f"head.attention.in_proj_{kind}"]
        converted[f"attn_pool.q.{kind}"], converted[f"attn_pool.kv.{kind}"] = joined[:width], joined[width:]
    return converted


def test_siglip_gives_its_attention_pool_in_every_packaging(tmp_path):
    config = hf.SiglipConfig(vision_config={**VIT, "hidden_act": "gelu"}, text_config=TEXT)
    network = save_hf(tmp_path / "full", hf.SiglipModel(config))
    vision = hf.SiglipVisionModel(config.vision_config)
    vision.load_state_dict(network.vision_model.state_dict())
    vision.save_pretrained(tmp_path / "vision")
    hf.ViTImageProcessor(size={"height": SIZE, "width": SIZE}).save_pretrained(tmp_path / "vision")
    weights = timm_siglip_names(network)
    name, small = "vit_base_patch16_siglip_224", {"patch_size": 8, "embed_dim": 64, "depth": 2, "num_heads": 1}
    save_timm(tmp_path / "timm", name, n_classes=0, img_size=SIZE, **small)
    save_file({key: value.contiguous() for key, value in weights.items()}, tmp_path / "timm" / "model.safetensors")
    tower = {"timm_model_name": name, "timm_pool": "map", "timm_proj": "none", "image_size": SIZE}
    trunk = {f"visual.trunk.{key}": value for key, value in weights.items()}
    save_open_clip(tmp_path / "open_clip", trunk, {**OPEN_CLIP, "vision_cfg": tower})
    full = opened(tmp_path / "full")
    features, pixels = features_of(full)
    with torch.no_grad():
        assert_same(features, network.vision_model(pixel_values=pixels).pooler_output)
    for packaging in ("vision", "timm", "open_clip"):
        options = {"model_args": tuple(sorted(small.items()))} if packaging == "open_clip" else {}
        checkpoint = opened(tmp_path / packaging, **options)
        with torch.no_grad():
            assert_same(checkpoint.forward(pixels)[0], features)
        assert checkpoint.facts["pooling"] == full.facts["pooling"] == "attention"


def test_timm_siglip_gives_its_attention_pool(tmp_path):
    network = save_timm(tmp_path / "x", "vit_base_patch16_siglip_224", n_classes=0, **TIMM_VIT)
    checkpoint = opened(tmp_path / "x")
    features, pixels = features_of(checkpoint)
    assert_same(features, embedded(network, pixels))
    assert checkpoint.facts["pooling"] == "attention"


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


def test_projections_of_every_published_network_of_timm_are_no_classifiers():
    """Outputs that no published set of labels has are projections, but for those of networks trained on sets of their own."""
    labels = {0, 1000, 1001, 10450, 11221, 11821, 12000, 19168, 21841, 21842, 21843, 115217}
    wrong = []
    for name in timm.list_models(pretrained=True):
        architecture, _, tag = name.partition(".")
        found = timm.get_pretrained_cfg(name).to_dict()
        content = {"architecture": architecture, "num_classes": found["num_classes"], "pretrained_cfg": {**found, "tag": tag}}
        if is_projection(architecture, content) == (found["num_classes"] in labels):
            wrong.append((name, found["num_classes"]))
    assert not wrong


def test_a_full_group_vit_is_read_through_its_image_tower(tmp_path):
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}
    vision = {**sizes, "depths": [1, 1, 1], "num_group_tokens": [4, 2, 0], "num_output_groups": [4, 2, 2]}
    config = hf.GroupViTConfig(vision_config=vision, text_config=TEXT, projection_dim=8, projection_intermediate_dim=8)
    network = save_hf(tmp_path / "x", hf.GroupViTModel(config))
    features, pixels = features_of(opened(tmp_path / "x"))
    with torch.no_grad():
        assert_same(features, network.vision_model(pixels).pooler_output)


@pytest.mark.parametrize("name", ["levit_128s", "efficientvit_m0"])
def test_a_norm_that_the_head_begins_with_does_not_change_the_features(tmp_path, name):
    headed = perturbed(timm.create_model(name, num_classes=5)).eval()
    headless = timm.create_model(name, num_classes=0).eval()
    headless.load_state_dict({key: value for key, value in headed.state_dict().items() if key in headless.state_dict()})
    found = []
    for folder, network in (("headed", headed), ("headless", headless)):
        (tmp_path / folder).mkdir()
        save_for_hf(network, str(tmp_path / folder), model_config={"num_classes": network.num_classes}, safe_serialization=True)
        found.append(features_of(opened(tmp_path / folder)))
    assert_same(found[0][0], found[1][0])
    with torch.no_grad():
        assert_same(found[0][0], headed.forward_head(headed.forward_features(found[0][1]), pre_logits=True))
