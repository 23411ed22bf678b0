from pathlib import Path

import pytest

from hf_transferability.space import uploads


@pytest.fixture
def upload(tmp_path):
    path = tmp_path / "a1b2" / "candidate.npz"
    path.parent.mkdir()
    path.write_bytes(b"features")
    yield path
    for visitor in ("ann", "bob"):
        uploads.forget(visitor)


def test_what_one_visitor_removes_another_still_has(upload):
    uploads.hold("ann", [str(upload)])
    uploads.hold("bob", [str(upload)])
    uploads.forget("ann")
    (link,) = uploads.held("bob", [str(upload)])
    with open(link, "rb") as file:
        assert file.read() == b"features"
    assert upload.exists()  # Gradio looks for it when the other's ranking begins
    uploads.forget("bob")
    assert not upload.exists()


def test_an_upload_may_be_held_twice(upload):
    for _ in range(2):
        uploads.hold("ann", [str(upload)])
    (link,) = uploads.held("ann", [str(upload)])
    assert Path(link).read_bytes() == b"features"


def test_nothing_is_left_of_a_visitor_who_never_ranked(upload):
    uploads.hold("ann", [str(upload)])
    (link,) = uploads.held("ann", [str(upload)])
    assert link != str(upload)
    uploads.forget("ann")
    assert not upload.exists()
    assert uploads.held("ann", [link]) == [link]
    assert not Path(link).exists()


def test_the_same_name_twice_stays_two_files(upload, tmp_path):
    other = tmp_path / "c3d4" / "candidate.npz"
    other.parent.mkdir()
    other.write_bytes(b"others")
    uploads.hold("ann", [str(upload), str(other)])
    assert len(set(uploads.held("ann", [str(upload), str(other)]))) == 2
