"""The HTTP side of the loopback Hub and the class that tests use."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import traceback
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from .faults import Faults
from .protocol import Account, Answer, HubError, Incoming, Route, State
from .reading import ROUTES as READING
from .store import Store, files_of

CHUNK = 2**16
UNKNOWN_ADDRESS = "UnknownAddress"  # noted in the log for what no route answers; never sent

# A test must not depend on what the developer has set: these name other hubs, caches, tokens or proxies.
FOREIGN_PREFIXES = ("HF_", "HUGGING_FACE_", "HUGGINGFACE_", "TRANSFORMERS_", "DATASETS_", "EVALUATE_")
FOREIGN_NAMES = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})


@dataclass
class Request:
    """One recorded request. `path` has the query; of the token only that there was one is kept."""

    method: str
    path: str
    status: int
    authenticated: bool  # an Authorization header came along, whether or not the token was good
    error: str | None = None  # X-Error-Code, or the message where there is no code
    sent: int = 0  # bytes of the body that went out; it grows while a body is being sent


class LoopbackHub:
    """A Hugging Face Hub on 127.0.0.1, served by a thread of this process while the `with` block runs.

    `tokens` says for each token which private and gated repositories it may read ("*" for all). Any other token is
    refused, as the real Hub does. `page_size` is the number of entries on a page of a file listing.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        tokens: Mapping[str, Collection[str]] | None = None,
        page_size: int = 1000,
    ) -> None:
        self.store = Store(root)
        self.faults = Faults()
        self.requests: list[Request] = []
        self.accounts = {
            token: Account(token.removeprefix("hf_"), frozenset(reads))
            for token, reads in ({"hf_reader": {"*"}} if tokens is None else tokens).items()
        }
        self.routes: list[Route] = [*READING]
        self._page_size = page_size
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> LoopbackHub:
        self._server = _Server(self)
        self.state = State(self.store, self.url, self._page_size)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="loopback-hub", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._server is not None and self._thread is not None
        self._server.shutdown()
        self._thread.join()
        self._server.close()
        self._server = None

    @property
    def url(self) -> str:
        """The endpoint, for HF_ENDPOINT; the hub must be running."""
        if self._server is None:
            raise RuntimeError("the hub runs only inside its `with` block")
        return f"http://127.0.0.1:{self._server.server_port}"

    def commit(
        self,
        repo_type: str,
        repo_id: str,
        files: str | os.PathLike[str] | Mapping[str, bytes],
        *,
        private: bool | None = None,
        gated: bool | str | None = None,
        delete: Iterable[str] = (),
        branch: str = "main",
        title: str = "Upload files",
    ) -> str:
        """Add a commit and return its sha; the first one makes the repository.

        `files` (a folder, or a dict of bytes by path) are added to what the branch has, or replace it; `delete` names
        paths to remove. A new branch starts empty unless `branch()` made it. `private` and `gated` stay as they are
        when not given; a new repository is neither.
        """
        repository = self.store.create(repo_type, repo_id)
        if private is not None:
            repository.private = private
        if gated is not None:
            repository.gated = "auto" if gated is True else gated
        return self.store.commit(repository, files_of(files), delete=list(delete), branch=branch, title=title).sha

    def branch(self, repo_type: str, repo_id: str, name: str, revision: str = "main") -> None:
        """Let a branch name point to a revision."""
        repository, sha = self._at(repo_type, repo_id, revision)
        repository.branches[name] = sha

    def tag(self, repo_type: str, repo_id: str, name: str, revision: str = "main") -> None:
        """Let a tag name point to a revision."""
        repository, sha = self._at(repo_type, repo_id, revision)
        repository.tags[name] = sha

    def fail_after(self, repo_id: str, path_regex: str, bytes_sent: int = 1000) -> None:
        """Cut the body of matching file downloads after so many bytes of the file, every time.

        The answer's header promises the whole file, then the connection is closed.
        """
        self.faults.add_cut(repo_id, path_regex, bytes_sent)

    def unknown(self) -> list[Request]:
        """The recorded requests for addresses that this hub does not have."""
        return [request for request in list(self.requests) if request.error == UNKNOWN_ADDRESS]

    def environment(self, home: str | os.PathLike[str], token: str | None = None) -> dict[str, str]:
        """The environment for a subprocess whose clients shall talk to this hub, with `home` as HF_HOME."""
        env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(FOREIGN_PREFIXES) and name.lower() not in FOREIGN_NAMES
        }
        env |= {
            "HF_ENDPOINT": self.url,
            "HF_HOME": os.fspath(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_UPDATE_DOWNLOAD_COUNTS": "0",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "HF_HUB_ETAG_TIMEOUT": "5",
            "HF_HUB_DOWNLOAD_TIMEOUT": "5",
            "NO_PROXY": "127.0.0.1",
        }
        if token is not None:
            env["HF_TOKEN"] = token
        return env

    def _at(self, repo_type: str, repo_id: str, revision: str) -> tuple[Any, str]:
        repository = self.store.get(repo_type, repo_id)
        commit = repository.resolve(revision) if repository else None
        if commit is None:
            raise KeyError(f"no {repo_type} {repo_id} at {revision}")
        return repository, commit.sha

    def _answer(self, request: Incoming, token: str | None) -> Answer:
        """Find the route for a request and run it; an error becomes the answer that the clients know."""
        try:
            if refusal := self.faults.refusal_for(request.path):
                headers = {} if refusal.retry_after is None else {"Retry-After": refusal.retry_after}
                raise HubError(refusal.status, None, "The hub was told to refuse this", headers)
            if token is not None and request.account is None:
                raise HubError(401, None, "Invalid credentials in Authorization header")
            for route in self.routes:
                match = route.pattern.fullmatch(request.path)
                if match is not None and request.method in route.methods:
                    # Unquoted only now: a %2F in a revision is part of its name and not a separator.
                    groups = {name: unquote(value or "") for name, value in match.groupdict().items()}
                    return route.function(self.state, request, **groups)
            answer = HubError(404, None, "Sorry, we can't find the page you are looking for.").answer()
            answer.error = UNKNOWN_ADDRESS
            return answer
        except HubError as error:
            return error.answer()
        except Exception:  # a fault of this hub: the test shall see it in the log, not hang
            answer = HubError(500, None, "Internal Error of the loopback hub").answer()
            answer.error = traceback.format_exc()
            return answer


class _Server(ThreadingHTTPServer):
    """The listening socket, and the connections that are open."""

    # Clients keep connections open, so the threads are ended by `close`, which then waits for them.
    daemon_threads = False
    request_queue_size = 64

    def __init__(self, hub: LoopbackHub) -> None:
        self.hub = hub
        self.connections: set[socket.socket] = set()
        self.connections_lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        # Noted before its thread starts, so that `close` cannot miss a connection that was only just accepted.
        with self.connections_lock:
            self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self.connections_lock:
            self.connections.discard(request)
        super().shutdown_request(request)

    def close(self) -> None:
        """End all connections and wait for their threads."""
        with self.connections_lock:
            for connection in self.connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: what gets here is a client that went away, as the routes' own errors are answered."""


class _Handler(BaseHTTPRequestHandler):
    """One connection: reads requests, records them and sends the answers."""

    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "loopback-hub"
    # Header and body are two small writes; with Nagle's algorithm the second would wait for the client's ACK.
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        hub = self.server.hub
        # The body is read in any case: left in the socket, it would be taken for the connection's next request.
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        authorization = self.headers.get("Authorization")
        token = authorization.removeprefix("Bearer ") if authorization is not None else None
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        account = hub.accounts.get(token) if token is not None else None
        request = Incoming(self.command, url.path, parse_qs(url.query), headers, body, account)
        answer = hub._answer(request, token)
        record = Request(self.command, self.path, answer.status, token is not None, answer.error)
        hub.requests.append(record)  # before anything is sent, so that a client's next step finds it
        self._send(answer, record)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _send(self, answer: Answer, record: Request) -> None:
        length = answer.length if answer.file is not None else len(answer.body)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command == "HEAD":
            return
        if answer.file is None:
            self.wfile.write(answer.body)
            record.sent = length
            return
        cut = self.server.hub.faults.cut_for(answer.repo_id, answer.file_path)
        allowed = length if cut is None else cut.limit(answer.start, length)
        damaged = self.server.hub.faults.damages(answer.repo_id, answer.file_path)
        with answer.file.open("rb") as file:
            file.seek(answer.start)
            while record.sent < allowed:
                chunk = file.read(min(CHUNK, allowed - record.sent))
                if damaged and record.sent + len(chunk) == length:
                    chunk = chunk[:-1] + bytes([chunk[-1] ^ 255])
                self.wfile.write(chunk)
                record.sent += len(chunk)
        if allowed < length:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr: `LoopbackHub.requests` is the log."""
