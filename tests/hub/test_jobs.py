"""Errors about jobs say what becomes of those that run, and what to do."""

import huggingface_hub.errors as errors
import pytest
from helpers.hub_errors import ConnectError, ReadError, answered

from hf_transferability.hub.jobs import explain_job

AGAIN = "jobs that it has started go on, and none is started twice."


@pytest.mark.parametrize(
    ("error", "texts"),
    [
        (answered(402), ["the Hub starts no job for lab without credit (402)", "/settings/billing"]),
        (answered(403), ["your token may not use the jobs of lab (403)", "hf auth login"]),
        (answered(503), ["busy or broken (503 for the jobs of lab)", AGAIN]),
        (ConnectError("refused"), ["cannot be reached (refused)", AGAIN]),
        (ReadError("reset by peer"), ["broke off the connection (reset by peer)", AGAIN]),
        (errors.OfflineModeIsEnabled("offline"), ["offline mode is on (HF_HUB_OFFLINE), so no job can be started", "Unset it"]),
        (answered(401), ["does not accept your token (401"]),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, Exception) else "",
)
def test_the_message_says_what_becomes_of_jobs(error, texts):
    message = explain_job(error, "lab")
    assert [text for text in texts if text not in message] == []
    assert "rows that have arrived" not in message and message.endswith(".")


def test_without_a_namespace_it_is_about_the_account():
    assert "the jobs of your account (403)" in explain_job(answered(403), "")
