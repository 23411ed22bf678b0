"""What the page and the API do, without Gradio: work that leaves nothing behind, the example, the benchmark."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.rankings import ranking_of

from hf_transferability import TransferabilityError, UsageError
from hf_transferability.cli import _parser
from hf_transferability.space import limits, work, worker


@pytest.fixture
def files(tmp_path):
    """Two files of features of one sample, one of them with a name that could be read as an option."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    paths = [tmp_path / "good.npz", tmp_path / "--output=x.npz"]
    for path, strength in zip(paths, (2.0, 0.1), strict=True):
        np.savez(path, features=rng.normal(size=(60, 8)) + strength * labels[:, None], labels=labels)
    return paths


@pytest.fixture
def traces(tmp_path, monkeypatch):
    """An empty folder for temporary files, which must be empty afterwards."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    assert [path.name for path in folder.iterdir() if path.name.startswith("hf-transferability")] == []


def test_files_are_ranked_and_removed(files, traces):
    told = []
    document = work.rank_files([str(path) for path in files], metric="logme", tell=lambda text, share: told.append(text))
    assert [row["checkpoint"] for row in document["rows"]] == ["good.npz", "--output=x.npz"]
    assert document["metric"] == "logme"
    assert not any(path.exists() for path in files)


def test_pickles_are_refused_and_removed(tmp_path, traces):
    path = tmp_path / "a.npz"
    np.savez(path, features=np.array([{}], dtype=object), labels=np.arange(1))
    with pytest.raises(UsageError, match="no objects"):
        work.rank_files([str(path)])
    assert not path.exists()


def test_work_is_stopped_when_its_time_is_up(files, traces):
    began = time.monotonic()
    with pytest.raises(TransferabilityError, match="the work is stopped after 0 seconds"):
        list(worker.run(["score"], [], files, seconds=0.3))
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("gone", ["nobody asks for more", "the page is closed"])
def test_work_ends_when_the_visitor_leaves(traces, monkeypatch, gone):
    started = []
    real = worker.subprocess.Popen
    monkeypatch.setattr(
        worker.subprocess, "Popen", lambda *words, **options: started.append(real(*words, **options)) or started[0]
    )
    lines = worker.run(["demo"], [], visitor="one")
    assert next(lines) == "starting"
    worker.leave("another")
    assert started[0].poll() is None
    if gone == "the page is closed":
        worker.leave("one")
        with pytest.raises(TransferabilityError):
            list(lines)
    lines.close()
    assert started[0].poll() is not None
    assert worker._running == {}


def test_the_demo_is_a_command_and_tells_how_far_it_is(monkeypatch):
    asked, told = [], []

    def run(words, names, visitor):
        asked.append((words, names, visitor))
        yield "starting"
        yield "making checkpoint 3 of 7: drawn shapes"
        yield "[7/7] demo/checkpoints/untrained: features"
        yield {"rows": []}

    monkeypatch.setattr(worker, "run", run)
    assert work.run_demo(lambda text, share: told.append((text[:8], round(share, 2))), "me") == {"rows": []}
    ((words, names, visitor),) = asked
    assert _parser().parse_args([*words, *names]).keep == "demo"
    assert visitor == "me"
    assert told == [("starting", 0), ("making c", 0.29), ("[7/7] de", 0.86)]


def test_work_sees_no_secret_of_the_page(monkeypatch):
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "MY_SECRET"):
        monkeypatch.setenv(name, "hidden")
    environment = worker._environment("folder")
    assert "hidden" not in environment.values()
    assert environment["HF_HOME"].startswith("folder")


def test_work_that_takes_too_much_memory_says_so(monkeypatch):
    monkeypatch.setattr(limits, "MEMORY", 2**29)
    process = subprocess.Popen(
        [sys.executable, "-c", "input(); bytearray(2**30)"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    worker._limit_memory(process.pid)
    said = process.communicate("go\n")[1].splitlines()
    with pytest.raises(TransferabilityError, match=r"needs more than the 0\.5 GiB of memory .* Name fewer or smaller"):
        worker._outcome(process.returncode, b"", said)


def test_two_uploads_of_one_name_are_two_candidates(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.npz").write_text(name)
    target = tmp_path / "work"
    target.mkdir()
    assert worker._copied([tmp_path / "a/x.npz", tmp_path / "b/x.npz"], target) == ["x.npz", "x-2.npz"]
    assert (target / "x-2.npz").read_text() == "b"


@pytest.mark.parametrize(
    ("status", "output", "said", "kind", "text"),
    [
        (2, b"", ["noise", "hf-transferability: `split` is wrong."], UsageError, "`split` is wrong."),
        (1, b"", ["hf-transferability: no network"], TransferabilityError, "no network"),
        (-9, b"", [], TransferabilityError, "perhaps for lack of memory"),
    ],
)
def test_failures_keep_their_reason(status, output, said, kind, text):
    with pytest.raises(kind, match=text):
        worker._outcome(status, output, said)


def test_the_example_is_a_ranking_that_was_really_made():
    document = work.example()
    assert len(document["rows"]) == 7
    assert document["dataset"]["id"] == "target"
    assert document["versions"]["torch"]
    assert str(Path.home()) not in json.dumps(document)


def test_three_files_are_offered(tmp_path):
    paths = work.write_files(ranking_of(2), tmp_path)
    assert [Path(path).suffix for path in paths] == [".json", ".csv", ".html"]
    assert json.loads(Path(paths[0]).read_text())["rows"]


def test_bounds_come_first(monkeypatch):
    monkeypatch.setattr(worker, "run", lambda *words, **options: pytest.fail("work began"))
    with pytest.raises(UsageError, match=f"at most {limits.CHECKPOINTS} checkpoints"):
        work.rank_checkpoints("a/b", [f"c/{i}" for i in range(limits.CHECKPOINTS + 1)])


def test_options_of_reading_are_words_that_no_value_can_leave(monkeypatch):
    words = []
    monkeypatch.setattr(limits, "check_request", lambda *request: None)
    monkeypatch.setattr(worker, "run", lambda given, names, visitor: words.extend(given) or iter([{}]))
    reading = {
        "split": "",
        "label_column": "--output=x",
        "class_level": 2,
        "image_column": None,
        "window": " -160,240 ",
        "keep_masks": True,
    }
    work.rank_checkpoints("a/b", ["c/d"], reading=reading)
    assert words[5:] == ["--label-column=--output=x", "--class-level=2", "--window=-160,240", "--keep-masks"]
    options = _parser().parse_args([*words, "--", "a/b", "c/d"])
    assert (options.label_column, options.class_level, options.window) == ("--output=x", 2, (-160.0, 240.0))
    assert options.output is None and options.keep_masks
    words.clear()
    work.rank_checkpoints("a/b", ["c/d"], reading={"keep_masks": False})
    assert "--keep-masks" not in words
    for wrong in ({"split": "a\0b"}, {"split": "x" * 201}, {"output": "file"}):
        with pytest.raises(UsageError):
            work.rank_checkpoints("a/b", ["c/d"], reading=wrong)
