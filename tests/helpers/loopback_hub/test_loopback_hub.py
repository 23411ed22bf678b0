"""The read side of the loopback Hub against the unmodified clients.

What belongs to one client is checked in one subprocess, because importing it takes seconds.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.inputs import resnet_config

from . import LoopbackHub
from .clients import client, get

README = b"""---
license: mit
pipeline_tag: image-classification
tags: [one, two]
---
# A card
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackHub]:
    """A running hub; with three entries on a page, so that every client has to turn pages."""
    tokens = {"hf_reader": {"alice/private", "alice/gated"}, "hf_stranger": set[str]()}
    with LoopbackHub(tmp_path_factory.mktemp("hub"), tokens=tokens, page_size=3) as running:
        yield running
        assert not running.leaks()


def png(colour: tuple[int, int, int]) -> bytes:
    """A small picture of one colour."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_http(hub: LoopbackHub) -> None:
    """What the clients do not show: ranges, the log, unknown addresses, and that no token is kept."""
    sha = hub.commit("model", "alice/plain", {"a.bin": b"0123456789", "a.txt": b"text"})
    status, headers, body = get(hub, "/alice/plain/resolve/main/a.bin", {"Range": "bytes=2-4"})
    assert (status, body, headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")
    assert headers["ETag"] == f'"{hashlib.sha256(b"0123456789").hexdigest()}"'
    assert get(hub, "/alice/plain/resolve/main/a.bin", {"Range": "bytes=-3"})[2] == b"789"
    assert get(hub, "/alice/plain/resolve/main/a.bin", {"Range": "bytes=8-99"})[2] == b"89"
    status, headers, _ = get(hub, "/alice/plain/resolve/main/a.bin", {"Range": "bytes=10-"})
    assert (status, headers["Content-Range"]) == (416, "bytes */10")
    headers = get(hub, "/alice/plain/resolve/main/a.txt")[1]
    assert headers["X-Repo-Commit"] == sha
    assert "X-Linked-Size" not in headers
    assert get(hub, "/api/nothing-here")[0] == 404
    assert [request.path for request in hub.unknown()] == ["/api/nothing-here"]
    status, headers, _ = get(hub, "/api/models/alice/plain", {"Authorization": "Bearer hf_wrong"})
    assert (status, headers["X-Error-Message"]) == (401, "Invalid credentials in Authorization header")
    assert hub.requests[-1].authenticated
    assert "hf_wrong" not in repr(hub.requests)
    assert get(hub, "/alice/plain/resolve/main/../../x")[1]["X-Error-Code"] == "EntryNotFound"


def test_damage(hub: LoopbackHub) -> None:
    """A damaged download has the right length and another last byte."""
    hub.commit("model", "alice/damaged", {"a.bin": b"0123456789", "b.bin": b"0123456789"})
    hub.faults.add(r"/alice/damaged/resolve/.*a\.bin", corrupt=True)
    bodies = [get(hub, f"/alice/damaged/resolve/main/{name}.bin")[2] for name in "ab"]
    assert bodies == [b"012345678\xc6", b"0123456789"]
    hub.faults.clear()
    assert get(hub, "/alice/damaged/resolve/main/a.bin")[2] == b"0123456789"


def test_refusals(hub: LoopbackHub) -> None:
    """A planned refusal is answered as often as it was asked for, with its Retry-After, and cleared with the other faults."""
    hub.commit("model", "alice/busy", {"a.txt": b"text"})
    hub.faults.add("models/alice/busy", status=429, retry_after="7", times=2)
    answers = [get(hub, "/api/models/alice/busy") for _ in range(3)]
    assert [(status, headers["Retry-After"]) for status, headers, _ in answers] == [(429, "7"), (429, "7"), (200, None)]
    hub.faults.add("alice/busy", status=503)
    assert get(hub, "/api/models/alice/busy")[0] == 503
    assert get(hub, "/alice/busy/resolve/main/a.txt")[0] == 503
    hub.faults.clear()
    assert get(hub, "/api/models/alice/busy")[0] == 200


def test_storage(hub: LoopbackHub, tmp_path: Path) -> None:
    """Commits add, replace and delete; wrong calls are refused."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/b.txt").write_bytes(b"b")
    first = hub.commit("dataset", "alice/steps", {"a.txt": b"a"})
    second = hub.commit("dataset", "alice/steps", tmp_path)
    third = hub.commit("dataset", "alice/steps", {}, delete=["a.txt"])
    repository = hub.store.get("dataset", "alice/steps")
    assert repository is not None
    listings = [list(repository.commits[sha].files) for sha in (first, second, third)]
    assert listings == [["a.txt"], ["a.txt", "sub/b.txt"], ["sub/b.txt"]]
    assert repository.commits[third].files["sub/b.txt"].commit == second
    with pytest.raises(ValueError, match="path inside"):
        hub.commit("dataset", "alice/steps", {"../x": b""})
    with pytest.raises(ValueError, match="owner/name"):
        hub.commit("dataset", "steps", {"x": b""})
    with pytest.raises(KeyError, match="no dataset"):
        hub.tag("dataset", "alice/steps", "v1", "nowhere")


def test_stop(tmp_path: Path) -> None:
    """The hub ends at once, with its threads, while clients hold connections open, wait for an answer or leave it unread."""
    with LoopbackHub(tmp_path) as hub:
        hub.commit("model", "alice/large", {"a.bin": bytes(20_000_000)})
        connections = [http.client.HTTPConnection(hub.url.removeprefix("http://")) for _ in range(2)]
        for connection in connections:
            connection.request("GET", "/api/models/alice/large")
            assert connection.getresponse().read()
        connections[0].request("GET", "/alice/large/resolve/main/a.bin")
        hub.faults.add("/api/models/alice/large", delay=60)
        connections[1].request("GET", "/api/models/alice/large")
        start = time.monotonic()
    assert time.monotonic() - start < 5
    for connection in connections:
        connection.close()
    with pytest.raises(RuntimeError, match="with"):
        hub.environment(tmp_path)


HUB_WITH_TOKEN = """
    import json, sys
    from pathlib import Path
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download, file_exists
    first, second = sys.argv[1:]
    api = HfApi()

    def error(call, *args, **kwargs):
        try:
            call(*args, **kwargs)
        except Exception as error:
            return type(error).__name__

    info = api.model_info("alice/net", files_metadata=True, securityStatus=True)
    assert info.sha == second and info.card_data.license == "mit" and info.pipeline_tag == "image-classification"
    assert info.private is False and info.gated is False and "license:mit" in info.tags
    by_name = {sibling.rfilename: sibling for sibling in info.siblings}
    assert by_name["w.safetensors"].lfs.size == 3000 and by_name["text.txt"].lfs is None
    assert api.model_info("alice/net", revision=first).sha == first
    assert api.model_info("alice/net", expand=["sha", "cardData"]).sha == second
    assert api.model_info("alice/net", revision="v1").sha == first == api.model_info("alice/net", revision="a/b").sha
    refs = api.list_repo_refs("alice/net", include_pull_requests=True)
    assert [tag.target_commit for tag in refs.tags] == [first]
    assert {branch.name for branch in refs.branches} == {"main", "a/b"}
    assert [commit.commit_id for commit in api.list_repo_commits("alice/net")] == [second, first]

    entries = {entry.path: entry for entry in api.list_repo_tree("alice/net", recursive=True, expand=True)}
    assert set(entries) == {"README.md", "text.txt", "w.safetensors", "deep", "deep/er", "deep/er/c.txt", "ü 1.txt"}
    assert entries["text.txt"].last_commit.oid == second and entries["deep"].last_commit.oid == first
    assert [entry.path for entry in api.list_repo_tree("alice/net", "deep/er")] == ["deep/er/c.txt"]
    assert error(lambda: list(api.list_repo_tree("alice/net", "nowhere"))) == "RemoteEntryNotFoundError"
    found = api.get_paths_info("alice/net", ["text.txt", "deep", "none"], expand=True)
    assert [entry.path for entry in found] == ["text.txt", "deep"]

    assert Path(hf_hub_download("alice/net", "text.txt")).read_text() == "new"
    assert Path(hf_hub_download("alice/net", "text.txt", revision=first)).read_text() == "old"
    assert Path(hf_hub_download("alice/net", "text.txt", revision="a/b")).read_text() == "old"
    folder = Path(snapshot_download("alice/net"))
    assert folder.name == second and (folder / "deep/er/c.txt").read_text() == "c"
    assert (folder / "w.safetensors").stat().st_size == 3000 and (folder / "ü 1.txt").read_bytes() == b""
    assert (Path(snapshot_download("alice/net", revision=first)) / "text.txt").read_text() == "old"
    assert file_exists("alice/net", "text.txt") and not file_exists("alice/net", "none")

    assert api.whoami()["name"] == "reader"
    for name in "private", "gated":
        assert Path(hf_hub_download("alice/" + name, "text.txt")).read_text() == name
        api.auth_check("alice/" + name)
    assert api.model_info("alice/private").private and api.model_info("alice/gated").gated == "auto"

    def download(repo_id, name="text.txt", **more):  # a cache of its own: what was downloaded before would be an answer
        return error(hf_hub_download, repo_id, name, cache_dir="empty", **more)

    print(json.dumps({
        "entry": download("alice/net", "none"),
        "revision": download("alice/net", revision="none"),
        "old revision without file": download("alice/net", "ü 1.txt", revision=first),
        "repository": download("alice/none"),
        "other type": download("alice/net", repo_type="dataset"),
        "stranger, private": download("alice/private", token="hf_stranger"),
        "stranger, gated": download("alice/gated", token="hf_stranger"),
        "bad token": error(api.model_info, "alice/net", token="hf_bad"),
        "one part": error(api.model_info, "net"),
    }))
"""

HUB_WITHOUT_TOKEN = """
    import json, os
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download

    def error(call, *args, **kwargs):
        try:
            call(*args, **kwargs)
        except Exception as error:
            return type(error).__name__

    assert "HF_TOKEN" not in os.environ
    api = HfApi()
    assert api.model_info("alice/net").sha and api.model_info("alice/gated").siblings
    print(json.dumps({
        "private": error(hf_hub_download, "alice/private", "text.txt"),
        "private info": error(api.model_info, "alice/private"),
        "gated": error(hf_hub_download, "alice/gated", "text.txt"),
        "none": error(api.model_info, "alice/none"),
        "cut": error(hf_hub_download, "alice/cut", "w.safetensors"),
        "not cut": error(hf_hub_download, "alice/cut", "config.json"),
        "snapshot": error(api.snapshot_download, "alice/private"),
    }))
"""


def test_huggingface_hub(libraries, hub: LoopbackHub, tmp_path: Path) -> None:
    """Reading by name and pinned revision, private and gated repositories, errors, and a download that breaks off."""
    first = hub.commit(
        "model",
        "alice/net",
        {"README.md": README, "text.txt": b"old", "deep/er/c.txt": b"c", "w.safetensors": bytes(9)},
    )
    hub.tag("model", "alice/net", "v1")
    hub.branch("model", "alice/net", "a/b")
    second = hub.commit("model", "alice/net", {"text.txt": b"new", "w.safetensors": bytes(3000), "ü 1.txt": b""})
    hub.commit("model", "alice/private", {"text.txt": b"private"}, private=True)
    hub.commit("model", "alice/gated", {"text.txt": b"gated"}, gated=True)
    hub.commit("model", "alice/cut", {"w.safetensors": bytes(5000), "config.json": b"{}"})
    hub.fail_after("alice/cut", r"\.safetensors$", bytes_sent=1000)

    assert client(libraries, hub, tmp_path / "home", HUB_WITH_TOKEN, first, second, token="hf_reader") == {
        "entry": "RemoteEntryNotFoundError",
        "revision": "RevisionNotFoundError",
        "old revision without file": "RemoteEntryNotFoundError",
        "repository": "RepositoryNotFoundError",
        "other type": "RepositoryNotFoundError",
        "stranger, private": "RepositoryNotFoundError",
        "stranger, gated": "GatedRepoError",
        "bad token": "HfHubHTTPError",
        "one part": "RepositoryNotFoundError",
    }
    start = len(hub.requests)
    assert client(libraries, hub, tmp_path / "other", HUB_WITHOUT_TOKEN) == {
        "private": "RepositoryNotFoundError",
        "private info": "RepositoryNotFoundError",
        "gated": "GatedRepoError",
        "none": "RepositoryNotFoundError",
        "cut": "RemoteProtocolError",
        "not cut": None,
        "snapshot": "RepositoryNotFoundError",
    }
    seen = hub.requests[start:]
    assert not any(request.authenticated for request in seen)
    cut = [request for request in seen if request.method == "GET" and "/alice/cut/resolve/" in request.path]
    assert {request.sent for request in cut if "safetensors" in request.path} == {1000}


DATASETS = """
    import json, sys
    from datasets import ClassLabel, Image, load_dataset
    first = sys.argv[1]
    seen = []
    for name in "alice/parquet", "alice/folder":
        for streaming in False, True:
            dataset = load_dataset(name, split="train", streaming=streaming)
            assert isinstance(dataset.features["image"], Image), dataset.features
            assert isinstance(dataset.features["label"], ClassLabel), dataset.features
            assert dataset.features["label"].names == ["blue", "red"]
            rows = [(list(row["image"].getpixel((0, 0))), row["label"]) for row in dataset]
            seen.append([name, streaming, sorted(rows, key=str)])
    pinned = load_dataset("alice/parquet", split="train", revision=first)
    assert len(load_dataset("alice/parquet", split="test")) == 1
    try:
        load_dataset("alice/none")
    except Exception as error:
        missing = type(error).__name__
    try:
        load_dataset("alice/cutdata", split="train")
    except Exception as error:
        cut = type(error).__name__
    print(json.dumps({"seen": seen, "pinned": len(pinned), "missing": missing, "cut": cut}))
"""


def parquet(rows: list[tuple[bytes, int]]) -> bytes:
    """A table as `push_to_hub` writes it: pictures as structs, and the features in the schema's metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    features = {
        "image": {"_type": "Image"},
        "label": {"_type": "ClassLabel", "names": ["blue", "red"]},
    }
    pictures = [{"bytes": data, "path": f"{number}.png"} for number, (data, _) in enumerate(rows)]
    struct = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    table = pa.table(
        {
            "image": pa.array(pictures, type=struct),
            "label": pa.array([label for _, label in rows], type=pa.int64()),
        }
    )
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


DATASET_CARD = b"""---
configs:
- config_name: default
  data_files:
  - {split: train, path: data/train-*}
  - {split: test, path: data/test-*}
dataset_info:
  features:
  - {name: image, dtype: image}
  - name: label
    dtype:
      class_label:
        names: {'0': blue, '1': red}
  splits:
  - {name: train, num_examples: 4}
  - {name: test, num_examples: 1}
---
"""


def test_datasets(libraries, hub: LoopbackHub, tmp_path: Path) -> None:
    """A parquet dataset as the Hub lays it out and a folder of pictures, loaded and streamed."""
    blue, red = (0, 0, 255), (255, 0, 0)
    table = "data/{}-00000-of-00001.parquet"
    first = hub.commit("dataset", "alice/parquet", {table.format("train"): parquet([(png(red), 1)])})
    rows = [(png(blue), 0), (png(red), 1)] * 2
    second = hub.commit(
        "dataset",
        "alice/parquet",
        {"README.md": DATASET_CARD, table.format("train"): parquet(rows), table.format("test"): parquet(rows[:1])},
    )
    hub.commit(
        "dataset",
        "alice/folder",
        {f"train/{name}/{n}.png": png(colour) for name, colour in (("blue", blue), ("red", red)) for n in range(2)},
    )
    hub.commit("dataset", "alice/cutdata", {table.format("train"): parquet(rows)})
    hub.fail_after("alice/cutdata", "parquet", bytes_sent=100)
    start = len(hub.requests)
    result = client(libraries, hub, tmp_path / "home", DATASETS, first, token="hf_reader")
    expected = [[list(blue), 0], [list(blue), 0], [list(red), 1], [list(red), 1]]
    assert result["seen"] == [
        [name, streaming, expected] for name in ("alice/parquet", "alice/folder") for streaming in (False, True)
    ]
    assert result["pinned"] == 1
    assert result["missing"] == "DatasetNotFoundError"
    assert result["cut"] == "RemoteProtocolError"
    errors = {request.path: request.error for request in hub.requests[start:]}
    assert errors[f"/datasets/alice/parquet/resolve/{second}/parquet.py"] == "EntryNotFound"
    assert errors[f"/datasets/alice/parquet/resolve/{second}/.huggingface.yaml"] == "EntryNotFound"


TRANSFORMERS = """
    import json, sys
    import torch
    from PIL import Image
    from transformers import AutoImageProcessor, AutoModelForImageClassification
    first = sys.argv[1]
    found = {}
    for revision in None, first, "v1":
        pinned = {} if revision is None else {"revision": revision}
        model, loading = AutoModelForImageClassification.from_pretrained(
            "alice/resnet", use_safetensors=True, output_loading_info=True, **pinned
        )
        assert not loading["missing_keys"], loading
        processor = AutoImageProcessor.from_pretrained("alice/resnet", **pinned)
        inputs = processor(Image.new("RGB", (40, 50), (200, 10, 10)), return_tensors="pt")
        with torch.no_grad():
            found[str(revision)] = model(**inputs).logits.shape[1]
    try:
        AutoModelForImageClassification.from_pretrained("alice/brokennet")
    except Exception as error:
        cut = type(error).__name__
    print(json.dumps({"found": found, "cut": cut}))
"""


def test_transformers(libraries, hub: LoopbackHub, tmp_path: Path, make_checkpoint) -> None:
    """A tiny ResNet and its image processor by id, by a pinned commit and by a tag."""
    folders = [make_checkpoint(resnet_config(n_labels)) for n_labels in (2, 3)]
    first = hub.commit("model", "alice/resnet", folders[0])
    hub.tag("model", "alice/resnet", "v1")
    hub.commit("model", "alice/resnet", folders[1])
    hub.commit("model", "alice/brokennet", folders[0])
    hub.fail_after("alice/brokennet", "model.safetensors", bytes_sent=500)
    result = client(libraries, hub, tmp_path / "home", TRANSFORMERS, first, token="hf_reader")
    assert result["found"] == {"None": 3, first: 2, "v1": 2}
    assert result["cut"]
