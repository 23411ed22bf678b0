"""The page, served once for all of these tests on the loopback address."""

import os
import sys
from pathlib import Path
from subprocess import DEVNULL, PIPE
from types import SimpleNamespace

import datasets
import pytest
from helpers.forks import PROGRAM, Process
from helpers.inputs import resnet_config
from helpers.loopback_hub import LoopbackHub
from helpers.splits import in_memory

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"


@pytest.fixture(scope="session")
def hub(tmp_path_factory, make_target, make_checkpoint):
    """A Hub with alice/data, alice/one, alice/two, alice/broken, and alice/private, which the page's owner could read."""
    with LoopbackHub(tmp_path_factory.mktemp("hub"), tokens={"hf_owner": {"alice/private"}}) as running:
        running.commit("dataset", "alice/data", make_target())
        running.commit("dataset", "alice/columns", _columns(tmp_path_factory.mktemp("columns")))
        running.commit("model", "alice/one", make_checkpoint(seed=0))
        running.commit("model", "alice/two", make_checkpoint(resnet_config(width=4), seed=1))
        running.commit("model", "alice/broken", _broken(make_checkpoint(seed=3)))
        running.commit("model", "alice/private", make_checkpoint(seed=2), private=True)
        yield running


def _broken(folder: Path) -> Path:
    """A checkpoint whose configuration cannot be read."""
    (folder / "config.json").write_text("{")
    return folder


def _columns(folder: Path) -> Path:
    """A dataset of two splits, neither called train, with two columns of images, two of labels, and one of patients."""
    label = datasets.ClassLabel(names=["no", "yes"])
    for split, table in in_memory({"earlier": [0, 1] * 12, "later": [0, 1] * 12}, label).items():
        table = table.rename_columns({"image": "scan", "label": "finding"})
        cells = table.cast_column("scan", datasets.Image(decode=False))["scan"][:]
        table = table.add_column("overview", cells).cast_column("overview", datasets.Image())
        table = table.add_column("sex", [0, 1] * 12).cast_column("sex", datasets.ClassLabel(names=["f", "m"]))
        table = table.add_column("patient", [i // 3 for i in range(24)])
        (folder / "data").mkdir(exist_ok=True)
        table.to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    return folder


@pytest.fixture(scope="session")
def _addressed(hub):
    from huggingface_hub import constants

    patch = pytest.MonkeyPatch()
    patch.setattr(constants, "ENDPOINT", hub.url)  # as these are when the client is imported
    patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}")
    patch.setenv("HF_ENDPOINT", hub.url)
    patch.setenv("HF_TOKEN", "hf_owner")
    patch.setenv("NO_PROXY", "127.0.0.1")
    yield
    patch.undo()


@pytest.fixture
def at_hub(hub, _addressed):
    """This process, and those that it starts, talk to that Hub, and the page's owner is logged in."""
    return hub


@pytest.fixture
def quick_work(libraries, monkeypatch):
    """Visitors' work starts quickly: in a fork of a process that has loaded the libraries, with the same environment."""
    from hf_transferability.space import worker

    def start(command, *, cwd, env, stdin, stdout, stderr, **others):
        assert command[:4] == [sys.executable, "-P", "-m", "hf_transferability"]
        return Process(libraries, PROGRAM, command[4:], cwd=cwd, env=env, streams=(stdin, stdout, stderr))

    monkeypatch.setattr(worker, "subprocess", SimpleNamespace(Popen=start, DEVNULL=DEVNULL, PIPE=PIPE))


@pytest.fixture(scope="session")
def served(_addressed):
    """The page, as it is served."""
    pytest.importorskip("gradio")
    from hf_transferability.space import page

    running = page.launch("127.0.0.1", prevent_thread_lock=True, quiet=True)
    yield running
    running.close()


@pytest.fixture(scope="session")
def address(served):
    """Where the page is served."""
    return served.local_url


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """One browser for all tests of a module: it takes seconds to start. They are skipped where there is none."""
    from helpers.browser import Browser

    found = Browser(tmp_path_factory.mktemp("downloads"), 1280)
    yield found
    found.driver.quit()


@pytest.fixture(scope="module", params=[1280, 390], ids=["desk", "phone"])
def browser(request, opened, address):
    opened.resize(request.param)
    opened.driver.get(address)
    opened.wait("return document.body.innerText.includes('Which pretrained checkpoint')")
    yield opened
    told = [entry for entry in opened.driver.get_log("browser") if entry["level"] == "SEVERE"]
    leaving = ("AbortError", "Connection errored out")  # what Gradio tells of its stream when one goes to another page
    assert [entry for entry in told if not any(text in entry["message"] for text in leaving)] == []


@pytest.fixture
def fits(browser):
    """The page is never wider than the window."""
    yield
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
