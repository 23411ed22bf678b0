"""Downloads: damaged files, and reports of progress."""

import pytest

from hf_transferability.hub import Snapshot, fetch, reading, reported_downloads
from hf_transferability.hub.verified import DamagedFileError

NET = Snapshot("owner/net", "a" * 40, ("file",))


@pytest.fixture
def downloads(tmp_path, monkeypatch):
    """Downloads of one file, as a list of their options; each writes the file."""
    requests = []

    def download(repo_id, name, **options):
        requests.append((repo_id, name, options))
        (tmp_path / name).write_text("content")
        return str(tmp_path / name)

    monkeypatch.setattr(reading, "hf_hub_download", download)
    return requests


@pytest.mark.parametrize("damaged", [0, 1])
def test_a_damaged_file_is_downloaded_once_more(downloads, monkeypatch, damaged):
    monkeypatch.setattr(reading, "is_complete", lambda path, sha256: len(downloads) > damaged)
    assert fetch(NET, "file").read_text() == "content"
    assert [request[:2] for request in downloads] == [("owner/net", "file")] * (damaged + 1)
    assert downloads[0][2]["revision"] == "a" * 40


def test_a_file_that_is_damaged_twice_is_an_error(downloads, monkeypatch):
    monkeypatch.setattr(reading, "is_complete", lambda path, sha256: False)
    with pytest.raises(DamagedFileError, match="file arrived damaged twice"):
        fetch(NET, "file")
    assert len(downloads) == 2


def test_downloads_inside_the_block_are_reported(downloads):
    reports = []
    with reported_downloads(lambda *report: reports.append(report)):
        fetch(NET, "file")
        bar = downloads[0][2]["tqdm_class"](total=10, initial=2)
        bar.update(3)
    assert reports == [("file", 5, 10)]
    fetch(NET, "file")
    assert downloads[1][2]["tqdm_class"] is None
