"""What is known of a checkpoint: its card, its revision, and the signature of its architecture."""

import json
import re

import pytest
import transformers as hf
from helpers.checkpoint_folders import VIT, change_json, change_weights, opened
from helpers.inputs import resnet_config

from hf_transferability.checkpoints.facts import architecture_signature
from hf_transferability.checkpoints.loading import load
from hf_transferability.checkpoints.resolving import resolve


def test_facts_of_a_checkpoint(originals):
    folder = originals["resnet"]
    source = resolve(str(folder))
    checkpoint = load(source)
    assert source.name == checkpoint.name == str(folder)
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", source.revision)
    assert checkpoint.facts["architecture"] == "resnet"
    assert checkpoint.facts["n_features"] == 32
    assert checkpoint.facts["licence"] == "mit"
    assert checkpoint.facts["training_datasets"] == []
    network = hf.AutoModelForImageClassification.from_pretrained(folder)
    head = sum(weight.numel() for weight in network.classifier.parameters())
    assert checkpoint.facts["parameters"] == sum(weight.numel() for weight in network.parameters()) - head > 0
    assert checkpoint.facts["untrained"] is False
    assert checkpoint.facts["preprocessing"].startswith("ViTImageProcessor")
    assert checkpoint.flags == {}
    json.dumps(checkpoint.facts)  # goes to the cache


def test_parameters_do_not_depend_on_the_number_of_source_classes(make_checkpoint):
    counts = [opened(make_checkpoint(resnet_config(n_labels=n))).facts["parameters"] for n in (2, 50)]
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    "card, licence, trained_on",
    [
        ("---\nlicense: cc-by-4.0\ndatasets: [owner/scans]\n---\n# x\n", "cc-by-4.0", ["owner/scans"]),
        ("---\nlibrary_name: timm\n---\n", None, []),
        ("# no front matter\n", None, []),
        ("---\n: [broken yaml\n---\n", None, []),
        ("", None, []),
        (None, None, []),
    ],
)
def test_licence_from_the_card(copy, card, licence, trained_on, capfd):
    folder = copy()
    (folder / "README.md").unlink()
    if card is not None:
        (folder / "README.md").write_text(card)
    facts = opened(folder).facts
    assert (facts["licence"], facts["training_datasets"]) == (licence, trained_on)
    assert capfd.readouterr().out == ""


def test_card_that_is_no_text(copy):
    folder = copy()
    (folder / "README.md").write_bytes(b"\xff\xfe\x00")
    assert opened(folder).facts["licence"] is None


def test_revision_of_a_folder_follows_what_matters(copy):
    folder = copy()
    before = resolve(str(folder))
    assert resolve(str(copy(new="elsewhere"))).key == before.key
    (folder / "README.md").write_text("another text")
    (folder / "training.log").write_text("irrelevant")
    (folder / "optimizer.pt").write_bytes(b"irrelevant")
    assert resolve(str(folder)).key == before.key

    seen = {before.key}

    def assert_new():
        key = resolve(str(folder)).key
        assert key not in seen
        seen.add(key)

    change_weights(folder, lambda weights: weights["classifier.1.bias"].add_(1))
    assert_new()
    change_json(folder, hidden_act="gelu")
    assert_new()
    change_json(folder, "preprocessor_config.json", image_mean=[0.1, 0.1, 0.1])
    assert_new()
    (folder / "processor_config.json").write_text("{}")
    assert_new()


def test_signature_is_blind_to_head_labels_and_training_settings():
    same = [
        hf.ViTConfig(**VIT),
        hf.ViTConfig(**VIT, num_labels=7),
        hf.ViTConfig(**VIT, id2label={0: "a", 1: "b", 2: "c"}, label2id={"a": 0, "b": 1, "c": 2}),
        hf.ViTConfig(**VIT, hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.2),
        hf.ViTConfig(**VIT, problem_type="multi_label_classification", initializer_range=0.5, dtype="bfloat16"),
        hf.ViTConfig(**VIT, architectures=["ViTModel"], transformers_version="4.1.0", _name_or_path="somewhere"),
    ]
    assert len({architecture_signature(config) for config in same}) == 1


def test_signature_tells_architectures_apart():
    different = [
        hf.ViTConfig(**VIT),
        hf.ViTConfig(**{**VIT, "patch_size": 4}),
        hf.ViTConfig(**{**VIT, "num_hidden_layers": 3}),
        hf.ViTConfig(**{**VIT, "hidden_act": "relu"}),
        hf.ViTConfig(**{**VIT, "image_size": 48}),
        hf.DeiTConfig(**VIT),
        resnet_config(),
        resnet_config(width=16),
        resnet_config(depths=[1, 1, 2, 1]),
        resnet_config(layer_type="bottleneck"),
        hf.CLIPConfig(vision_config=VIT),
        hf.CLIPConfig(vision_config={**VIT, "patch_size": 4}),
    ]
    assert len({architecture_signature(config) for config in different}) == len(different)


def test_signature_survives_saving(originals):
    for name in ("resnet", "vit"):
        again = hf.AutoConfig.from_pretrained(originals[name])
        assert opened(originals[name]).facts["signature"] == architecture_signature(again)
    assert architecture_signature(resnet_config()) == opened(originals["resnet"]).facts["signature"]


def test_signature_of_timm_networks():
    base = {"architecture": "resnet18", "num_classes": 10, "pretrained_cfg": {"tag": "a1", "mean": [0.5] * 3}}
    signature = architecture_signature(hf.TimmWrapperConfig.from_dict(base))
    other_head = {**base, "num_classes": 1000, "pretrained_cfg": {"tag": "in21k"}}
    assert architecture_signature(hf.TimmWrapperConfig.from_dict(other_head)) == signature
    other = hf.TimmWrapperConfig.from_dict({**base, "architecture": "resnet34"})
    assert architecture_signature(other) != signature
    wider = hf.TimmWrapperConfig.from_dict({**base, "model_args": {"base_width": 128}})
    assert architecture_signature(wider) != signature


def test_signature_of_a_timm_network_does_not_depend_on_how_it_was_saved():
    base = {"architecture": "resnet18", "num_classes": 10, "pretrained_cfg": {"tag": "a1"}}
    forms = [{}, {"model_args": {}}, {"model_args": {"num_classes": 4, "in_chans": 3, "global_pool": "avg"}}]
    assert len({architecture_signature(hf.TimmWrapperConfig.from_dict({**base, **form})) for form in forms}) == 1
    grey = hf.TimmWrapperConfig.from_dict({**base, "model_args": {"in_chans": 1}})
    assert architecture_signature(grey) != architecture_signature(hf.TimmWrapperConfig.from_dict(base))


def test_signature_counts_the_image_size_only_where_it_shapes_weights(make_checkpoint):
    small = {"hidden_sizes": [8, 8, 8, 8], "depths": [1, 1, 1, 1]}
    convolutional = [hf.ConvNextConfig(**small, image_size=size) for size in (24, 48)]
    signatures = {opened(make_checkpoint(config, size=64)).facts["signature"] for config in convolutional}
    assert len(signatures) == 1
