"""`hf-transferability rank`: what goes to stdout, to stderr and into files, and what a bad image or checkpoint does."""

import csv
import hashlib
import io
import json
import re
import shutil

import pytest
from helpers.inputs import blobs
from helpers.tables import ground_truth

import hf_transferability
from hf_transferability import files


def test_a_ranking_as_a_table(run):
    done = run("rank", "target", "a", "b", "c", "--metric", "transferability", "--metric", "logme")
    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[0] == "ranked by transferability, scenario architecture"
    titles = "rank checkpoint score 90% interval feature quality update ratio logme parameters licence"
    assert [word for word in titles.split() if word not in lines[2]] == []
    assert "commit" not in lines[2]
    assert {line.split()[1] for line in lines[3:6]} == {"a", "b", "c"}
    assert "target target, split train: 36 of 36 images, 3 classes, seed 0" in done.err
    assert "[3/3] c: " in done.err
    assert "scenario architecture" in done.err
    wide = run("rank", "target", "a", "b", "c", "--metric", "transferability", "--wide").out.splitlines()[2]
    assert [word for word in ("features", "commit", "seconds") if word not in wide] == []


def test_json_and_csv_are_all_that_stdout_holds(run):
    done = run("rank", "target", "a", "missing/folder/x", "./none", "b", "--format", "json")
    assert done.status == 1

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    document = json.loads(done.out, parse_constant=refuse)
    assert {"dataset", "scenario", "rows", "versions"} <= set(document)
    rows = document["rows"]
    assert [row["checkpoint"] for row in rows[2:]] == ["missing/folder/x", "./none"]
    assert [row["rank"] for row in rows] == [1, 2, None, None]
    assert rows[0]["error"] is None
    assert rows[3]["score"] is None
    assert rows[3]["error"] == "there is no folder ./none. Check the path."
    assert "\nthis candidate fails: there is no folder ./none. Check the path.\n" in done.err  # before any image is read
    assert "./none: FAILED, as said above" in done.err

    done = run("rank", "target", "a", "b", "./none", "--format", "csv")
    assert done.status == 1
    parsed = list(csv.DictReader(io.StringIO(done.out)))
    assert [row["rank"] for row in parsed] == ["1", "2", ""]
    assert float(parsed[0]["score"]) == rows[0]["score"]
    assert parsed[2]["error"] == rows[3]["error"]


def test_own_results_give_a_column(run, made, tmp_path):
    digest = hashlib.sha256((made / "a" / "model.safetensors").read_bytes()).hexdigest()
    table = ground_truth({"scans": {"x": 0.9, "y": 0.8}}).assign(weights_sha256=[digest, None])
    table.to_csv(tmp_path / "own.csv", index=False)
    done = run("rank", "target", "a", "b", "--known", str(tmp_path / "own.csv"))
    assert done.status == 0
    assert "known elsewhere (targets)" in done.out
    assert [line.split()[1] for line in done.out.splitlines() if "1.00 (1)" in line] == ["a"]


def test_output_files(run, made, tmp_path):
    import pandas as pd

    for ending in (".json", ".csv", ".parquet", ".JSON"):
        done = run("rank", "target", "a", "b", "--format", "json", "--output", str(tmp_path / f"out{ending}"))
        assert done.status == 0
        assert f"written: {tmp_path / f'out{ending}'}" in done.err
    document = json.loads(done.out)
    assert json.loads((tmp_path / "out.json").read_text()) == document
    for frame in (pd.read_csv(tmp_path / "out.csv"), pd.read_parquet(tmp_path / "out.parquet")):
        assert frame["checkpoint"].tolist() == [row["checkpoint"] for row in document["rows"]]
        assert frame["score"].tolist() == [row["score"] for row in document["rows"]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.JSON", "out.csv", "out.json", "out.parquet"]


def test_pictures_and_a_page_beside_the_table(run, made):
    done = run("rank", "target", "a", "b", "./none", "--plot", "out.svg", "--report", "out.html", "--output", "out.csv")
    assert done.status == 1
    assert done.err.splitlines()[-3:] == ["written: out.csv", "written: out.svg", "written: out.html"]
    assert (made / "out.svg").read_bytes().startswith(b"<?xml")
    page = (made / "out.html").read_text()
    assert "there is no folder ./none. Check the path." in page
    assert "target" in page and "written" not in page


def test_one_class(run, made, make_target):
    shutil.copytree(make_target(n=14, n_classes=1), made / "one class", dirs_exist_ok=True)
    done = run("rank", "one class", "a")
    assert done.status == 2
    assert "at least 2 classes; got only ['class 0']" in done.err


def test_a_corrupt_image_is_named(run, made):
    from PIL import Image

    for k, (pixels, code) in enumerate(zip(*blobs(24, 2), strict=True)):
        path = made / "pictures" / f"class {code}" / f"{k:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    broken = next((made / "pictures/class 1").iterdir())
    broken.write_bytes(broken.read_bytes()[:40])
    done = run("rank", "pictures", "a")
    assert done.status == 1
    assert "1 of 24 images cannot be decoded" in done.err
    assert re.search(r"row \d+", done.err)
    assert "--skip-corrupt" in done.err
    done = run("rank", "pictures", "a", "b", "--skip-corrupt", "--format", "json")
    assert done.status == 0
    document = json.loads(done.out)
    assert (document["dataset"]["images"], document["dataset"]["corrupt_skipped"]) == (23, 1)
    assert "corrupt_skipped" in document["rows"][0]["flags"]
    assert "23 of 24 images" in done.err


def test_nan_weights_are_named_in_the_row(run, made):
    from safetensors.torch import load_file, save_file

    shutil.copytree(made / "a", made / "nan", dirs_exist_ok=True)
    weights = load_file(made / "nan/model.safetensors")
    weights["resnet.embedder.embedder.convolution.weight"][:] = float("nan")
    save_file(weights, made / "nan/model.safetensors", {"format": "pt"})
    done = run("rank", "target", "nan", "a", "b", "--format", "json")
    assert done.status == 1
    rows = json.loads(done.out)["rows"]
    assert [row["checkpoint"] for row in rows][2] == "nan"
    assert rows[2]["score"] is None
    assert "nan holds NaN or infinite values in 1 of its weights" in rows[2]["error"]
    assert all(row["score"] is not None for row in rows[:2])


def test_an_output_that_cannot_be_written_loses_nothing(run, monkeypatch, tmp_path):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(hf_transferability.TransferabilityError, match="cannot be written: No space left on device"):
        files.save({"rows": []}, tmp_path / "x.csv")
    assert not list(tmp_path.iterdir())
    done = run("rank", "target", "a", "b", "--output", str(tmp_path / "x.csv"))
    assert done.status == 1
    assert "ranked by" in done.out
    assert f"{tmp_path / 'x.csv'} cannot be written" in done.err


def test_export_writes_model_cards_and_sends_nothing(run, tmp_path):
    (tmp_path / "taken").write_text("")
    refused = run("rank", "target", "a", "b", "--export", str(tmp_path / "taken"))
    assert (refused.status, "`export` must be a folder" in refused.err) == (2, True)
    done = run("rank", "target", "a", "b", "--no-intervals", "--export", str(tmp_path / "cards"))
    assert done.status == 0, done.err
    cards = sorted((tmp_path / "cards").glob("*/README.md"))
    assert [card.parent.name.partition("@")[0] for card in cards] == ["a", "b"]
    assert f"written: {cards[0]}" in done.err
