"""The HTTP side of the loopback Hub and the class that tests use."""

from __future__ import annotations

import contextlib
import io
import os
import re
import socket
import struct
import threading
import traceback
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from .content import ROUTES as CONTENT
from .faults import Fault, Faults
from .jobs import ROUTES as JOBS
from .listing import ROUTES as LISTING
from .protocol import Account, Answer, HubError, Incoming, Jobs, State
from .reading import ROUTES as READING
from .refs import ROUTES as REFS
from .store import Store, files_of
from .writing import ROUTES as WRITING

CHUNK = 2**16
ROUTES = [*JOBS, *LISTING, *READING, *CONTENT, *REFS, *WRITING]
UNKNOWN_ADDRESS = "UnknownAddress"  # noted in the log for what no route answers; never sent

# A test must not depend on what the developer has set: these name other hubs, caches, tokens or proxies.
FOREIGN_PREFIXES = ("HF_", "HUGGING_FACE_", "HUGGINGFACE_", "TRANSFORMERS_", "DATASETS_", "EVALUATE_")
FOREIGN_NAMES = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})


@dataclass
class Request:
    """One recorded request. `path` has the query; of the token only that there was one is kept."""

    method: str
    host: str  # the Host header, such as 127.0.0.1:8080
    path: str
    authenticated: bool  # an Authorization header came along, whether or not the token was good
    status: int = 0  # of the answer, also if that was lost; 0 if a fault kept the request from being carried out
    error: str | None = None  # X-Error-Code, or the message where there is no code
    fault: str | None = None  # the planned fault that met it
    sent: int = 0  # bytes of the body that went out; it grows while a body is being sent


class LoopbackHub:
    """A Hugging Face Hub on 127.0.0.1, served by a thread of this process while the `with` block runs.

    `tokens` says for each token which private and gated repositories it may read, `writes` in which namespaces it may
    create repositories and commit ("*" for all). A token is somebody's whose name is the token without "hf_". Any other
    token is refused, as the real Hub does. `page_size` is the number of entries on a page of a file listing. With `cdn`, LFS
    content goes to and from another origin, as on the real Hub. `jobs` runs jobs; see `jobs.Machines`.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        tokens: Mapping[str, Collection[str]] | None = None,
        writes: Mapping[str, Collection[str]] | None = None,
        page_size: int = 1000,
        cdn: bool = True,
        jobs: Jobs | None = None,
    ) -> None:
        self.store = Store(root)
        self.faults = Faults()
        self.requests: list[Request] = []
        tokens = {"hf_reader": {"*"}} if tokens is None else tokens
        writes = writes or {}
        self.accounts = {
            token: Account(token.removeprefix("hf_"), frozenset(tokens.get(token, ())), frozenset(writes.get(token, ())))
            for token in {**tokens, **writes}
        }
        self._page_size = page_size
        self._cdn = cdn
        self._jobs = jobs
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> LoopbackHub:
        self._server = _Server(self)
        content_url = self.url.replace("127.0.0.1", "localhost") if self._cdn else None
        self.state = State(self.store, self.url, content_url, self._page_size, jobs=self._jobs)
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
        self.faults.add(rf"/{re.escape(repo_id)}/resolve/[^/]+/.*(?:{path_regex})", cut=bytes_sent)

    def unknown(self) -> list[Request]:
        """The recorded requests for addresses that this hub does not have."""
        return [request for request in list(self.requests) if request.error == UNKNOWN_ADDRESS]

    def leaks(self) -> list[Request]:
        """The recorded requests that carried a token to another host than the hub's own."""
        own = self.url.removeprefix("http://")
        return [request for request in list(self.requests) if request.authenticated and request.host != own]

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
            "NO_PROXY": "127.0.0.1,localhost",
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

    def _answer(self, request: Incoming, token: str | None, fault: Fault | None) -> Answer:
        """Find the route for a request and run it; an error becomes the answer that the clients know."""
        try:
            if fault is not None and fault.status is not None:
                headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
                raise HubError(fault.status, None, "The hub was told to refuse this", headers)
            if token is not None and request.account is None:
                raise HubError(401, None, "Invalid credentials in Authorization header")
            for route in ROUTES:
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
        self.closing = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        # Noted before its thread starts, so that `close` cannot miss a connection that was only just accepted.
        with self.connections_lock:
            self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self.connections_lock:
            self.connections.discard(request)
        if request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER):
            self.close_request(request)  # to be reset, without the orderly end that would come first otherwise
        else:
            super().shutdown_request(request)

    def close(self) -> None:
        """End all connections and wait for their threads."""
        self.closing.set()
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
        body = self._body()
        authorization = self.headers.get("Authorization")
        token = authorization.removeprefix("Bearer ") if authorization is not None else None
        url = urlsplit(self.path)
        address = unquote(url.path)
        record = Request(self.command, self.headers.get("Host", ""), self.path, token is not None)
        fault = hub.faults.meet(self.command, address, body=False)
        if fault is not None:
            record.fault = fault.name
            self.server.closing.wait(fault.delay)
            if fault.reset and not fault.lost:
                hub.requests.append(record)
                self._end(reset=True)
                return
        headers = {name.lower(): value for name, value in self.headers.items()}
        account = hub.accounts.get(token) if token is not None else None
        request = Incoming(self.command, url.path, parse_qs(url.query), headers, body, account)
        answer = hub._answer(request, token, fault)
        record.status, record.error = answer.status, answer.error
        if fault is None and self.command != "HEAD" and (answer.file is not None or answer.body):
            fault = hub.faults.meet(self.command, address, body=True)
            if fault is not None:
                record.fault = fault.name
                self.server.closing.wait(fault.delay)
        hub.requests.append(record)  # before anything is sent, so that a client's next step finds it
        if fault is not None and fault.lost:
            self._end(reset=fault.reset)
        else:
            self._send(answer, record, fault)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _body(self) -> bytes:
        """The request's body; uploads come in chunks, as their clients do not say the length."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers, up to an empty line
            pass
        return b"".join(parts)

    def _send(self, answer: Answer, record: Request, fault: Fault | None) -> None:
        length = answer.length if answer.file is not None else len(answer.body)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command == "HEAD":
            return
        allowed = length if fault is None else fault.bytes_before_cut(answer.start, length)
        with answer.file.open("rb") if answer.file is not None else io.BytesIO(answer.body) as content:
            content.seek(answer.start)
            while record.sent < allowed:
                chunk = content.read(min(CHUNK, allowed - record.sent))
                if fault is not None and fault.corrupt and record.sent + len(chunk) == length:
                    chunk = chunk[:-1] + bytes([chunk[-1] ^ 255])
                self.wfile.write(chunk)
                record.sent += len(chunk)
        if allowed < length:
            self._end(reset=fault is not None and fault.reset)

    def _end(self, *, reset: bool) -> None:
        """Close the connection, with a TCP reset if asked for."""
        self.close_connection = True
        if reset:
            # With no time to linger, closing the socket sends RST.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr: `LoopbackHub.requests` is the log."""
