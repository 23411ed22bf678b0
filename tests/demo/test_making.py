"""The demo's folders, at tiny sizes."""

import datasets
import numpy as np
import pytest
import torch
from helpers.demo import TINY_POOL, TINY_TARGET
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageClassification

from hf_transferability.demo import images, making


def test_target_loads_as_a_hub_dataset(made, tmp_path):
    target = datasets.load_dataset(str(made[0].target), cache_dir=str(tmp_path))
    assert {split: len(rows) for split, rows in target.items()} == {"train": 30, "test": 20}
    for rows in target.values():
        assert rows.features["label"].names == [f"digit {digit}" for digit in images.TARGET_DIGITS]
        assert len(set(np.bincount(rows["label"]))) == 1
        assert rows[0]["image"].size == (images.SIZE, images.SIZE)
    pixels = [row["image"].tobytes() for rows in target.values() for row in rows]
    assert len(set(pixels)) == 50


def test_checkpoints_load_whole_and_predict(made):
    image = Image.new("RGB", (40, 50), "red")
    assert [path.name for path in made[0].checkpoints] == list(images.SOURCES)
    for path, source in zip(made[0].checkpoints, images.SOURCES.values(), strict=True):
        model, loading = AutoModelForImageClassification.from_pretrained(path, use_safetensors=True, output_loading_info=True)
        assert not any(loading.values())
        pixels = AutoImageProcessor.from_pretrained(path)(image, return_tensors="pt")["pixel_values"]
        assert pixels.shape == (1, 3, images.SIZE, images.SIZE)
        with torch.no_grad():
            logits = model(pixels).logits
        assert logits.shape == (1, source.n_classes) and logits.isfinite().all()
        assert f"license: {source.licence}" in (path / "README.md").read_text(encoding="utf-8")


def test_pre_training_sees_what_the_image_processor_gives(made):
    pixels = np.random.default_rng(0).integers(256, size=(images.SIZE, images.SIZE, 3)).astype(np.uint8)
    processor = AutoImageProcessor.from_pretrained(made[0].checkpoints[0])
    seen = processor(Image.fromarray(pixels), return_tensors="pt")["pixel_values"][0]
    torch.testing.assert_close(seen, torch.from_numpy(pixels).permute(2, 0, 1).float() / 127.5 - 1)


def test_global_state_is_left_alone(tmp_path):
    torch.manual_seed(5)
    np.random.seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), torch.get_num_threads()
    making.make_target(tmp_path / "target", **TINY_TARGET)
    making.make_checkpoints(tmp_path / "pool", **TINY_POOL)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()
    assert torch.get_num_threads() == before[2]


def test_a_failure_while_making_leaves_nothing_half_made(tmp_path, monkeypatch):
    def fail(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(making, "_train", fail)
    with pytest.raises(KeyboardInterrupt):
        making.make_checkpoints(tmp_path / "pool", **TINY_POOL)
    assert list((tmp_path / "pool").iterdir()) == []


def test_somebody_elses_folder_is_refused_and_kept(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"`folder` must be absent, empty or made by the demo; got .*Choose another one\."):
        making.make_target(tmp_path, **TINY_TARGET)
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("content", ["{", "[]", '{"files": [1]}'])
def test_a_damaged_recipe_is_named(tmp_path, content):
    folder = making.make_target(tmp_path / "target", **TINY_TARGET)
    (tmp_path / ".target.json").write_text(content)
    with pytest.raises(ValueError, match=r"`folder` must be .* made by the demo; .*\.target\.json is damaged\. Remove both"):
        making.make_target(folder, **TINY_TARGET)


def test_another_seed_or_size_is_refused(made):
    target = made[0].target
    with pytest.raises(ValueError, match=r"`folder` must be made as .*'seed': 1.*Choose another one\."):
        making.make_target(target, 1, **TINY_TARGET)
    with pytest.raises(ValueError, match="`folder` must be made as"):
        making.make_target(target, 0)
    with pytest.raises(ValueError, match="at most 174 together; got 100 and 100"):
        making.make_target(target, 0, train_per_class=100, test_per_class=100)


def test_largest_target(tmp_path):
    folder = making.make_target(tmp_path / "target", train_per_class=64, test_per_class=110)
    rows = datasets.load_dataset(str(folder), split="test", streaming=True)
    assert sum(1 for _ in rows) == 550


def test_pre_training_learns_its_source(tmp_path, monkeypatch):
    source = images.SOURCES["textures"]
    monkeypatch.setattr(making, "SOURCES", {"textures": source})
    (folder,) = making.make_checkpoints(tmp_path, steps=40, images=256)
    drawn, labels = source.draw(np.random.default_rng(7), 128)
    model = AutoModelForImageClassification.from_pretrained(folder)
    with torch.no_grad():
        logits = model(torch.from_numpy(drawn).permute(0, 3, 1, 2).float() / 127.5 - 1).logits
    assert (logits.argmax(1).numpy() == labels).mean() > 0.5  # guessing: 0.125
