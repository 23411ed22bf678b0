"""What `datasets` has prepared from a local folder never stands for another folder, or for the folder as it was."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from datasets import Dataset, config
from helpers.targets import AB, png, table

from hf_transferability.data.folder_cache import cache_folder
from hf_transferability.data.opening import split_names
from hf_transferability.data.targets import load_target

CARD = "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: {}\n---\n"
SHARDS = CARD.format("data/train-*")


def parquet(folder, labels, card=SHARDS):
    (folder / "data").mkdir(parents=True, exist_ok=True)
    table(labels, AB).to_parquet(folder / "data/train-00000-of-00001.parquet")
    if card:
        (folder / "README.md").write_text(card)
    return folder


def labels_of(folder, **options) -> list[int]:
    target = load_target(folder, sample="all", **options)
    order = sorted(range(len(target)), key=lambda i: target.positions[i])
    return [int(target.labels[i]) for i in order]


ALTERNATING, HALVES = [i % 2 for i in range(24)], [i // 12 for i in range(24)]


def test_two_folders_with_one_card(tmp_path):
    first, second = parquet(tmp_path / "a/d", ALTERNATING), parquet(tmp_path / "b/d", HALVES)
    assert labels_of(first) == ALTERNATING
    assert labels_of(second) == HALVES
    assert labels_of(first) == ALTERNATING


@pytest.mark.parametrize("card", [SHARDS, None], ids=["card", "no card"])
def test_parquet_changed_in_place(tmp_path, card):
    folder = parquet(tmp_path, ALTERNATING, card)
    file = folder / "data/train-00000-of-00001.parquet"
    assert labels_of(folder) == ALTERNATING
    before = file.stat()
    parquet(folder, HALVES, card)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a copy that keeps times
    assert labels_of(folder) == HALVES


def test_a_csv_file_changed_in_place(tmp_path):
    (tmp_path / "README.md").write_text(CARD.format("labels.csv"))
    for i in range(24):
        (tmp_path / f"{i}.png").write_bytes(png(i))
    for labels in (ALTERNATING, HALVES):
        (tmp_path / "labels.csv").write_text("path,label\n" + "".join(f"{i}.png,{code}\n" for i, code in enumerate(labels)))
        assert labels_of(tmp_path, image_column="path") == labels


def test_images_of_a_folder_with_a_card(tmp_path):
    (tmp_path / "README.md").write_text(CARD.format("train/**"))
    (tmp_path / "train/circle").parent.mkdir()
    os.symlink("..", tmp_path / "train/circle")  # ends

    def add(name, n):
        (tmp_path / "train" / name).mkdir(exist_ok=True)
        for i in range(n):
            (tmp_path / "train" / name / f"{i}.png").write_bytes(png(n * 100 + i))

    add("x", 12), add("y", 13)
    first = load_target(tmp_path, sample="all")
    (tmp_path / "train/x/0.png").write_bytes(png(7))
    assert load_target(tmp_path, sample="all").key != first.key
    add("z", 14)
    assert load_target(tmp_path, sample="all").class_names == ["x", "y", "z"]


def test_names_of_splits_are_those_of_the_folder(tmp_path):
    folder = parquet(tmp_path, ALTERNATING, None)
    assert split_names(folder) == ["train"]
    Dataset.from_dict({"label": [0]}).to_parquet(folder / "data/test-00000-of-00001.parquet")
    assert split_names(folder) == ["train", "test"]


def test_an_unchanged_folder_is_prepared_once(tmp_path):
    folder = parquet(tmp_path, ALTERNATING)
    labels_of(folder)
    prepared = sorted(os.listdir(os.path.join(config.HF_DATASETS_CACHE, "local_folders")))
    labels_of(folder)
    assert sorted(os.listdir(os.path.join(config.HF_DATASETS_CACHE, "local_folders"))) == prepared


def test_copies_that_are_not_used_are_removed(tmp_path, monkeypatch):
    """By age, and of many the oldest; never one that was used within a day, nor the one that is asked for."""
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "data"
    folder.mkdir()
    asked = Path(cache_folder(folder))
    (asked / "rows.arrow").write_bytes(b"x")
    now = time.time()
    for name, days in {**{f"copy {i}": 2 + i / 10 for i in range(25)}, "old": 31, "today": 0.5, ".removed-1": 40}.items():
        (asked.parent / name).mkdir()
        (asked.parent / name / "rows.arrow").write_bytes(b"x")
        os.utime(asked.parent / name, (now - days * 86400,) * 2)
    os.utime(asked, (now - 60 * 86400,) * 2)
    assert Path(cache_folder(folder)) == asked
    left = {path.name for path in asked.parent.iterdir()}
    assert left == {asked.name, "today", *(f"copy {i}" for i in range(18))}
    assert (asked / "rows.arrow").exists()


def test_two_processes_remove_the_same_copies(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folders = [tmp_path / name for name in "ab"]
    places = []
    for folder in folders:
        folder.mkdir()
        places.append(Path(cache_folder(folder)))
    root = places[0].parent
    for i in range(200):
        (root / f"old {i}").mkdir()
        (root / f"old {i}" / "rows.arrow").write_bytes(b"x")
        os.utime(root / f"old {i}", (0, 0))
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(cache_folder, folders * 4)) == [str(place) for place in places * 4]
    assert {path.name for path in root.iterdir()} == {place.name for place in places}
