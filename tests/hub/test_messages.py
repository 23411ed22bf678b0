"""Errors of the Hub clients become sentences that say what to do."""

import errno

import huggingface_hub.errors as errors
import pytest
from helpers.hub_errors import ConnectError, ReadError, answered, caused
from huggingface_hub import constants

from hf_transferability import hub
from hf_transferability.hub import messages, verified


@pytest.mark.parametrize(
    ("error", "texts"),
    [
        (answered(403, errors.GatedRepoError), ["is gated", "/owner/name,", "hf auth login"]),
        (answered(404, errors.RepositoryNotFoundError), ["neither a local folder nor found on the Hub", "hf auth login"]),
        (answered(404, errors.RevisionNotFoundError), ["owner/name@v1 has no such revision", "/owner/name/commits/main"]),
        (caused(errors.LocalEntryNotFoundError("x"), answered(403, errors.DisabledRepoError)), ["disabled", "Choose another"]),
        (errors.HFValidationError("bad"), ["nor a valid Hub id", "Check the spelling"]),
        (answered(401), ["does not accept your token", "HF_TOKEN"]),
        (answered(503), ["busy or broken", "503", "in a few minutes", "what is finished is kept"]),
        (answered(429, **{"Retry-After": "300"}), ["busy", "429", "in 300 seconds"]),
        (caused(errors.LocalEntryNotFoundError("x"), answered(503)), ["busy or broken"]),
        (answered(418), ["refused", "418"]),
        (ConnectError("[Errno 111] Connection refused"), ["no network", "Connection refused", "Nothing of it is cached"]),
        (caused(errors.LocalEntryNotFoundError("x"), ConnectError("no route")), ["no network", "no route"]),
        (ReadError("reset by peer"), ["connection", "broke", "reset by peer", "Run again"]),
        (errors.OfflineModeIsEnabled("offline"), ["offline mode is on", "HF_HUB_OFFLINE", "Nothing of it is cached"]),
        (OSError(errno.ENOSPC, "No space left on device"), ["cannot be stored", constants.HF_HOME, "Free some space"]),
        (RuntimeError("first line.\nsecond"), ["the Hub failed for model owner/name@v1: first line. Run again"]),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, Exception) else "",
)
def test_the_message_says_what_to_do(error, texts):
    message = hub.explain(error, "model", "owner/name@v1")
    for text in texts:
        assert text in message
    assert "\n" not in message
    assert message.endswith(".")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ConnectError("refused"), "there is no folder here/targt. Did you mean here/target? If it is on the Hub: no network: "),
        (
            answered(404, errors.RepositoryNotFoundError),
            "there is no folder here/targt, and no such dataset on the Hub. Did you mean here/target? If it is private there, "
            "log in with `hf auth login` (or set HF_TOKEN).",
        ),
        (errors.HFValidationError("bad"), "there is no folder here/targt. Did you mean here/target?"),
        (answered(403, errors.GatedRepoError), "dataset here/targt is gated: "),  # it is on the Hub
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_folder_that_is_called_nearly_so_comes_first(error, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert hub.explain_name(error, "dataset", "here/targt") == hub.explain(error, "dataset", "here/targt")
    (tmp_path / "here" / "target").mkdir(parents=True)
    message = hub.explain_name(error, "dataset", "here/targt")
    assert message.startswith(told) and (told.endswith(" ") or message == told)


@pytest.mark.parametrize(
    ("error", "texts"),
    [
        (answered(401), ["does not accept your token (401", "hf auth login"]),
        (answered(403), ["may not write to dataset owner/name (403", "/settings/tokens"]),
        (answered(503), ["busy or broken (503", "not added twice"]),
        (answered(429, **{"Retry-After": "300"}), ["in 300 seconds, as it asks"]),
        (answered(418), ["refused what was sent to dataset owner/name (418"]),
        (answered(403, errors.GatedRepoError), ["dataset owner/name is gated", "/datasets/owner/name,"]),
        (answered(404, errors.RepositoryNotFoundError), ["no dataset owner/name that you may see"]),
        (answered(403, errors.DisabledRepoError), ["disabled"]),
        (errors.OfflineModeIsEnabled("offline"), ["offline mode is on (HF_HUB_OFFLINE)", "Unset it"]),
        (ConnectError("refused"), ["cannot be reached", "refused", "not added twice"]),
        (ReadError("reset by peer"), ["broke off the connection", "reset by peer", "not added twice"]),
        (verified.DamagedFileError("x arrived damaged twice"), ["x arrived damaged twice"]),
        (RuntimeError("first line.\nsecond"), ["failed for dataset owner/name: first line. Run again later"]),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, Exception) else "",
)
def test_the_message_says_what_happened_to_a_publication(error, texts):
    message = messages.explain_publishing(error, "owner/name")
    for text in texts:
        assert text in message
    assert "\n" not in message
    assert message.endswith(".")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            errors.OfflineModeIsEnabled("offline"),
            "is on (HF_HUB_OFFLINE), so a dry run cannot tell what would change",
        ),
        (
            ConnectError("refused"),
            "(refused), so a dry run cannot tell what would change. Run again: a dry run sends",
        ),
        (RuntimeError("odd"), "Run again later: a dry run sends nothing."),
    ],
)
def test_a_dry_run_gets_no_advice_on_rows_that_were_sent(error, text):
    message = messages.explain_publishing(error, "owner/name", dry_run=True)
    assert text in message
    assert "not added twice" not in message
    assert "published" not in message
