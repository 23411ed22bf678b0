"""Rows as JSON, CSV and parquet, and atomic writing."""

import csv
import io
import json
import os

import pandas as pd
import pytest

from hf_transferability import TransferabilityError, UsageError, files

ROWS = [
    {"rank": 1, "checkpoint": "a, b", "score": 0.1 + 0.2, "flags": ["x", "y"], "details": {"x": "1 of 2"}, "error": None},
    {"rank": None, "checkpoint": "ü\n2", "score": None, "flags": [], "details": {}, "error": 'said "no"', "late": 3},
]


def test_json_is_exact_and_strict():
    assert json.loads(files.to_json({"rows": ROWS})) == {"rows": ROWS}
    assert "ü" in files.to_json({"rows": ROWS})
    with pytest.raises(ValueError, match="JSON"):
        files.to_json({"score": float("nan")})


def test_csv_has_every_column_and_survives_a_reader():
    parsed = list(csv.DictReader(io.StringIO(files.to_csv(ROWS))))
    assert list(parsed[0]) == ["rank", "checkpoint", "score", "flags", "details", "error", "late"]
    assert [row["checkpoint"] for row in parsed] == ["a, b", "ü\n2"]
    assert float(parsed[0]["score"]) == 0.1 + 0.2
    assert (parsed[0]["flags"], parsed[0]["details"], parsed[0]["late"]) == ("x;y", '{"x": "1 of 2"}', "")
    assert parsed[1]["error"] == 'said "no"'


def test_files_are_replaced_completely(tmp_path):
    for name in ("out.json", "out.csv", "out.parquet"):
        (tmp_path / name).write_text("old")
        files.save({"rows": ROWS}, tmp_path / name)
    assert json.loads((tmp_path / "out.json").read_text("utf-8"))["rows"] == ROWS
    assert (tmp_path / "out.csv").read_text("utf-8") == files.to_csv(ROWS)
    frame = pd.read_parquet(tmp_path / "out.parquet")
    assert frame["score"].tolist()[0] == 0.1 + 0.2
    assert frame["flags"].tolist() == ["x;y", ""]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_failed_write_leaves_the_old_file(tmp_path):
    (tmp_path / "out.json").write_text("old")
    with pytest.raises(ValueError, match="JSON"):
        files.save({"rows": [{"score": float("inf")}]}, tmp_path / "out.json")
    assert (tmp_path / "out.json").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_places_without_write_access_are_refused(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    for name, text in [
        ("out.txt", "must end in .json, .csv or .parquet"),
        ("out", "must end in"),
        ("none/out.csv", "must lie in an existing folder"),
        ("folder.csv", "must be a file that can be written"),
    ]:
        with pytest.raises(UsageError, match=text):
            files.check_output(tmp_path / name)
    assert files.check_output(tmp_path / "out.CSV") == tmp_path / "out.CSV"


@pytest.mark.parametrize("durable", [False, True])
def test_replacing_a_file_is_atomic(tmp_path, monkeypatch, durable):
    path = tmp_path / "file"
    files.replace_file(path, b"old", durable=durable)

    def fails(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="No space left"):
        files.replace_file(path, b"new", durable=durable)
    with pytest.raises(TransferabilityError, match=r"file cannot be written: No space left on device\. Choose another"):
        files.write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
