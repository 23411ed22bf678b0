"""What one visitor may ask: every bound is met with its reason, before anything is downloaded."""

import numpy as np
import pytest

from hf_transferability import UsageError
from hf_transferability.space import limits

ONE, TWO = "alice/one", "alice/two"


def test_what_is_within_all_bounds_passes(at_hub):
    at_hub.requests.clear()
    limits.check_request("alice/data", [ONE, f"{TWO}@main"], 36)
    assert not [request for request in at_hub.requests if "/resolve/" in request.path]  # nothing was downloaded
    assert not any(request.authenticated for request in at_hub.requests)


@pytest.mark.parametrize(
    ("bound", "value", "text"),
    [
        ("CHECKPOINTS", 1, "ranks at most 1 checkpoints at once; got 2"),
        ("IMAGES", 30, "takes 12 to 30 images; got 36"),
        ("PARAMETERS", 500, r"at most 500 parameters; alice/one has \d+(\.\d+)?k?"),
        ("DATASET_BYTES", 1000, "reads datasets of at most 0 MB; alice/data has"),
        ("CHECKPOINT_BYTES", 1000, "downloads at most 0 MB of checkpoints"),
    ],
)
def test_every_bound_says_what_was_met(at_hub, monkeypatch, bound, value, text):
    monkeypatch.setattr(limits, bound, value)
    with pytest.raises(UsageError, match=text) as caught:
        limits.check_request("alice/data", [ONE, TWO], 36)
    assert "your own machine" in str(caught.value).lower()


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "..", "data", "a/b/c", "-a/b", "a/-b", "https://host/a", "", "a b/c"])
def test_paths_and_options_are_no_ids(at_hub, name):
    with pytest.raises(UsageError, match="must be a Hub id"):
        limits.check_request(name, [ONE], 36)
    with pytest.raises(UsageError, match="must be a Hub id"):
        limits.check_request("alice/data", [name], 36)


def test_a_folder_of_this_machine_is_no_id_even_if_it_looks_like_one(at_hub, tmp_path, monkeypatch):
    (tmp_path / "alice" / "one").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="must be a Hub id"):
        limits.check_request("alice/data", [ONE], 36)


@pytest.mark.parametrize("name", ["alice/private", "alice/none"])
def test_the_owners_login_opens_nothing_to_visitors(at_hub, name):
    with pytest.raises(UsageError, match="public repositories only"):
        limits.check_request("alice/data", [name], 36)


def test_files_that_unpack_to_too_much_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, features=np.zeros((2000, 500)), labels=np.zeros(2000))
    assert path.stat().st_size < 100_000
    limits.check_files([path])
    monkeypatch.setattr(limits, "FILE_BYTES", 2**20)
    with pytest.raises(UsageError, match="at most 1 MiB of arrays; got 8"):
        limits.check_files([path])
    monkeypatch.setattr(limits, "FILES", 1)
    with pytest.raises(UsageError, match="at most 1 files"):
        limits.check_files([path, path])
    with pytest.raises(UsageError, match="must name at least one file of features"):
        limits.check_files([])
