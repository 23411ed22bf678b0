"""The demo's folders, at tiny sizes: what is made, made again, made twice, and left alone."""

import hashlib
import shutil
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageClassification

from hf_transferability import TransferabilityError
from hf_transferability.demo import run as demo

TINY_TARGET = {"train_per_class": 6, "test_per_class": 4}
TINY_POOL = {"steps": 2, "images": 32}
TRAINED = [name for name, source in demo.SOURCES.items() if source.draw]


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    texts: list[str] = []
    with demo.run(tmp_path_factory.mktemp("demo"), 0, texts.append, **TINY_TARGET, **TINY_POOL) as made:
        yield made, texts


@pytest.fixture
def copy(made, tmp_path):
    """A copy of the demo that a test may damage."""
    shutil.copytree(made[0].target.parent, tmp_path / "copy")
    return tmp_path / "copy"


def test_target_loads_as_a_hub_dataset(made, tmp_path):
    target = datasets.load_dataset(str(made[0].target), cache_dir=str(tmp_path))
    assert {split: len(rows) for split, rows in target.items()} == {"train": 30, "test": 20}
    for rows in target.values():
        assert rows.features["label"].names == [f"digit {digit}" for digit in demo.TARGET_DIGITS]
        assert len(set(np.bincount(rows["label"]))) == 1
        assert rows[0]["image"].size == (demo.SIZE, demo.SIZE)
    pixels = [row["image"].tobytes() for rows in target.values() for row in rows]
    assert len(set(pixels)) == 50


def test_target_and_digit_sources_share_no_class():
    assert not set(demo.TARGET_DIGITS) & set(demo.SOURCE_DIGITS)


def test_checkpoints_load_whole_and_predict(made):
    image = Image.new("RGB", (40, 50), "red")
    assert [path.name for path in made[0].checkpoints] == list(demo.SOURCES)
    for path, source in zip(made[0].checkpoints, demo.SOURCES.values(), strict=True):
        model, loading = AutoModelForImageClassification.from_pretrained(path, use_safetensors=True, output_loading_info=True)
        assert not any(loading.values())
        pixels = AutoImageProcessor.from_pretrained(path)(image, return_tensors="pt")["pixel_values"]
        assert pixels.shape == (1, 3, demo.SIZE, demo.SIZE)
        with torch.no_grad():
            logits = model(pixels).logits
        assert logits.shape == (1, source.n_classes) and logits.isfinite().all()
        assert f"license: {source.licence}" in (path / "README.md").read_text(encoding="utf-8")


def test_pre_training_sees_what_the_image_processor_gives(made):
    pixels = np.random.default_rng(0).integers(256, size=(demo.SIZE, demo.SIZE, 3)).astype(np.uint8)
    processor = AutoImageProcessor.from_pretrained(made[0].checkpoints[0])
    seen = processor(Image.fromarray(pixels), return_tensors="pt")["pixel_values"][0]
    torch.testing.assert_close(seen, torch.from_numpy(pixels).permute(2, 0, 1).float() / 127.5 - 1)


@pytest.mark.parametrize("name", TRAINED)
def test_sources_draw_every_class(name):
    source = demo.SOURCES[name]
    images, labels = source.draw(np.random.default_rng(0), 300)
    assert images.shape == (300, demo.SIZE, demo.SIZE, 3) and images.dtype == np.uint8
    assert set(labels) == set(range(source.n_classes))


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


def test_global_state_is_left_alone(tmp_path):
    torch.manual_seed(5)
    np.random.seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), torch.get_num_threads()
    demo.make_target(tmp_path / "target", **TINY_TARGET)
    demo.make_checkpoints(tmp_path / "pool", **TINY_POOL)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()
    assert torch.get_num_threads() == before[2]


def test_progress_names_every_step_and_nothing_is_printed(made, tmp_path, capfd):
    assert len(made[1]) == 1 + len(demo.SOURCES)
    demo.make_checkpoints(tmp_path, **TINY_POOL)
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


def test_a_failure_while_making_leaves_nothing_half_made(tmp_path, monkeypatch):
    def fail(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "_train", fail)
    with pytest.raises(KeyboardInterrupt):
        demo.make_checkpoints(tmp_path / "pool", **TINY_POOL)
    assert list((tmp_path / "pool").iterdir()) == []


def test_somebody_elses_folder_is_refused_and_kept(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"`folder` must be absent, empty or made by the demo; got .*Choose another one\."):
        demo.make_target(tmp_path, **TINY_TARGET)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_another_seed_or_size_is_refused(made):
    target = made[0].target
    with pytest.raises(ValueError, match=r"`folder` must be made as .*'seed': 1.*Choose another one\."):
        demo.make_target(target, 1, **TINY_TARGET)
    with pytest.raises(ValueError, match="`folder` must be made as"):
        demo.make_target(target, 0)
    with pytest.raises(ValueError, match="at most 174 together; got 100 and 100"):
        demo.make_target(target, 0, train_per_class=100, test_per_class=100)


def test_largest_target(tmp_path):
    folder = demo.make_target(tmp_path / "target", train_per_class=64, test_per_class=110)
    rows = datasets.load_dataset(str(folder), split="test", streaming=True)
    assert sum(1 for _ in rows) == 550


def test_a_temporary_demo_is_removed(monkeypatch):
    monkeypatch.setattr(demo, "make_checkpoints", lambda *args, **sizes: ())
    with demo.run(**TINY_TARGET) as made:
        assert made.target.is_dir()
    assert not made.target.exists()


def test_command_ranks_the_folders(made):
    words = made[0].command.split()
    assert words[:2] == ["hf-transferability", "rank"]
    assert words[2:] == [str(path) for path in (made[0].target, *made[0].checkpoints)]


def test_verify_gives_a_repeatable_auc_for_each(made):
    chosen = made[0].checkpoints[:2]
    aucs = demo.verify(made[0].target, chosen, epochs=1, repeats=2)
    assert list(aucs) == [str(path) for path in chosen]
    assert all(0 <= auc <= 1 for auc in aucs.values())
    assert demo.verify(str(made[0].target), [str(path) for path in chosen], epochs=1, repeats=2) == aucs


def test_verify_averages_the_runs_that_did_not_diverge(made, monkeypatch):
    chosen, told = made[0].checkpoints[:1], []
    diverged = {"status": "diverged", "stopped_epoch": 1, "seconds": 0.1}
    ended = iter([{"status": "ok", "test_auc": 0.6}, diverged, {"status": "ok", "test_auc": 0.8}, diverged, diverged])
    monkeypatch.setattr(demo, "fine_tune", lambda *arguments, **options: next(ended))
    assert demo.verify(made[0].target, chosen, progress=told.append) == {str(chosen[0]): pytest.approx(0.7)}
    assert f"1 of 3 runs of {chosen[0].name} diverged; the others are averaged" in told
    with pytest.raises(TransferabilityError, match=r"all 2 runs of .* diverged"):
        demo.verify(made[0].target, chosen, repeats=2)


def test_pre_training_learns_its_source(tmp_path, monkeypatch):
    source = demo.SOURCES["textures"]
    monkeypatch.setattr(demo, "SOURCES", {"textures": source})
    (folder,) = demo.make_checkpoints(tmp_path, steps=40, images=256)
    images, labels = source.draw(np.random.default_rng(7), 128)
    model = AutoModelForImageClassification.from_pretrained(folder)
    with torch.no_grad():
        logits = model(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1).logits
    assert (logits.argmax(1).numpy() == labels).mean() > 0.5  # guessing: 0.125
