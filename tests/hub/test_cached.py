"""Models in the local cache of the Hub client."""

import shutil
from pathlib import Path

import pytest
from huggingface_hub import constants

from hf_transferability.hub.cached import Snapshot, cached_commits, cached_model, holds_weights, remember_commit

COMMITS = ("a" * 40, "b" * 40)


@pytest.fixture
def add():
    """add(commit, names) puts files of owner/net into the cache, which is a temporary folder for all tests."""
    repository = Path(constants.HF_HUB_CACHE) / "models--owner--net"

    def add_files(commit: str, names: tuple[str, ...] = ("config.json", "model.safetensors")) -> None:
        folder = repository / "snapshots" / commit
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_text(name)

    yield add_files
    shutil.rmtree(repository)


def test_the_only_cached_commit_is_used_without_a_revision(add):
    assert cached_model("owner/net", None) is None
    add(COMMITS[0])
    assert cached_model("owner/net", None) == Snapshot("owner/net", COMMITS[0], ("config.json", "model.safetensors"))
    add(COMMITS[1])
    assert cached_model("owner/net", None) is None
    assert cached_model("owner/net", COMMITS[1]).commit == COMMITS[1]


def test_a_branch_means_the_commit_that_was_remembered(add):
    for commit in COMMITS:
        add(commit)
    remember_commit(Snapshot("owner/net", COMMITS[1], ()), None)
    assert cached_model("owner/net", None).commit == COMMITS[1]
    remember_commit(Snapshot("owner/net", COMMITS[0], ()), "v1")
    assert cached_model("owner/net", "v1").commit == COMMITS[0]


def test_a_repository_without_weights_is_not_a_model(add):
    add(COMMITS[0], ("config.json", "README.md"))
    assert cached_model("owner/net", COMMITS[0]) is None
    assert holds_weights(["pytorch_model.bin"]) and not holds_weights(["config.json"])


def test_a_repository_that_was_never_downloaded_has_no_commits():
    assert cached_commits("model", "owner/never-downloaded") == []
