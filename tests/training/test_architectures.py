"""Configurations and networks with random weights."""

import json

import pytest
from helpers.inputs import resnet_config

from hf_transferability import UsageError, hub
from hf_transferability.errors import CheckpointError
from hf_transferability.training.architectures import build_network, read_config


def test_an_architecture_is_read_from_the_hub_at_one_commit(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text(json.dumps(resnet_config(width=4).to_dict()))
    requests = []
    monkeypatch.setattr(hub, "resolve_model", lambda *words: requests.append(words) or hub.Snapshot("owner/net", "a" * 40, ()))
    monkeypatch.setattr(hub, "fetch", lambda snapshot, name: tmp_path / name)
    assert read_config("owner/net@v1").embedding_size == 4
    assert requests == [("owner/net", "v1")]

    def unreachable(*words):
        raise ConnectionError("refused")

    monkeypatch.setattr(hub, "resolve_model", unreachable)
    with pytest.raises(CheckpointError, match="owner/net"):
        read_config("owner/net")
    with pytest.raises(UsageError, match=r"there is no folder \./net"):
        read_config("./net")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"hidden_sizes": [8]}', "a .json file with a model_type"),
        ('{"model_type": "resnett"}', "model_type"),
        ('{"model_type": "bert"}', "must be a network that classifies images"),
        ("{", "Check it"),
    ],
)
def test_an_unknown_architecture_is_refused(tmp_path, text, message):
    file = tmp_path / "network.json"
    file.write_text(text)
    with pytest.raises(UsageError, match=message):
        build_network(read_config(file), file, 24)


def test_an_error_without_text_is_named_by_its_type(tmp_path, monkeypatch):
    def fails(config):
        raise ValueError

    monkeypatch.setattr("hf_transferability.training.architectures.AutoConfig.for_model", lambda *a, **b: fails(a))
    (tmp_path / "network.json").write_text('{"model_type": "resnet"}')
    with pytest.raises(UsageError, match=r"\(ValueError\)\. Check it"):
        read_config(tmp_path / "network.json")
