"""Rows of a test table are never drawn as rows of the training table."""

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Value
from helpers.targets import AB, png, refused, table

from hf_transferability.data.opening import split_names
from hf_transferability.data.split_columns import refuse_split_column
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


@pytest.mark.parametrize("column", ["split", "Subset", "data_split"])
@pytest.mark.parametrize("kind", ["metadata", "csv", "parquet", "classes"])
def test_a_column_that_assigns_rows_to_splits(tmp_path, column, kind):
    values = ["train" if i < 24 else "TEST" for i in range(40)]
    if kind in ("parquet", "classes"):
        names = ClassLabel(names=["train", "TEST"])
        codes, feature = (values, Value("string")) if kind == "parquet" else ([i // 24 for i in range(40)], names)
        table([i % 2 for i in range(40)], AB, **{column: (codes, feature)}).to_parquet(tmp_path / "train.parquet")
    else:
        lines = [f"{i}.png,{'ab'[i % 2]},{value}\n" for i, value in enumerate(values)]
        name, path = ("metadata.csv", "file_name") if kind == "metadata" else ("labels.csv", "path")
        (tmp_path / name).write_text(f"{path},label,{column}\n" + "".join(lines))
        for i in range(40):
            (tmp_path / f"{i}.png").write_bytes(png(i))
    options = {"image_column": "path"} if kind == "csv" else {}
    refused(rf"column {column} assigns rows to several splits \(TEST, train\)", tmp_path, **options)
    assert set(load_target(tmp_path, label_column=column, **options).class_names) == {"train", "TEST"}


@pytest.mark.parametrize("values", [["train"], ["A", "B"], ["1", "2"], [None, "train"]])
def test_a_column_that_assigns_no_row_to_another_split(tmp_path, values):
    column = ([values[i % len(values)] for i in range(24)], Value("string"))
    table([i % 2 for i in range(24)], AB, split=column).to_parquet(tmp_path / "train.parquet")
    assert len(load_target(tmp_path, sample="all")) == 24


def test_splits_that_the_user_joins_may_be_named_by_a_column(tmp_path):
    for split in ("train", "test"):
        table([i % 2 for i in range(24)], AB, split=([split] * 24, Value("string"))).to_parquet(tmp_path / f"{split}.parquet")
    assert len(load_target(tmp_path, sample="all", split="train+test")) == 48


@pytest.mark.parametrize("column", ["fold", "Usage"])
def test_a_column_that_assigns_rows_to_splits_at_every_door(tmp_path, column):
    values = ["Training" if i < 24 else "PublicTest" for i in range(40)]
    rows = table([i % 2 for i in range(40)], AB, **{column: (values, Value("string"))})
    text = rf"column {column} assigns rows to several splits \(PublicTest, Training\)"
    rows.save_to_disk(tmp_path / "saved")
    DatasetDict(train=rows).save_to_disk(tmp_path / "splits")
    for dataset in (tmp_path / "saved", tmp_path / "splits", rows, DatasetDict(train=rows)):
        refused(text, dataset)
    refused(text, rows.to_iterable_dataset(), streaming=True)
    rows.to_parquet(tmp_path / "one.parquet")
    (tmp_path / "stream").mkdir()
    (tmp_path / "one.parquet").rename(tmp_path / "stream/train.parquet")
    refused(text, tmp_path / "stream", streaming=True)
    one = rows.filter(lambda value: value == "Training", input_columns=column)
    for streaming in (False, True):
        assert len(load_target(one.to_iterable_dataset() if streaming else one, streaming=streaming, sample=24)) == 24


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


@pytest.mark.parametrize(
    ("column", "values", "refused"),
    [
        ("train_or_test", ["train", "test"], True),
        ("cohort", ["Training", "Testing"], True),
        ("is_test", [True, False], True),
        ("isTraining", [0, 1], True),
        ("dataset", ["HAM10000", "MSK-test"], False),
        ("dataset", ["train", "test"], True),
        ("usage", ["stress test", "rest"], False),
        ("sex", ["m", "f"], False),
        ("test", [0, 1], False),
        ("is_test", [False, False], False),
    ],
)
def test_columns_that_assign_rows_to_splits_are_known_by_name_and_values(column, values, refused):
    rows = Dataset.from_dict({"label": ["a", "b"], column: values})
    if refused:
        with pytest.raises(UsageError, match="assigns rows to several splits"):
            refuse_split_column(rows, "label")
    else:
        refuse_split_column(rows, "label")


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
