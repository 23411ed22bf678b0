"""Retries, with functions that fail on purpose."""

import email.utils
import time

import huggingface_hub.errors as errors
import pytest
from helpers.hub_errors import ConnectError, ConnectTimeout, ReadError, answered, caused

from hf_transferability import hub
from hf_transferability.hub import retries


@pytest.fixture
def waits(monkeypatch):
    """The seconds that would have been waited."""
    seconds: list[float] = []
    monkeypatch.setattr(retries.time, "sleep", seconds.append)
    monkeypatch.setattr(retries, "_last_unreachable", None)
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
def test_a_busy_hub_is_called_again(waits, status):
    assert hub.call(fail(answered(status), times=3)) == "answer"
    assert waits == [1, 2, 4]


def test_attempts_are_limited(waits):
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


@pytest.mark.parametrize(("requested", "expected"), [("25", [25, 25]), ("61", [])])
def test_all_waits_together_are_at_most_a_minute(waits, requested, expected):
    with pytest.raises(errors.HfHubHTTPError):
        hub.call(fail(answered(429, **{"Retry-After": requested})))
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
def test_a_permanent_failure_is_not_repeated(waits, error):
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


def test_a_client_that_has_retried_itself_is_called_twice(waits):
    function = fail(caused(errors.LocalEntryNotFoundError("not here"), answered(503)))
    with pytest.raises(errors.LocalEntryNotFoundError):
        hub.call(function)
    assert (function.calls, waits) == (2, [1])


@pytest.mark.parametrize(("error", "expected"), [(ConnectError("refused"), [1]), (ConnectTimeout("10 s"), [])])
def test_without_network_little_time_is_lost(waits, error, expected):
    with pytest.raises(ConnectError):
        hub.call(fail(error))
    assert waits == expected


def test_without_network_a_second_request_fails_at_once(waits, monkeypatch):
    function = fail(ConnectError("refused"))
    for _ in range(3):
        with pytest.raises(ConnectError):
            retries.ask(function)
    assert (function.calls, waits) == (2, [1])
    monkeypatch.setattr(retries, "_last_unreachable", (time.monotonic() - 31, ConnectError("refused")))
    assert retries.ask(fail(ConnectError("refused"), times=1)) == "answer"
