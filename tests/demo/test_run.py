"""The demo as a whole: what is made, made again, made twice, and left alone; and its ranking."""

import shutil
from pathlib import Path

import pytest
import torch
from helpers.demo import TINY_POOL, TINY_TARGET, digests

from hf_transferability.demo import images, making
from hf_transferability.demo import run as demo


@pytest.fixture
def copy(made, tmp_path):
    """A copy of the demo that a test may damage."""
    shutil.copytree(made[0].target.parent, tmp_path / "copy")
    return tmp_path / "copy"


def test_same_seed_gives_the_same_bytes_and_another_seed_others(made, tmp_path):
    torch.manual_seed(1)  # whatever the caller's generator and number of threads are
    threads = torch.get_num_threads()
    torch.set_num_threads(1 + threads % 2)
    try:
        with demo.run(tmp_path / "again", 0, **TINY_TARGET, **TINY_POOL) as again:
            pass
    finally:
        torch.set_num_threads(threads)
    assert digests(again.target.parent) == digests(made[0].target.parent)
    with demo.run(tmp_path / "other", 1, **TINY_TARGET, **TINY_POOL) as other:
        pass
    same = set(digests(other.target.parent).values()) & set(digests(made[0].target.parent).values())
    assert not any(path.suffix in (".safetensors", ".parquet") for path in _files_with(other.target.parent, same))


def _files_with(folder: Path, found: set[str]) -> list[Path]:
    return [Path(name) for name, digest in digests(folder).items() if digest in found]


def test_progress_names_every_step_and_nothing_is_printed(made, tmp_path, capfd):
    assert len(made[1]) == 1 + len(images.SOURCES)
    making.make_checkpoints(tmp_path, **TINY_POOL)
    assert capfd.readouterr() == ("", "")


def test_complete_folders_are_reused(copy):
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*")}
    texts: list[str] = []
    with demo.run(copy, 0, texts.append, **TINY_TARGET, **TINY_POOL):
        pass
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*")} == before
    assert texts == []


def test_an_interrupted_demo_is_completed(copy, made):
    shutil.rmtree(copy / "checkpoints" / "shapes")
    (copy / "checkpoints" / ".shapes.partial").mkdir()
    (copy / "checkpoints" / ".shapes.partial" / "config.json").write_text("{")
    (copy / "checkpoints" / "textures" / "model.safetensors").unlink()
    (copy / "target" / "data" / "test-00000-of-00001.parquet").unlink()
    texts: list[str] = []
    with demo.run(copy, 0, texts.append, **TINY_TARGET, **TINY_POOL):
        pass
    assert digests(copy) == digests(made[0].target.parent)
    assert len(texts) == 3


def test_a_temporary_demo_is_removed(monkeypatch):
    monkeypatch.setattr(demo, "make_checkpoints", lambda *args, **sizes: ())
    with demo.run(**TINY_TARGET) as made:
        assert made.target.is_dir()
    assert not made.target.exists()


def test_command_ranks_the_folders(made):
    words = made[0].command.split()
    assert words[:2] == ["hf-transferability", "rank"]
    assert words[2:] == [str(path) for path in (made[0].target, *made[0].checkpoints)]


def test_names_stand_for_folders(tmp_path):
    made = demo.Demo(tmp_path / "target", (tmp_path / "digits", tmp_path / "digits-shuffled"))
    text = f"{tmp_path / 'digits-shuffled'} before {tmp_path / 'digits'} for {tmp_path / 'target'}"
    assert made.plain(text) == "digits-shuffled before digits for target"
