"""Weights of a repository that the network does not take, and arguments that only the weights tell."""

import pytest
import timm
import torch
import transformers as hf
from helpers.checkpoint_folders import assert_same, change_json, change_weights, opened, refused
from helpers.formats import TEXT, TIMM_VIT, VIT, embedded, features_of, save_hf, save_timm
from safetensors.torch import load_file
from torch import nn


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
        "classifier_norm.weight", "visual.attn_pool_contrast.query", "visual.head.pool.q.weight", "visual.proj.bias",
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


def test_weights_of_other_towers_do_not_count_as_used(tmp_path):
    texts = {**TEXT, "project_dim": 8}
    network = save_hf(tmp_path / "x", hf.AltCLIPModel(hf.AltCLIPConfig(vision_config=VIT, text_config=texts, projection_dim=8)))
    facts = opened(tmp_path / "x").facts
    assert facts["weights_used"] == len(network.vision_model.state_dict())
    assert "text tower" in facts["weights_left_out"]


def test_a_weight_that_is_stored_with_and_without_a_prefix_is_one_too_many(tmp_path):
    weights = {f"module.{name}": value for name, value in timm.create_model("test_vit", num_classes=4).state_dict().items()}
    torch.save({**weights, "norm.weight": torch.ones(64)}, tmp_path / "weights.pth")
    refused(tmp_path / "weights.pth", "module.norm.weight", allow_pickle=True, architecture="timm:test_vit")
