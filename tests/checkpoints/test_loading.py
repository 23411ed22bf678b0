"""Weights that do not fit their network, networks without a head, and formats of weights."""

import re
import shutil

import pytest
import torch
import transformers as hf
from helpers.checkpoint_folders import IMAGES, VIT, assert_same, change_json, change_weights, drop, opened, outputs, refused
from helpers.inputs import resnet_config

from hf_transferability.checkpoints.loading import load
from hf_transferability.checkpoints.resolving import resolve


def test_missing_head_keeps_the_features(originals, copy):
    whole = opened(originals["resnet"])
    folder = copy()
    change_weights(folder, drop("^classifier"))
    checkpoint = opened(folder)
    features, logits = outputs(checkpoint)
    assert logits is None
    assert not checkpoint.has_source_head
    assert checkpoint.flags == {"no_source_head": "input of classifier.1"}
    assert_same(features, outputs(whole)[0])
    assert whole.has_source_head


def test_head_of_another_size_keeps_the_features(originals, copy):
    folder = copy()
    change_json(folder, id2label={str(i): str(i) for i in range(9)}, label2id={str(i): i for i in range(9)})
    checkpoint = opened(folder)
    features, logits = outputs(checkpoint)
    assert logits is None
    assert "no_source_head" in checkpoint.flags
    assert_same(features, outputs(opened(originals["resnet"]))[0])


def test_part_of_the_head_missing_is_a_missing_head(copy):
    folder = copy()
    change_weights(folder, drop(r"classifier\.1\.bias"))
    assert outputs(opened(folder))[1] is None


def test_a_head_of_one_output_gives_no_probabilities(make_checkpoint):
    checkpoint = opened(make_checkpoint(resnet_config(n_labels=1)))
    assert outputs(checkpoint)[1] is None
    assert "no_source_head" in checkpoint.flags


def test_missing_weights_elsewhere_are_named(copy):
    folder = copy()
    change_weights(folder, drop(r"stages\.1\.layers\.0\.layer\.0\.convolution\.weight"))
    text = refused(folder, "lacks 1 of the network's weights")
    assert "resnet.encoder.stages.1.layers.0.layer.0.convolution.weight" in text
    assert str(folder) in text


def test_many_missing_weights_are_counted(copy):
    folder = copy()
    change_weights(folder, drop(r"stages\.[12]"))
    assert re.search(r"lacks \d\d of the network's weights \(.*, .* and \d+ more\)", refused(folder, "lacks"))


def test_missing_running_statistics_are_missing_weights(copy):
    folder = copy()
    change_weights(folder, drop(r"embedder.*running_var"))
    assert "running_var" in refused(folder, "lacks 1 of")


def test_missing_batch_counts_do_not_matter(originals, copy):
    folder = copy()
    change_weights(folder, drop("num_batches_tracked"))
    assert_same(outputs(opened(folder))[0], outputs(opened(originals["resnet"]))[0])


def test_mismatched_sizes_are_named(copy):
    folder = copy()

    def change(weights):
        name = "resnet.encoder.stages.0.layers.0.layer.0.convolution.weight"
        weights[name] = torch.zeros(4, 8, 3, 3)

    change_weights(folder, change)
    assert "stages.0.layers.0.layer.0.convolution.weight" in refused(folder, "lacks 1 of the network's weights")


def test_weights_of_another_network_are_refused(originals, copy):
    folder = copy("vit")
    shutil.copy(originals["resnet"] / "model.safetensors", folder)
    refused(folder, r"lacks \d+ of the network's weights .* Check that config.json and the weights belong together")


def test_additional_weights_do_not_matter(originals, copy):
    folder = copy("vit")
    change_weights(folder, lambda weights: weights.update({"decoder.0.bias": torch.zeros(3)}))
    assert_same(outputs(opened(folder))[0], outputs(opened(originals["vit"]))[0])


def test_headless_checkpoint_of_a_classifier_family(originals):
    checkpoint = opened(originals["vit base"])
    assert checkpoint.facts["feature_source"] == "input of classifier"
    assert set(checkpoint.flags) == {"no_source_head", "vit_extension"}


def test_pooler_with_its_weights_is_used(originals):
    for name in ("dinov3", "clip vision"):
        checkpoint = opened(originals[name])
        features, logits = outputs(checkpoint)
        assert logits is None
        with torch.no_grad():
            expected = checkpoint.network(pixel_values=checkpoint.preprocess(IMAGES)).pooler_output
        assert_same(features, expected)
        assert {"pooler_output", "no_source_head"} <= set(checkpoint.flags)


@pytest.mark.parametrize(
    "config, model_class",
    [
        (lambda: hf.DPTConfig(**VIT, backbone_out_indices=[0, 1]), hf.DPTModel),
        (lambda: hf.BeitConfig(**VIT, num_labels=5), hf.BeitModel),
    ],
    ids=["family without classifiers", "family with classifiers"],
)
def test_random_pooler_gives_way_to_the_mean_of_the_hidden_state(make_checkpoint, config, model_class):
    """As in checkpoints of another task: depth estimation, masked image modelling."""
    folder = make_checkpoint(config(), model_class=model_class)
    change_weights(folder, drop(r"pooler\."))
    checkpoint = opened(folder)
    features, logits = outputs(checkpoint)
    with torch.no_grad():
        expected = checkpoint.network(pixel_values=checkpoint.preprocess(IMAGES)).last_hidden_state.mean(dim=1)
    torch.testing.assert_close(features, expected)
    assert logits is None
    assert {"mean_hidden_state", "no_source_head"} <= set(checkpoint.flags)
    assert "pooler_output" not in checkpoint.flags
    assert len(checkpoint.layers) == 2


def test_missing_weights_of_another_pooling_are_named(make_checkpoint):
    folder = make_checkpoint(hf.SiglipVisionConfig(**VIT), model_class=hf.SiglipVisionModel)
    change_weights(folder, drop(r"head\.probe"))
    refused(folder, r"lacks 1 of the network's weights \(.*head\.probe")


def test_bfloat16_checkpoint_is_loaded_in_float32(originals, copy):
    folder = copy()
    weights = change_weights(
        folder, lambda weights: weights.update({k: v.bfloat16() for k, v in weights.items() if v.is_floating_point()})
    )
    change_json(folder, dtype="bfloat16")
    checkpoint = opened(folder)
    assert {parameter.dtype for parameter in checkpoint.network.parameters()} == {torch.float32}
    assert torch.equal(checkpoint.head.weight, weights["classifier.1.weight"].float())
    features, logits = outputs(checkpoint)
    assert features.dtype == logits.dtype == torch.float32


def test_sharded_safetensors(originals, tmp_path):
    network = hf.AutoModelForImageClassification.from_pretrained(originals["resnet"])
    network.save_pretrained(tmp_path, max_shard_size="20KB")
    shutil.copy(originals["resnet"] / "preprocessor_config.json", tmp_path)
    shards = sorted(file.name for file in tmp_path.glob("model-*.safetensors"))
    assert len(shards) > 1
    source = resolve(str(tmp_path))
    assert {*shards, "model.safetensors.index.json"} <= set(source.files)
    assert_same(outputs(load(source))[0], outputs(opened(originals["resnet"]))[0])
    (tmp_path / shards[1]).unlink()
    assert shards[1] in refused(tmp_path, "cannot be loaded")


def test_features_that_change_are_refused(copy):
    folder = copy()
    (folder / "modeling_own.py").write_text(
        "import torch\n"
        "from transformers import ResNetConfig, ResNetForImageClassification\n"
        "class OwnConfig(ResNetConfig):\n    model_type = 'changing'\n"
        "class OwnNetwork(ResNetForImageClassification):\n    config_class = OwnConfig\n"
        "    def forward(self, pixel_values):\n        return super().forward(pixel_values + torch.randn_like(pixel_values))\n"
    )
    code = {"AutoConfig": "modeling_own.OwnConfig", "AutoModelForImageClassification": "modeling_own.OwnNetwork"}
    change_json(folder, model_type="changing", auto_map=code, architectures=["OwnNetwork"])
    refused(folder, r"gives other features each time .*random masking.* cannot be ranked", trust_remote_code=True)
