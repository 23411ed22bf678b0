"""Tables beside images: those without labels are left out, other delimiters are read, and both are told."""

import gc
import json

import pytest
from helpers.targets import png, refused

from hf_transferability.data.targets import load_target

TRAIN = [{"id": i, "image": f"images/{i}.png", "label": "ab"[i % 2]} for i in range(24)]
TEST = [{"id": i, "image": f"test_images/{i}.png"} for i in range(12)]
SUBMISSION = [{"id": i, "label": "a"} for i in range(12)]
NOTE = "Tables without the columns of images and labels are left out."


def table(rows, ending="csv"):
    if ending == "jsonl":
        return "".join(f"{json.dumps(row)}\n" for row in rows)
    separator = "\t" if ending == "tsv" else ","
    return "\n".join(separator.join(map(str, row)) for row in [list(rows[0]), *(row.values() for row in rows)]) + "\n"


@pytest.fixture
def folder(tmp_path):
    for i in range(24):
        for name in ("images", "test_images")[: 1 + (i < 12)]:
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / f"{i}.png").write_bytes(png(i + 100 * len(name)))
    return tmp_path


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl"])
def test_a_test_table_without_labels_is_left_out_and_told(folder, ending):
    (folder / f"train.{ending}").write_text(table(TRAIN, ending))
    (folder / f"test.{ending}").write_text(table(TEST, ending))
    target = load_target(folder, image_column="image", sample_size="all")
    assert (len(target), target.class_names) == (24, ["a", "b"])
    assert f"1 .{ending} files that are not read, such as test.{ending}" in target.account
    assert "12 .png files that are not read, such as test_images/0.png" in target.account
    assert target.account.endswith(NOTE)


def test_a_label_column_of_another_name_and_a_submission(folder):
    rows = [{"id": row["id"], "image": row["image"], "finding": row["label"]} for row in TRAIN]
    for name, content in {"train": rows, "test": TEST, "sample_submission": SUBMISSION}.items():
        (folder / f"{name}.csv").write_text(table(content))
    refused(r"`label_column` must be named: which of the columns finding, id holds", folder, image_column="image")
    target = load_target(folder, image_column="image", label_column="finding", sample_size="all")
    assert len(target) == 24 and target.account.endswith(NOTE)


def test_a_test_table_with_labels_stays_a_split(folder):
    (folder / "train.csv").write_text(table(TRAIN))
    (folder / "test.csv").write_text(table([{**row, "label": "a"} for row in TEST]))
    line = "splits: test 12, train 24; used: train; 2 classes: a: 12 images, b: 12; left out: nothing."
    assert load_target(folder, image_column="image", sample_size="all").account == line


@pytest.mark.parametrize(("sign", "word"), [(";", "semicolons"), ("\t", "tabs")])
@pytest.mark.parametrize("name", ["labels.csv", "metadata.csv"])
def test_other_delimiters_are_read_and_told(folder, sign, word, name):
    text = table(TRAIN).replace(",", sign)
    options = {"image_column": "image"}
    if name == "metadata.csv":
        text, options = text.replace("image", "file_name", 1), {}
    (folder / name).write_text(text)
    target = load_target(folder, sample_size="all", **options)
    assert len(target) == 24
    assert f"The columns of the table are separated by {word}, and read so." in target.account


def test_several_tables_without_a_split_are_told(folder):
    (folder / "fold1.csv").write_text(table(TRAIN[:10]))
    (folder / "fold2.csv").write_text(table(TRAIN[10:]))
    account = load_target(folder, image_column="image", sample_size="all").account
    assert account.endswith("Rows of 2 tables are used together; move those away that are not for training.")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # `datasets` leaves the table open
def test_tables_with_several_delimiters(folder):
    (folder / "labels.csv").write_text(table(TRAIN).replace(",", ";"))
    (folder / "more.csv").write_text(table(TRAIN))
    refused("have different columns|must be separated by commas", folder, image_column="image")
    gc.collect()
