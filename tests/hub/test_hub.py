"""Retries and messages of `hub`, with functions that fail on purpose; the real clients are in test_hub_ranking."""

import email.utils
import errno
import hashlib
import os
import time
from types import SimpleNamespace

import huggingface_hub.errors as errors
import pytest
from huggingface_hub import constants

from hf_transferability import PublishError, UsageError, hub
from hf_transferability.hub import calls, messages, verified, writing


class ConnectError(OSError):
    """Stands for the HTTP library's error of that name."""

    __module__ = "httpx2"


class ConnectTimeout(ConnectError):
    __module__ = "httpx2"


class ReadError(OSError):
    __module__ = "httpx2"


def answered(status: int, kind: type = errors.HfHubHTTPError, **headers: str) -> Exception:
    """The client's error for an answer of the server."""
    response = SimpleNamespace(status_code=status, headers=headers, request=None, reason_phrase="Phrase")
    return kind(f"{status} from the server", response=response)


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


@pytest.fixture
def waits(monkeypatch):
    """The seconds that would have been waited."""
    seconds: list[float] = []
    monkeypatch.setattr(calls.time, "sleep", seconds.append)
    monkeypatch.setattr(calls, "_last_unreachable", None)
    return seconds


def fail(error: Exception, times: float = float("inf")):
    """A function that raises so often and then answers; it counts its calls."""

    def function(*args, **kwargs):
        function.calls += 1
        if function.calls <= times:
            raise error
        return "answer"

    function.calls = 0
    return function


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_hub_is_asked_again(waits, status):
    assert hub.call(fail(answered(status), times=3)) == "answer"
    assert waits == [1, 2, 4]


def test_it_is_not_asked_for_ever(waits):
    function = fail(answered(503))
    with pytest.raises(errors.HfHubHTTPError):
        hub.call(function)
    assert (function.calls, waits) == (5, [1, 2, 4, 8])


def test_the_server_says_how_long_to_wait(waits):
    assert hub.call(fail(answered(429, **{"Retry-After": "17"}), times=2)) == "answer"
    assert waits == [17, 17]
    waits.clear()
    when = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert hub.call(fail(answered(503, **{"Retry-After": when}), times=1)) == "answer"
    assert 25 < waits[0] <= 30
    waits.clear()
    assert hub.call(fail(answered(429, ratelimit='"api";r=0;t=23'), times=1)) == "answer"
    assert waits == [23]
    waits.clear()
    assert hub.call(fail(answered(503, **{"Retry-After": "soon"}), times=1)) == "answer"
    assert waits == [1]


@pytest.mark.parametrize(("asked", "expected"), [("25", [25, 25]), ("61", [])])
def test_all_waiting_together_is_at_most_a_minute(waits, asked, expected):
    with pytest.raises(errors.HfHubHTTPError):
        hub.call(fail(answered(429, **{"Retry-After": asked})))
    assert waits == expected


@pytest.mark.parametrize(
    "error",
    [
        answered(401),
        answered(403),
        answered(404),
        answered(403, errors.GatedRepoError),
        answered(404, errors.RepositoryNotFoundError),
        answered(404, errors.RevisionNotFoundError),
        answered(403, errors.DisabledRepoError),
        caused(errors.LocalEntryNotFoundError("not here"), answered(403, errors.DisabledRepoError)),
        errors.OfflineModeIsEnabled("offline"),
        ValueError("not of the Hub"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_cannot_pass_is_not_tried_again(waits, error):
    function = fail(error)
    with pytest.raises(type(error)):
        hub.call(function)
    assert (function.calls, waits) == (1, [])


def test_a_broken_connection_is_tried_three_times(waits):
    assert hub.call(fail(caused(OSError("Consistency check failed"), ReadError("reset")), times=2)) == "answer"
    assert waits == [1, 2]
    with pytest.raises(ReadError):
        hub.call(fail(ReadError("reset")))
    assert waits == [1, 2, 1, 2]


def test_a_client_that_has_waited_itself_is_asked_twice(waits):
    function = fail(caused(errors.LocalEntryNotFoundError("not here"), answered(503)))
    with pytest.raises(errors.LocalEntryNotFoundError):
        hub.call(function)
    assert (function.calls, waits) == (2, [1])


@pytest.mark.parametrize(("error", "expected"), [(ConnectError("refused"), [1]), (ConnectTimeout("10 s"), [])])
def test_without_network_little_time_is_lost(waits, error, expected):
    with pytest.raises(ConnectError):
        hub.call(fail(error))
    assert waits == expected


def test_without_network_a_second_question_fails_at_once(waits, monkeypatch):
    function = fail(ConnectError("refused"))
    for _ in range(3):
        with pytest.raises(ConnectError):
            calls.ask(function)
    assert (function.calls, waits) == (2, [1])
    monkeypatch.setattr(calls, "_last_unreachable", (time.monotonic() - 31, ConnectError("refused")))
    assert calls.ask(fail(ConnectError("refused"), times=1)) == "answer"


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
def test_the_message_says_what_became_of_a_publication(error, texts):
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


@pytest.mark.parametrize("repo_id", ["name", "a/b/c", "", "/", "a/", "/b", "a b/c", "a/..", "a/b.git", "https://x/a/b"])
def test_ids_that_are_none(repo_id):
    with pytest.raises(UsageError, match="must be a dataset's OWNER/NAME"):
        writing.check_id(repo_id)


def test_who_is_not_logged_in(monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(PublishError, match="not logged in"):
        writing.logged_in()


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
        assert verified.is_whole(weights.path, weights.sha256)
    assert len(weights.compared) == 1
    os.utime(weights.blob, (1, 1))  # changed, perhaps: once more
    for _ in range(2):
        assert verified.is_whole(weights.path, None)  # offline: the name that the Hub gave it when it was downloaded
    assert len(weights.compared) == 2


def test_damaged_weights_are_never_whole(weights):
    assert verified.is_whole(weights.path, weights.sha256)
    weights.blob.write_bytes(b"x" * 1000)
    os.utime(weights.blob, (2, 2))
    for _ in range(2):
        assert not verified.is_whole(weights.path, weights.sha256)
    assert len(weights.compared) == 3
    verified.throw_away(weights.path)
    assert not weights.blob.exists()
    assert not weights.path.is_symlink()


def test_the_hub_and_not_the_name_says_what_is_whole(weights):
    copy = weights.path.with_name("a copy without links")
    copy.write_bytes(weights.blob.read_bytes())
    assert verified.is_whole(copy, weights.sha256)
    assert not verified.is_whole(copy, "0" * 64)
    assert verified.is_whole(copy, None)  # a small file, of which the Hub states none
    assert len(weights.compared) == 2
