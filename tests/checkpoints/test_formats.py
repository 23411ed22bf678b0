"""Networks as people have them, in miniature: every layout of a repository."""

import dataclasses
import json
import sys
import warnings
from pathlib import Path

import pytest
import timm
import torch
import transformers as hf
from helpers.checkpoint_folders import assert_same, change_json, change_weights, drop, opened, perturbed, refused
from helpers.formats import DECODER, IMAGES, SIZE, TEXT, TIMM_VIT, VIT, clip_config, embedded, features_of, save_hf, save_timm
from safetensors.torch import load_file, save_file
from torch import nn

from hf_transferability import hub
from hf_transferability.checkpoints.formats.reviewed import reviewed
from hf_transferability.checkpoints.formats.timm_arguments import as_objects
from hf_transferability.checkpoints.loading import load
from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.checkpoints.resolving import resolve


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
    refused(tmp_path / "x", "Check --model-args", model_args=(*arguments, ("nonsense", 1)))
    refused(tmp_path / "x", "names other weights", model_args=(("checkpoint_path", "evil.pth"),))


def test_arguments_of_timm_are_not_ignored_by_another_library(tmp_path):
    save_hf(tmp_path / "x", hf.ViTForImageClassification(hf.ViTConfig(**VIT, num_labels=5)))
    refused(tmp_path / "x", "is a network of transformers, and --model-args are for those of timm", model_args=(("depth", 2),))
    change_weights(tmp_path / "x", drop(r"layers?\.1\."))
    text = refused(tmp_path / "x", "lacks")
    assert "Check num_hidden_layers" in text and "--model-args" not in text


@pytest.mark.parametrize("problem", ["multi_label_classification", "regression"])
def test_heads_that_are_no_softmax_give_no_probabilities(tmp_path, problem):
    save_hf(tmp_path / "x", hf.ViTForImageClassification(hf.ViTConfig(**VIT, num_labels=5, problem_type=problem)))
    checkpoint = opened(tmp_path / "x")
    assert checkpoint.forward(checkpoint.preprocess(IMAGES))[1] is None
    assert problem.replace("_", " ") in checkpoint.flags["no_source_head"]


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


@pytest.mark.parametrize(
    "files, what",
    [
        (["model.keras"], "Keras"),
        (["tf_model.h5", "config.json"], "Keras"),
        (["model.onnx"], "ONNX"),
        (["configs.json", "metadata.json"], "MONAI"),
        (["model_index.json"], "diffusion"),
        (["README.md", "LICENSE"], "no config.json"),
        (["weights.pth"], "no config.json"),
        (["config.json", "model.safetensors"], "names no family"),
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
    refused(
        tmp_path / "text", r"is a network for texts or other tokens \(bert\), which cannot be ranked.*hf-transferability score"
    )
    tokens = {"vocab_size": 17, "n_positions": 64, "n_embd": 16, "n_layer": 1, "n_head": 2, "num_labels": 3}
    save_hf(tmp_path / "tokens", hf.ImageGPTForImageClassification(hf.ImageGPTConfig(**tokens)))
    colours = {"size": {"height": 8, "width": 8}, "clusters": [[0.25 * step - 1] * 3 for step in range(8)]}
    (tmp_path / "tokens" / "preprocessor_config.json").write_text(
        json.dumps({"image_processor_type": "ImageGPTImageProcessor", **colours})
    )
    refused(tmp_path / "tokens", r"tokens \(imagegpt\), which cannot be ranked")
    save_hf(tmp_path / "grey", hf.ViTForImageClassification(hf.ViTConfig(**VIT, num_channels=1, num_labels=3)))
    refused(tmp_path / "grey", "colour channels; choose a version for RGB images")
    save_hf(tmp_path / "size", hf.ViTForImageClassification(hf.ViTConfig(**{**VIT, "image_size": 48}, num_labels=3)))
    refused(tmp_path / "size", "pass --image-size 48, or lend a processor with --processor")
    assert opened(tmp_path / "size", image_size=48).image_size == (48, 48)
    save_timm(tmp_path / "old", "resnet18", n_classes=3)
    (tmp_path / "old" / "config.json").write_text(json.dumps({"architecture": "resnet18", "num_classes": 3}))
    refused(tmp_path / "old", "pass --architecture timm:NAME")
    assert opened(tmp_path / "old", architecture="timm:resnet18").has_source_head


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


# Hub id: architecture in its config.json, arguments there, number of parameters as its authors give it (in millions).
REVIEWED = {
    "mahmoodlab/uni": ("vit_large_patch16_224", {}, 303.4),
    "mahmoodlab/uni2-h": ("vit_giant_patch14_224", {}, 681.4),
    "paige-ai/virchow": ("vit_huge_patch14_224", {"mlp_ratio": 5.3375}, 631.2),
    "paige-ai/virchow2": ("vit_huge_patch14_224", {"mlp_ratio": 5.3375, "init_values": 1e-5, "reg_tokens": 4}, 631.2),
    "bioptimus/h-optimus-0": ("vit_giant_patch14_reg4_dinov2", {"img_size": 224}, 1134.8),
    "bioptimus/h-optimus-1": ("vit_giant_patch14_reg4_dinov2", {"img_size": 224}, 1134.8),
}


@pytest.mark.parametrize("repo_id", REVIEWED)
def test_reviewed_arguments_build_the_network(repo_id):
    architecture, written, millions = REVIEWED[repo_id]
    arguments = reviewed(repo_id.upper()).arguments
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
