"""How evaluate finds the metric: by its bare name, from a Hub, and from an installed wheel; online, offline, without network.

Each client is a process of its own, because evaluate and huggingface_hub read their settings when they are imported, and
that takes seconds.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import zipfile
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest
from helpers.loopback_hub import LoopbackHub

from hf_transferability import TransferabilityError, score
from hf_transferability.registration import METRIC_PATH, hub_folder, register

ROOT = Path(__file__).parents[1]
FILES = ["README.md", "app.py", "requirements.txt", "transferability.py"]
CLIENT = """
import json, sys, hf_transferability.registration as registration
assert "torch" not in sys.modules and "evaluate" not in sys.modules
path = registration.register()
import evaluate, numpy as np
features = np.random.default_rng(0).normal(size=(30, 4))
compute = lambda name: evaluate.load(name, "logme").compute(predictions=features, references=np.arange(30) % 3)["logme"]
names = [registration.METRIC_PATH if name == "METRIC_PATH" else name for name in sys.argv[1:]]
print(json.dumps({"path": str(path), "metric_path": registration.METRIC_PATH, "values": [compute(name) for name in names]}))
"""


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """A throw-away cache of modules, and the folder in it where versions of the metric stand."""
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    return tmp_path / "modules" / "evaluate_modules" / "metrics" / "evaluate-metric--transferability"


@pytest.fixture(scope="module")
def expected():
    features = np.random.default_rng(0).normal(size=(30, 4))
    return score("logme", features=features, labels=np.arange(30) % 3)


def client(hub, home, *names, **environment):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(CLIENT), *names],
        env=hub.environment(home) | environment,
        cwd=home.parent,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_folder_of_the_metric_is_whole():
    assert Path(METRIC_PATH) == hub_folder("metrics/transferability") == ROOT / "metrics" / "transferability"
    assert sorted(path.name for path in Path(METRIC_PATH).iterdir() if path.is_file()) == FILES


def test_registering_again_changes_nothing_but_the_time(modules):
    path = register()
    assert path.read_bytes() == Path(METRIC_PATH, "transferability.py").read_bytes()
    assert path.parent.parent == modules
    assert re.fullmatch("[0-9a-f]{64}", path.parent.name)
    before = sorted(modules.rglob("*"))
    os.utime(path, (0, 0))
    assert register() == path
    assert sorted(modules.rglob("*")) == before
    assert path.stat().st_mtime > 1e9  # the newest version is the one that evaluate takes
    path.write_text("damaged")
    register()
    assert path.read_bytes() == Path(METRIC_PATH, "transferability.py").read_bytes()
    path.unlink()
    assert register().is_file()
    assert sorted(modules.rglob("*")) == before


def test_many_may_register_at_once(modules):
    with ThreadPoolExecutor(8) as threads:
        paths = list(threads.map(lambda _: register(), range(32)))
    assert len(set(paths)) == 1
    assert sorted(modules.rglob("*")) == [paths[0].parent, paths[0]]


def test_broken_versions_are_moved_aside_and_others_stay(modules):
    broken, other, else_named = modules / ("a" * 64), modules / ("b" * 64), modules / ("c" * 63)
    for folder in (broken, other, else_named):
        folder.mkdir(parents=True)
    (broken / "__init__.py").touch()
    (other / "transferability.py").touch()
    path = register()
    assert {folder.name for folder in modules.iterdir()} == {f"{'a' * 64}.broken", "b" * 64, "c" * 63, path.parent.name}
    broken.mkdir()
    register()
    assert (modules / f"{'a' * 64}.broken" / "__init__.py").is_file()
    assert not broken.exists()


def test_the_cache_is_found_as_evaluate_finds_it(tmp_path, monkeypatch):
    monkeypatch.delenv("HF_MODULES_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    assert register().is_relative_to(tmp_path / "home" / "modules")
    monkeypatch.delenv("HF_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert register().is_relative_to(tmp_path / "cache" / "huggingface" / "modules")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    assert register().is_relative_to(tmp_path / "user" / ".cache" / "huggingface" / "modules")


def test_a_cache_that_cannot_be_written_to_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "file" / "modules"))
    with pytest.raises(TransferabilityError, match=r"cannot be registered in .*Set HF_HOME"):
        register()


def test_evaluate_finds_it_online_and_then_offline(tmp_path, expected):
    """From the Hub by its full name, and by its bare name, which the Hub does not know."""
    home = tmp_path / "home"
    with LoopbackHub(tmp_path / "hub") as hub:
        hub.commit("space", "owner/transferability", METRIC_PATH)
        online = client(hub, home, "owner/transferability", "transferability", "METRIC_PATH")
        refused = [request for request in hub.requests if request.path.startswith("/spaces/evaluate-metric/transferability/")]
        assert {request.status for request in refused} <= {401, 404}
        assert refused
        assert online["values"] == [expected] * 3
        # A version that a download left half-way fails evaluate's look-up.
        Path(online["path"]).parent.with_name("0" * 64).mkdir()
        hub.requests.clear()
        offline = client(hub, home, "transferability", "owner/transferability", HF_EVALUATE_OFFLINE="1", HF_HUB_OFFLINE="1")
        assert offline["values"] == [expected] * 2
        assert offline["path"] == online["path"]
        assert not hub.requests


def test_an_installed_wheel_has_it_without_network(tmp_path, expected):
    source, wheels, installed = tmp_path / "source", tmp_path / "wheels", tmp_path / "installed"
    try:
        if int(version("setuptools").partition(".")[0]) < 77:
            raise PackageNotFoundError("setuptools")
    except PackageNotFoundError:
        pytest.skip("building a wheel without downloads needs setuptools 77 or newer")
    source.mkdir()
    wheels.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("hf_transferability", "metrics", "space"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = f"import setuptools.build_meta as backend; backend.build_wheel({str(wheels)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    with zipfile.ZipFile(next(wheels.glob("*.whl"))) as wheel:
        wheel.extractall(installed)
    folder = installed / "hf_transferability" / "for_hub" / "metrics" / "transferability"
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert {path.name.partition("-")[0] for path in installed.iterdir()} == {"hf_transferability"}  # and its .dist-info
    with LoopbackHub(tmp_path / "hub") as hub:
        pass  # closed again: nothing answers at its address
        environment = hub.environment(tmp_path / "home")
    hub.environment = lambda home: environment
    result = client(hub, tmp_path / "home", "transferability", "METRIC_PATH", PYTHONPATH=str(installed))
    assert result["metric_path"] == str(folder)
    assert result["values"] == [expected] * 2
