"""The account of a dataset: every image that was found is used or named, in twenty layouts."""

import io
import json
import re
from pathlib import Path

import datasets
import numpy as np
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value
from helpers.targets import AB, png, refused, table
from PIL import Image

from hf_transferability.data.account import Account
from hf_transferability.data.targets import load_target
from hf_transferability.errors import UsageError


def images(root: Path, *folders: str, n: int = 12, name: str = "{}.png") -> None:
    """n images in each of these folders."""
    for k, folder in enumerate(folders):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            (root / folder / name.format(i)).write_bytes(png(100 * k + i))


def lower_case_splits(root: Path) -> None:
    images(root, "train/a", "train/b", "test/a", "test/b")


def capital_splits(root: Path) -> None:
    images(root, "Training/a", "Training/b", "Testing/a", "Testing/b")


def splits_with_more_words(root: Path) -> None:
    images(root, "Train_Data/a", "Train_Data/b", "Test_Data/a", "Test_Data/b", "valset/a", "valset/b")


def class_first(root: Path) -> None:
    images(root, "a/train", "a/test", "b/train", "b/test")


def class_names_with_split_words(root: Path) -> None:
    images(root, "bus", "train_interior", "train_station", "no_test")


def file_names_with_split_words(root: Path) -> None:
    images(root, "a", "b", n=9)
    images(root, "a", "b", n=3, name="train_{}.png")


def file_names_are_splits(root: Path) -> None:
    images(root, "a", "b", name="train_{}.png")
    images(root, "a", "b", n=4, name="test_{}.png")


def wrapped(root: Path) -> None:
    images(root, "study/images/a", "study/images/b")


def one_folder_below_the_class(root: Path) -> None:
    images(root, "train/a/images", "train/b/images")


def avif(root: Path) -> None:
    images(root, "a")
    (root / "b").mkdir()
    for i in range(12):
        Image.open(io.BytesIO(png(i))).save(root / "b" / f"{i}.avif")


def other_files(root: Path) -> None:
    images(root, "a", "b")
    (root / "a" / "notes.txt").write_text("seen")
    (root / "b" / "scan.npy").write_bytes(b"\x93NUMPY")
    (root / "cover.png").write_bytes(png(1))
    (root / ".DS_Store").write_bytes(b"")


def metadata_beside_class_folders(root: Path) -> None:
    images(root, "train/a", "train/b")
    rows = [f"{name}/{i}.png,{20 + i}" for name in "ab" for i in range(12)]
    (root / "train" / "metadata.csv").write_text("\n".join(["file_name,age", *rows]))


def metadata_that_lacks_images(root: Path) -> None:
    images(root, "", n=30)
    rows = [f'{{"file_name": "{i}.png", "label": "{"ab"[i % 2]}"}}' for i in range(26)]
    (root / "metadata.jsonl").write_text("\n".join([*rows, '{"file_name": "gone.png", "label": "a"}']))


def csv_beside_images(root: Path) -> None:
    images(root, "images", n=24)
    (root / "labels.csv").write_text("path,label\n" + "\n".join(f"images/{i}.png,{'ab'[i % 2]}" for i in range(24)))


def csv_beside_class_folders(root: Path) -> None:
    images(root, "a", "b")
    (root / "patients.csv").write_text("patient,age\n1,2\n")


def parquet(root: Path) -> None:
    table([0, 1] * 12, AB).to_parquet(root / "data" / "train-00000-of-00001.parquet")
    table([0, 1] * 6, AB).to_parquet(root / "data" / "test-00000-of-00001.parquet")


def saved(root: Path) -> None:
    DatasetDict(train=table([0, 1] * 12, AB), test=table([0, 1] * 6, AB)).save_to_disk(root)


def nested(root: Path) -> None:
    images(root, "train/a/p1", "train/a/p2", "train/b/p3", n=8)


def endings_in_capitals(root: Path) -> None:
    images(root, "a", n=6)
    images(root, "a", n=6, name="{}.JPG")
    images(root, "b", name="{}.Tif")


def two_of_one_kind(root: Path) -> None:
    images(root, "train/a", "train/b", "val/a", "val/b", "dev/a", "dev/b")


AB_12 = "2 classes (folder level {}): a: 12 images, b: 12; left out: nothing."
LAYOUTS = {
    lower_case_splits: ({}, "splits: test 24, train 24 of 48 image files; used: train; " + AB_12.format(2)),
    capital_splits: ({}, "splits: test 24, train 24 of 48 image files; used: train; " + AB_12.format(2)),
    splits_with_more_words: (
        {}, "splits: test 24, train 24, validation 24 of 72 image files; used: train; " + AB_12.format(2)),
    class_first: ({}, "splits: test 24, train 24 of 48 image files; used: train; " + AB_12.format(1)),
    class_names_with_split_words: (
        {}, "split train 48 of 48 image files; 4 classes (folder level 1): bus: 12 images, no_test: 12, train_interior: 12, "
        "train_station: 12; left out: nothing."),
    file_names_with_split_words: ({}, "split train 24 of 24 image files; " + AB_12.format(1)),
    file_names_are_splits: ({}, "splits: test 8, train 24 of 32 image files; used: train; " + AB_12.format(1)),
    wrapped: ({}, "split train 24 of 24 image files; " + AB_12.format(3)),
    one_folder_below_the_class: ({}, "split train 24 of 24 image files; " + AB_12.format(2)),
    avif: ({}, "split train 24 of 24 image files; " + AB_12.format(1)),
    other_files: (
        {}, "split train 24 of 25 image files; 2 classes (folder level 1): a: 12 images, b: 12; "
        "left out: 1 .npy files, 1 .txt files, 1 hidden files, 1 images outside the class folders."),
    metadata_beside_class_folders: (
        {}, "split train 24 of 24 image files; " + AB_12.format(2)
        + " Labels come from the folders, because the metadata have no label column; another needs --label-column."),
    metadata_that_lacks_images: (
        {}, "split train 26 of 30 image files; 2 classes: a: 13 images, b: 13; left out: 4 images that metadata does not name, "
        "1 rows of metadata without an image file."),
    csv_beside_images: ({"image_column": "path"}, "split train 24; 2 classes: a: 12 images, b: 12; left out: nothing."),
    csv_beside_class_folders: (
        {}, "split train 24 of 24 image files; 2 classes (folder level 1): a: 12 images, b: 12; left out: 1 .csv files."),
    parquet: ({}, "splits: train 24, test 12; used: train; 2 classes: a: 12 images, b: 12; left out: nothing."),
    saved: ({}, "splits: train 24, test 12; used: train; 2 classes: a: 12 images, b: 12; left out: nothing."),
    nested: (
        {"class_level": 2}, "split train 24 of 24 image files; 2 classes (folder level 2): a: 16 images, b: 8; left out: "
        "nothing. Images of 3 folders that are no classes are used together."),
    endings_in_capitals: ({}, "split train 24 of 24 image files; " + AB_12.format(1)),
    two_of_one_kind: (
        {}, "splits: dev 24, train 24, val 24 of 72 image files; used: train; " + AB_12.format(2)),
}  # fmt: skip


@pytest.mark.parametrize("make", LAYOUTS, ids=lambda make: make.__name__)
def test_the_line_of_a_layout(make, tmp_path):
    make(tmp_path)
    options, line = LAYOUTS[make]
    target = load_target(tmp_path, **options)
    assert re.sub(", such as (gone.png|p1, p2, p3)", "", target.account) == line
    assert target.provenance["account"]["line"] == line  # what is kept names no file
    print(f"{make.__name__}: {line}")


def test_the_line_of_a_dataset_in_memory_and_of_a_stream():
    data = table([0, 1] * 12, AB)
    held = DatasetDict(train=data, validation=table([0, 1] * 6, AB))
    line = "splits: train 24, validation 12; used: train; 2 classes: a: 12 images, b: 12; left out: nothing."
    assert load_target(held).account == line
    stream = load_target(data.to_iterable_dataset(), sample=20)
    assert stream.account == (
        "split (unnamed) 24; left out: nothing. Of a stream, repeated images are looked for in the drawn sample only."
    )


def test_the_splits_of_a_test_folder_are_never_mixed_in(tmp_path):
    capital_splits(tmp_path)
    train, test = (load_target(tmp_path, split=split, sample="all") for split in (None, "Testing"))
    assert (train.provenance["split"], test.provenance["split"]) == ("train", "test")
    assert not set(train.images.encoded) & set(test.images.encoded)


NESTED = {
    "levels": (
        ("benign/P1/40X", "benign/P2/100X", "malignant/P3/40X"),
        "level 1 has benign, malignant; level 2 has P1, P2, P3",
    ),
    "masks": (("benign/images", "benign/masks", "malignant/images", "malignant/masks"), "level 2 has images, masks"),
    "uneven": (("benign", "malignant/viral", "malignant/bacterial"), "level 2 has bacterial, viral"),
}


@pytest.mark.parametrize("name", NESTED)
def test_nested_folders_ask_for_the_level(name, tmp_path):
    folders, text = NESTED[name]
    images(tmp_path, *folders)
    assert "Pass --class-level N" in refused(f"`class_level` must be named, because folders are nested: .*{text}", tmp_path)
    target = load_target(tmp_path, class_level=1, keep_masks=True)  # which are photographs here
    assert target.class_names == ["benign", "malignant"]
    assert "(folder level 1)" in target.account


def test_levels_that_cannot_be_classes(tmp_path):
    lower_case_splits(tmp_path)
    refused("`class_level` must not be 1: the folders of that level are splits", tmp_path, class_level=1)
    refused("`class_level` must be a folder level from 1 to 2; got 3", tmp_path, class_level=3)


@pytest.mark.parametrize(
    "folders",
    [
        ("train/a", "train/b", "test/a", "test/b", "other/a"),
        ("train", "test", "other"),
        ("brain_train/a", "brain_test/b", "x/a"),
    ],
)
def test_folders_that_look_partly_like_splits_are_refused(folders, tmp_path):
    images(tmp_path, *folders)
    assert "Name all split folders train" in refused("look only partly like splits", tmp_path)


def test_a_class_that_happens_to_be_called_train(tmp_path):
    images(tmp_path, "bus", "car", "train")
    assert load_target(tmp_path).class_names == ["bus", "car", "train"]


@pytest.mark.parametrize("ending", [".heic", ".npy", ".mha", "", ".zst"])
def test_a_class_without_readable_images_is_an_error(ending, tmp_path):
    images(tmp_path, "a", "c")
    (tmp_path / "b").mkdir()
    for i in range(12):
        (tmp_path / "b" / f"{i}{ending}").write_bytes(b"\x93NUMPY\1\0")
    text = refused("class b of split train would be lost", tmp_path)
    assert f"12 files ({ending or 'no ending'})" in text
    assert "move the folder away" in text


def test_a_class_that_metadata_does_not_name_is_an_error(tmp_path):
    images(tmp_path, "a", "b", "c")
    rows = [f"{name}/{i}.png,{i}" for name in "ab" for i in range(12)]
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name,age", *rows]))
    refused("class c of split train would be lost: its 12 files .* metadata does not name", tmp_path)


def test_a_class_without_readable_images_is_an_error_beside_metadata_too(tmp_path):
    images(tmp_path, "a", "b")
    rows = [f"{name}/{i}.png,{i}" for name in "ab" for i in range(12)]
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name,age", *rows]))
    assert load_target(tmp_path).class_names == ["a", "b"]
    (tmp_path / "c").mkdir()
    for i in range(5):
        np.save(tmp_path / "c" / f"{i}.npy", np.zeros((4, 4)))
    refused(r"class c of split train would be lost: its 5 files \(\.npy\) .* no images", tmp_path)


def test_folders_of_other_files_name_the_remedy(tmp_path):
    for name, (file, content, text) in {
        "volume": ("a/1.mha", b"", "no images that can be read, only files with .mha"),
        "arrays": ("a/1.npy", b"", "no images that can be read, only files with .npy"),
    }.items():
        path = tmp_path / name / file
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        assert "Convert them to PNG" in refused(text, tmp_path / name)


def test_a_home_folder_and_a_folder_without_images_are_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    refused("must be the folder of one dataset", "~")
    refused("must be the folder of one dataset", "/")
    refused("there is no folder ~nosuchuser/x", "~nosuchuser/x")
    refused(r"there is no folder a+\.\.\. \(300 characters\)", "a" * 300)
    from hf_transferability.data import listing

    monkeypatch.setattr(listing, "_MOST_ENTRIES_WITHOUT_IMAGE", 10)
    (tmp_path / "many").mkdir()
    for i in range(12):
        (tmp_path / "many" / f"{i}.txt").touch()
    refused("has none among 12 entries", tmp_path / "many")


def test_the_present_folder_and_paths_relative_to_a_table(tmp_path, monkeypatch):
    lower_case_splits(tmp_path / "folders")
    csv_beside_images(tmp_path / "table")
    monkeypatch.chdir(tmp_path / "folders")
    assert load_target(".").key == load_target(tmp_path / "folders").key
    there = load_target(tmp_path / "table", image_column="path")
    monkeypatch.chdir(tmp_path / "table")
    assert load_target(".", image_column="path").key == there.key


def test_a_note_on_classes_that_are_nearly_alike(tmp_path):
    target = load_target(table(["benign", "benign ", "Benign", "malignant"] * 6, Value("string")))
    same = "Classes 'Benign' (6) and 'benign' (6) and 'benign ' (6) differ only in case or white space"
    assert same in target.account
    images(tmp_path, "Benign", "benign", "benign ", "malignant")
    assert same.replace("(6)", "(12)") in load_target(tmp_path).account
    declared = table([0, 1] * 12, ClassLabel(names=["Benign", "benign"]))
    assert "Classes 'Benign' (12) and 'benign' (12)" in load_target(declared).account
    stream = load_target(declared.to_iterable_dataset(), streaming=True)
    assert "Classes 'Benign' (12) and 'benign' (12)" in stream.account


def test_the_default_sample_is_bounded():
    names = [f"c{i}" for i in range(150)]
    data = Dataset.from_dict(
        {"image": [{"bytes": b"x", "path": None}] * 10_500, "label": [i % 150 for i in range(10_500)]},
        features=Features({"image": datasets.Image(), "label": ClassLabel(names=names)}),
    )
    target = load_target(data)
    assert len(target) == 10_000
    assert "The default sample is 10,000 images at most" in target.account
    assert len(load_target(data, sample=10_200)) == 10_200


def test_line_of_many_classes_and_of_several_labels():
    account = Account({"train": 30}, "train", {f"c{i}": 3 for i in range(10)})
    assert account.line().startswith("split train 30; 10 classes: c0: 3 images, ")
    assert "c7: 3 and 2 more; left out: nothing." in account.line()
    multi = load_target(table([[0], [0, 1], []] * 8, List(AB)))
    assert "2 classes: a: 16 images, b: 8" in multi.account
    assert np.array_equal(multi.labels.sum(axis=0), [16, 8])


def test_options_that_do_not_exist():
    with pytest.raises(TypeError, match=r"`option` must be one of .*Did you mean label_column"):
        load_target(table([0, 1] * 12, AB), label_colum="label")
    with pytest.raises(UsageError, match="`frame` must be 'middle' or a number from 0"):
        load_target(table([0, 1] * 12, AB), frame=-1)


def test_an_empty_folder_is_counted(tmp_path):
    """It may be a class whose images are still to come."""
    images(tmp_path, "a", "b")
    (tmp_path / "c").mkdir()
    assert load_target(tmp_path).account.endswith("left out: 1 empty folders.")


def test_a_class_level_that_cannot_act_is_refused(tmp_path):
    table([0, 1] * 12, AB).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(UsageError, match=r"^`class_level` acts on folders of images only"):
        load_target(tmp_path, class_level=1)


def test_tables_of_a_second_kind_are_counted_as_left_out(tmp_path):
    lines = {"a.csv": ["path,label"], "b.jsonl": []}
    for i in range(24):
        Image.new("RGB", (8, 8), (i, i, i)).save(tmp_path / f"{i}.png")
        lines["a.csv"].append(f"{i}.png,{'ab'[i % 2]}")
        lines["b.jsonl"].append(json.dumps({"path": f"{i}.png", "label": "c"}))
    for name, rows in lines.items():
        (tmp_path / name).write_text("\n".join(rows))
    account = load_target(tmp_path, image_column="path").account
    assert account.endswith("left out: 1 .jsonl files that are not read, such as b.jsonl.")


def test_a_class_name_cannot_begin_a_new_line():
    assert "\n" not in Account({"train": 2}, "train", {"c\nd": 1, "e": 1}).line()


def test_a_class_whose_folder_is_empty_in_one_split_is_refused(tmp_path):
    for split, names in {"train": "ab", "test": "abc"}.items():
        for i, name in enumerate(names * 8):
            (tmp_path / split / name).mkdir(parents=True, exist_ok=True)
            (tmp_path / split / name / f"{i}.png").write_bytes(png(i))
    (tmp_path / "train" / "d").mkdir()
    assert "1 empty folders" in load_target(tmp_path, sample_size="all").account
    (tmp_path / "train" / "c").mkdir()
    with pytest.raises(UsageError, match="class c would be lost: its folder train/c/ is empty"):
        load_target(tmp_path, sample_size="all")
