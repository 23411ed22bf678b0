"""`hf-transferability score`."""

import json

import numpy as np
import pytest

from hf_transferability.cli import main


def test_score_ranks_files_of_arrays(tmp_path, capsys):
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    for k in (1, 2):
        np.savez(tmp_path / f"{k}.npz", features=rng.normal(size=(40, 4)) + k * labels[:, None], labels=labels)
    files = [str(tmp_path / f"{k}.npz") for k in (1, 2)]
    cache = ["--cache-dir", str(tmp_path / "cache")]
    assert main(["score", *files, "--metric", "logme", "--format", "json", "--floor", *cache]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["checkpoint"] for row in rows] == files[::-1]
    assert all(row["logme_floor"] < row["logme"] for row in rows)
    assert main(["score", *files, *cache]) == 0
    printed = capsys.readouterr().out
    assert "h_score" in printed
    assert "logme" in printed
    assert main(["score", str(tmp_path / "nowhere.npz"), *cache]) == 2
    assert "no file" in capsys.readouterr().err


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    for name in ("small", "large"):
        features = rng.normal(size=(40, 4)) + labels[:, None]
        np.savez(tmp_path / f"{name}.npz", features=features, labels=labels)
    return [str(tmp_path / f"{name}.npz") for name in ("small", "large")]


@pytest.mark.parametrize(
    "words",
    [
        ["--parameters", "11.2M,86000k"],
        ["--parameters", "small=11200000", "--parameters", "large.npz=0.086B"],
        ["--parameters", "11.2M", "--parameters", "86M"],
    ],
)
def test_sizes_of_the_networks(files, tmp_path, capsys, words):
    options = ["--no-intervals", "--format", "json", "--cache-dir", str(tmp_path / "cache")]
    assert main(["score", *files, *words, *options]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["metric"] == "consensus"
    assert {row["checkpoint"]: row["parameters"] for row in document["rows"]} == dict(
        zip(files, (11_200_000, 86_000_000), strict=True)
    )


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--parameters", "many"], "must be FILE=NUMBER or NUMBER,NUMBER,... such as 11.2M; got 'many'"),
        (["--parameters", "small=-5"], "got '-5'"),
        (["--parameters", "small=5M", "--parameters", "7M"], "must name a file each time or never"),
        (["--parameters", "5M"], "must be one number per file; got 1 for 2"),
        (["--parameters", "tiny=5M"], "must name one of the files"),
    ],
)
def test_wrong_sizes_are_wrong_usage(files, tmp_path, capsys, words, text):
    try:
        status = main(["score", *files, *words, "--cache-dir", str(tmp_path / "cache")])
    except SystemExit as end:  # argparse
        status = end.code
    assert status == 2
    assert text in capsys.readouterr().err


def test_without_sizes_the_output_says_so(files, tmp_path, capsys):
    assert main(["score", *files, "--no-intervals", "--cache-dir", str(tmp_path / "cache")]) == 0
    printed = capsys.readouterr()
    assert "ranked by consensus" in printed.out
    assert "size does not count: give --parameters" in printed.out
    assert "size_unknown" in printed.err
