"""Downloaded files are compared with their sha256."""

import hashlib
import os
from types import SimpleNamespace

import pytest

from hf_transferability.hub import verified


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A file in a cache like the Hub's, and how often its content was compared."""
    content = os.urandom(1000)
    blob = tmp_path / "blobs" / hashlib.sha256(content).hexdigest()
    blob.parent.mkdir()
    blob.write_bytes(content)
    link = tmp_path / "model.safetensors"
    link.symlink_to(blob)
    digest, compared = hashlib.file_digest, []
    monkeypatch.setattr(hashlib, "file_digest", lambda *args: compared.append(args) or digest(*args))
    return SimpleNamespace(path=link, blob=blob, sha256=blob.name, compared=compared)


def test_weights_are_compared_once(weights):
    for _ in range(3):
        assert verified.is_complete(weights.path, weights.sha256)
    assert len(weights.compared) == 1
    os.utime(weights.blob, (1, 1))  # changed, perhaps: once more
    for _ in range(2):
        assert verified.is_complete(weights.path, None)  # offline: the name that the Hub gave it when it was downloaded
    assert len(weights.compared) == 2


def test_damaged_weights_are_never_complete(weights):
    assert verified.is_complete(weights.path, weights.sha256)
    weights.blob.write_bytes(b"x" * 1000)
    os.utime(weights.blob, (2, 2))
    for _ in range(2):
        assert not verified.is_complete(weights.path, weights.sha256)
    assert len(weights.compared) == 3
    verified.remove(weights.path)
    assert not weights.blob.exists()
    assert not weights.path.is_symlink()


def test_the_sha256_from_the_hub_counts_more_than_the_name(weights):
    copy = weights.path.with_name("a copy without links")
    copy.write_bytes(weights.blob.read_bytes())
    assert verified.is_complete(copy, weights.sha256)
    assert not verified.is_complete(copy, "0" * 64)
    assert verified.is_complete(copy, None)  # a small file without a sha256
    assert len(weights.compared) == 2
