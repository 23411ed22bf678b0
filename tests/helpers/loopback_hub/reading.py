"""The read side of the loopback Hub: who may read what, and what repositories tell about themselves."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlencode

# Every client under test depends on PyYAML, and the standard library has no YAML.
import yaml

from .protocol import API, Answer, HubError, Incoming, Route, State, as_json, route
from .store import Commit, Repository, StoredFile

FRONT_MATTER = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*$", re.DOTALL | re.MULTILINE)
ROUTES: list[Route] = []
_route = partial(route, ROUTES)


def find_repository(state: State, request: Incoming, kind: str, repo_id: str) -> Repository:
    """The repository, or the error of one that is not there.

    A private repository is answered exactly as a missing one, and to a caller without a token both are a 401: the real
    Hub does so in order not to tell which private repositories exist.
    """
    repository = state.store.get(kind, repo_id)
    allowed = request.account is not None and request.account.may_read(repo_id)
    if repository is None or (repository.private and not allowed):
        if request.account is None:
            raise HubError(401, "RepoNotFound", "Invalid username or password.")
        raise HubError(404, "RepoNotFound", "Repository not found")
    return repository


def check_gate(request: Incoming, repository: Repository) -> None:
    """Refuse the content of a gated repository to those not let in; its name and its list of files are open."""
    if not repository.gated or (request.account is not None and request.account.may_read(repository.repo_id)):
        return
    if request.account is None:
        message = f"Access to {repository.repo_type} {repository.repo_id} is restricted. You must have access to it"
        raise HubError(401, "GatedRepo", message + " and be authenticated to access it. Please log in.")
    message = f"Access to {repository.repo_type} {repository.repo_id} is restricted and you are not in the"
    raise HubError(403, "GatedRepo", message + " authorized list. Ask for access first.")


def find_commit(repository: Repository, revision: str) -> Commit:
    """The commit that a revision means, or the error of one that is not there."""
    commit = repository.resolve(revision)
    if commit is None:
        raise HubError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
    return commit


def card_data(state: State, commit: Commit) -> dict[str, Any] | None:
    """The YAML front matter of README.md; None without one, or when it is broken (the Hub shows such a card too)."""
    readme = commit.files.get("README.md")
    if readme is None:
        return None
    match = FRONT_MATTER.match(state.store.read(readme).decode("utf-8", "replace"))
    if match is None:
        return None
    try:
        data = yaml.safe_load(match.group(1))
    except yaml.YAMLError:
        return None
    return data if isinstance(data, dict) else None


def _date(commit: Commit) -> str:
    return commit.date.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _lfs(file: StoredFile, key: str) -> dict[str, Any]:
    return {key: file.sha256, "size": file.size, "pointerSize": file.pointer_size}


def _last_commit(repository: Repository, sha: str) -> dict[str, str]:
    commit = repository.commits[sha]
    return {"id": commit.sha, "title": commit.title, "date": _date(commit)}


def _file_entry(repository: Repository, file: StoredFile, expand: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "oid": file.oid, "size": file.size, "path": file.path}
    if file.is_lfs:
        entry["lfs"] = _lfs(file, "oid")
    if expand:
        entry["lastCommit"] = _last_commit(repository, file.commit)
        entry["securityFileStatus"] = {"status": "safe", "avScan": None, "pickleImportScan": None}
    return entry


def _folder_entry(repository: Repository, commit: Commit, path: str, expand: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "directory", "oid": commit.folder_oid(path), "size": 0, "path": path}
    if expand:
        inside = {file.commit for name, file in commit.files.items() if name.startswith(path + "/")}
        newest = next(past for past in repository.history(commit) if past.sha in inside)
        entry["lastCommit"] = _last_commit(repository, newest.sha)
    return entry


@_route(r"/api/whoami-v2")
def whoami(state: State, request: Incoming) -> Answer:
    """Whose token it is."""
    if request.account is None:
        raise HubError(401, None, "Invalid username or password.")
    name = request.account.name
    writes = request.account.writes
    orgs = [
        {"type": "org", "id": each, "name": each, "fullname": each, "roleInOrg": "write"}
        for each in sorted(writes - {name, "*"})
    ]
    token = {"type": "access_token", "accessToken": {"displayName": "loopback", "role": "write" if writes else "read"}}
    return as_json({"type": "user", "id": name, "name": name, "fullname": name, "orgs": orgs, "auth": token})


@_route(API + r"/refs")
def refs(state: State, request: Incoming, kind: str, repo_id: str) -> Answer:
    """Branches and tags."""
    repository = find_repository(state, request, kind, repo_id)

    def listed(names: dict[str, str], prefix: str) -> list[dict[str, str]]:
        return [{"name": name, "ref": prefix + name, "targetCommit": sha} for name, sha in names.items()]

    found: dict[str, list[dict[str, str]]] = {
        "branches": listed(repository.branches, "refs/heads/"),
        "tags": listed(repository.tags, "refs/tags/"),
        "converts": [],
    }
    if request.flag("include_prs"):
        found["pullRequests"] = [{"name": name, "ref": name, "targetCommit": sha} for name, sha in repository.pulls.items()]
    return as_json(found)


@_route(API + r"/auth-check")
def auth_check(state: State, request: Incoming, kind: str, repo_id: str) -> Answer:
    """Whether the caller may read the files."""
    check_gate(request, find_repository(state, request, kind, repo_id))
    return as_json({"ok": True})


@_route(API + r"/commits/(?P<revision>[^/]+)")
def commits(state: State, request: Incoming, kind: str, repo_id: str, revision: str) -> Answer:
    """The history of a revision, on one page."""
    repository = find_repository(state, request, kind, repo_id)
    return as_json(
        [
            {
                "id": past.sha,
                "title": past.title,
                "message": past.description,
                "authors": [{"user": past.author}],
                "date": _date(past),
            }
            for past in repository.history(find_commit(repository, revision))
        ]
    )


@_route(API + r"/tree/(?P<revision>[^/]+)(?:/(?P<path>.*))?")
def tree(state: State, request: Incoming, kind: str, repo_id: str, revision: str, path: str) -> Answer:
    """The entries of a folder, or everything below it, page by page."""
    repository = find_repository(state, request, kind, repo_id)
    commit = find_commit(repository, revision)
    path = path.rstrip("/")
    if not commit.is_folder(path):
        raise HubError(404, "EntryNotFound", f"{path} does not exist on {revision!r}", commit_header(commit))
    below = path + "/" if path else ""

    def wanted(name: str) -> bool:
        return name.startswith(below) and (request.flag("recursive") or "/" not in name[len(below) :])

    names = sorted(filter(wanted, [*commit.folders(), *commit.files]))
    start = int(request.query.get("cursor", ["0"])[0])
    end = start + state.page_size
    expand = request.flag("expand")
    entries = [
        _file_entry(repository, commit.files[name], expand)
        if name in commit.files
        else _folder_entry(repository, commit, name, expand)
        for name in names[start:end]
    ]
    headers = {}
    if end < len(names):
        query = urlencode({**request.query, "cursor": [str(end)]}, doseq=True)
        headers["Link"] = f'<{state.url}{request.path}?{query}>; rel="next"'
    return as_json(entries, headers=headers)


@_route(API + r"/paths-info/(?P<revision>[^/]+)", "POST")
def paths_info(state: State, request: Incoming, kind: str, repo_id: str, revision: str) -> Answer:
    """The entries of the paths in the body; those that do not exist are left out."""
    repository = find_repository(state, request, kind, repo_id)
    commit = find_commit(repository, revision)
    if "json" in request.headers.get("content-type", ""):
        asked = json.loads(request.body)
        paths, expand = asked["paths"], bool(asked.get("expand"))
    else:
        form = parse_qs(request.body.decode())
        paths, expand = form.get("paths", []), form.get("expand", ["false"])[0].lower() == "true"
    entries = []
    for path in paths:
        if path in commit.files:
            entries.append(_file_entry(repository, commit.files[path], expand))
        elif path and commit.is_folder(path):
            entries.append(_folder_entry(repository, commit, path, expand))
    return as_json(entries)


@_route(API + r"(?:/revision/(?P<revision>[^/]+))?")
def info(state: State, request: Incoming, kind: str, repo_id: str, revision: str) -> Answer:
    """What model_info and dataset_info show. `expand` is not obeyed: the clients accept more than they asked for."""
    repository = find_repository(state, request, kind, repo_id)
    commit = find_commit(repository, revision or "main")
    card = card_data(state, commit)
    siblings: list[dict[str, Any]] = []
    for file in commit.files.values():
        sibling: dict[str, Any] = {"rfilename": file.path}
        if request.flag("blobs"):
            sibling |= {"size": file.size, "blobId": file.oid}
            if file.is_lfs:
                sibling["lfs"] = _lfs(file, "sha256")
        siblings.append(sibling)
    found: dict[str, Any] = {
        "_id": repository.history(commit)[-1].sha[:24],
        "id": repo_id,
        "author": repo_id.split("/")[0],
        "sha": commit.sha,
        "createdAt": _date(repository.history(commit)[-1]),
        "lastModified": _date(commit),
        "private": repository.private,
        "gated": repository.gated,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": tags_of(card),
        "siblings": siblings,
        "usedStorage": sum(file.size for file in commit.files.values()),
    }
    if card is not None:
        found["cardData"] = card
    if kind == "model":
        found |= {"modelId": repo_id, "config": _model_config(state, commit)}
        for key in ("pipeline_tag", "library_name"):
            if card and key in card:
                found[key] = card[key]
    if kind == "space":
        found["sdk"] = repository.sdk
    if request.flag("securityStatus"):
        found["securityRepoStatus"] = {"scansDone": True, "filesWithIssues": []}
    return as_json(found)


def tags_of(card: dict[str, Any] | None) -> list[str]:
    """The card's tags, as far as the Hub's rules for making them are simple."""
    if not card:
        return []
    tags = [card[key] for key in ("library_name", "pipeline_tag") if key in card]
    listed = card.get("tags") or []
    tags += [listed] if isinstance(listed, str) else listed
    for key in ("license", "task_categories"):
        values = card.get(key) or []
        tags += [f"{key}:{value}" for value in ([values] if isinstance(values, str) else values)]
    return list(dict.fromkeys(map(str, tags)))


def _model_config(state: State, commit: Commit) -> dict[str, Any]:
    """The part of config.json that the Hub repeats in its answer."""
    file = commit.files.get("config.json")
    try:
        config = json.loads(state.store.read(file)) if file else {}
    except ValueError:
        config = {}
    return {key: config[key] for key in ("architectures", "model_type") if key in config}


def commit_header(commit: Commit) -> dict[str, str]:
    """The header that names the commit."""
    return {"X-Repo-Commit": commit.sha}
