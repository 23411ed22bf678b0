"""Rows that a column assigns to several splits are not mixed, wherever the column is."""

import json

import datasets
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Json, List, Value
from helpers.targets import AB, png, refused, table

from hf_transferability.data.split_columns import SplitColumns, refuse_split_column, refusing_split_column
from hf_transferability.data.targets import load_target
from hf_transferability.errors import UsageError


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


@pytest.mark.parametrize("values", [["train"], ["A", "B"], ["1", "2", "3", "4"], [None, "A"]])
def test_a_column_that_assigns_no_row_to_another_split(tmp_path, values):
    column = ([values[i % len(values)] for i in range(24)], Value("string"))
    table([i % 2 for i in range(24)], AB, split=column).to_parquet(tmp_path / "train.parquet")
    assert len(load_target(tmp_path, sample="all")) == 24


@pytest.mark.parametrize(
    ("column", "values", "shown"),
    [
        ("fold", [0, 1], "2 values (0, 1)"),
        ("kfold", [1, 2, 3, 4, 5], "5 values (1, 2, 3, 4, 5)"),
        ("cv_fold", list(range(10)), "10 values (0, 1, 2, 3, 4, 5, ...)"),
        ("split", ["B", "A"], "2 values (A, B)"),
        ("set", ["10", "9"], "2 values (9, 10)"),
        ("Cohort", ["x", "y"], "2 values (x, y)"),
        ("fold", [1], None),
        ("fold", list(range(24)), None),
        ("age", [40, 50], None),
        ("scaffold", [1, 2], None),
        ("dataset", ["HAM", "BCN"], None),
    ],
)
@pytest.mark.parametrize("streaming", [False, True])
def test_folds_are_told_and_all_rows_used(column, values, shown, streaming):
    kind = Value("string" if isinstance(values[0], str) else "int64")
    rows = table([i % 2 for i in range(24)], AB, **{column: ([values[i % len(values)] for i in range(24)], kind)})
    dataset = rows.to_iterable_dataset() if streaming else rows
    target = load_target(dataset, sample=24, streaming=streaming)
    assert len(target) == 24
    note = f"Column {column} has {shown}, and rows of all are used; keep one part if it tells training from testing."
    assert [text for text in target.provenance["account"]["notes"] if text.startswith("Column")] == ([note] if shown else [])


def test_folds_with_words_of_splits_are_refused(tmp_path):
    values = (["train", "val"] * 12, Value("string"))
    refused("column kfold_id assigns rows to several splits", table([0, 1] * 12, AB, kfold_id=values))


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
        ("is_test", [False, False], False),
        # Names that ask for one split
        *(
            (name, [0, 1], True)
            for name in ("is_holdout", "hold_out", "test", "test_set", "in_test_set", "is_eval", "validation")
        ),
        *((name, [1.0, 0.0], True) for name in ("is_train_set", "is_external", "Train/Test", "train_test_split", "is_valid")),
        *((name, ["no", "Yes"], True) for name in ("is_training_image", "external", "is_development", "is_eval", "validation")),
        *((name, [0, 1], False) for name in ("valid", "invalid", "is_valid_image", "tr", "test_2", "is_blind", "internal")),
        ("test", ["stress", "rest"], False),
        ("test", [*range(12)], False),
        # Codes
        *((name, [0, 1, 2, 0], True) for name in ("split", "partition", "subset")),
        ("partition", ["0", "1"], True),
        ("split", [True, False], True),
        ("split", [0, 1, 2, 3, 4], False),
        ("fold", [0, 1], False),
        # Missing cells
        *(("is_test", [value, None], True) for value in (True, 1.0, 0, "1", "x")),
        ("is_test", [1.0, float("nan")], True),
        ("is_test", [None, None], False),
        *((name, ["test", " "], True) for name in ("split", "fold")),
        ("split", ["train", None], True),
        ("split", ["A", None], False),
        ("dataset", ["HAM10000", None], False),
        ("notes", ["test", None], False),
        # Parts of a study
        ("cohort", ["train", "test", "external"], True),
        ("cohort", ["internal", "external"], True),
        ("center", ["development", "test"], True),
        ("location", ["internal", "external"], False),
        ("subset", ["internal", "middle"], False),
        ("subset", ["external", "A"], True),
        ("country", ["tr", "ts"], False),
        ("role", ["tr", "ts"], True),
    ],
)
def test_columns_that_assign_rows_to_splits_are_known_by_name_and_values(column, values, refused):
    rows = Dataset.from_dict({"label": ["a"] * len(values), column: values})
    if refused:
        with pytest.raises(UsageError, match="assigns rows to several splits"):
            refuse_split_column(rows, "label")
    else:
        refuse_split_column(rows, "label")


INSIDE = {
    "meta.split": lambda split: {"meta": {"split": split}},
    "a.b.split": lambda split: {"a": {"b": {"split": split}}},
    "split": lambda split: {"split": [split]},
    "split.name": lambda split: {"split": {"name": split}},
    "meta.cohort": lambda split: {"meta": [{"cohort": split, "n": 1}]},
    "meta.is_test": lambda split: {"meta": {"is_test": split == "test"}},
    "note.split": lambda split: {"note": json.dumps({"id": 1, "split": split})},
    "tags": lambda split: {"tags": [split]},
    "meta.partition": lambda split: {"meta": {"partition": int(split == "test")}},
    "notes.split": lambda split: {"notes": json.dumps({"split": int(split == "test")})},
}


@pytest.mark.parametrize("column", INSIDE)
@pytest.mark.parametrize("name", ["metadata.jsonl", "data.jsonl"])
def test_splits_inside_of_structs_lists_and_json_texts(tmp_path, column, name):
    path, options = ("file_name", {}) if name.startswith("meta") else ("image", {"image_column": "image"})
    rows = [{path: f"{i}.png", "label": "ab"[i % 2], **INSIDE[column]("test" if i < 12 else "train")} for i in range(24)]
    for i in range(24):
        (tmp_path / f"{i}.png").write_bytes(png(i))
    (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = rf"column {column} assigns rows to several splits \((False, True|test, train|0, 1)\)"
    refused(text, tmp_path, **options)
    refused(text, tmp_path, streaming=True, sample_size=20, **options)
    (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows[12:]))
    assert len(load_target(tmp_path, sample_size="all", **options)) == 12


@pytest.mark.parametrize("cell", [{"split": "fold A"}, {"site": "test"}, ["train", "bus"], "{no JSON", '{"split": 1}'])
def test_structs_that_assign_no_row_to_another_split(cell):
    refuse_split_column(Dataset.from_list([{"label": "a", "meta": cell}, {"label": "b", "meta": cell}]), "label")


SAME = [{"dataset": "test", "x": 1}, {"dataset": "train", "x": 2}]


@pytest.mark.parametrize(
    ("cells", "refused"),
    [
        ([SAME, SAME[::-1]], False),
        ([SAME, SAME[:1]], True),
        ([["train", "test"], ["test", "train", "test"]], False),
        ([["train", "test"], ["train"]], True),
        ([{"splits": ["train", "test"]}] * 2, False),
        ([[{"split": ["train"]}, {"split": ["test"]}], [{"split": ["test", "train"]}]], False),
        ([json.dumps(SAME), json.dumps(SAME[::-1])], False),
        ([json.dumps(SAME), json.dumps(SAME[:1])], True),
        ([{"split": "train"}, None], True),
        ([{"split": "train"}, {"split": None}], True),
        ([[{"split": "test"}], []], True),
        (['{"split": "test"}', '{"site": "A"}'], True),
        (['{"note": "test"}', '{"site": "A"}'], False),
        ([["train", None, "test"], ["test", "train"]], False),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_rows_are_compared_and_not_the_items_in_them(cells, refused, streamed):
    rows = Dataset.from_list([{"label": "a", "meta": cell} for cell in cells])
    columns = SplitColumns.of(rows.features, "label")

    def look():
        list(refusing_split_column(rows.to_iterable_dataset(), columns)) if streamed else refuse_split_column(rows, "label")

    if refused:
        with pytest.raises(UsageError, match="assigns rows to several splits"):
            look()
    else:
        look()


PARTS = ClassLabel(names=["train", "test"])


@pytest.mark.parametrize("column", ["part", "meta.part"])
@pytest.mark.parametrize("label_column", [None, "label"])
@pytest.mark.parametrize("streaming", [False, True])
def test_class_labels_are_looked_at_like_texts(column, label_column, streaming):
    codes = [i // 12 for i in range(24)]
    part = (codes, PARTS) if column == "part" else ([{"part": code} for code in codes], {"part": PARTS})
    rows = table(["a", "b"] * 12, Value("string"), **{column.partition(".")[0]: part})
    options = {"label_column": label_column, "streaming": streaming, "sample_size": 12}
    text = rf"column {column} assigns rows to several splits \(test, train\)"
    refused(text, rows.to_iterable_dataset() if streaming else rows, **options)
    rows = rows.select(range(12))
    target = load_target(rows.to_iterable_dataset() if streaming else rows, **options)
    assert target.class_names == ["a", "b"]


@pytest.mark.parametrize(("values", "rename"), [(["train", "test"], False), (["test", "A"], True), (["test", ""], True)])
def test_the_remedy_works(values, rename):
    rows = Dataset.from_dict({"label": ["a", "b"], "split": values})
    with pytest.raises(UsageError, match="remove the column") as caught:
        refuse_split_column(rows, "label")
    assert ("rename it" in str(caught.value)) is rename
    if rename:
        refuse_split_column(rows.rename_column("split", "site"), "label")
    refuse_split_column(rows.remove_columns("split"), "label")


@pytest.mark.parametrize("feature", [List(Json()), Json(), List({"dataset": Value("string"), "x": Value("int64")})])
@pytest.mark.parametrize("last", [SAME, SAME[:1]])
def test_many_rows_of_lists(feature, last):
    """More rows than are read at once, of which only the last may differ."""
    cells = [*[SAME] * 1200, last]
    rows = Dataset.from_dict({"label": [0] * 1201, "meta": cells}, datasets.Features(label=Value("int64"), meta=feature))
    if last is SAME:
        refuse_split_column(rows, "label")
    else:
        with pytest.raises(UsageError, match=r"column meta\.dataset assigns rows to several splits"):
            refuse_split_column(rows, "label")
