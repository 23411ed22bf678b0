"""Weights of a repository that the network does not take, and arguments that only the weights tell."""

import re

import pytest
import timm
import torch
import transformers as hf
from helpers.checkpoint_folders import assert_same, change_json, change_weights, drop, opened, refused
from helpers.format_cases_timm import OPEN_CLIP_CASES
from helpers.formats import TEXT, TIMM_VIT, VIT, clip_config, embedded, features_of, save_hf, save_timm
from safetensors.torch import load_file, save_file
from torch import nn

from hf_transferability.checkpoints.formats.timm_arguments import as_objects
from hf_transferability.checkpoints.unneeded_weights import LEFT_OUT, part_of
from hf_transferability.checkpoints.weights import unwrapped


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


def test_layers_are_known_by_name_with_or_without_their_module():
    for prefix, end in (("", ""), ("torch.nn.", ""), ("<class 'torch.nn.modules.activation.", "'>")):
        objects = as_objects({"act_layer": f"{prefix}SiLU{end}", "mlp_layer": "timm.layers.SwiGLUPacked", "depth": 2})
        assert objects == {"act_layer": nn.SiLU, "mlp_layer": timm.layers.SwiGLUPacked, "depth": 2}


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
    assert "Check num_register_tokens" in refused(tmp_path / "x", "does not take")


# Name of a weight -> the kinds of repository that may leave it out.
IMAGE_ONLY = {"transformers", "timm", "plain"}
EVERY = {*IMAGE_ONLY, "open_clip"}
SIMMIM = {"vit", "deit", "swin", "swinv2", "focalnet"}
SEGMENT_ANYTHING = {"sam", "sam_hq", "sam2", "sam2_video", "edgetam"}
MASKED = {*SIMMIM, "vit_mae", "beit", "data2vec-vision", "dinov2", "dinov2_with_registers", "dinov3_vit", "ijepa"}
MAY_BE_LEFT_OUT = {
    "text_model.embeddings.token_embedding.weight": {"images and texts"},
    "text_projection.weight": {"images and texts", "open_clip"},
    "logit_scale": {"images and texts", "open_clip"}, "transformer.resblocks.0.ln_1.weight": {"open_clip"},
    "text.transformer.resblocks.0.ln_1.weight": {"open_clip"}, "positional_embedding": {"open_clip"},
    "token_embedding.weight": {"open_clip"}, "visual.proj": {"open_clip"},
    "visual.trunk.head.weight": {"open_clip"}, "visual.head.mlp.fc1.weight": {"open_clip"},
    "visual.attnpool.c_proj.bias": {"open_clip"}, "visual_projection.weight": {"images and texts"},
    "classifier.weight": IMAGE_ONLY, "head.weight": IMAGE_ONLY, "fc.bias": IMAGE_ONLY, "head.fc.weight": IMAGE_ONLY,
    "cls_classifier.weight": IMAGE_ONLY, "lm_head.weight": {"beit"}, "dino_head.mlp.0.weight": {"plain"},
    "AuxLogits.fc.weight": {"timm", "plain"}, "aux1.fc2.bias": {"timm", "plain"}, "itm_head.weight": {"blip"},
    "head.bn.running_mean": {"timm", "levit"}, "temperature": {"align"},
    "decode_head.linear_c.0.proj.weight": {"segformer"}, "bbox_predictor.layers.0.bias": {"yolos"},
    "neck.fusion_stage.layers.0.projection.weight": {"dpt"},
    "head.last_layer.weight_g": {"plain"}, "blocks.0.attention_bias_idxs": EVERY,
    "pooler.dense.weight": {"vit", "deit", "dpt", "ijepa"}, "decoder.0.weight": {*SIMMIM, "vit_mae", "clipseg", "hiera"},
    "decoder.layers.0.weight": {"vit_mae", "clipseg", "hiera"}, "multiscale_fusion.0.weight": {"hiera"},
    "prompt_encoder.no_mask_embed.weight": SEGMENT_ANYTHING, "mask_decoder.x.weight": SEGMENT_ANYTHING,
    "decoder_blocks.0.norm1.weight": {"plain"}, "decoder_pos_embed": {"plain"}, "mask_token": {*MASKED, "timm", "plain"},
    "embeddings.mask_token": MASKED, "layers.0.blocks.0.attn.relative_position_index": EVERY, "bn1.num_batches_tracked": EVERY,
}  # fmt: skip
KINDS = set().union(*(entry.kinds for entry in LEFT_OUT))


def test_each_part_may_be_left_out_only_where_it_belongs():
    assert {name: {kind for kind in KINDS if part_of(name, {kind})} for name in MAY_BE_LEFT_OUT} == MAY_BE_LEFT_OUT
    untested = [
        entry
        for entry in LEFT_OUT
        if not any(re.match(entry.pattern, name) and kinds >= entry.kinds for name, kinds in MAY_BE_LEFT_OUT.items())
    ]
    assert not untested


@pytest.mark.parametrize(
    "name",
    [
        "head.mlp.fc1.weight", "vision_model.head.probe", "layers.9.attention.q_proj.weight", "blocks.0.ls1.gamma", "reg_token",
        "norm.weight", "fc_norm.weight", "visual.trunk.norm.weight", "encoder.layer.0.layer_scale1.lambda1", "visual.proj.bias",
        "classifier_norm.weight", "visual.attn_pool_contrast.query", "visual.head.pool.q.weight", "visual.fc.weight",
        "visual.transformer.norm.weight", "visual.decoder.weight", "blocks.0.learned_attn_mask", "decoder", "head.norm.weight",
    ],
)  # fmt: skip
def test_parts_that_no_kind_may_leave_out(name):
    assert part_of(name, KINDS - {"vit_mae", "clipseg", "hiera"}) is None


STRAY = (
    "transformer.x.weight", "text.x.weight", "decoder.layers.0.weight", "positional_embedding", "logit_scale",
    "visual_projection.weight", "mask_decoder.x.weight", "text_model.x.weight", "lm_head.weight",
)  # fmt: skip


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: save_hf(folder, hf.ViTForImageClassification(hf.ViTConfig(**VIT, num_labels=5))),
        lambda folder: save_hf(folder, hf.ResNetModel(hf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1]))),
        lambda folder: save_timm(folder, "vit_tiny_patch16_224", **TIMM_VIT),
    ],
    ids=["ViT", "ResNet", "timm"],
)
def test_a_network_for_images_alone_has_no_text_tower_and_no_decoder(tmp_path, make):
    make(tmp_path / "x")
    change_weights(tmp_path / "x", lambda weights: weights.update({name: torch.ones(3) for name in STRAY}))
    assert f"holds {len(STRAY)} weights" in refused(tmp_path / "x", "does not take")


@pytest.mark.parametrize("case", ["ViT", "timm trunk, linear projection (BiomedCLIP)", "ResNet-50 with attention pool"])
def test_weights_of_an_open_clip_image_tower_are_no_other_part(tmp_path, case):
    pytest.importorskip("open_clip", reason="open_clip is not installed")
    next(known for known in OPEN_CLIP_CASES if known.name == case).make(tmp_path / "x")
    file = tmp_path / "x" / "open_clip_model.safetensors"
    stray = ("transformer.norm.weight", "decoder.x.weight", "fc.weight", "norm.weight", "head.weight", "trunk.text.x")
    save_file({**load_file(file), **{f"visual.{name}": torch.ones(3) for name in stray}}, file)
    text = refused(tmp_path / "x", f"holds {len(stray)} weights that its network does not take")
    assert all(f"visual.{name}" in text for name in stray)
    assert text.endswith("Extract its features with its authors' code and rank them with `hf-transferability score`.")


def test_a_whole_layer_too_many_or_too_few_is_a_matter_of_the_depth(tmp_path):
    save_timm(tmp_path / "x", "vit_tiny_patch16_224", given={**TIMM_VIT}, **{**TIMM_VIT, "depth": 3})
    assert "Check depth (or depths) in config.json, or pass it with --model-args." in refused(tmp_path / "x", "does not take")
    change_weights(tmp_path / "x", drop(r"blocks\.2\.(norm|attn|mlp\.fc2)"))  # alone, these would tell of another MLP
    assert "Check depth" in refused(tmp_path / "x", "does not take")
    change_weights(tmp_path / "x", drop(r"blocks\.2\."))
    change_weights(tmp_path / "x", lambda weights: weights.update({"blocks.1.mlp.norm.weight": torch.ones(3)}))
    assert "Check mlp_layer" in refused(tmp_path / "x", "does not take")
    save_hf(tmp_path / "vit", hf.ViTForImageClassification(hf.ViTConfig(**VIT, num_labels=5)))
    change_json(tmp_path / "vit", num_hidden_layers=3)
    assert "Check num_hidden_layers (or depths) in config.json." in refused(tmp_path / "vit", "lacks 16")


def test_damaged_weights_are_named_and_a_damaged_head_gives_no_probabilities(tmp_path):
    save_hf(tmp_path / "x", hf.DeiTForImageClassificationWithTeacher(hf.DeiTConfig(**VIT, num_labels=5)))
    whole = features_of(opened(tmp_path / "x"))[0]
    change_weights(tmp_path / "x", lambda weights: weights["distillation_classifier.weight"][0].fill_(float("nan")))
    checkpoint = opened(tmp_path / "x")
    assert_same(features_of(checkpoint)[0], whole)
    assert not checkpoint.has_source_head
    assert "NaN or infinite" in checkpoint.flags["no_source_head"]
    name = next(name for name in load_file(tmp_path / "x" / "model.safetensors") if name.endswith("layernorm.weight"))
    change_weights(tmp_path / "x", lambda weights: weights[name].fill_(float("inf")))
    assert name in refused(tmp_path / "x", "holds NaN or infinite values in 1 of its weights")


def test_names_inside_a_tower_are_not_those_of_another_part(tmp_path):
    save_hf(tmp_path / "x", hf.CLIPModel(clip_config()))
    stray = ("vision_model.text_projection.weight", "vision_model.decoder.x", "post_layernorm.weight")
    change_weights(tmp_path / "x", lambda weights: weights.update({name: torch.ones(64) for name in stray}))
    text = refused(tmp_path / "x", "holds 3 weights that its network does not take")
    assert all(name in text for name in stray)


def test_tables_that_old_files_of_clip_hold_do_not_matter(tmp_path):
    network = save_hf(tmp_path / "x", hf.CLIPModel(clip_config()))
    tables = {f"{tower}_model.embeddings.position_ids": torch.arange(17)[None] for tower in ("text", "vision")}
    change_weights(tmp_path / "x", lambda weights: weights.update(tables))
    assert opened(tmp_path / "x").facts["weights_used"] == len(network.vision_model.state_dict())


def test_weights_that_are_stored_twice_are_not_dropped_in_silence(tmp_path):
    save_hf(tmp_path / "x", hf.ViTForImageClassification(hf.ViTConfig(**VIT, num_labels=5)))
    change_weights(tmp_path / "x", lambda weights: weights.update({"vit.layers.0.layernorm_before.weight": torch.ones(64)}))
    refused(tmp_path / "x", "stores some weights twice.*layers.0.layernorm_before.weight.*save_pretrained")
    change_weights(tmp_path / "x", drop(r"^vit\.layers"))
    change_weights(tmp_path / "x", lambda weights: weights.update({"layernorm.weight": torch.ones(64)}))
    refused(tmp_path / "x", r"does not take \(layernorm.weight\)")


def test_own_code_for_a_known_model_type_is_not_replaced_in_silence(tmp_path):
    save_hf(tmp_path / "x", hf.Dinov2Model(hf.Dinov2Config(**VIT, mlp_ratio=2)))
    change_json(tmp_path / "x", auto_map={"AutoModel": "modeling_own.OwnModel"})
    refused(tmp_path / "x", r"needs code from its own repository.*dinov2.*--trust-remote-code")
    change_json(tmp_path / "x", auto_map={"AutoImageProcessor": "processing_own.OwnProcessor"})
    opened(tmp_path / "x")
    change_json(tmp_path / "x", auto_map={"AutoConfig": "own.OwnConfig"})
    (tmp_path / "x" / "own.py").write_text(
        "from transformers import Dinov2Config\nclass OwnConfig(Dinov2Config):\n"
        "    def __post_init__(self, **more):\n        super().__post_init__(**more)\n        self.layer_norm_eps = 0.25\n"
    )
    refused(tmp_path / "x", "needs code from its own repository.*dinov2.*--trust-remote-code")
    assert opened(tmp_path / "x", trust_remote_code=True).network.config.layer_norm_eps == 0.25
    save_timm(tmp_path / "timm", "vit_tiny_patch16_224", **TIMM_VIT)
    change_json(tmp_path / "timm", auto_map={"AutoModel": "own.OwnModel"})
    refused(tmp_path / "timm", "needs code from its own repository")


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


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod."])
def test_names_that_a_training_program_has_wrapped_are_told(tmp_path, wrapper):
    save_timm(tmp_path / "x", "vit_tiny_patch16_224", **TIMM_VIT)

    def wrap(weights):
        for name in list(weights):
            weights[wrapper + name] = weights.pop(name)

    change_weights(tmp_path / "x", wrap)
    assert f"Remove {wrapper} from the names" in refused(tmp_path / "x", "lacks")


def test_a_weight_too_many_may_name_the_argument_for_one_that_is_missing(tmp_path):
    save_timm(tmp_path / "x", "vit_tiny_patch16_224", given={**TIMM_VIT}, **TIMM_VIT, pre_norm=True)
    assert "Check pre_norm" in refused(tmp_path / "x", "lacks")


def test_weights_are_found_under_the_names_of_usual_training_files():
    weights = {"a": torch.ones(1)}
    for name in ("state_dict", "model_state_dict", "model", "net", "teacher"):
        assert set(unwrapped({"epoch": 3, name: weights})) == {"a"}


@pytest.mark.parametrize("task", ["segmentation", "detection", "depth"])
def test_the_heads_of_other_tasks_are_left_out(tmp_path, task):
    sizes = {"num_encoder_blocks": 2, "depths": [1, 1], "sr_ratios": [2, 1], "hidden_sizes": [8, 16], "patch_sizes": [7, 3]}
    sizes |= {"strides": [4, 2], "num_attention_heads": [1, 2], "mlp_ratios": [2, 2], "decoder_hidden_size": 16}
    networks = {
        "segmentation": lambda: hf.SegformerForSemanticSegmentation(hf.SegformerConfig(**sizes, num_labels=3)),
        "detection": lambda: hf.YolosForObjectDetection(
            hf.YolosConfig(**{**VIT, "image_size": [32, 32]}, num_detection_tokens=5, use_mid_position_embeddings=False)
        ),
        "depth": lambda: hf.DPTForDepthEstimation(
            hf.DPTConfig(**VIT, backbone_out_indices=[0, 0, 1, 1], neck_hidden_sizes=[8, 8, 8, 8], fusion_hidden_size=8)
        ),
    }
    network = save_hf(tmp_path / "x", networks[task]())
    checkpoint = opened(tmp_path / "x")
    features, pixels = features_of(checkpoint)
    assert features.shape == (len(pixels), network.config.hidden_sizes[-1] if task == "segmentation" else 64)
    assert checkpoint.facts["weights_used"] < len(load_file(tmp_path / "x" / "model.safetensors"))
