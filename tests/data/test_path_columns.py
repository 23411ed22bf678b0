"""Text columns of paths whose folders are splits."""

import pytest
from datasets import Value
from helpers.targets import AB, png, refused, table

from hf_transferability.data.path_columns import PathColumns
from hf_transferability.data.targets import load_target

NOTE = "Paths in column source name folders of splits, and all rows are used; keep those of one split if they are right."


def with_source(paths, name="source"):
    return table([0, 1] * 12, AB, **{name: (paths, Value("string"))})


@pytest.mark.parametrize(
    "path",
    ["{split}/x/{i}.png", "data/{split}/{i}.png", "/d/y/{split}/{i}.png", "C:\\y\\{split}\\{i}.png", "{split}_set/{i}.dcm"],
)
def test_folders_that_are_all_splits_are_refused(path):
    rows = with_source([path.format(split="test" if i % 3 else "train", i=i) for i in range(24)])
    text = refused("column source assigns rows to several splits: its paths are in the folders test.*, train", rows)
    assert "Save each split on its own (`Dataset.filter`), or remove the column to use all rows." in text
    refused("column source assigns rows to several splits", rows.to_iterable_dataset(), sample_size=24, streaming=True)
    assert len(load_target(rows.remove_columns("source"), sample_size="all")) == 24
    assert len(load_target(rows.filter(lambda row: "train" not in row["source"]), sample_size="all")) == 16


@pytest.mark.parametrize("path", ["{split}/{i}.png", "a/{split}/{i}.png"])
@pytest.mark.parametrize("splits", [("test", "other"), ("train", "val")])
def test_folders_of_which_some_may_be_splits_are_told(path, splits):
    rows = with_source([path.format(split=splits[i % 2], i=i) for i in range(24)])
    assert NOTE in load_target(rows, sample_size="all").provenance["account"]["notes"]
    streamed = load_target(rows.to_iterable_dataset(), sample_size=24)
    assert NOTE in streamed.provenance["account"]["notes"]


@pytest.mark.parametrize(
    "values",
    [
        [f"train/{i}.png" for i in range(24)],
        [f"test/{i}.png" for i in range(24)],
        [f"{'abc'[i % 3]}/{i}.png" for i in range(24)],
        [f"{'train' if i % 2 else 'bus'}/{i}.png" for i in range(24)],
        [f"mass in the right lung and/or effusion {i}" for i in range(24)],
        [f"test {i}" for i in range(24)],
        [f"{'test/A' if i % 2 else 'training/B'}" for i in range(24)],
        [["train/test", "test/retest", "val/other"][i % 3] for i in range(24)],
        [None] * 24,
        ["x" * 5000] * 24,
    ],
)
def test_what_names_no_splits(values):
    assert load_target(with_source(values), sample_size="all").account.endswith("left out: nothing.")


def test_the_columns_of_images_and_labels_are_not_looked_at(tmp_path):
    (tmp_path / "images").mkdir()
    for i in range(24):
        (tmp_path / "images" / f"{i}.png").write_bytes(png(i))
    lines = [f"images/{i}.png,{'ab'[i % 2]},{'test' if i % 4 else 'train'}/{i}.png" for i in range(24)]
    (tmp_path / "labels.csv").write_text("\n".join(["image,class,origin", *lines]))
    refused("column origin assigns rows to several splits", tmp_path, image_column="image")
    features = {name: Value("string") for name in ("image", "finding", "label", "origin")}
    assert set(PathColumns.of(features, ("image", "finding")).folders) == {"origin"}


def test_very_many_folders_are_no_parts_of_a_dataset(monkeypatch):
    monkeypatch.setattr("hf_transferability.data.path_columns._MOST_FOLDERS", 5)
    columns = PathColumns({"source": set()})
    columns.take("source", [f"{i}/test/x.png" for i in range(9)])
    columns.take("source", ["train/x.png"])
    assert columns.folders == {"source": None} and columns.finish() == []
