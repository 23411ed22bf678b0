"""The write side of the loopback Hub: repositories are made, set, deleted and committed to."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import yaml

from .content import signed
from .protocol import API, Account, Answer, HubError, Incoming, Route, State, as_json, route
from .reading import FRONT_MATTER, check_gate, find_commit, find_repository
from .store import REPO_TYPES, Commit, Repository, is_inside, is_lfs

LFS = r"/(?:(?P<kind>dataset|space)s/)?(?P<repo_id>[^/]+/[^/]+)\.git/info/lfs/objects"
GIT_ATTRIBUTES = b"*.parquet filter=lfs diff=lfs merge=lfs -text\n*.safetensors filter=lfs diff=lfs merge=lfs -text\n"
ROUTES: list[Route] = []
_route = partial(route, ROUTES)


def page(state: State, repository: Repository) -> str:
    """The address of a repository's page."""
    prefix = "" if repository.repo_type == "model" else f"{repository.repo_type}s/"
    return f"{state.url}/{prefix}{repository.repo_id}"


def logged_in(request: Incoming) -> Account:
    """Whose token came along.

    The clients take a bare 401 for a missing repository, but over https only; the code makes them do so here, too.
    """
    if request.account is None:
        raise HubError(401, "RepoNotFound", "Invalid username or password.")
    return request.account


def check_write(request: Incoming, repository: Repository) -> Account:
    """The account that may write the repository, or the error of one that may not."""
    account = logged_in(request)
    if not account.may_write(repository.repo_id):
        raise HubError(403, None, f"You don't have the rights to write to {repository.repo_id}")
    return account


def _check_push(request: Incoming, repository: Repository, revision: str) -> Account:
    """Who may push to a revision: whoever may write; anyone who can read for a pull request, later on its author."""
    account = logged_in(request)
    check_gate(request, repository)
    if account.may_write(repository.repo_id) or request.flag("create_pr"):
        return account
    authors = {discussion.ref: discussion.author for discussion in repository.discussions}
    if authors.get(revision) != account.name:
        raise HubError(403, None, "Forbidden: pass `create_pr=1` as a query parameter to create a Pull Request")
    return account


def _named(state: State, request: Incoming) -> tuple[Account, str, str, dict[str, Any]]:
    """The account, the type and id of the repository, and all of the body, of a request to /api/repos."""
    if request.account is None:
        raise HubError(401, None, "Invalid username or password.")
    body = json.loads(request.body)
    kind = body.get("type") or "model"
    if kind not in REPO_TYPES:
        raise HubError(400, None, f'Invalid value "{kind}" for "type"')
    return request.account, kind, f"{body.get('organization') or request.account.name}/{body['name']}", body


def _is_private(body: dict[str, Any]) -> bool | None:
    """What a body says of being private; older clients say `private`, newer ones `visibility`."""
    if "visibility" in body:
        return bool(body["visibility"] == "private")
    return body.get("private")


@_route(r"/api/repos/create", "POST")
def create(state: State, request: Incoming) -> Answer:
    """Make a repository, with the first commit that the real Hub makes, too."""
    account, kind, repo_id, body = _named(state, request)
    if not account.may_write(repo_id):
        namespace = repo_id.split("/")[0]
        raise HubError(403, None, f'You don\'t have the rights to create a {kind} under the namespace "{namespace}"')
    if kind == "space" and not body.get("sdk"):
        raise HubError(400, None, '"sdk" is required')
    with state.store.lock:
        existing = state.store.get(kind, repo_id)
        if existing is not None:
            message = f"You already created this {kind} repo"
            answer = as_json({"error": message, "url": page(state, existing)}, status=409)
            answer.error = message
            return answer
        repository = state.store.create(kind, repo_id)
        repository.private = bool(_is_private(body))
        repository.sdk = body.get("sdk")
        state.store.commit(repository, {".gitattributes": GIT_ATTRIBUTES}, title="initial commit", author=account.name)
    return as_json({"url": page(state, repository), "name": repo_id, "id": repo_id, "private": repository.private})


@_route(r"/api/repos/delete", "DELETE")
def delete(state: State, request: Incoming) -> Answer:
    """Delete a repository."""
    _, kind, repo_id, _ = _named(state, request)
    repository = find_repository(state, request, kind, repo_id)
    check_write(request, repository)
    state.store.delete(repository)
    return Answer()


@_route(API + r"/settings", "PUT")
def settings(state: State, request: Incoming, kind: str, repo_id: str) -> Answer:
    """Make a repository private, public, or gated."""
    repository = find_repository(state, request, kind, repo_id)
    check_write(request, repository)
    body = json.loads(request.body)
    private = _is_private(body)
    if private is not None:
        repository.private = private
    if "gated" in body:
        repository.gated = body["gated"]
    return as_json({"private": repository.private, "gated": repository.gated})


@_route(r"/api/validate-yaml", "POST")
def validate_yaml(state: State, request: Incoming) -> Answer:
    """Whether a card's front matter can be read. The real Hub also looks at what is in it."""
    match = FRONT_MATTER.match(json.loads(request.body)["content"])
    if match is None:
        return as_json({"errors": [], "warnings": [{"message": "empty or missing yaml metadata in repo card"}]})
    try:
        data = yaml.safe_load(match.group(1))
    except yaml.YAMLError as error:
        return as_json({"errors": [{"message": str(error)}], "warnings": []}, status=400)
    if not isinstance(data, dict):
        return as_json({"errors": [{"message": "YAML metadata must be an object"}], "warnings": []}, status=400)
    return as_json({"errors": [], "warnings": []})


@_route(API + r"/preupload/(?P<revision>[^/]+)", "POST")
def preupload(state: State, request: Incoming, kind: str, repo_id: str, revision: str) -> Answer:
    """Say for every file how it has to be uploaded, and what of it is there already."""
    repository = find_repository(state, request, kind, repo_id)
    _check_push(request, repository, revision)
    commit = find_commit(repository, revision)
    answers = []
    for file in json.loads(request.body)["files"]:
        path = file["path"]
        mode = "lfs" if is_lfs(path, file["size"]) else "regular"
        answers.append({"path": path, "uploadMode": mode, "shouldIgnore": False})
        old = commit.files.get(path)
        if old is not None:
            answers[-1]["oid"] = old.etag  # by which the client sees that a file has not changed
    return as_json({"files": answers, "commitOid": commit.sha})


@_route(LFS + r"/batch", "POST")
def lfs_batch(state: State, request: Incoming, kind: str, repo_id: str) -> Answer:
    """Give an address to upload to for all content that is not there yet, in this or, unlike on the real Hub, another one."""
    repository = find_repository(state, request, kind or "model", repo_id)
    body = json.loads(request.body)
    if "ref" in body:
        _check_push(request, repository, body["ref"]["name"])
    else:  # for a pull request to be opened, which anyone may who can read
        logged_in(request)
        check_gate(request, repository)
    objects = []
    for item in body["objects"]:
        objects.append({"oid": item["oid"], "size": item["size"]})
        if not state.store.blob(item["oid"]).exists():
            objects[-1]["actions"] = {
                "upload": {"href": signed(state, f"/upload/{item['oid']}")},
                "verify": {"href": f"{page(state, repository)}.git/info/lfs/objects/verify"},
            }
    return as_json({"transfer": "basic", "objects": objects})


@_route(LFS + r"/verify", "POST")
def lfs_verify(state: State, request: Incoming, kind: str, repo_id: str) -> Answer:
    """Whether content has arrived."""
    find_repository(state, request, kind or "model", repo_id)
    body = json.loads(request.body)
    blob = state.store.blob(body["oid"])
    if not blob.exists() or blob.stat().st_size != body["size"]:
        raise HubError(400, None, "The content has not arrived")
    return Answer()


@dataclass
class _Change:
    """What the lines of a commit's body ask for."""

    header: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    delete: list[str] = field(default_factory=list)  # a folder's path ends with a slash


def _read_change(state: State, body: bytes) -> _Change:
    change = _Change()
    for line in body.splitlines():
        item = json.loads(line)
        key, value = item["key"], item["value"]
        if key == "header":
            change.header = value
            continue
        path = value["path"]
        if not is_inside(path.removesuffix("/")):
            raise HubError(400, None, f"Invalid path: {path}")
        if key == "file":
            change.files[path] = base64.b64decode(value["content"])
        elif key == "lfsFile":
            if not state.store.blob(value["oid"]).exists():
                raise HubError(400, None, f"An LFS pointer pointed to a file that does not exist. Offending file: {path}")
            change.kept[path] = value["oid"]
        elif key in ("deletedFile", "deletedFolder"):
            change.delete.append(path.removesuffix("/") + ("/" if key == "deletedFolder" else ""))
        else:
            raise HubError(400, None, f'Invalid value "{key}" for "key"')
    if not change.header.get("summary"):
        raise HubError(400, None, '"summary" is not allowed to be empty')
    return change


def _paths_to_delete(commit: Commit, delete: list[str]) -> list[str]:
    found: set[str] = set()
    for path in delete:
        inside = [name for name in commit.files if name == path or (path.endswith("/") and name.startswith(path))]
        if not inside:
            what = "folder" if path.endswith("/") else "file"
            raise HubError(404, "EntryNotFound", f"A {what} with this name doesn't exist: {path}")
        found.update(inside)
    return sorted(found)


@_route(API + r"/commit/(?P<revision>[^/]+)", "POST")
def commit(state: State, request: Incoming, kind: str, repo_id: str, revision: str) -> Answer:
    """Add a commit to a branch or a pull request, or open a pull request with it.

    With `parentCommit`, a commit is refused when the head is another; a pull request starts from that commit.
    """
    repository = find_repository(state, request, kind, repo_id)
    account = _check_push(request, repository, revision)
    change = _read_change(state, request.body)
    title, description = change.header["summary"], change.header.get("description", "")
    parent = change.header.get("parentCommit")
    with state.store.lock:  # between the look at the head and the commit nobody else's may come
        sha = repository.branches.get(revision) or repository.pulls.get(revision)
        if sha is None:
            raise HubError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        start, ref, number = repository.commits[sha], revision, None
        if request.flag("create_pr"):
            if parent:
                start = find_commit(repository, _full_sha(repository, parent))
        elif parent and not sha.startswith(parent):
            raise HubError(412, None, "A commit has happened since. Please refresh and try again.")
        paths = _paths_to_delete(start, change.delete)
        if request.flag("create_pr"):
            opened = repository.discuss(title, description, account.name, revision, start.sha)
            ref, number = opened.ref, opened.number
        done = state.store.commit(
            repository,
            change.files,
            kept=change.kept,
            delete=paths,
            branch=ref,
            title=title,
            description=description,
            author=account.name,
        )
    address = page(state, repository)
    found = {"success": True, "commitOid": done.sha, "commitUrl": f"{address}/commit/{done.sha}", "hookOutput": ""}
    if number is not None:
        found["pullRequestUrl"] = f"{address}/discussions/{number}"
    return as_json(found)


def _full_sha(repository: Repository, short: str) -> str:
    """The sha that begins so, if it is one; the clients may give the first 7 characters."""
    fitting = [sha for sha in repository.commits if sha.startswith(short)]
    return fitting[0] if len(fitting) == 1 else short


@_route(API + r"/super-squash/(?P<branch>[^/]+)", "POST")
def squash(state: State, request: Incoming, kind: str, repo_id: str, branch: str) -> Answer:
    """Make one commit of a branch's history."""
    repository = find_repository(state, request, kind, repo_id)
    check_write(request, repository)
    if branch not in repository.branches:
        raise HubError(404, "RevisionNotFound", f"Invalid rev id: {branch}")
    return as_json({"commitOid": state.store.squash(repository, branch, json.loads(request.body)["message"]).sha})
