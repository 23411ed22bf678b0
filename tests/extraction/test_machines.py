"""Several machines without a shared folder: two processes that meet on the loopback address, each with a home of its own."""

import json
import shutil

import pytest
from helpers.forks import connected

from hf_transferability.cli import main


@pytest.fixture
def machines(tmp_path, make_target, make_checkpoint):
    """Two folders with the same target and checkpoint; `other` differs between them, `lonely` is in the first only."""
    folders = {"target": make_target(n=40)} | {name: make_checkpoint(seed=i) for i, name in enumerate(("same", "third"))}
    for name, folder in folders.items():
        for number in range(2):
            shutil.copytree(folder, tmp_path / str(number) / name)
    for seed, place in enumerate(("0/other", "1/other", "0/lonely"), 2):
        shutil.copytree(make_checkpoint(seed=seed), tmp_path / place)
    return tmp_path


def test_two_machines_give_the_result_of_one(libraries, machines, capfd, monkeypatch):
    words = ["rank", "target", "./same", "./third", "./other", "./lonely", "--format", "json", "--micro-batch", "4"]
    words += ["--cache-dir", "cache", "--output", "kept/out.json"]
    (machines / "0" / "kept").mkdir()  # and not on the other machine
    done, other = connected(libraries, words, [machines / "0", machines / "1"])
    assert done.stdout, done.stderr
    assert other.stdout == ""
    assert [done.returncode, other.returncode] == [1, 1]  # two candidates failed
    two = json.loads(done.stdout)
    assert json.loads((machines / "0" / "kept" / "out.json").read_text()) == two
    errors = {row["checkpoint"]: row["error"] for row in two["rows"]}
    assert "not on every machine" in errors["./lonely"]
    assert "other files on another machine" in errors["./other"]
    assert "2 x " in two["rows"][0]["hardware"]
    assert len(list((machines / "0" / "cache").glob("*.safetensors"))) == 2
    assert not list((machines / "1" / "cache").glob("*.safetensors"))

    monkeypatch.chdir(machines / "0")
    assert main([*words[:4], *words[6:10], "--cache-dir", "cache of one"]) == 0
    one = json.loads(capfd.readouterr().out)
    assert [row["checkpoint"] for row in two["rows"][:2]] == [row["checkpoint"] for row in one["rows"]]
    for row, expected in zip(two["rows"], one["rows"], strict=False):
        for name in ("score", "feature_quality", "feature_update_ratio", "logme"):
            assert row[name] == pytest.approx(expected[name], rel=1e-3, abs=1e-3)
