"""What is loaded, what is refused and why, over tiny random networks in local folders."""

import json
import os
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as hf
from builders import resnet_config
from safetensors.torch import load_file, save_file

from hf_transferability.checkpoints import architecture_signature, load, resolve
from hf_transferability.errors import CheckpointError

VIT = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 32}
VIT |= {"image_size": 24, "patch_size": 8}
IMAGES = list(np.random.default_rng(0).integers(0, 256, (3, 24, 24, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def originals(make_checkpoint):
    return {
        "resnet": make_checkpoint(),
        "vit": make_checkpoint(hf.ViTConfig(**VIT, num_labels=5)),
        "vit base": make_checkpoint(hf.ViTConfig(**VIT), model_class=hf.ViTModel),
        "dinov3": make_checkpoint(hf.DINOv3ViTConfig(**VIT), model_class=hf.DINOv3ViTModel),
        "clip vision": make_checkpoint(hf.CLIPVisionConfig(**VIT), model_class=hf.CLIPVisionModel),
    }


@pytest.fixture
def copy(originals, tmp_path):
    """copy(name) -> a folder that the test may change."""

    def make(name: str = "resnet", new: str = "checkpoint") -> Path:
        shutil.copytree(originals[name], tmp_path / new)
        return tmp_path / new

    return make


def change_weights(folder: Path, change) -> dict[str, torch.Tensor]:
    path = folder / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path, metadata={"format": "pt"})
    return weights


def change_json(folder: Path, name: str = "config.json", **values) -> None:
    content = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**content, **values}))


def drop(*patterns: str):
    def change(weights: dict[str, torch.Tensor]) -> None:
        gone = [name for name in weights if any(re.search(pattern, name) for pattern in patterns)]
        assert gone
        for name in gone:
            del weights[name]

    return change


def opened(folder: Path, **options):
    return load(resolve(str(folder), **options))


def outputs(checkpoint):
    with torch.no_grad():
        return checkpoint.forward(checkpoint.preprocess(IMAGES))


def refused(folder: Path, text: str, **options) -> str:
    with pytest.raises(CheckpointError, match=text) as caught:
        opened(folder, **options)
    return str(caught.value)


# What a row says


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
    assert checkpoint.facts["parameters"] == sum(weight.numel() for weight in network.parameters())
    assert checkpoint.facts["preprocessing"].startswith("ViTImageProcessor")
    assert checkpoint.flags == {}
    json.dumps(checkpoint.facts)  # goes to the cache


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


# Identity


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


def test_other_weights_named_by_a_timm_configuration_are_refused(copy, tmp_path):
    folder = copy()
    configuration = {"architecture": "resnet18", "num_classes": 5, "pretrained_cfg": {"tag": "a1"}}
    configuration["model_args"] = {"checkpoint_path": str(tmp_path / "evil.pth")}
    (folder / "config.json").write_text(json.dumps(configuration))
    with pytest.raises(CheckpointError, match="checkpoint_path"):
        opened(folder)


def test_shards_of_unusual_names_are_refused(copy):
    folder = copy()
    (folder / "model.safetensors").rename(folder / "weights-a.safetensors")
    names = load_file(folder / "weights-a.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, "weights-a.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=r"unusual names \(weights-a\.safetensors\)"):
        opened(folder)


# Weights that do not fit


def test_missing_head_keeps_the_features(originals, copy):
    whole = opened(originals["resnet"])
    folder = copy()
    change_weights(folder, drop("^classifier"))
    checkpoint = opened(folder)
    features, logits = outputs(checkpoint)
    assert logits is None
    assert not checkpoint.has_source_head
    assert checkpoint.flags == {"no_source_head": "input of classifier.1"}
    assert torch.equal(features, outputs(whole)[0])
    assert whole.has_source_head


def test_head_of_another_size_keeps_the_features(originals, copy):
    folder = copy()
    change_json(folder, id2label={str(i): str(i) for i in range(9)}, label2id={str(i): i for i in range(9)})
    checkpoint = opened(folder)
    features, logits = outputs(checkpoint)
    assert logits is None
    assert "no_source_head" in checkpoint.flags
    assert torch.equal(features, outputs(opened(originals["resnet"]))[0])


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
    assert torch.equal(outputs(opened(folder))[0], outputs(opened(originals["resnet"]))[0])


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
    change_weights(folder, lambda weights: weights.update(decoder=torch.zeros(3)))
    assert torch.equal(outputs(opened(folder))[0], outputs(opened(originals["vit"]))[0])


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
        assert torch.equal(features, expected)
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
    assert torch.equal(outputs(load(source))[0], outputs(opened(originals["resnet"]))[0])
    (tmp_path / shards[1]).unlink()
    assert shards[1] in refused(tmp_path, "cannot be loaded")


def test_features_that_change_are_refused(make_checkpoint):
    folder = make_checkpoint(hf.ViTMAEConfig(**VIT), model_class=hf.ViTMAEModel)
    refused(folder, r"gives other features each time .*random masking.* cannot be ranked")


# Formats


class Malice:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def pickled(folder: Path, content=None) -> None:
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(content or weights, folder / "pytorch_model.bin")


def test_pickle_only_is_refused_and_allowed_by_option(originals, copy):
    folder = copy()
    pickled(folder)
    refused(folder, r"only pickle weights \(pytorch_model.bin\), which can run code.*--allow-pickle.*weights_only")
    checkpoint = opened(folder, allow_pickle=True)
    assert "pickle_weights" in checkpoint.flags
    assert torch.equal(outputs(checkpoint)[0], outputs(opened(originals["resnet"]))[0])


def test_malicious_pickle_does_not_run(copy, tmp_path):
    for name, save in (
        ("torch", lambda path, trap: torch.save({"classifier.1.bias": Malice(trap)}, path)),
        ("plain", lambda path, trap: path.write_bytes(pickle.dumps(Malice(trap)))),
    ):
        folder, trap = copy(new=name), tmp_path / f"trap-{name}"
        (folder / "model.safetensors").unlink()
        save(folder / "pytorch_model.bin", trap)
        refused(folder, "cannot be loaded|holds more than weights", allow_pickle=True)
        assert not trap.exists()


def test_safetensors_are_preferred_to_pickle(copy):
    folder = copy()
    (folder / "pytorch_model.bin").write_bytes(b"not even a pickle")
    source = resolve(str(folder), allow_pickle=True)
    assert not source.pickle
    assert "pytorch_model.bin" not in source.files
    assert "pickle_weights" not in load(source).flags


def test_custom_code_runs_only_with_the_option(copy, tmp_path):
    folder = copy()
    ran = tmp_path / "ran"
    (folder / "modeling_own.py").write_text(
        f"open({str(ran)!r}, 'a').close()\n"
        "from transformers import ResNetConfig, ResNetForImageClassification\n"
        "class OwnConfig(ResNetConfig):\n    model_type = 'own'\n"
        "class OwnNetwork(ResNetForImageClassification):\n    config_class = OwnConfig\n"
    )
    code = {"AutoConfig": "modeling_own.OwnConfig", "AutoModelForImageClassification": "modeling_own.OwnNetwork"}
    change_json(folder, model_type="own", auto_map=code, architectures=["OwnNetwork"])
    plain_key = resolve(str(folder)).key
    refused(folder, "needs code from its own repository. Read that code, then pass --trust-remote-code")
    assert not ran.exists()
    checkpoint = opened(folder, trust_remote_code=True)
    assert ran.exists()
    assert checkpoint.facts["architecture"] == "own"
    assert outputs(checkpoint)[1].shape == (3, 5)
    trusted_key = resolve(str(folder), trust_remote_code=True).key
    assert trusted_key != plain_key
    with (folder / "modeling_own.py").open("a") as file:
        file.write("# changed\n")
    assert resolve(str(folder), trust_remote_code=True).key != trusted_key


# Damage


@pytest.mark.parametrize("size", [0, 4, 200, -100])
def test_truncated_weights(copy, size):
    folder = copy()
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    assert str(folder) in refused(folder, r"cannot be loaded: .*\. Check that its files are whole")


@pytest.mark.parametrize("content", ["", "{", "[]", "not json", '{"model_type": "no-such-family"}', "{}"])
def test_damaged_configuration(copy, content):
    folder = copy()
    (folder / "config.json").write_text(content)
    assert str(folder) in refused(folder, "cannot be loaded|needs code")


def test_configuration_that_does_not_fit_itself(copy):
    folder = copy()
    change_json(folder, depths=[1, 1])
    refused(folder, "lacks|cannot be loaded")


def test_missing_files_are_named(copy, tmp_path):
    folder = copy()
    (folder / "preprocessor_config.json").unlink()
    refused(folder, r"no usable image processor .*preprocessor_config.json")
    (folder / "model.safetensors").unlink()
    refused(folder, "has no model.safetensors")
    (folder / "config.json").unlink()
    refused(folder, "has no config.json, so its architecture is unknown")
    refused(tmp_path / "nowhere", f"there is no folder {tmp_path / 'nowhere'}")
    with pytest.raises(CheckpointError, match=r"there is no folder \./nowhere"):
        resolve("./nowhere")


def test_damaged_processor(copy):
    folder = copy()
    (folder / "preprocessor_config.json").write_text("{")
    refused(folder, "no usable image processor")


def test_loading_says_nothing_itself(copy, capfd):
    """Missing weights become our flags and errors; transformers' own report would break a progress bar."""
    folder = copy()
    change_weights(folder, drop("^classifier"))
    opened(folder)
    assert capfd.readouterr() == ("", "")


def test_logging_of_transformers_is_as_before(copy):
    logging = hf.utils.logging
    before = logging.get_verbosity()
    opened(copy())
    assert logging.get_verbosity() == before
    folder = copy(new="broken")
    (folder / "config.json").write_text("{")
    refused(folder, "cannot be loaded")
    assert logging.get_verbosity() == before
