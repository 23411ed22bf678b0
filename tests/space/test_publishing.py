"""Spaces put on the loopback Hub, and one of them started from nothing but what was uploaded."""

import os
import re
import subprocess
import sys
import urllib.request
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from hub import LoopbackHub

from hf_transferability import UsageError
from hf_transferability.cli import main
from hf_transferability.errors import PublishError
from hf_transferability.space import publishing


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
    assert {"README.md", "app.py", "example.json", "requirements.txt", small.name} <= set(files)
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
    assert files["requirements.txt"] == b"numpy>=2\n"
    assert main(["register", "--publish", "alice/other", "--wheel", str(small)]) == 2
    assert "must be OWNER/transferability" in capsys.readouterr().err


def test_another_app_is_not_written_over(hub, small):
    hub.commit("space", "alice/mine", {"app.py": b"print('mine')", "README.md": b"---\nsdk: gradio\n---\n"})
    with pytest.raises(PublishError, match="another app, which would be lost"):
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


def test_the_app_starts_from_the_uploaded_files_alone(hub, wheel, tmp_path):
    pytest.importorskip("gradio")
    publishing.publish("space", "alice/rank", wheel=wheel)
    place = tmp_path / "space"
    place.mkdir()
    for path, content in stored(hub, "alice/rank").items():
        (place / path).write_bytes(content)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_ANALYTICS_ENABLED": "False", "TMPDIR": str(tmp_path)}
    environment |= {"HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1", "HOME": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-v", "app.py"], cwd=place, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if found := re.search(r"Running on local URL: +(http://\S+)", line):
                break
        else:
            pytest.fail("".join(said[-40:]))
        loaded = [line for line in said if "hf_transferability/space/page.py" in line]  # as -v tells
        assert loaded
        assert all(str(tmp_path) in line for line in loaded)
        assert not [line for line in said if line.startswith("import 'torch'")]  # it would take the page many seconds
        with urllib.request.urlopen(found[1], timeout=30) as answer:
            assert answer.status == 200
            assert b"Transferability" in answer.read()
    finally:
        process.kill()
        process.communicate()
    assert Path(place, "example.json").is_file()
