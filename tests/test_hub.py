"""Retries and messages of `hub`, with functions that fail on purpose; the real clients are in test_hub_ranking."""

import email.utils
import errno
import time
from types import SimpleNamespace

import huggingface_hub.errors as errors
import pytest
from huggingface_hub import constants

from hf_transferability import hub
from hf_transferability.hub import calls


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
