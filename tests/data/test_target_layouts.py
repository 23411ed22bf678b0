"""The same dataset in every layout, its splits, and datasets that cannot be opened."""

from collections import Counter
from pathlib import Path

import datasets
import numpy as np
import pytest
from datasets import DatasetDict
from helpers.inputs import blobs
from helpers.targets import pairs, png, refused

from hf_transferability.data.targets import check_images, load_target
from hf_transferability.errors import TargetError


@pytest.mark.parametrize("name", ["parquet", "saved dict", "saved one", "folder"])
def test_every_layout_holds_the_same(layouts, name):
    target = load_target(layouts[name], sample="all")
    assert target.provenance["split"] == "train"
    assert target.provenance["images_available"] == target.provenance["images"] == len(target) == 48
    assert target.class_names == ["class 0", "class 1", "class 2"]
    assert pairs(target) == pairs(load_target(str(layouts["parquet"]), sample="all"))
    images, codes = blobs(48, 3)
    expected = Counter((image.tobytes(), f"class {code}") for image, code in zip(images, codes, strict=True))
    found = Counter(
        (image.tobytes(), target.class_names[code]) for image, code in zip(target.images, target.labels, strict=True)
    )
    assert found == expected
    if name != "saved one":
        assert load_target(layouts[name], sample="all", split="test").provenance["split"] == "test"


def test_loaded_objects(layouts):
    loaded = datasets.load_dataset(str(layouts["parquet"]))
    expected = load_target(layouts["parquet"], sample=20)
    for dataset in (loaded, loaded["train"], loaded["train"].with_format("torch"), loaded["train"].with_format("numpy")):
        target = load_target(dataset, sample=20)
        assert target.key == expected.key
        assert target.provenance["id"] == "(in memory)"
        assert target.provenance["split"] == "train"
    stream = datasets.load_dataset(str(layouts["parquet"]), streaming=True)
    keys = {load_target(dataset, sample=20).key for dataset in (stream, stream["train"])}
    assert keys == {load_target(layouts["parquet"], sample=20, streaming=True).key}
    refused("`split` must be left out for a single loaded dataset", loaded["train"], split="train")
    refused("`dataset` must be a Hub id, a folder or a dataset of `datasets`; got", [1, 2])


def test_a_selected_and_shuffled_dataset_is_read_in_its_order(layouts):
    loaded = datasets.load_dataset(str(layouts["parquet"]), split="train").shuffle(seed=3).select(range(5, 40))
    target = load_target(loaded, sample="all")
    raw = loaded.cast_column("image", datasets.Image(decode=False))
    assert target.images.encoded == [raw[row]["image"]["bytes"] for row in target.positions]
    assert [target.class_names[code] for code in target.labels] == [f"class {loaded[row]['label']}" for row in target.positions]


@pytest.mark.parametrize("name", ["parquet", "saved dict", "folder"])
def test_split_expressions(layouts, name):
    half = load_target(layouts[name], sample="all", split="train[:50%]")
    assert len(half) == 24
    assert half.provenance["split"] == "train[:50%]"
    assert len(load_target(layouts[name], sample="all", split="train+test")) == 96
    assert len(load_target(layouts[name], sample="all", split="train[-20:]+test[:4]")) == 24
    text = refused("`split` must be one of", layouts[name], split="validation")
    assert "test" in text and "train" in text and "'validation'" in text
    refused("split|instruction", layouts[name], split="train[:half]")


@pytest.mark.parametrize("name", ["parquet", "saved dict", "folder"])
def test_a_split_expression_takes_each_image_once(layouts, name):
    for split in ("train[:50%]+train", "train+train", "train[:30]+test+train[-20:]", "train[:10]+train[5:8]"):
        refused(r"`split` must take each image once; .* takes images of train twice", layouts[name], split=split)
    assert len(load_target(layouts[name], sample="all", split="train[:50%]+train[50%:]")) == 48
    assert len(load_target(layouts[name], sample="all", split="train[20:]+train[:12]")) == 40
    if name == "parquet":
        refused("takes images of train twice", layouts[name], split="train+train", streaming=True, sample=20)


@pytest.mark.parametrize("name", ["parquet", "folder", "saved dict", "saved one", "dict"])
def test_a_test_split_is_never_taken_unasked(make_target, tmp_path, name):
    parquet = make_target(n=24, splits=("test",))
    part = datasets.load_dataset(str(parquet), split="test")
    source: object = tmp_path / "data"
    if name == "parquet":
        source = parquet
    elif name == "folder":
        for i, record in enumerate(part):
            file = tmp_path / "data" / "test" / str(record["label"]) / f"{i}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            record["image"].save(file)
    elif name == "saved dict":
        DatasetDict(test=part).save_to_disk(source)
    elif name == "saved one":
        part.save_to_disk(source)
    else:
        source = DatasetDict(test=part)
    refused("there is no train split, only test. Pass --split; the test split is never taken unasked", source)
    assert load_target(source, split="test").provenance["split"] == "test"


def test_the_only_split_is_taken_unless_there_is_a_choice(make_target):
    assert load_target(make_target(n=24, splits=("validation",))).provenance["split"] == "validation"
    text = refused("there is no train split, only ", make_target(n=24, splits=("validation", "test")))
    assert "validation" in text


def test_datasets_that_cannot_be_opened(tmp_path, make_target):
    (tmp_path / "empty").mkdir()
    refused("holds no files. Check the path", tmp_path / "empty")
    refused("there is no folder", tmp_path / "nowhere")
    refused("there is no folder ./nowhere", "./nowhere")
    text = refused("'ct' not found", make_target(n=24), config="ct")
    assert "default" in text and "--config" in text
    broken = make_target(n=24)
    next(broken.glob("data/*.parquet")).write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(TargetError, match=r"cannot be loaded: .*Check that its files are whole"):
        load_target(broken)
    truncated = make_target(n=24)
    file = next(truncated.glob("data/*.parquet"))
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(TargetError, match="cannot be loaded"):
        load_target(truncated)


def test_imagefolder_without_classes(tmp_path):
    for place in (tmp_path / "none", tmp_path / "one" / "a"):
        place.mkdir(parents=True)
        for i in range(24):
            (place / f"{i}.png").write_bytes(png(i))
    for folder in ("none", "one"):  # `datasets` too takes one folder for no class
        refused("got none: folders name classes only where images of two or more are there", tmp_path / folder)


def test_real_datasets(shared):
    folders = sorted(folder for folder in (shared / "datasets").iterdir() if folder.is_dir())
    assert folders
    for folder in folders[:: max(len(folders) // 3, 1)]:
        target, report = check_images(load_target(folder, sample=60))
        assert len(target) == 60
        assert report.corrupt == {}
        assert len(target.class_names) >= 2
        assert np.std([image.mean() for image in target.images]) > 0
        assert target.provenance["split"] == "train"


def test_pneumonia_by_name(shared):
    folder = Path(shared / "datasets" / "pneumonia_cxr")
    target, report = check_images(load_target(folder))
    assert target.class_names == ["normal", "pneumonia"]
    assert len(target) == 200
    assert target.provenance["images_available"] == 3000
    assert set(report.modes) == {"L"}
    assert target.images[0].shape == (28, 28, 3)
    stream = load_target(folder, streaming=True)
    assert len(stream) == 200
    assert 0.15 < np.mean(stream.labels == 0) < 0.40  # 1 in 4 is normal
    assert 0.15 < np.mean(target.labels == 0) < 0.40
