"""Rows of a test table are never drawn as rows of the training table."""

import pytest
from helpers.targets import AB, png, refused, table

from hf_transferability.data.opening import split_names
from hf_transferability.data.table_splits import refuse_merged, splits_of_tables
from hf_transferability.data.targets import load_target
from hf_transferability.errors import UsageError

UNCLEAR = "does not tell its split"


@pytest.mark.parametrize(
    "name",
    ["test_labels", "test_metadata", "my_test", "test-v2", "2_test", "Test_annotations", "test_split", "data.test", "TEST",
     "testLabels", "testlabels", "annotationstest", "eval_labels", "my testing 3", "test/labels", "csv/Test/labels"],
)  # fmt: skip
def test_tables_beside_images(tmp_path, name):
    for i in range(40):
        (tmp_path / f"{i}.png").write_bytes(png(i))
    train = next(
        name.replace(*words)
        for words in [("eval", "train"), ("testing", "training"), ("test", "train"), ("Test", "Train"), ("TEST", "TRAIN")]
        if words[0] in name
    )
    for stem, rows in ((train, range(24)), (name, range(24, 40))):
        file = tmp_path / f"{stem}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        up = "../" * stem.count("/")
        file.write_text("path,label\n" + "".join(f"{tmp_path / f'{i}.png' if up else f'{i}.png'},{i % 2}\n" for i in rows))
    assert set(split_names(tmp_path)) == {"train", "test"}
    assert splits_of_tables([f"{train}.csv", f"{name}.csv"]) == {"train": [f"{train}.csv"], "test": [f"{name}.csv"]}
    if "/" not in name:
        target = load_target(tmp_path, image_column="path", sample="all")
        assert target.provenance["split"] == "train"
        assert {bytes(image) for image in target.images.encoded} == {png(i) for i in range(24)}


@pytest.mark.parametrize("other", ["test", "holdout"])
def test_shards_beside_a_figure(tmp_path, other):
    (tmp_path / "data").mkdir()
    table([i % 2 for i in range(24)], AB).to_parquet(tmp_path / "data/train-00000-of-00001.parquet")
    table([i % 2 for i in range(30)], AB).to_parquet(tmp_path / f"data/{other}-00000-of-00001.parquet")
    without = set(split_names(tmp_path))
    (tmp_path / "figure.png").write_bytes(png(0))
    assert set(split_names(tmp_path)) == without == {"train", other}
    assert len(load_target(tmp_path, sample="all")) == 24


@pytest.mark.parametrize(
    "names",
    [
        ("train_test.csv",),
        ("train_val.csv", "test.csv"),
        ("train/validation.csv",),
        ("train.csv", "unseen.csv"),
        ("trainfoo.csv", "testfoo.csv"),
        ("testfoo.csv",),
    ],
)
def test_a_split_that_cannot_be_told(tmp_path, names):
    (tmp_path / "0.png").write_bytes(png(0))
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("path,label\n0.png,a\n")
    refused(UNCLEAR, tmp_path, image_column="path")


def test_tables_without_any_word_of_a_split_are_for_training():
    assert splits_of_tables(["labels.csv"]) == {"train": ["labels.csv"]}
    assert splits_of_tables(["testicular.csv"]) == {"train": ["testicular.csv"]}
    assert splits_of_tables(["fold1.csv", "fold2.csv"]) == {"train": ["fold1.csv", "fold2.csv"]}
    assert splits_of_tables(["val/a.csv", "train/a.csv"]) == {"validation": ["val/a.csv"], "train": ["train/a.csv"]}


def test_tables_without_images_that_datasets_would_merge(tmp_path):
    """`datasets` knows the words of splits in lower case only, and takes all for training where none is known."""
    for name, n in (("Train", 24), ("Test", 30)):
        table([i % 2 for i in range(n)], AB).to_parquet(tmp_path / f"{name}.parquet")
    refused(UNCLEAR, tmp_path)
    with pytest.raises(UsageError, match=UNCLEAR):
        split_names(tmp_path)
    for name in ("Train", "Test"):
        (tmp_path / f"{name}.parquet").rename(tmp_path / f"{name.lower()}.parquet")
    assert len(load_target(tmp_path, sample="all")) == 24
    refuse_merged("train", ["train-0.csv", "labels.csv", "data/holdout-00000-of-00001.parquet", "testicular.csv"])
    for names in (["train.csv", "val.csv"], ["testlabels.csv"], ["testfoo.csv"]):
        with pytest.raises(UsageError, match=UNCLEAR):
            refuse_merged("train", names)


def test_a_class_level_below_a_test_folder(tmp_path):
    for name in ("internal", "external test"):
        for label in "ab":
            for i in range(12):
                file = tmp_path / name / label / f"{i}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(png(i))
    text = "the folders external test, internal look only partly like splits"
    refused(text, tmp_path)
    refused(text, tmp_path, class_level=2)
    assert load_target(tmp_path, class_level=1).class_names == ["external test", "internal"]


@pytest.mark.parametrize(("split", "refused_too"), [("train", True), ("full", False)])
def test_a_card_that_takes_a_test_file_for_training_is_refused(tmp_path, split, refused_too):
    for name in ("train-1", "test-1"):
        (tmp_path / "data").mkdir(exist_ok=True)
        table([0, 1] * 6, AB).to_parquet(tmp_path / "data" / f"{name}.parquet")
    card = f"configs:\n- config_name: default\n  data_files:\n  - split: {split}\n    path: data/*.parquet\n"
    (tmp_path / "README.md").write_text(f"---\n{card}---\n")
    if refused_too:
        with pytest.raises(UsageError, match=UNCLEAR):
            load_target(tmp_path, sample_size="all")
    else:
        assert len(load_target(tmp_path, split=split, sample_size="all")) == 24


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("train", "held-out"), {"train", "test"}),
        (("train", "Hold_Out_labels"), {"train", "test"}),
        (("train", "dev"), {"train", "validation"}),
        (("holdout",), {"test"}),
        (("development",), {"train"}),
        (("development", "holdout"), None),
        (("internal", "external"), None),
        (("labels", "unseen_labels"), None),
        (("discovery-cohort", "replication-cohort"), None),
        (("external",), None),
        (("blind_set",), None),
        (("a", "b"), {"train"}),
    ],
)
def test_words_for_parts_of_a_study(names, splits):
    """ "dev" is for validation and "holdout" for testing; of other words authors differ, and none is joined for training."""
    tables = [f"{name}.csv" for name in names]
    if splits is None:
        with pytest.raises(UsageError, match=UNCLEAR):
            splits_of_tables(tables)
        with pytest.raises(UsageError, match=UNCLEAR):
            refuse_merged("train", tables)
    else:
        assert set(splits_of_tables(tables)) == splits


@pytest.mark.parametrize("names", [("development", "holdout"), ("internal", "external_set"), ("a", "hold out")])
def test_folders_for_parts_of_a_study_are_not_joined(tmp_path, names):
    for name in names:
        for i in range(24):
            (tmp_path / name / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
            (tmp_path / name / "ab"[i % 2] / f"{i}.png").write_bytes(png(i))
    for options in ({}, {"class_level": 2}):
        refused("look only partly like splits", tmp_path, **options)
    (tmp_path / names[0]).rename(tmp_path / "train")
    (tmp_path / names[1]).rename(tmp_path / "test")
    assert len(load_target(tmp_path, sample_size="all")) == 24


def test_a_split_called_holdout_is_not_taken_unasked(tmp_path):
    (tmp_path / "data").mkdir()
    table([0, 1] * 12, AB).to_parquet(tmp_path / "data/holdout-00000-of-00001.parquet")
    refused("there is no train split, only holdout", tmp_path)
    assert len(load_target(tmp_path, split="holdout", sample_size="all")) == 24
