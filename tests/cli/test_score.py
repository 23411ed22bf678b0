"""`hf-transferability score`."""

import json

import numpy as np

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
