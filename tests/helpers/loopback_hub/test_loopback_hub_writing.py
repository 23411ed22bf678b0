"""The write side of the loopback Hub against the unmodified clients, and its faults."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from . import LoopbackHub
from .clients import ask, client, get

TOKENS = {"hf_reader": {"lab/closed"}, "hf_stranger": set[str]()}
WRITES = {"hf_alice": {"alice", "lab"}, "hf_bob": {"bob"}}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackHub]:
    with LoopbackHub(tmp_path_factory.mktemp("hub"), tokens=TOKENS, writes=WRITES) as running:
        yield running


@pytest.fixture(autouse=True)
def quiet(hub: LoopbackHub) -> Iterator[None]:
    """An empty log before each test; after it no faults, no unknown address and no token told to another host."""
    hub.requests.clear()
    yield
    hub.faults.clear()
    assert not hub.unknown()
    assert not hub.leaks()


def files(hub: LoopbackHub, kind: str, repo_id: str, revision: str = "main") -> dict[str, bytes]:
    """What a revision holds, without what every new repository holds."""
    repository = hub.store.get(kind, repo_id)
    assert repository is not None
    commit = repository.resolve(revision)
    assert commit is not None
    return {path: hub.store.read(file) for path, file in commit.files.items() if path != ".gitattributes"}


def head(hub: LoopbackHub, kind: str, repo_id: str) -> str:
    repository = hub.store.get(kind, repo_id)
    assert repository is not None
    return repository.branches["main"]


def push(hub: LoopbackHub, repo_id: str, path: str, data: bytes, token: str = "hf_alice", **header: str) -> tuple[int, Any]:
    """Commit one file to a dataset by plain HTTP; status and answer."""
    lines = [
        {"key": "header", "value": {"summary": f"Add {path}", **header}},
        {"key": "file", "value": {"path": path, "content": base64.b64encode(data).decode(), "encoding": "base64"}},
    ]
    body = "\n".join(map(json.dumps, lines)).encode()
    bearer = {"Authorization": f"Bearer {token}"}
    status, _, answer = ask(hub, "POST", f"/api/datasets/{repo_id}/commit/main", body, bearer)
    return status, json.loads(answer)


# What all scripts need: an error's class and status, or None.
BEGIN = """
    import json, sys
    from pathlib import Path
    from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfApi
    api = HfApi()
    data = {"repo_type": "dataset"}

    def error(call, *args, **kwargs):
        try:
            call(*args, **kwargs)
        except Exception as error:
            response = getattr(error, "response", None)
            return [type(error).__name__, None if response is None else response.status_code]
"""

WRITE = (
    BEGIN
    + """
    # Creating.
    url = api.create_repo("lab/table", private=True, **data)
    assert (url.repo_id, url.repo_type) == ("lab/table", "dataset") and url.endpoint == api.endpoint
    assert api.create_repo("lab/table", exist_ok=True, **data).repo_id == "lab/table"
    assert api.create_repo("table").repo_id == "alice/table"  # one's own namespace
    assert api.create_repo("lab/table").repo_type == "model"  # the same name is free in another type
    assert api.create_repo("lab/table", repo_type="space", space_sdk="gradio").repo_type == "space"
    assert api.space_info("lab/table").sdk == "gradio"
    found = {"exists": error(api.create_repo, "lab/table", **data)}
    assert api.dataset_info("lab/table").private
    found["hidden"] = error(api.dataset_info, "lab/table", token="hf_stranger")
    api.update_repo_settings("lab/table", private=False, **data)
    assert not api.dataset_info("lab/table", token="hf_stranger").private

    # Committing: regular and LFS files, a card, copies and deletions.
    one = api.upload_file(path_or_fileobj=b"---\\nlicense: mit\\n---\\n", path_in_repo="README.md", repo_id="lab/table", **data)
    found["card"] = error(
        api.upload_file, path_or_fileobj=b"---\\na: [\\n---\\n", path_in_repo="README.md", repo_id="lab/table", **data
    )
    adds = [CommitOperationAdd("a.txt", b"text"), CommitOperationAdd("d/a.parquet", b"p" * 5000)]
    adds.append(CommitOperationAdd("d/empty.parquet", b""))
    two = api.create_commit("lab/table", adds, commit_message="Two", commit_description="why", parent_commit=one.oid, **data)
    changes = [CommitOperationCopy("d/a.parquet", "e/b.parquet"), CommitOperationCopy("a.txt", "b.txt")]
    changes.append(CommitOperationDelete("d/"))
    three = api.create_commit("lab/table", changes, commit_message="Three", parent_commit=two.oid[:7], **data)
    history = api.list_repo_commits("lab/table", **data)
    assert [commit.commit_id for commit in history[:3]] == [three.oid, two.oid, one.oid]
    assert (history[1].title, history[1].message, history[1].authors) == ("Two", "why", ["alice"])

    def late():
        api.create_commit(
            "lab/table", [CommitOperationAdd("late.txt", b"")], commit_message="Late", parent_commit=two.oid, **data
        )

    found["moved"] = error(late)
    found["not there"] = error(api.delete_file, "none.txt", "lab/table", **data)
    api.delete_file("b.txt", "lab/table", **data)
    again = api.upload_file(path_or_fileobj=b"text", path_in_repo="a.txt", repo_id="lab/table", **data)
    assert again.oid == api.dataset_info("lab/table").sha  # nothing new, so no commit

    # Folders, branches, tags, squashing, deleting.
    for name in "x.txt", "y.safetensors":
        (Path("folder/deep") / name).parent.mkdir(parents=True, exist_ok=True)
        (Path("folder/deep") / name).write_text(name)
    api.upload_folder(repo_id="lab/table", folder_path="folder")
    api.create_tag("lab/table", tag="v1")
    api.create_branch("lab/table", branch="try/it", revision="v1")
    api.create_branch("lab/table", branch="try/it", exist_ok=True)
    api.upload_file(path_or_fileobj=b"new", path_in_repo="x.txt", repo_id="lab/table", revision="try/it")
    assert Path(api.hf_hub_download("lab/table", "x.txt", revision="try/it")).read_text() == "new"
    assert Path(api.hf_hub_download("lab/table", "deep/y.safetensors")).read_text() == "y.safetensors"
    api.super_squash_history("lab/table")
    assert len(api.list_repo_commits("lab/table")) == 1 and len(api.list_repo_commits("lab/table", revision="v1")) == 2
    api.delete_branch("lab/table", branch="try/it")
    api.delete_tag("lab/table", tag="v1")
    refs = api.list_repo_refs("lab/table")
    assert [branch.name for branch in refs.branches] == ["main"] and not refs.tags
    api.delete_repo("alice/table")
    api.delete_repo("alice/table", missing_ok=True)
    assert not api.repo_exists("alice/table") and api.repo_exists("lab/table")
    print(json.dumps(found))
"""
)


def test_writing(libraries, hub: LoopbackHub, tmp_path: Path) -> None:
    """Repositories and commits of all kinds, by the client; uploads go to the other host, without the token."""
    assert client(libraries, hub, tmp_path / "home", WRITE, token="hf_alice") == {
        "exists": ["HfHubHTTPError", 409],
        "hidden": ["RepositoryNotFoundError", 404],
        "card": ["ValueError", None],
        "moved": ["HfHubHTTPError", 412],
        "not there": ["RemoteEntryNotFoundError", 404],
    }
    assert files(hub, "dataset", "lab/table") == {
        "README.md": b"---\nlicense: mit\n---\n",
        "a.txt": b"text",
        "e/b.parquet": b"p" * 5000,
    }
    assert files(hub, "model", "lab/table") == {"deep/x.txt": b"x.txt", "deep/y.safetensors": b"y.safetensors"}
    uploads = [request for request in hub.requests if request.method == "PUT" and "/upload/" in request.path]
    assert len(uploads) == 2
    other = hub.url.replace("http://127.0.0.1", "localhost")
    assert {(request.host, request.authenticated) for request in uploads} == {(other, False)}


RIGHTS = (
    BEGIN
    + """
    def push(repo_id, token, path="a.txt", content=None, **more):
        operations = [CommitOperationAdd(path, content or path.encode() * 100)]
        return api.create_commit(repo_id, operations, commit_message="Push", token=token, **data, **more)

    found = {}
    for who in "hf_bob", "hf_stranger", False:
        found[str(who)] = [
            error(api.create_repo, "lab/open", token=who, **data),
            error(api.create_repo, "lab/open", token=who, exist_ok=True, **data),
            error(api.create_repo, "lab/other", token=who, exist_ok=True, **data),
            error(push, "lab/open", who),
            error(push, "lab/open", who, "a.parquet"),
            error(push, "lab/closed", who),
            error(push, "lab/closed", who, create_pr=True),
            error(push, "lab/gated", who, create_pr=True),
            error(api.delete_repo, "lab/open", token=who, **data),
        ]
    assert push("lab/closed", "hf_reader", create_pr=True).pr_num == 1

    # A pull request of one who may not write: read, extended by its author only, listed, and merged by one who may.
    made = push("lab/open", "hf_bob", "b.parquet", create_pr=True)
    assert (made.pr_num, made.pr_revision) == (1, "refs/pr/1"), made
    assert made.pr_url == f"{api.endpoint}/datasets/lab/open/discussions/1"
    found["not the author"] = error(push, "lab/open", "hf_stranger", revision="refs/pr/1")
    more = push("lab/open", "hf_bob", "c.parquet", revision="refs/pr/1", parent_commit=made.oid)
    refs = api.list_repo_refs("lab/open", include_pull_requests=True, **data)
    assert [(ref.ref, ref.target_commit) for ref in refs.pull_requests] == [("refs/pr/1", more.oid)]
    path = api.hf_hub_download("lab/open", "c.parquet", revision="refs/pr/1", **data)
    assert Path(path).read_text() == "c.parquet" * 100
    assert "b.parquet" not in api.list_repo_files("lab/open", **data)
    api.create_discussion("lab/open", "Thanks", token="hf_stranger", **data)
    listed = list(api.get_repo_discussions("lab/open", **data))
    listed = [(each.num, each.author, each.is_pull_request, each.status) for each in listed]
    assert listed == [(2, "stranger", False, "open"), (1, "bob", True, "open")], listed
    pulls = list(api.get_repo_discussions("lab/open", discussion_type="pull_request", discussion_status="open", **data))
    assert [each.git_reference for each in pulls] == ["refs/pr/1"]
    details = api.get_discussion_details("lab/open", 1, **data)
    assert [event.type for event in details.events] == ["comment", "commit", "commit"] and details.conflicting_files == []
    found["merge"] = error(api.merge_pull_request, "lab/open", 1, token="hf_bob", **data)
    api.merge_pull_request("lab/open", 1, token="hf_alice", **data)
    assert {"b.parquet", "c.parquet"} <= set(api.list_repo_files("lab/open", **data))
    assert api.get_discussion_details("lab/open", 1, **data).status == "merged"
    late = push("lab/open", "hf_bob", "b.parquet", b"other", create_pr=True, parent_commit=sys.argv[1])
    assert api.get_discussion_details("lab/open", late.pr_num, **data).conflicting_files == ["b.parquet"]
    found["conflict"] = error(api.merge_pull_request, "lab/open", late.pr_num, token="hf_alice", **data)
    api.change_discussion_status("lab/open", late.pr_num, "closed", token="hf_bob", **data)
    print(json.dumps(found))
"""
)


def test_rights(libraries, hub: LoopbackHub, tmp_path: Path) -> None:
    """Who may create, commit, open pull requests and merge; and how the client says it when one may not."""
    start = hub.commit("dataset", "lab/open", {"readme.txt": b""})
    hub.commit("dataset", "lab/closed", {"readme.txt": b""}, private=True)
    hub.commit("dataset", "lab/gated", {"readme.txt": b""}, gated=True)
    forbidden, missing = ["HfHubHTTPError", 403], ["RepositoryNotFoundError", 404]
    known = [forbidden, None, forbidden, forbidden, forbidden, missing, missing, ["GatedRepoError", 403], forbidden]
    login, unknown = ["HfHubHTTPError", 401], ["RepositoryNotFoundError", 401]
    assert client(libraries, hub, tmp_path / "home", RIGHTS, start) == {
        "hf_bob": known,
        "hf_stranger": known,
        "False": [login, None, login, unknown, unknown, unknown, unknown, unknown, login],
        "not the author": forbidden,
        "merge": forbidden,
        "conflict": ["HfHubHTTPError", 409],
    }
    assert set(files(hub, "dataset", "lab/open")) == {"readme.txt", "b.parquet", "c.parquet"}
    messages = {request.error for request in hub.requests}
    assert "Forbidden: pass `create_pr=1` as a query parameter to create a Pull Request" in messages
    assert 'You don\'t have the rights to create a dataset under the namespace "lab"' in messages


DATASETS = """
    import json
    from datasets import ClassLabel, Dataset, Features, Value, load_dataset
    features = Features({"x": Value("float64"), "label": ClassLabel(names=["no", "yes"])})
    made = Dataset.from_dict({"x": [0.5, 1.5, 2.5], "label": [0, 1, 1]}, features=features)
    made.push_to_hub("lab/pushed", private=True)
    made.select([0]).push_to_hub("lab/pushed", "small", split="test", create_pr=True)
    made.select([1]).push_to_hub("lab/pushed", "second", split="test")
    found = load_dataset("lab/pushed", split="train")
    assert found.features == features, found.features
    small = load_dataset("lab/pushed", "small", split="test", revision="refs/pr/1")
    second = load_dataset("lab/pushed", "second", split="test", streaming=True)
    print(json.dumps([found.to_dict(), small.to_dict(), list(second)]))
"""


def test_datasets(libraries, hub: LoopbackHub, tmp_path: Path) -> None:
    """A dataset that is pushed comes back, also out of a pull request; and streamed."""
    assert client(libraries, hub, tmp_path / "home", DATASETS, token="hf_alice") == [
        {"x": [0.5, 1.5, 2.5], "label": [0, 1, 1]},
        {"x": [0.5], "label": [0]},
        [{"x": 1.5, "label": 1}],
    ]
    hosts = {request.host.split(":")[0] for request in hub.requests if "parquet" in request.path and request.sent}
    assert "localhost" in hosts


def test_two_commits_on_one_parent(hub: LoopbackHub) -> None:
    """Of many commits at once that name the same parent exactly one is made."""
    parent = hub.commit("dataset", "lab/race", {"a.txt": b"a"})
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: push(hub, "lab/race", f"{n}.txt", b"b", parentCommit=parent), range(8)))
    assert sorted(status for status, _ in made) == [200] + [412] * 7
    assert "commit has happened since" in next(answer["error"] for status, answer in made if status == 412)
    assert len(files(hub, "dataset", "lab/race")) == 2
    assert push(hub, "lab/race", "z.txt", b"z")[0] == 200  # without a parent it comes on top
    status, answer = push(hub, "lab/race", "../z.txt", b"z")
    assert (status, answer["error"]) == (400, "Invalid path: ../z.txt")


def test_lfs_content(hub: LoopbackHub) -> None:
    """What the client does not show: signed addresses, no token to them, and nothing taken on trust."""
    hub.commit("dataset", "lab/blobs", {"a.parquet": b"0123456789"}, private=True)
    bearer = {"Authorization": "Bearer hf_alice"}
    status, headers, _ = ask(hub, "GET", "/datasets/lab/blobs/resolve/main/a.parquet", headers=bearer, follow=False)
    assert (status, headers["X-Linked-Size"]) == (302, "10")
    address = headers["Location"]
    assert get(hub, address, {"Range": "bytes=2-4"})[2] == b"234"  # without a token, though private
    assert get(hub, address.replace("a.parquet", "b.parquet"))[0] == 403
    assert not hub.leaks()
    assert get(hub, address, bearer)[0] == 400
    assert [request.error for request in hub.leaks()] == ["InvalidRequest"]
    hub.requests.clear()

    oid = hashlib.sha256(b"new content").hexdigest()
    wanted = json.dumps({"objects": [{"oid": oid, "size": 11}]}).encode()
    batch = json.loads(ask(hub, "POST", "/datasets/lab/blobs.git/info/lfs/objects/batch", wanted, bearer)[2])
    upload = batch["objects"][0]["actions"]["upload"]["href"]
    verify = "/datasets/lab/blobs.git/info/lfs/objects/verify"
    told = json.dumps({"oid": oid, "size": 11}).encode()
    assert ask(hub, "PUT", upload, b"other content")[0] == 400
    assert ask(hub, "POST", verify, told, bearer)[0] == 400
    lines = [
        {"key": "header", "value": {"summary": "Add"}},
        {"key": "lfsFile", "value": {"path": "b.bin", "algo": "sha256", "oid": oid, "size": 11}},
    ]
    body = "\n".join(map(json.dumps, lines)).encode()
    status, _, answer = ask(hub, "POST", "/api/datasets/lab/blobs/commit/main", body, bearer)
    assert (status, b"does not exist" in answer) == (400, True)
    assert ask(hub, "PUT", upload, b"new content")[0] == 200
    assert ask(hub, "POST", verify, told, bearer)[0] == 200
    assert ask(hub, "POST", "/api/datasets/lab/blobs/commit/main", body, bearer)[0] == 200
    assert files(hub, "dataset", "lab/blobs")["b.bin"] == b"new content"


def test_without_another_origin(tmp_path: Path) -> None:
    """LFS content from the hub itself, for those who want no redirects."""
    with LoopbackHub(tmp_path, cdn=False) as plain:
        plain.commit("model", "lab/net", {"a.bin": b"0123456789"})
        status, headers, body = ask(plain, "GET", "/lab/net/resolve/main/a.bin", follow=False)
        assert (status, body, headers["X-Linked-Size"]) == (200, b"0123456789", "10")


def test_faults(hub: LoopbackHub) -> None:
    """Every fault, as often as asked for and only where asked for, seen by the client and in the log."""
    hub.commit("dataset", "lab/faults", {"a.txt": b"0123456789", "a.bin": b"0123456789"})
    info, text, blob = (f"/{path}" for path in ("api/datasets/lab/faults", *_resolve("lab/faults", "a.txt", "a.bin")))

    hub.faults.add("^/api/datasets/lab/faults$", methods=["GET"], times=2, status=429, retry_after="3")
    assert ask(hub, "HEAD", info)[0] == 200
    assert [(status, headers["Retry-After"]) for status, headers, _ in (get(hub, info), get(hub, info), get(hub, info))] == [
        (429, "3"),
        (429, "3"),
        (200, None),
    ]
    assert [request.fault for request in hub.requests] == [None, "429", "429", None]

    hub.faults.add(r"/a\.(txt|bin)$", cut=4)
    for address in (text, blob):
        with pytest.raises(http.client.IncompleteRead) as short:
            get(hub, address)
        assert short.value.partial == b"0123"
        with pytest.raises(http.client.IncompleteRead) as short:
            get(hub, address, {"Range": "bytes=3-"})  # the cut is at a place in the file
        assert short.value.partial == b"3"
    hub.faults.clear()

    hub.faults.add(r"a\.bin$", corrupt=True, times=1)
    assert [get(hub, blob)[2] for _ in range(2)] == [b"012345678\xc6", b"0123456789"]
    assert hub.requests[-3].fault == "corrupt"

    hub.faults.add("lab/faults", times=1, lost=True)
    with pytest.raises(http.client.RemoteDisconnected):
        get(hub, info)
    assert (hub.requests[-1].fault, hub.requests[-1].status) == ("lost", 200)
    hub.faults.add("lab/faults", times=1, reset=True)
    with pytest.raises(ConnectionResetError):
        get(hub, info)
    assert (hub.requests[-1].fault, hub.requests[-1].status) == ("reset", 0)
    hub.faults.add("lab/faults", times=1, reset=True, cut=5)
    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        get(hub, text)
    assert hub.requests[-1].sent == 5

    hub.faults.add("lab/faults", times=1, delay=0.3)
    start = time.monotonic()
    assert get(hub, info)[0] == 200
    assert time.monotonic() - start >= 0.3
    for wrong in ({}, {"cut": -1}, {"lost": True, "status": 500}, {"delay": 1, "methods": "GET"}):
        with pytest.raises(ValueError, match=r"cut and delay|what shall|only one|collection"):
            hub.faults.add("", **wrong)


def _resolve(repo_id: str, *paths: str) -> list[str]:
    return [f"datasets/{repo_id}/resolve/main/{path}" for path in paths]


def test_faults_of_a_commit(hub: LoopbackHub) -> None:
    """A lost answer means that the commit is there; a reset, that it is not."""
    hub.commit("dataset", "lab/lost", {"a.txt": b"a"})
    hub.faults.add("/commit/main$", methods=["POST"], times=1, lost=True)
    with pytest.raises(http.client.RemoteDisconnected):
        push(hub, "lab/lost", "b.txt", b"b")
    assert files(hub, "dataset", "lab/lost") == {"a.txt": b"a", "b.txt": b"b"}
    hub.faults.add("/commit/main$", methods=["POST"], times=1, lost=True, reset=True)
    with pytest.raises(ConnectionResetError):
        push(hub, "lab/lost", "c.txt", b"c")
    sha = head(hub, "dataset", "lab/lost")
    hub.faults.add("/commit/main$", methods=["POST"], times=1, reset=True)
    with pytest.raises(ConnectionResetError):
        push(hub, "lab/lost", "d.txt", b"d")
    assert set(files(hub, "dataset", "lab/lost")) == {"a.txt", "b.txt", "c.txt"}
    assert head(hub, "dataset", "lab/lost") == sha
    assert push(hub, "lab/lost", "d.txt", b"d", parentCommit=sha)[0] == 200


FAULTS = (
    BEGIN
    + """
    def push(path):
        operations = [CommitOperationAdd(path, path.encode() * 100)]
        return api.create_commit("lab/unlucky", operations, commit_message="Push", **data)

    assert api.create_repo("lab/unlucky", **data)
    print(json.dumps([error(push, name) for name in ("lost.txt", "reset.txt", "busy.parquet", "lost.txt")]))
"""
)


def test_client_meets_faults(libraries, hub: LoopbackHub, tmp_path: Path) -> None:
    """What create_commit says to a lost answer and a reset, and that it tries again where an upload meets a 503."""
    hub.faults.add("/commit/main$", times=1, lost=True)
    hub.faults.add("/commit/main$", times=1, reset=True)
    hub.faults.add("/upload/", methods=["PUT"], times=1, status=503)
    assert client(libraries, hub, tmp_path / "home", FAULTS, token="hf_alice") == [
        ["RemoteProtocolError", None],
        ["ReadError", None],
        None,
        None,  # as the commit of the lost answer is there
    ]
    assert set(files(hub, "dataset", "lab/unlucky")) == {"lost.txt", "busy.parquet"}
    assert [request.fault for request in hub.requests if request.fault] == ["lost", "reset", "503"]


def test_bodies_in_chunks(hub: LoopbackHub) -> None:
    """A request whose body comes in chunks, with trailers, and the next one on the same connection."""
    parts = hub.url.removeprefix("http://").split(":")
    request = (
        b"POST /api/validate-yaml HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'6;a=b\r\n{"cont\r\n9\r\nent": ""}\r\n0\r\nTrailer: 1\r\n\r\n'
    )
    with socket.create_connection((parts[0], int(parts[1])), timeout=10) as connection:
        for _ in range(2):
            connection.sendall(request)
            response = http.client.HTTPResponse(connection)
            response.begin()
            assert response.status == 200
            assert json.loads(response.read())["errors"] == []
