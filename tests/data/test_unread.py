"""Data files that no configuration of a card names, and no row, are counted, whatever their kind."""

import zipfile

import pytest
from helpers.targets import AB, png, refused, table

from hf_transferability.data.targets import load_target

CARD = "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: {}\n---\n"


def images(folder, n=12):
    folder.mkdir(parents=True)
    for i in range(n):
        (folder / f"{i}.png").write_bytes(png(i))


def test_every_kind_of_data_file_beside_a_card(tmp_path):
    (tmp_path / "README.md").write_text(CARD.format("train.parquet"))
    for name in ("train", "more"):
        table([i % 2 for i in range(24)], AB).to_parquet(tmp_path / f"{name}.parquet")
    images(tmp_path / "scans", 3)
    with zipfile.ZipFile(tmp_path / "old.zip", "w") as archive:
        for i in range(3):
            archive.writestr(f"{i}.png", png(i))
    for name in ("b.jsonl", "c.tar", "d.dcm", "e.nii.gz", "f.npy", "notes.txt"):
        (tmp_path / name).write_bytes(b"{}")
    target = load_target(tmp_path)
    assert target.provenance["account"]["left_out"] == {
        f"{ending} files that are not read": n
        for ending, n in ((".dcm", 1), (".jsonl", 1), (".nii.gz", 1), (".npy", 1), (".parquet", 1), (".png", 3), (".tar", 1),
                          (".zip", 1))
    }  # fmt: skip
    assert "such as scans/0.png" in target.account  # for who runs it; not in what is kept
    assert "such as" not in target.provenance["account"]["line"]


def test_images_that_the_rows_of_no_split_name(tmp_path):
    images(tmp_path / "scans", 40)
    for split, rows in (("train", range(24)), ("test", range(24, 38))):
        lines = [f"scans/{i}.png,{'ab'[i % 2]}\n" for i in rows]
        (tmp_path / f"{split}.csv").write_text("path,label\n" + "".join(lines))
    assert load_target(tmp_path, image_column="path").account.endswith(
        "left out: 2 .png files that are not read, such as scans/38.png."
    )


@pytest.mark.parametrize("name", [".cache", ".benign", "__old"])
@pytest.mark.parametrize("card", [True, False])
def test_a_hidden_class(tmp_path, name, card):
    for label in ("a", "b", name):
        images(tmp_path / "train" / label)
    if card:
        (tmp_path / "README.md").write_text(CARD.format("train/**"))
    refused(f"folder train/{name} would be lost with its 12 images", tmp_path)


def test_files_of_other_configurations_are_no_loss(tmp_path):
    configs = "".join(f"- config_name: {name}\n  data_files: {name}*\n" for name in ("one", "two", "gone"))
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    for name in ("one", "two", "none"):
        table([i % 2 for i in range(24)], AB).to_parquet(tmp_path / f"{name}.parquet")
    account = load_target(tmp_path, config="one").account
    assert account.endswith("left out: 1 .parquet files that are not read, such as none.parquet.")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("test_list.txt", True), ("splits.csv", True), ("train_val_list_NIH.txt", True), ("meta/fold1.json", True),
        ("notes.txt", False), ("contest.txt", False), ("test.py", False), ("classes.csv", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["folders", "metadata", "table"])
def test_lists_of_splits_that_are_not_read_are_told(tmp_path, name, told, kind):
    for i in range(24):
        file = tmp_path / ("ab"[i % 2] if kind == "folders" else "images") / f"{i}.png"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(png(i))
    path = "file_name" if kind == "metadata" else "path"
    rows = f"{path},label\n" + "".join(f"images/{i}.png,{'ab'[i % 2]}\n" for i in range(24))
    if kind != "folders":
        (tmp_path / {"metadata": "metadata.csv", "table": "labels.csv"}[kind]).write_text(rows)
    if kind == "table" and name.endswith((".csv", ".json")):
        return  # are tables themselves
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("{}")
    target = load_target(tmp_path, sample_size="all", **({"image_column": "path"} if kind == "table" else {}))
    note = "Move images for testing away if they are named by a file that is not read"
    assert (f"{note}, such as {name}." in target.account) == told
    assert (f"{note}." in target.provenance["account"]["notes"]) == told
