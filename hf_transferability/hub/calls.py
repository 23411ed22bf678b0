"""The one place where a Hub client's function is called: again when the failure is one that passes.

The clients retry some calls and not others; here all are, and a Retry-After is honoured.
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
TRANSIENT = {408, 429, 500, 502, 503, 504}
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
    """Call a Hub client's function, again when the failure is one that passes: busy or broken server, broken connection.

    Waits 1, 2, 4, 8 seconds, or as long as the server says, but never more than a minute in all. A Hub that cannot be reached
    at all gets one more try.

    Raises:
        Exception: the last failure, or the first that does not pass.
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
    """`call`, but for half a minute after the Hub could not be reached every further question fails at once."""
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
    """Whether an error, or one that it came from, is a lost or refused connection."""
    return any(is_lost_connection(link) for link in chain(error))


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it came from."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def find(error: BaseException, *types: type[BaseException]) -> bool:
    """Whether an error, or one that it came from, is of these types."""
    return any(isinstance(link, types) for link in chain(error))


def answer_of(error: BaseException) -> Any:
    """The HTTP answer that an error came from, if there was one."""
    answers = (getattr(link, "response", None) for link in chain(error) if isinstance(link, HfHubHTTPError))
    return next((answer for answer in answers if answer is not None), None)


def is_lost_connection(error: BaseException) -> bool:
    """Whether an error itself is a lost or refused connection."""
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    return type(error).__module__.split(".")[0] in _HTTP_LIBRARIES and getattr(error, "response", None) is None


def cannot_connect(error: BaseException) -> bool:
    """Whether the Hub was not reached at all, as against a connection that broke."""
    names = {"ConnectError", "ConnectTimeout", "ConnectionRefusedError", "gaierror", "ProxyError"}
    return any(type(link).__name__ in names for link in chain(error))


def first_line(error: BaseException) -> str:
    """The first line of an error's text, without its full stop."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _wait_before_retry(error: Exception, attempt: int) -> float | None:
    """Seconds to wait, or None if trying again cannot help or has been tried enough."""
    if constants.HF_HUB_OFFLINE or find(error, *_FINAL):
        return None
    if answer := answer_of(error):
        # Where the client reports a missing local file, it has itself tried for half a minute.
        attempts = 2 if find(error, LocalEntryNotFoundError) else _ATTEMPTS
        if answer.status_code not in TRANSIENT or attempt + 1 >= attempts:
            return None
        return asked_to_wait(answer) or 2.0**attempt
    if cannot_connect(error):  # a name that does not resolve or a port that refuses will not mend within seconds
        timed_out = any(type(link).__name__ == "ConnectTimeout" for link in chain(error))
        return 1.0 if attempt == 0 and not timed_out else None
    broken = is_connection_error(error) or find(error, LocalEntryNotFoundError)
    return 2.0**attempt if broken and attempt + 1 < 3 else None


def asked_to_wait(answer: Any) -> float:
    """Seconds that a busy server asks for, in one of three ways; 0 if it does not say."""
    after = answer.headers.get("Retry-After", "").strip()
    if after.isdigit():
        return float(after)
    if after:
        try:
            return max(email.utils.parsedate_to_datetime(after).timestamp() - time.time(), 0.0)
        except ValueError:
            pass
    limit = parse_ratelimit_headers(answer.headers)
    return float(limit.reset_in_seconds) if limit else 0.0
