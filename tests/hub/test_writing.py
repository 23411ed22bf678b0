"""Checks before anything is written to the Hub; tests/publishing has the rest."""

import pytest

from hf_transferability import PublishError, UsageError
from hf_transferability.hub import writing


@pytest.mark.parametrize("repo_id", ["name", "a/b/c", "", "/", "a/", "/b", "a b/c", "a/..", "a/b.git", "https://x/a/b"])
def test_invalid_ids_are_refused(repo_id):
    with pytest.raises(UsageError, match="must be a dataset's OWNER/NAME"):
        writing.check_id(repo_id)


def test_without_login_nothing_can_be_published(monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(PublishError, match="not logged in"):
        writing.read_account()
