"""What the HTTP part and the routes of the loopback Hub say to each other: requests, answers, errors, accounts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .store import Store, StoredFile

# A repository id has two parts; one part is let through so that it is answered as a repository that is not there.
ID = r"(?P<repo_id>[^/]+/[^/]+|[^/]+)"
API = rf"/api/(?P<kind>model|dataset|space)s/{ID}"

Function = Callable[..., "Answer"]


@dataclass(frozen=True)
class Account:
    """Who a token stands for, the ids of the private and gated repositories it may read, and the namespaces it may write.

    "*" means all of them. Who may write a namespace may read everything in it.
    """

    name: str
    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()

    def may_read(self, repo_id: str) -> bool:
        """Whether this account was let into a private or gated repository."""
        return repo_id in self.reads or "*" in self.reads or self.may_write(repo_id)

    def may_write(self, repo_id: str) -> bool:
        """Whether this account may create this repository, commit to it, and delete it."""
        return repo_id.split("/")[0] in self.writes or "*" in self.writes


@dataclass(frozen=True)
class Incoming:
    """One request, as the routes see it; `path` is still percent-encoded, names of headers are in lower case."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    account: Account | None

    def flag(self, name: str) -> bool:
        """Whether a query parameter is given and says yes (the clients send "true", "True" or 1)."""
        return any(value.lower() in ("true", "1") for value in self.query.get(name, ()))


@dataclass
class Answer:
    """One answer: `body`, or the part of a file on disk that starts at `start` and has `length` bytes."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    file: Path | None = None
    start: int = 0
    length: int = 0
    error: str | None = None


class HubError(Exception):
    """An answer that is an error; `code` goes out as X-Error-Code, by which the clients choose their exception."""

    def __init__(self, status: int, code: str | None, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})

    def answer(self) -> Answer:
        """The answer to send."""
        answer = as_json({"error": self.message}, status=self.status)
        answer.headers |= self.headers | {"X-Error-Message": self.message}
        if self.code is not None:
            answer.headers["X-Error-Code"] = self.code
        answer.error = self.code or self.message
        return answer


class Jobs:
    """What runs jobs; see `jobs.Machines`."""


@dataclass(frozen=True)
class State:
    """What the routes may look at."""

    store: Store
    url: str  # http://127.0.0.1:PORT
    content_url: str | None  # the other origin, to and from which LFS content goes; None: it goes by this one
    page_size: int
    etag_of: Callable[[StoredFile], str] | None = None  # None: the sha256 or blob id of a file, in quotes
    jobs: Jobs | None = None

    def etag(self, file: StoredFile) -> str:
        """The header ETag of a file, as it is sent."""
        return self.etag_of(file) if self.etag_of else f'"{file.etag}"'


@dataclass(frozen=True)
class Route:
    """One address of the Hub: the function gets the state, the request and the pattern's named groups, unquoted."""

    methods: frozenset[str]
    pattern: re.Pattern[str]
    function: Function


def route(routes: list[Route], pattern: str, *methods: str) -> Callable[[Function], Function]:
    """Add the decorated function to `routes` (for GET and HEAD if no method is named); the first that fits answers."""

    def add(function: Function) -> Function:
        routes.append(Route(frozenset(methods or ("GET", "HEAD")), re.compile(pattern), function))
        return function

    return add


def as_json(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer with a JSON body; dates, which YAML may bring, become text."""
    body = json.dumps(value, default=str).encode()
    return Answer(status, {"Content-Type": "application/json; charset=utf-8", **(headers or {})}, body)
