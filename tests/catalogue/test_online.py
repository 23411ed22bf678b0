"""The Hub's own list, asked with the real client over the loopback interface."""

import huggingface_hub.constants
import pytest
from helpers.loopback_hub import LoopbackHub

from hf_transferability.catalogue.filters import Filters, select
from hf_transferability.catalogue.online import search
from hf_transferability.errors import UsageError

CARD = "---\npipeline_tag: {task}\nlibrary_name: {library}\nlicense: {licence}\n{more}---\n"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with LoopbackHub(tmp_path / "hub") as server:
        for name, task, licence, more, gated in [
            ("lab/slides", "image-classification", "mit", "loopback_parameters: 5000000\n", None),
            ("lab/gated-slides", "image-feature-extraction", "mit", "loopback_parameters: 300000000\n", "manual"),
            ("lab/text", "text-classification", "mit", "", None),
            ("lab/unknown-size", "image-classification", "apache-2.0", "", None),
        ]:
            card = CARD.format(task=task, library="transformers", licence=licence, more=more)
            server.commit("model", name, {"README.md": card.encode()}, gated=gated)
        server.commit("model", "lab/private", {"README.md": b""}, private=True)
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.url)
        monkeypatch.delenv("HF_TOKEN", raising=False)  # another file of tests may have set one
        yield server


def test_models_of_images_with_what_the_hub_tells(hub):
    entries = {entry.id: entry for entry in search(Filters())}
    assert list(entries) == ["lab/unknown-size", "lab/gated-slides", "lab/slides"]  # by downloads
    assert entries["lab/slides"].licence == "mit"
    assert entries["lab/slides"].parameters == 5_000_000
    assert (entries["lab/slides"].gated, entries["lab/gated-slides"].gated) == (False, True)
    assert entries["lab/unknown-size"].parameters is None


def test_the_hub_filters_and_what_it_left_passes_the_same_filters_here(hub):
    filters = Filters(max_params=10_000_000, licences=["mit"], search="slides")
    entries = search(filters)
    assert [entry.id for entry in entries] == ["lab/slides"]
    assert select(entries, filters).entries == entries


def test_a_busy_hub_is_asked_again(hub, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.faults.add("/api/models", status=503, times=1)
    assert len(search(Filters(task="image-classification"))) == 2


def test_no_network_names_the_bundled_catalogue(hub, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UsageError, match="Leave out --online"):
        search(Filters())
