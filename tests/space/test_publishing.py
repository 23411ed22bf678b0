"""Spaces put on the loopback Hub, and started from nothing but what was uploaded."""

import contextlib
import os
import re
import subprocess
import sys
import sysconfig
import time
import urllib.request
import zipfile
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import pytest
from helpers.loopback_hub import LoopbackHub

from hf_transferability import UsageError
from hf_transferability.cli import main
from hf_transferability.errors import PublishError
from hf_transferability.space import publishing

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # the client's own, of its HTTP library


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this checkout."""
    try:
        if int(version("setuptools").partition(".")[0]) < 77:
            raise PackageNotFoundError("setuptools")
    except PackageNotFoundError:
        pytest.skip("building a wheel without downloads needs setuptools 77 or newer")
    return publishing.build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hub on which alice may write, and is logged in."""
    from huggingface_hub import constants

    with LoopbackHub(tmp_path / "hub", writes={"hf_alice": {"alice"}}) as running:
        monkeypatch.setattr(constants, "ENDPOINT", running.url)  # as they are when the client is imported
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", running.url + "/{repo_id}/resolve/{revision}/{filename}")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("HF_TOKEN", "hf_alice")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield running
        assert not running.leaks()


@pytest.fixture
def small(tmp_path):
    """What looks like the wheel, for tests that do not run it."""
    path = tmp_path / "hf_transferability-1.0-py3-none-any.whl"
    needs = ["numpy>=2", 'gradio>=6; extra == "space"', 'ruff; extra == "test"', 'tomli; python_version < "3.8"']
    with zipfile.ZipFile(path, "w") as archive:
        lines = [
            "Metadata-Version: 2.1",
            "Name: hf-transferability",
            "Version: 1.0",
            *(f"Requires-Dist: {need}" for need in needs),
        ]
        archive.writestr("hf_transferability-1.0.dist-info/METADATA", "\n".join(lines) + "\n")
    return path


def stored(hub, repo_id):
    """Path -> content of a Space's newest commit."""
    repository = hub.store.get("space", repo_id)
    return {path: hub.store.read(file) for path, file in repository.resolve("main").files.items()}


def test_a_space_is_made_in_one_commit_and_brought_up_to_date(hub, small, capsys):
    assert main(["space", "--publish", "alice/rank", "--wheel", str(small)]) == 0
    assert f"{hub.url}/spaces/alice/rank" in capsys.readouterr().out
    files = stored(hub, "alice/rank")
    assert {"README.md", "app.py", "example.json", "requirements.txt", "benchmarks.parquet", small.name} <= set(files)
    assert files["requirements.txt"].decode().splitlines() == ["gradio>=6", "numpy>=2"]
    assert files[small.name] == small.read_bytes()
    assert b"sdk: gradio" in files["README.md"]
    newer = small.rename(small.with_name("hf_transferability-1.1-py3-none-any.whl"))
    assert main(["space", "--publish", "alice/rank", "--wheel", str(newer)]) == 0
    assert [name for name in stored(hub, "alice/rank") if name.endswith(".whl")] == [newer.name]
    commits = [request for request in hub.requests if request.method == "POST" and "/commit/" in request.path]
    assert len(commits) == 2


def test_the_metric_becomes_a_space_too(hub, small, capsys):
    assert main(["register", "--publish", "alice/transferability", "--wheel", str(small)]) == 0
    files = stored(hub, "alice/transferability")
    assert {"README.md", "app.py", "transferability.py", "requirements.txt", small.name} <= set(files)
    assert "benchmarks.parquet" not in files
    assert files["requirements.txt"] == b"numpy>=2\n"
    assert main(["register", "--publish", "alice/other", "--wheel", str(small)]) == 2
    assert "must be OWNER/transferability" in capsys.readouterr().err


def test_another_app_is_not_written_over(hub, small):
    hub.commit("space", "alice/mine", {"app.py": b"print('mine')", "README.md": b"---\nsdk: gradio\n---\n"})
    with pytest.raises(PublishError, match="another app, which would be overwritten"):
        publishing.publish("space", "alice/mine", wheel=small)
    assert stored(hub, "alice/mine")["app.py"] == b"print('mine')"


@pytest.mark.parametrize(
    ("repo_id", "kind", "text"),
    [
        ("rank", UsageError, "must be a Space's OWNER/NAME"),
        ("bob/rank", PublishError, "may not write to Space bob/rank"),
    ],
)
def test_places_where_one_may_not_publish_are_named(hub, small, repo_id, kind, text):
    with pytest.raises(kind, match=text):
        publishing.publish("space", repo_id, wheel=small)


def test_without_login_nothing_is_sent(hub, small, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(PublishError, match="not logged in"):
        publishing.publish("space", "alice/rank", wheel=small)
    assert hub.requests == []


def test_a_file_that_is_no_wheel_of_this_package_is_refused(small, tmp_path):
    other = small.rename(small.with_name("numpy-1.0-py3-none-any.whl"))
    with pytest.raises(UsageError, match=r"got numpy-1\.0-py3-none-any\.whl of hf-transferability"):
        publishing.requirements(other)
    with pytest.raises(UsageError, match="cannot be read"):
        publishing.requirements(tmp_path / "none.whl")


# Python without the environment's own start-up files, so that an editable installation of the checkout is not found; its
# packages are. Says what is imported.
ALONE = """
import importlib.util, runpy, sys

class Told:
    def find_spec(name, *where):
        print("imports", name)

sys.path += sys.argv[1:]
assert importlib.util.find_spec("hf_transferability") is None, "it is installed"
sys.meta_path.insert(0, Told)
runpy.run_path("app.py", run_name="__main__")
"""


@contextlib.contextmanager
def started(place):
    """The app of a folder in a process of its own; gives its address and the lines that it has said so far."""
    inherited = {name: os.environ[name] for name in ("PATH", "LANG", "OMP_NUM_THREADS") if name in os.environ}
    environment = inherited | {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
    environment |= {"TMPDIR": str(place.parent), "HOME": str(place.parent), "NO_PROXY": "127.0.0.1"}
    packages = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    log = place.parent / "said.txt"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-u", "-W", "ignore", "-c", ALONE, *packages], cwd=place, env=environment,
            stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        while not (found := re.search(r"Running on local URL: +(http://\S+)", said := log.read_text(errors="replace"))):
            if "AssertionError: it is installed" in said:
                pytest.skip("the package is installed in this environment, so nothing can start without it")
            assert process.poll() is None, said[-4000:]
            time.sleep(0.2)
        yield found[1], said.splitlines()
    finally:
        process.kill()
        process.wait()


def downloaded(hub, repo_id, place):
    """The files of a Space in a folder of their own."""
    place.mkdir()
    for path, content in stored(hub, repo_id).items():
        (place / path).write_bytes(content)
    return place


def test_the_app_starts_from_the_uploaded_files_alone(hub, wheel, tmp_path):
    gradio_client = pytest.importorskip("gradio_client")
    publishing.publish("space", "alice/rank", wheel=wheel)
    with started(downloaded(hub, "alice/rank", tmp_path / "space")) as (address, said):
        assert "imports hf_transferability.space.page" in said
        assert "imports torch" not in said  # it would take the page many seconds
        with urllib.request.urlopen(address, timeout=30) as answer:
            assert b"Transferability" in answer.read()
        client = gradio_client.Client(address, verbose=False)
        try:
            found = client.predict("source_dataset", "nleep", api_name="/lookup_benchmark")
            with pytest.raises(Exception, match="at most 6 checkpoints"):
                client.predict("alice/data", ["alice/one"] * 7, api_name="/rank_checkpoints")
        finally:
            client.close()
    assert len(found["pairs"]) == 154
    assert found["notice"] == ""


def test_the_metrics_app_starts_from_the_uploaded_files_alone(hub, wheel, tmp_path):
    gradio_client = pytest.importorskip("gradio_client")
    publishing.publish("metrics/transferability", "alice/transferability", wheel=wheel)
    arrays = tmp_path / "a.npz"
    labels = np.arange(60) % 3
    np.savez(arrays, features=np.random.default_rng(0).normal(size=(60, 4)) + labels[:, None], labels=labels)
    with started(downloaded(hub, "alice/transferability", tmp_path / "space")) as (address, said):
        assert "imports hf_transferability.evaluate_module" in said
        client = gradio_client.Client(address, verbose=False)
        try:
            scores, _ = client.predict(gradio_client.handle_file(arrays), "logme", api_name="/score")
        finally:
            client.close()
    assert [name for name, _ in scores["data"]] == ["logme"]
