"""What the files of the loopback Hub's repositories hold: downloads, and the upload of LFS content.

As on the real Hub, LFS content has addresses of another origin (here `localhost` instead of 127.0.0.1). They are signed, so
they need no token, and one that comes along is refused: a client must never send it to another host.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from functools import partial
from urllib.parse import quote

from .protocol import ID, Answer, HubError, Incoming, Route, State, route
from .reading import check_gate, commit_header, find_commit, find_repository
from .store import StoredFile

KEY = b"loopback"
ROUTES: list[Route] = []
_route = partial(route, ROUTES)


def signed(state: State, path: str) -> str:
    """The address of `path` (which starts with a slash and is percent-encoded) on the origin that serves LFS content."""
    return f"{state.content_url or state.url}/signed/{_signature(path)}{path}"


def _signature(path: str) -> str:
    return hmac.new(KEY, path.encode(), "sha256").hexdigest()[:16]


def _check_signature(request: Incoming) -> None:
    _, _, signature, rest = request.path.split("/", 3)
    if signature != _signature("/" + rest):
        raise HubError(403, "SignatureDoesNotMatch", "The signature of this address is wrong")
    if "authorization" in request.headers:
        raise HubError(400, "InvalidRequest", "Only one way to authenticate is allowed: the signature or a token")


@_route(rf"/(?:(?P<kind>dataset|space)s/)?{ID}/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
def resolve(state: State, request: Incoming, kind: str, repo_id: str, revision: str, path: str) -> Answer:
    """A file, or for an LFS file the redirect to its content."""
    repository = find_repository(state, request, kind or "model", repo_id)
    check_gate(request, repository)
    commit = find_commit(repository, revision)
    file = commit.files.get(path)
    if file is None:
        # With the commit in the header, the clients remember that this file is not there.
        raise HubError(404, "EntryNotFound", "Entry not found", commit_header(commit))
    headers = commit_header(commit)
    if file.is_lfs:
        headers |= {"X-Linked-Etag": state.etag(file), "X-Linked-Size": str(file.size)}
        if state.content_url is not None:
            prefix = f"/{kind}s" if kind else ""
            address = f"{prefix}/{repo_id}/resolve/{commit.sha}/{quote(path)}"
            return Answer(302, headers | {"Location": signed(state, address)})
    return _content(state, request, file, headers)


@_route(rf"/signed/[^/]+/(?:(?P<kind>dataset|space)s/)?{ID}/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
def signed_download(state: State, request: Incoming, kind: str, repo_id: str, revision: str, path: str) -> Answer:
    """The content of an LFS file; whoever has the address may read it."""
    _check_signature(request)
    repository = state.store.get(kind or "model", repo_id)
    commit = repository.resolve(revision) if repository else None
    if commit is None or path not in commit.files:
        raise HubError(404, "NoSuchKey", "There is no such content")
    return _content(state, request, commit.files[path], {})


@_route(r"/signed/[^/]+/upload/(?P<sha256>[0-9a-f]{64})", "PUT")
def upload(state: State, request: Incoming, sha256: str) -> Answer:
    """Take the content of an LFS file."""
    _check_signature(request)
    if hashlib.sha256(request.body).hexdigest() != sha256:
        raise HubError(400, "BadDigest", "The content does not have the announced sha256")
    state.store.keep(request.body)
    return Answer(headers={"ETag": f'"{sha256}"'})


def _content(state: State, request: Incoming, file: StoredFile, headers: dict[str, str]) -> Answer:
    headers |= {
        "ETag": state.etag(file),
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream" if file.is_lfs else "text/plain; charset=utf-8",
        "Content-Disposition": f"inline; filename*=UTF-8''{quote(file.path.rsplit('/', 1)[-1])}",
    }
    status, start, length = 200, 0, file.size
    part = _range(request.headers.get("range"), file.size)
    if part is not None:
        start, length = part
        if length <= 0:
            raise HubError(416, None, "Range not satisfiable", {"Content-Range": f"bytes */{file.size}"})
        status = 206
        headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{file.size}"
    return Answer(status, headers, file=state.store.blob(file.sha256), start=start, length=length)


def _range(header: str | None, size: int) -> tuple[int, int] | None:
    """First byte and length of a Range header; None to send all, which is right for forms that are not understood."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", (header or "").replace(" ", ""))
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        length = min(int(last), size)
        return size - length, length
    end = min(int(last), size - 1) if last else size - 1
    return int(first), end - int(first) + 1
