"""Errors as the Hub clients raise them."""

from types import SimpleNamespace

import huggingface_hub.errors as errors


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
