"""Files that are refused: pickle, foreign code, other places, and damage."""

import json
import os
import pickle
from pathlib import Path

import pytest
import torch
import transformers as hf
from helpers.checkpoint_folders import assert_same, change_json, change_weights, drop, opened, outputs, refused
from safetensors.torch import load_file

from hf_transferability.checkpoints.loading import load
from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.checkpoints.resolving import resolve
from hf_transferability.errors import CheckpointError


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
    assert_same(outputs(checkpoint)[0], outputs(opened(originals["resnet"]))[0])


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
    source = resolve(str(folder), LoadOptions(allow_pickle=True))
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
    trusted_key = resolve(str(folder), LoadOptions(trust_remote_code=True)).key
    assert trusted_key != plain_key
    with (folder / "modeling_own.py").open("a") as file:
        file.write("# changed\n")
    assert resolve(str(folder), LoadOptions(trust_remote_code=True)).key != trusted_key


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
    assert str(folder) in refused(folder, "cannot be loaded|needs code|config.json of .* is no JSON|must hold a JSON object")


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


def test_a_folder_of_checkpoints_is_not_one(copy):
    folder = copy()
    refused(folder.parent, rf"is no checkpoint but a folder with checkpoints, 1 in all. Name {folder.parent}/\* instead")


def test_a_checkpoint_that_is_misspelt(copy):
    folder = copy()
    refused(folder.with_name(f"{folder.name}s"), f"Did you mean {folder}\\?")


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
    refused(folder, "cannot be loaded|is no JSON")
    assert logging.get_verbosity() == before
