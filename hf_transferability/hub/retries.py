"""Retries of Hub calls: every function of a Hub client is called through `call`.

The clients retry some calls and not others. Here every call is retried after a temporary failure, and a Retry-After is obeyed.
"""

import email.utils
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from huggingface_hub import constants
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import parse_ratelimit_headers

T = TypeVar("T")
LONGEST_WAIT = 60.0  # seconds, over all attempts of one call
TEMPORARY_STATUS = {408, 429, 500, 502, 503, 504}
_ATTEMPTS = 5
_FINAL = (
    GatedRepoError,
    DisabledRepoError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    RemoteEntryNotFoundError,
    OfflineModeIsEnabled,
)
# The HTTP library under huggingface_hub changed its name between 1.x and 2.x.
_HTTP_LIBRARIES = {"httpx", "httpx2", "requests", "urllib3", "aiohttp"}
_last_unreachable: tuple[float, Exception] | None = None


def call(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call a function of a Hub client, and repeat it after a temporary failure: a busy or broken server, a broken connection.

    It waits 1, 2, 4, 8 seconds, or as long as the server asks, but at most a minute in total. If the Hub cannot be reached at
    all, there is one repetition.

    Raises:
        Exception: the last failure, or the first that is not temporary.
    """
    waited = 0.0
    for attempt in itertools.count():
        try:
            return function(*args, **kwargs)
        except Exception as error:
            wait = _wait_before_retry(error, attempt)
            if wait is None or waited + wait > LONGEST_WAIT:
                raise
        time.sleep(wait)
        waited += wait
    raise AssertionError("unreachable")


def ask(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Like `call`, but after the Hub could not be reached, further requests fail at once for half a minute."""
    global _last_unreachable
    if _last_unreachable and time.monotonic() - _last_unreachable[0] < 30:
        raise _last_unreachable[1]
    try:
        return call(function, *args, **kwargs)
    except Exception as error:
        if cannot_connect(error):
            _last_unreachable = time.monotonic(), error
        raise


def is_connection_error(error: BaseException | None) -> bool:
    """Whether an error or one of its causes is a lost or refused connection."""
    return any(is_lost_connection(link) for link in chain(error))


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and its causes, from the outermost to the innermost."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def caused_by(error: BaseException, *types: type[BaseException]) -> bool:
    """Whether an error or one of its causes has one of these types."""
    return any(isinstance(link, types) for link in chain(error))


def response_of(error: BaseException) -> Any:
    """The HTTP response that caused an error; None if there was none."""
    responses = (getattr(link, "response", None) for link in chain(error) if isinstance(link, HfHubHTTPError))
    return next((response for response in responses if response is not None), None)


def is_lost_connection(error: BaseException) -> bool:
    """Whether this error, causes aside, is a lost or refused connection."""
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    return type(error).__module__.split(".")[0] in _HTTP_LIBRARIES and getattr(error, "response", None) is None


def cannot_connect(error: BaseException) -> bool:
    """Whether no connection to the Hub was made, which differs from one that broke."""
    names = {"ConnectError", "ConnectTimeout", "ConnectionRefusedError", "gaierror", "ProxyError"}
    return any(type(link).__name__ in names for link in chain(error))


def _wait_before_retry(error: Exception, attempt: int) -> float | None:
    """Seconds to wait before the next attempt; None if another attempt cannot help or there have been enough."""
    if constants.HF_HUB_OFFLINE or caused_by(error, *_FINAL):
        return None
    if response := response_of(error):
        # A client that reports a missing local file has already retried for half a minute.
        attempts = 2 if caused_by(error, LocalEntryNotFoundError) else _ATTEMPTS
        if response.status_code not in TEMPORARY_STATUS or attempt + 1 >= attempts:
            return None
        return requested_wait(response) or 2.0**attempt
    if cannot_connect(error):  # an unknown host or a closed port rarely changes within seconds
        timed_out = any(type(link).__name__ == "ConnectTimeout" for link in chain(error))
        return 1.0 if attempt == 0 and not timed_out else None
    broken = is_connection_error(error) or caused_by(error, LocalEntryNotFoundError)
    return 2.0**attempt if broken and attempt + 1 < 3 else None


def requested_wait(response: Any) -> float:
    """Seconds that a busy server asks clients to wait, in one of three header forms; 0 if it does not."""
    after = response.headers.get("Retry-After", "").strip()
    if after.isdigit():
        return float(after)
    if after:
        try:
            return max(email.utils.parsedate_to_datetime(after).timestamp() - time.time(), 0.0)
        except ValueError:
            pass
    limit = parse_ratelimit_headers(response.headers)
    return float(limit.reset_in_seconds) if limit else 0.0
