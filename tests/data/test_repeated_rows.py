"""Rows that name one image file several times: equal ones count once, and different ones are refused, in every table."""

import json

import datasets
import pytest
from helpers.targets import AB, png

from hf_transferability.data.targets import load_target
from hf_transferability.errors import TargetError

DIFFERENT = r"the table has conflicting rows for .*3.png \(rows 3 and 24, counted from 0\)"


def folder_of(folder, kind, last):
    """24 images and a table of their paths and labels, whose last row names an image again."""
    rows = [{"path": f"{i}.png", "label": "ab"[i % 2]} for i in range(24)] + [last]
    folder.mkdir()
    for i in range(24):
        (folder / f"{i}.png").write_bytes(png(i))
    if kind in ("csv", "tsv"):
        between = "," if kind == "csv" else "\t"
        lines = [between.join(row) for row in [rows[0], *(row.values() for row in rows)]]
        (folder / f"labels.{kind}").write_text("\n".join(lines))
    elif kind == "jsonl":
        (folder / "labels.jsonl").write_text("\n".join(map(json.dumps, rows)))
    else:
        datasets.Dataset.from_list(rows).to_parquet(folder / "labels.parquet")
    return folder


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_rows_of_every_table(tmp_path, kind):
    repeated = folder_of(tmp_path / "equal", kind, {"path": "./3.png", "label": "b"})
    target = load_target(repeated, image_column="path", sample="all")
    assert sorted(target.positions) == list(range(24))
    assert target.account == "split train 25; 2 classes: a: 12 images, b: 12; left out: 1 repeated rows."
    other = folder_of(tmp_path / "other", kind, {"path": "3.png", "label": "a"})
    for options in ({}, {"streaming": True, "sample": 30}):
        with pytest.raises(TargetError, match=DIFFERENT):
            load_target(other, image_column="path", **options)


def test_rows_are_numbered_as_in_the_table(tmp_path):
    rows = [{"image": str(tmp_path / f"{i}.png"), "label": i % 2, "age": float("nan")} for i in range(24)]
    for i in range(24):
        (tmp_path / f"{i}.png").write_bytes(png(i))
    features = datasets.Features({"image": datasets.Image(), "label": AB, "age": datasets.Value("float64")})
    table = datasets.Dataset.from_list([rows[0], *rows], features=features)
    assert sorted(load_target(table, sample="all").positions) == [0, *range(2, 25)]


def test_embedded_images_of_one_name_are_different_images():
    rows = [{"image": {"bytes": png(i), "path": "scan.png"}, "label": i % 2} for i in range(24)]
    table = datasets.Dataset.from_list(rows, features=datasets.Features({"image": datasets.Image(), "label": AB}))
    assert len(load_target(table, sample="all")) == 24


def test_a_row_for_each_finding_of_one_label_is_one_image(tmp_path):
    """A long table: several boxes in an image, one label."""
    lines = ["file_name,label,x"]
    for i in range(24):
        (tmp_path / f"{i}.png").write_bytes(png(i))
        lines += [f"{i}.png,{'ab'[i % 2]},{x}" for x in (3, 7)]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    target = load_target(tmp_path, image_column="file_name", sample_size="all")
    assert len(target) == 24
    assert "24 repeated rows" in target.account


def test_a_table_without_rows_beside_a_full_one_stops_nothing(tmp_path):
    for i in range(24):
        (tmp_path / f"{i}.png").write_bytes(png(i))
    (tmp_path / "train.csv").write_text("image,label\n" + "".join(f"{i}.png,{'ab'[i % 2]}\n" for i in range(24)))
    (tmp_path / "test.csv").write_text("image,label\n")
    assert len(load_target(tmp_path, image_column="image", sample_size="all")) == 24
