"""Ranking by Hub id with the unmodified clients, against the loopback Hub of tests/helpers.

The clients read HF_ENDPOINT and HF_HUB_OFFLINE when they are imported. So three processes, each with one such setting, run one
command line after the other, as a user would in three shells over one home.
"""

import gzip
import io
import json
from pathlib import Path
from subprocess import PIPE
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from helpers import medical
from helpers.forks import ForkServer, Process
from helpers.inputs import resnet_config
from helpers.loopback_hub import LoopbackHub
from helpers.loopback_hub.clients import COMMAND_LINES
from PIL import Image

from hf_transferability.benchmark import tables
from hf_transferability.publishing import score_rows

TOKENS = {"hf_reader_secret": {"alice/private", "alice/gated", "alice/gated-data"}, "hf_stranger_secret": set()}
WRITER = "hf_writer_secret"
SERVANT = (
    """
import socket
connect, timeouts = socket.create_connection, []
def connect_within(address, timeout=1e9, *more, **options):
    timeouts.append(1e9 if timeout is None else timeout)
    return connect(address, timeout, *more, **options)
socket.create_connection = connect_within
"""
    + COMMAND_LINES
    + """    out, err = io.StringIO(), io.StringIO()
    waits.clear()
    timeouts.clear()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(words)
    print(json.dumps([status, out.getvalue(), err.getvalue(), sum(waits), timeouts]), file=answers, flush=True)
"""
)


class Shell:
    """Command lines, one after the other, in one process; `said` is all that they ever printed."""

    def __init__(self, libraries: ForkServer, environment: dict[str, str], folder: Path):
        self.said = ""
        self._process = Process(libraries, SERVANT, cwd=folder, env=environment, streams=(PIPE, PIPE, PIPE))

    def __call__(self, *words: str, token: str | None = None) -> SimpleNamespace:
        self._process.stdin.write(json.dumps([["rank", *words, "--no-intervals", "--format", "json"], token]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, self._process.stderr.read()
        status, out, err, waited, timeouts = json.loads(answer)
        self.said += out + err
        assert "Traceback" not in err
        assert "unexpected" not in err
        document = json.loads(out) if out else None
        rows = {row["checkpoint"]: row for row in document["rows"]} if document else {}
        return SimpleNamespace(status=status, rows=rows, document=document, err=err, waited=waited, timeouts=timeouts)

    def close(self) -> None:
        self._process.close()


@pytest.fixture(scope="module")
def made(make_target, make_checkpoint):
    """Two folders of targets and three of checkpoints: a, b of one architecture and c of another."""
    return SimpleNamespace(
        target=make_target(),
        other=make_target(seed=1),
        a=make_checkpoint(seed=0),
        b=make_checkpoint(seed=1),
        c=make_checkpoint(resnet_config(width=4), seed=2),
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The folder in which the commands run; `home` in it is HF_HOME."""
    return tmp_path_factory.mktemp("user")


@pytest.fixture(scope="module")
def hub(tmp_path_factory, made):
    with LoopbackHub(tmp_path_factory.mktemp("hub"), tokens=TOKENS, writes={WRITER: {"lab"}}) as running:
        running.shas = {
            "old": running.commit("model", "alice/one", made.a),
            "new": running.commit("model", "alice/one", made.b),
            "data": running.commit("dataset", "alice/data", made.target),
        }
        running.tag("model", "alice/one", "v1", running.shas["old"])
        unused = {"pytorch_model.bin": b"p" * 1000, "onnx/model.onnx": b"o" * 1000, "tf_model.h5": b"t" * 1000}
        running.shas["two"] = running.commit("model", "alice/two", {**_files(made.c), **unused})
        running.commit("model", "alice/private", made.c, private=True)
        running.commit("model", "alice/gated", made.c, gated=True)
        running.commit("model", "alice/pickle", {"config.json": (made.a / "config.json").read_bytes(), **unused})
        running.commit("model", "alice/asked", {"config.json": (made.a / "config.json").read_bytes(), **unused})
        for number, files in enumerate(({"note.txt": b"x"}, _files(made.a), {"other.txt": b"y"}), start=1):
            sha = running.commit("model", "alice/asked", files, branch=f"request-{number}")
            running.store.get("model", "alice/asked").pulls[f"refs/pr/{number}"] = sha
        running.commit("dataset", "alice/gated-data", made.target, gated=True)
        yield running
        assert not running.leaks()


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def shell(hub, place, libraries):
    running = Shell(libraries, hub.environment(place / "home"), place)
    yield running
    running.close()


@pytest.fixture
def faults(hub):
    """The hub's faults, cleared afterwards; the log of requests starts empty. No token went to another host."""
    hub.requests.clear()
    yield hub.faults
    hub.faults.clear()
    assert not hub.leaks()


def bodies(hub, repo: str) -> list[str]:
    """Names of the files of a repository whose content was asked for."""
    paths = [request.path for request in hub.requests if request.method == "GET" and f"/{repo}/resolve/" in request.path]
    return [path.rpartition("/")[2] for path in paths]


def test_checkpoints_and_dataset_by_id(shell, hub, faults):
    done = shell("alice/data", "alice/one", "alice/two", f"alice/one@{hub.shas['old']}", "alice/one@v1")
    assert done.status == 0
    assert done.document["dataset"]["revision"] == hub.shas["data"]
    assert {name: row["revision"] for name, row in done.rows.items()} == {
        "alice/one": hub.shas["new"],
        "alice/two": hub.shas["two"],
        f"alice/one@{hub.shas['old']}": hub.shas["old"],
        "alice/one@v1": hub.shas["old"],
    }
    now, old = done.rows["alice/one"], done.rows["alice/one@v1"]
    assert now["feature_update_ratio"] != old["feature_update_ratio"]
    assert old["score"] == done.rows[f"alice/one@{hub.shas['old']}"]["score"]
    assert now["licence"] == "mit"
    # Only what is needed is downloaded, and the tag's files are those of its commit.
    assert sorted(bodies(hub, "alice/two")) == ["README.md", "config.json", "model.safetensors", "preprocessor_config.json"]
    assert bodies(hub, "alice/one").count("model.safetensors") == 2
    assert not hub.unknown()


@pytest.mark.parametrize("how", ["class folders", "metadata"])
def test_volumes_of_a_hub_dataset_from_file_to_features(shell, hub, place, how):
    """A niftifolder gives the features of the same volumes as PNG files of their middle slices."""
    volumes, slices = {}, place / "slices"
    for code, name in enumerate(("normal", "nodule")):
        (slices / name).mkdir(parents=True, exist_ok=True)
        for i in range(10):
            plane = (medical.phantom(code, 10 * code + i) + 100).clip(0, 255).astype(np.uint8)
            stack = np.stack([plane * 0, plane, plane * 0], axis=-1)
            volumes[f"train/{name}/{i}.nii"] = medical.nifti(stack)
            Image.fromarray(plane[::-1, ::-1].T).save(slices / name / f"{i}.png")
    if how == "metadata":
        rows = "\n".join(f"{i}.nii.gz,{path.split('/')[1]}" for i, path in enumerate(volumes))
        files = {f"train/{i}.nii.gz": gzip.compress(content) for i, content in enumerate(volumes.values())}
        volumes = {**files, "train/metadata.csv": f"file_name,label\n{rows}".encode()}
    name = f"alice/volumes-{how.replace(' ', '-')}"
    hub.commit("dataset", name, volumes)
    words = ("alice/one", "--metric", "logme", "--metric", "linear_probe", "--sample-size", "all", "--seed", "3")
    there, here = shell(name, *words), shell(str(slices), *words)
    assert (there.status, here.status) == (0, 0), there.err
    assert "train 20 of 20 image files" in there.err
    assert "one_slice" in there.rows["alice/one"]["flags"]
    assert there.rows["alice/one"]["logme"] == pytest.approx(here.rows["alice/one"]["logme"], abs=1e-4)
    assert there.rows["alice/one"]["error"] is None


def test_a_pinned_dataset(shell, hub, made):
    newer = hub.commit("dataset", "alice/moving", made.target)
    hub.commit("dataset", "alice/moving", made.other)
    old, new = shell("alice/moving", "alice/one", "--revision", newer), shell("alice/moving", "alice/one")
    assert (old.status, new.status) == (0, 0)
    assert old.document["dataset"]["revision"] == newer != new.document["dataset"]["revision"]
    assert old.document["dataset"]["fingerprint"] != new.document["dataset"]["fingerprint"]
    assert old.rows["alice/one"]["feature_quality"] != new.rows["alice/one"]["feature_quality"]


def test_private_and_gated(shell, hub):
    closed = shell("alice/data", "alice/one", "alice/private", "alice/gated")
    assert closed.status == 1
    assert closed.rows["alice/one"]["error"] is None
    assert "neither a local folder nor found on the Hub" in closed.rows["alice/private"]["error"]
    assert "hf auth login" in closed.rows["alice/private"]["error"]
    gated = closed.rows["alice/gated"]["error"]
    assert f"is gated: ask for access at {hub.url}/alice/gated, then log in with `hf auth login`" in gated

    stranger = shell("alice/data", "alice/private", "alice/gated", token="hf_stranger_secret")
    assert (stranger.status, stranger.rows["alice/gated"]["error"]) == (1, gated)
    wrong = shell("alice/data", "alice/one", token="hf_expired_secret")
    assert wrong.status == 1
    assert "does not accept your token" in wrong.err
    reader = shell("alice/data", "alice/one", "alice/private", "alice/gated", token="hf_reader_secret")
    assert reader.status == 0
    assert reader.rows["alice/private"]["feature_quality"] == reader.rows["alice/gated"]["feature_quality"]


def test_a_gated_dataset(shell):
    closed = shell("alice/gated-data", "alice/one")
    assert closed.status == 1
    assert "dataset alice/gated-data is gated: ask for access at" in closed.err
    assert shell("alice/gated-data", "alice/one", token="hf_reader_secret").status == 0


def test_the_leak_check_streams_the_source_that_a_card_names(shell, hub, made, place, faults):
    hub.commit("dataset", "lab/source", made.target)
    (place / "secret").mkdir()
    for name, card in {"lab/seen": ["lab/source", "lab/gone", "secret"], "lab/fresh": ["lab/clean"]}.items():
        entries = "".join(f"- {entry}\n" for entry in card)
        hub.commit("model", name, {**_files(made.a), "README.md": f"---\ndatasets:\n{entries}---\n".encode()})
    hub.commit("dataset", "lab/clean", made.other)
    done = shell("alice/data", "lab/seen", "lab/fresh", "--leak-check", "100")
    assert done.status == 0
    assert done.rows["lab/seen"]["seen_share"] == 1
    assert "36 of 36 images are among 36 of lab/source (100%)" in done.rows["lab/seen"]["flag_details"]["seen_images"]
    assert (done.rows["lab/fresh"]["seen_share"], "seen_images" in done.rows["lab/fresh"]["flags"]) == (0, False)
    for name in ("lab/gone", "secret"):
        assert f"leak check: {name} cannot be compared: dataset {name}" in done.err
    assert "seen_share" not in shell("alice/data", "lab/seen").rows["lab/seen"]


def test_safetensors_in_a_pull_request(shell, faults):
    done = shell("alice/data", "alice/asked", "alice/asked@refs/pr/2")
    assert done.rows["alice/asked@refs/pr/2"]["error"] is None
    error = done.rows["alice/asked"]["error"]
    assert "only pickle weights" in error
    assert error.endswith("Rank alice/asked@refs/pr/2.")


def test_what_is_not_there(shell, hub):
    done = shell("alice/data", "alice/one", "alice/none", "alice/one@v9", "alice/pickle", "alice/two/three", "nothing here")
    assert done.status == 1
    reasons = {name: row["error"] for name, row in done.rows.items()}
    assert reasons.pop("alice/one") is None
    assert "Check the spelling" in reasons["alice/none"]
    assert f"has no such revision. See {hub.url}/alice/one/commits/main" in reasons["alice/one@v9"]
    assert "only pickle weights (pytorch_model.bin)" in reasons["alice/pickle"]
    assert "--allow-pickle" in reasons["alice/pickle"]
    assert "nor a valid Hub id" in reasons["alice/two/three"]
    assert "nor a valid Hub id" in reasons["nothing here"]

    for words, text in [
        (["alice/nodata"], "dataset alice/nodata is neither a local folder nor found on the Hub. Check the spelling"),
        (["alice/data", "--revision", "v9"], "dataset alice/data has no such revision"),
        (["alice/data", "--split", "validation"], "must be one of train; got 'validation'"),
        (["alice/data", "--config", "large"], "Available: ['default']"),
    ]:
        refused = shell(*words[:1], "alice/one", *words[1:])
        assert (refused.status, refused.document) == (2, None)
        assert text in refused.err


def test_a_download_that_breaks_off(shell, hub, faults, made):
    hub.commit("model", "alice/long", {**_files(made.c), "README.md": b"---\nlicense: cc0-1.0\n---\n"})
    hub.fail_after("alice/long", r"model\.safetensors", 1000)
    done = shell("alice/data", "alice/one", "alice/long", "alice/two")
    assert done.status == 1
    assert "connection to the Hub" in done.rows["alice/long"]["error"]
    assert "Run again" in done.rows["alice/long"]["error"]
    assert [row["error"] for row in done.rows.values()].count(None) == 2
    assert "Trying to resume" not in done.err
    assert done.waited < 60

    faults.clear()
    hub.requests.clear()
    again = shell("alice/data", "alice/one", "alice/long", "alice/two")
    assert again.status == 0
    assert again.rows["alice/long"]["feature_quality"] == again.rows["alice/two"]["feature_quality"]
    assert again.err.count("from the cache") == 2
    assert not bodies(hub, "alice/one")
    assert not bodies(hub, "alice/two")
    assert set(bodies(hub, "alice/long")) <= {"model.safetensors", "preprocessor_config.json"}


def test_a_download_that_arrives_damaged(shell, hub, faults, made):
    """The clients would keep it: it has the right length, and its tensors load."""
    hub.commit("model", "alice/damaged", made.c)
    faults.add(r"/alice/damaged/resolve/.*model\.safetensors", corrupt=True)
    done = shell("alice/data", "alice/one", "alice/damaged")
    assert done.status == 1
    assert "model.safetensors arrived damaged twice. Run again later" in done.rows["alice/damaged"]["error"]
    faults.clear()
    again = shell("alice/data", "alice/one", "alice/damaged")
    assert again.status == 0
    assert (
        again.rows["alice/damaged"]["feature_quality"] == shell("alice/data", str(made.c)).rows[str(made.c)]["feature_quality"]
    )


def test_a_busy_hub(shell, hub, faults):
    faults.add("/api/models/alice/one", status=429, retry_after="1", times=2)
    faults.add("/api/datasets/alice/data", status=503, times=1)
    assert shell("alice/data", "alice/one").status == 0
    statuses = [request.status for request in hub.requests if request.path.startswith("/api/models/alice/one")]
    assert statuses == [429, 429, 200]

    faults.add("/api/models/alice/two", status=429, retry_after="300")
    done = shell("alice/data", "alice/one", "alice/two")
    assert done.status == 1
    assert "in 300 seconds" in done.rows["alice/two"]["error"]
    assert done.waited < 20


def test_an_outage_never_gives_an_older_dataset(shell, hub, faults, made):
    """`datasets` itself would silently take the commit that it has cached."""
    first = hub.commit("dataset", "alice/growing", made.target)
    assert shell("alice/growing", "alice/one").status == 0
    second = hub.commit("dataset", "alice/growing", made.other)
    faults.add("/datasets/alice/growing/resolve/", status=404)
    done = shell("alice/growing", "alice/one")
    assert (done.status, done.document) == (1, None)
    assert f"only commit {first} of it is cached" in done.err
    faults.clear()
    assert shell("alice/growing", "alice/one").document["dataset"]["revision"] == second


def test_without_network(hub, shell, place, made, libraries):
    """A port that nobody listens on; what is pinned and cached goes on, and the rest says what is cached."""
    assert shell("alice/data", "alice/one", f"alice/one@{hub.shas['old']}").status == 0
    cut_off = Shell(libraries, hub.environment(place / "home") | {"HF_ENDPOINT": "http://127.0.0.1:9"}, place)
    try:
        pinned = f"alice/one@{hub.shas['old']}"
        done = cut_off(str(made.target), "alice/one", "alice/none", "some/folder", pinned)
        assert done.status == 1
        assert done.rows[pinned]["error"] is None
        assert "no network" in done.rows["alice/one"]["error"]
        assert hub.shas["new"] in done.rows["alice/one"]["error"]
        assert "Nothing of it is cached" in done.rows["alice/none"]["error"]
        assert "some/folder is not a local folder" in done.rows["some/folder"]["error"]
        assert done.waited < 30
        quick = cut_off("alice/data", "alice/one")
        assert (quick.status, quick.document) == (1, None)
        assert "no network" in quick.err
        assert f"Cached: commit {hub.shas['data']}; set HF_HUB_OFFLINE=1" in quick.err
        assert quick.waited < 5
        # Nor could a server that does not answer hold it up.
        assert done.timeouts
        assert max(done.timeouts + quick.timeouts) <= 10
    finally:
        cut_off.close()


def test_offline_mode(hub, shell, place, libraries):
    """HF_HUB_OFFLINE=1 ranks what is cached, models and dataset, and asks nothing."""
    online = shell("alice/data", "alice/one", "alice/two")
    hub.requests.clear()
    offline = Shell(libraries, hub.environment(place / "home") | {"HF_HUB_OFFLINE": "1"}, place)
    try:
        done = offline("alice/data", "alice/one", "alice/two")
        assert done.status == 0
        assert done.document == online.document
        moving = offline("alice/moving", "alice/one")  # of two cached commits the one that was loaded last
        assert (moving.status, moving.document["dataset"]["revision"]) == (
            0,
            hub.store.get("dataset", "alice/moving").branches["main"],
        )
        fresh = offline("alice/data", "alice/one", "alice/one@v1", "alice/none", "--no-cache", "--sample-size", "30")
        assert fresh.status == 1
        assert fresh.rows["alice/one"]["revision"] == hub.shas["new"]
        assert fresh.rows["alice/one@v1"]["revision"] == hub.shas["old"]
        assert "offline mode is on" in fresh.rows["alice/none"]["error"]
        for words in (["alice/none"], ["alice/data", "--revision", "0" * 40]):
            refused = offline(words[0], "alice/one", *words[1:])
            assert refused.status == 1
            assert "offline mode is on (HF_HUB_OFFLINE)" in refused.err
        assert hub.shas["data"] in refused.err
        assert refused.waited < 5
    finally:
        offline.close()
    assert not hub.requests


def test_scores_are_pushed(shell, hub, made, place):
    """Ranked by Hub id and from a folder, published with where they come from; the saved ranking adds nothing to that."""
    folder = place / "two"
    folder.symlink_to(made.b)
    words = ["alice/data", "alice/one@v1", str(folder), "alice/none", "--metric", "transferability", "--metric", "logme"]
    hub.requests.clear()
    for repo_id, token, text in [
        ("lab/x", None, "not logged in"),
        ("alice/x", WRITER, "you may not make one under alice"),
        ("alice/data", WRITER, "alice/data is a dataset of another kind"),
        ("alice/one", WRITER, "alice/one is a model on the Hub"),
    ]:
        early = shell(*words, "--push-to", repo_id, token=token)
        assert (early.status, early.document) == (1, None)
        assert text in early.err
    assert not [request for request in hub.requests if "resolve" in request.path and "README" not in request.path]
    done = shell(*words, "--push-to", "lab/pushed", "--output", "ranking.json", token=WRITER)
    assert done.status == 1  # of the one that failed
    assert "not published, as they failed: alice/none" in done.err
    assert "scores: 8 added, 0 replaced, 0 unchanged" in done.err
    assert f"published: {hub.url}/datasets/lab/pushed/commit/" in done.err
    file = hub.store.get("dataset", "lab/pushed").resolve("main").files["data/scores/rows.parquet"]
    found = tables.check_provenance(pd.read_parquet(io.BytesIO(hub.store.read(file))), "scores")
    assert sorted(set(found["source"])) == [
        "alice/one@v1",
        f"two@{next(r['revision'] for r in done.rows.values() if str(r['revision']).startswith('sha256:'))[7:15]}",
    ]
    assert set(found["benchmark"]) == {"pushed"}
    for row in done.rows.values():
        own = found[found["checkpoint_revision"] == row["revision"]].set_index("metric")
        assert len(own) == (0 if row["error"] else 4)
        for metric in own.index:
            assert own.loc[metric, "score"] == row[metric]
    assert set(found["dataset_revision"]) == {hub.shas["data"]}
    assert set(found["dataset_fingerprint"]) == {done.document["dataset"]["fingerprint"]}
    assert found["hardware"].str.contains("cpu").all()
    assert found.set_index("metric")["pool"].dropna().index.unique().tolist() == ["transferability"]
    assert str(place) not in found.to_csv()

    again = shell(*words, "--push-to", "lab/pushed", token=WRITER)
    assert "scores: 0 added, 0 replaced, 8 unchanged" in again.err
    saved = score_rows.read(place / "ranking.json", "pushed").sort_values(list(tables.TABLES["scores"].key), ignore_index=True)
    pd.testing.assert_frame_equal(saved, found)
    failed = shell("alice/data", "alice/none", "--push-to", "lab/pushed", token=WRITER)
    assert (failed.status, "not published, as they failed: alice/none" in failed.err) == (1, True)
    assert "unchanged" not in failed.err


def test_no_token_is_told(shell, place):
    """After all of the above: tokens are neither printed nor stored."""
    tokens = [*TOKENS, WRITER, "hf_expired_secret"]
    assert not [token for token in tokens if token in shell.said]
    files = [path for path in (place / "home").rglob("*") if path.is_file()]
    assert files
    for path in files:
        content = path.read_bytes()
        assert not [token for token in tokens if token.encode() in content], path
