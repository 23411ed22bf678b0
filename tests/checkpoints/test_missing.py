"""Names of checkpoints that lead nowhere."""

import pytest

from hf_transferability import hub
from hf_transferability.checkpoints.missing import missing
from hf_transferability.checkpoints.options import LoadOptions


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """The names that the Hub was asked about; it knows none."""
    from huggingface_hub.errors import RepositoryNotFoundError

    names = []

    def resolve(repo_id, revision=None, token=None):
        names.append(repo_id)
        raise RepositoryNotFoundError("not found", response=httpx_response())

    def httpx_response():
        import httpx

        return httpx.Response(404, request=httpx.Request("GET", "http://localhost"))

    monkeypatch.setattr(hub, "resolve_model", resolve)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoints" / "digits").mkdir(parents=True)
    return names


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("./checkpoints/digit", "there is no folder ./checkpoints/digit. Did you mean ./checkpoints/digits?"),
        ("/no/where", "there is no folder /no/where. Check the path."),
        ("checkpoints/digit", "there is no folder checkpoints/digit, and no such model on the Hub. Did you mean"),
    ],
)
def test_what_leads_nowhere_is_told_with_its_reason(asked, name, reason):
    found = missing([name, name], LoadOptions())
    assert list(found) == [name]
    assert found[name].startswith(reason)


def test_what_may_exist_is_left_out_without_asking_the_hub(asked):
    assert missing(["checkpoints/digits", "./checkpoints/digits", "microsoft/resnet-18", "resnet"], LoadOptions()) == {}
    assert asked == []


def test_what_can_be_no_id_needs_no_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (reason,) = missing(["some/folder/name"], LoadOptions()).values()
    assert (
        reason == "'some/folder/name' is neither an existing local folder nor a valid Hub id (owner/name). Check the spelling."
    )


def test_a_hub_that_cannot_be_reached_decides_nothing(asked, monkeypatch):
    def fail(*arguments, **options):
        raise ConnectionError("no network")

    monkeypatch.setattr(hub, "resolve_model", fail)
    assert missing(["checkpoints/digit"], LoadOptions()) == {}
