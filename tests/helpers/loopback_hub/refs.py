"""Branches, tags, pull requests and discussions of the loopback Hub."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from .protocol import API, Answer, HubError, Incoming, Route, State, as_json, route
from .reading import find_commit, find_repository
from .store import Commit, Discussion, Repository
from .writing import check_write, logged_in

DISCUSSION = API + r"/discussions/(?P<number>\d+)"
ROUTES: list[Route] = []
_route = partial(route, ROUTES)


def _name_commit(names: dict[str, str], name: str, commit: Commit) -> Answer:
    if name in names:
        raise HubError(409, None, f"Reference already exists: {name}")
    names[name] = commit.sha
    return Answer()


def _forget_name(names: dict[str, str], name: str) -> Answer:
    if name not in names:
        raise HubError(404, "RevisionNotFound", f"Invalid rev id: {name}")
    del names[name]
    return Answer()


@_route(API + r"/branch/(?P<name>[^/]+)", "POST", "DELETE")
def branch(state: State, request: Incoming, kind: str, repo_id: str, name: str) -> Answer:
    """Make or delete a branch."""
    repository = find_repository(state, request, kind, repo_id)
    check_write(request, repository)
    if name.startswith("refs/") or (name == "main" and request.method == "DELETE"):
        raise HubError(400, None, f"Invalid reference for a branch: {name}")
    if request.method == "DELETE":
        return _forget_name(repository.branches, name)
    start = json.loads(request.body).get("startingPoint", "main")
    return _name_commit(repository.branches, name, find_commit(repository, start))


@_route(API + r"/tag/(?P<name>[^/]+)", "POST", "DELETE")
def tag(state: State, request: Incoming, kind: str, repo_id: str, name: str) -> Answer:
    """Delete the tag of this name, or tag the revision of this name."""
    repository = find_repository(state, request, kind, repo_id)
    check_write(request, repository)
    if request.method == "DELETE":
        return _forget_name(repository.tags, name)
    return _name_commit(repository.tags, json.loads(request.body)["tag"], find_commit(repository, name))


def _described(repository: Repository, discussion: Discussion) -> dict[str, Any]:
    return {
        "num": discussion.number,
        "title": discussion.title,
        "author": {"name": discussion.author, "type": "user"},
        "createdAt": discussion.date.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "status": discussion.status,
        "repo": {"name": repository.repo_id, "type": repository.repo_type},
        "isPullRequest": discussion.target is not None,
    }


def _find(repository: Repository, number: str) -> Discussion:
    for discussion in repository.discussions:
        if discussion.number == int(number):
            return discussion
    raise HubError(404, None, f"Discussion {number} not found")


@_route(API + r"/discussions")
def discussions(state: State, request: Incoming, kind: str, repo_id: str) -> Answer:
    """The discussions and pull requests, newest first, page by page."""
    repository = find_repository(state, request, kind, repo_id)
    asked = {name: values[0] for name, values in request.query.items()}
    found = [
        discussion
        for discussion in reversed(repository.discussions)
        if asked.get("type", "all") in ("all", "pull_request" if discussion.target else "discussion")
        and asked.get("author", discussion.author) == discussion.author
        and (asked.get("status", "all") == "all" or (asked["status"] == "open") == (discussion.status in ("open", "draft")))
    ]
    start = int(asked.get("p", "0")) * state.page_size
    page = [_described(repository, discussion) for discussion in found[start : start + state.page_size]]
    return as_json({"discussions": page, "count": len(found), "start": start})


@_route(API + r"/discussions", "POST")
def open_discussion(state: State, request: Incoming, kind: str, repo_id: str) -> Answer:
    """Open a discussion or an empty pull request; anyone may who can read."""
    repository = find_repository(state, request, kind, repo_id)
    account = logged_in(request)
    body = json.loads(request.body)
    start = find_commit(repository, "main").sha if body.get("pullRequest") else None
    with state.store.lock:
        opened = repository.discuss(
            body["title"], body["description"], account.name, "main" if start is not None else None, start
        )
        opened.status = "open" if start is None else "draft"
    return as_json({"num": opened.number, "pullRequest": start is not None})


@_route(DISCUSSION)
def details(state: State, request: Incoming, kind: str, repo_id: str, number: str) -> Answer:
    """One discussion, with what it began with and its commits."""
    repository = find_repository(state, request, kind, repo_id)
    discussion = _find(repository, number)
    found = _described(repository, discussion)
    common = {"createdAt": found["createdAt"], "author": found["author"]}
    text = {"edited": False, "hidden": False, "latest": {"raw": discussion.description}}
    events = [{"id": f"{discussion.number}", "type": "comment", "data": text, **common}]
    if discussion.target is not None:
        for commit in _own_commits(repository, discussion):
            data = {"subject": commit.title, "oid": commit.sha}
            events.append({"id": commit.sha, "type": "commit", "data": data, **common})
        found["changes"] = {"base": discussion.target, "mergeCommitId": discussion.merged_as}
        found["filesWithConflicts"] = _conflicts(repository, discussion)
    return as_json(found | {"events": events})


@_route(DISCUSSION + r"/status", "POST")
def change_status(state: State, request: Incoming, kind: str, repo_id: str, number: str) -> Answer:
    """Close or open again."""
    repository = find_repository(state, request, kind, repo_id)
    discussion = _find(repository, number)
    if logged_in(request).name != discussion.author:
        check_write(request, repository)
    if discussion.status == "merged":
        raise HubError(400, None, "This pull request has been merged")
    discussion.status = json.loads(request.body)["status"]
    found = _described(repository, discussion)
    event = {"id": f"{number}-status", "type": "status-change", "data": {"status": discussion.status}}
    return as_json({"newStatus": {**event, "createdAt": found["createdAt"], "author": found["author"]}})


@_route(DISCUSSION + r"/merge", "POST")
def merge(state: State, request: Incoming, kind: str, repo_id: str, number: str) -> Answer:
    """Merge a pull request: what it changed is changed in the head of its target, unless that has changed the same."""
    repository = find_repository(state, request, kind, repo_id)
    account = check_write(request, repository)
    discussion = _find(repository, number)
    with state.store.lock:
        if discussion.target is None or discussion.status not in ("open", "draft"):
            raise HubError(400, None, "Not a pull request that could be merged")
        if conflicts := _conflicts(repository, discussion):
            raise HubError(409, None, f"This pull request conflicts with {discussion.target}: {conflicts}")
        pull, target = find_commit(repository, discussion.ref), find_commit(repository, discussion.target)
        changed = _changed(repository, discussion.start, pull)
        files = [pull.files[path] for path in changed if path in pull.files]
        merged = state.store.commit(
            repository,
            {file.path: state.store.blob(file.sha256) for file in files if not file.is_lfs},
            kept={file.path: file.sha256 for file in files if file.is_lfs},
            delete=[path for path in changed if path not in pull.files and path in target.files],
            branch=discussion.target,
            title=f"{discussion.title} (#{discussion.number})",
            author=account.name,
        )
        discussion.status, discussion.merged_as = "merged", merged.sha
    return as_json({"mergeCommitId": merged.sha})


def _own_commits(repository: Repository, discussion: Discussion) -> list[Commit]:
    """The commits of a pull request, oldest first."""
    found = []
    for commit in repository.history(find_commit(repository, discussion.ref)):
        if commit.sha == discussion.start:
            break
        found.append(commit)
    return found[::-1]


def _changed(repository: Repository, start: str | None, commit: Commit) -> list[str]:
    """The paths that differ between two commits."""
    old = {path: file.sha256 for path, file in repository.commits[start].files.items()} if start else {}
    new = {path: file.sha256 for path, file in commit.files.items()}
    return sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path))


def _conflicts(repository: Repository, discussion: Discussion) -> list[str]:
    """The paths that both a pull request and its target have changed since it started, in different ways."""
    pull, target = find_commit(repository, discussion.ref), find_commit(repository, discussion.target or "main")
    both = set(_changed(repository, discussion.start, pull)) & set(_changed(repository, discussion.start, target))
    return sorted(both & set(_changed(repository, target.sha, pull))) if discussion.merged_as is None else []
