"""Metadata files: names stay as they are written, and no row is lost without a word."""

import json

import pyarrow as pa
import pyarrow.parquet
import pytest
from helpers.targets import png, refused

from hf_transferability.data.metadata import read_metadata
from hf_transferability.data.options import SampleOptions
from hf_transferability.data.targets import groups_of_split, load_target
from hf_transferability.data.text_columns import numbers_of
from hf_transferability.errors import TargetError, UsageError


def write(folder, rows, kind="csv", n=24):
    """n images, and a metadata file of rows (dicts without file_name for all images, or lines of text)."""
    for i in range(n):
        (folder / f"{i}.png").write_bytes(png(i))
    named = [{"file_name": f"{i}.png", **row} for i, row in enumerate(rows)]
    if kind == "csv":
        lines = [",".join(map(str, row.values())) for row in named]
        (folder / "metadata.csv").write_text("\n".join([",".join(named[0]), *lines]))
    elif kind == "jsonl":
        (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, named)))
    else:
        pyarrow.parquet.write_table(pa.Table.from_pylist(named), folder / "metadata.parquet")
    return folder


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["0", "1", None, "-2"], [0, 1, None, -2]),
        (["01", "1"], None),
        (["1", "+2"], None),
        (["12345678901234567890", "1"], None),
        (["0.50", "1.25", "2"], [0.5, 1.25, 2.0]),
        (["0.5", "0.50"], None),
        (["1e3", "2.5"], [1000.0, 2.5]),
        (["007.5", "1.0"], None),
        (["1e999", "1.0"], None),
        (["NA", "1"], None),
        (["nan", "1"], None),
        (["-0", "1"], None),
        ([None, None], None),
        (["9" * 5000], None),
    ],
)
def test_texts_are_numbers_where_nothing_is_lost(texts, numbers):
    assert numbers_of(texts) == numbers


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_names_that_look_like_numbers_or_gaps_stay_as_they_are(tmp_path, kind):
    labels, patients = ["NA", "None", "01", "1"], ["01", "1", "001"]
    folder = write(tmp_path, [{"label": labels[i % 4], "patient": patients[i % 3]} for i in range(24)], kind)
    target = load_target(folder, group_column="patient", sample="all")
    assert target.class_names == ["01", "1", "NA", "None"]
    assert target.provenance["groups"] == 3
    assert sorted(set(target.group_names)) == ["001", "01", "1"]


def test_numbers_to_predict_are_numbers(tmp_path):
    assert load_target(write(tmp_path, [{"label": f"{i / 4:.2f}"} for i in range(24)])).task == "regression"


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_whole_numbers_beyond_64_bits_are_names(tmp_path, kind):
    first = 12345678901234567890
    folder = write(tmp_path, [{"label": "ab"[i % 2], "patient": first + i // 2} for i in range(24)], kind)
    target = load_target(folder, group_column="patient")
    assert target.provenance["groups"] == 12
    assert str(first) in target.group_names


def test_numbers_in_texts_are_asked_about_and_can_be_predicted(tmp_path):
    folder = write(tmp_path, [{"label": f"{i}.5" if i else "0.50"} for i in range(23)] + [{"label": "0.5"}])
    refused("`task` must be given, because label holds 24 texts, most of them numbers, for 24 images", folder)
    assert sorted(load_target(folder, task="regression").labels)[:3] == [0.5, 0.5, 1.5]
    assert len(load_target(folder, task="single_label").class_names) == 24
    folder = write(tmp_path, [{"label": i or "NA"} for i in range(24)])
    refused("label holds the text 'NA', which is no number", folder, task="regression")


@pytest.mark.parametrize(
    ("kind", "where"),
    [("csv", "line 2 and .* line 26"), ("parquet", r"row 0 \(counted from 0\) and .* row 24 \(counted from 0\)")],
)
def test_two_rows_that_differ_are_refused_by_place(tmp_path, kind, where):
    rows = [{"label": "ab"[i % 2]} for i in range(24)]
    write(tmp_path, [*rows, {"label": "b", "file_name": "0.png"}], kind)
    name = f"metadata.{kind}"
    with pytest.raises(TargetError, match=rf"different things of 0.png \({name} {where}\). Delete one of the two rows"):
        load_target(tmp_path)


def test_rows_that_differ_in_two_metadata_files_are_refused(tmp_path):
    write(tmp_path, [{"label": "ab"[i % 2]} for i in range(24)])
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "3.png", "label": "a"}\n')
    with pytest.raises(TargetError, match=r"metadata.csv line 5 and metadata.jsonl line 1"):
        load_target(tmp_path)


def test_equal_rows_are_counted(tmp_path):
    rows = [{"label": "ab"[i % 2]} for i in range(24)]
    write(tmp_path, [*rows, {"label": "a", "file_name": "./0.png"}])
    target = load_target(tmp_path, sample="all")
    assert len(target) == 24
    assert "1 repeated rows of metadata" in target.account


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("metadata.csv", 'file_name,label\n"0.png,a\n', "unexpected end of data"),
        ("metadata.csv", "file_name,label,label\n0.png,a,b\n", "names a column twice"),
        ("metadata.csv", "file_name,label\n0.png,a,b\n", "line 2 has 3 cells for 2 columns"),
        ("metadata.csv", "", "it is empty"),
        ("metadata.jsonl", "", "it is empty"),
        ("metadata.jsonl", "[1, 2]\n", "line 1 is no object"),
        ("metadata.jsonl", "{", "Expecting property name"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, text, reason):
    (tmp_path / "0.png").write_bytes(png(0))
    (tmp_path / name).write_text(text)
    with pytest.raises(TargetError, match=f"{name} cannot be read: .*{reason}"):
        read_metadata(tmp_path, [name], ["0.png"])


def test_columns_of_several_types_are_refused(tmp_path):
    write(tmp_path, [{"label": "ab"[i % 2], "note": "x" if i else [1]} for i in range(24)], "jsonl")
    with pytest.raises(TargetError, match="column note of the metadata holds values of several types"):
        load_target(tmp_path)


@pytest.mark.parametrize("streaming", [False, True])
def test_tables_of_text_are_read_alike(tmp_path, streaming):
    (tmp_path / "img").mkdir()
    write(tmp_path / "img", [{}])
    (tmp_path / "img" / "metadata.csv").unlink()
    rows = [f"img/{i}.png,{('NA', 'None', '01', '1')[i % 4]},{('01', '1', '001')[i % 3]},{i / 4},{i % 2}" for i in range(24)]
    (tmp_path / "train.csv").write_text("\n".join(["image,label,patient,score,code", *rows]))
    options = {"image_column": "image", "sample": 24, "streaming": streaming}
    assert load_target(tmp_path, **options).class_names == ["01", "1", "NA", "None"]
    assert load_target(tmp_path, **options, label_column="code").class_names == ["0", "1"]
    if not streaming:
        assert load_target(tmp_path, **options, label_column="score").task == "regression"
        assert load_target(tmp_path, **options, group_column="patient").provenance["groups"] == 3
        assert set(groups_of_split(tmp_path, SampleOptions(), "patient")) == {"001", "01", "1"}


@pytest.mark.parametrize("value", [["c"], 3, ""])
def test_a_group_column_is_a_text(value):
    with pytest.raises((TypeError, UsageError), match="`group_column` must be"):
        SampleOptions(group_column=value)
