"""Several machines without a shared folder: two launchers that meet on the loopback address, each with a home of its own."""

import json
import os
import shutil
import socket
import subprocess
import sys

import pytest

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


def test_two_machines_give_the_result_of_one(machines, capfd, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    words = ["rank", "target", "./same", "./third", "./other", "./lonely", "--format", "json", "--micro-batch", "4"]
    words += ["--cache-dir", "cache", "--output", "kept/out.json"]
    (machines / "0" / "kept").mkdir()  # and not on the other machine
    launched = []
    for number in range(2):
        launcher = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--node-rank", str(number)]
        launcher += ["--nproc-per-node", "1", "--master-addr", "127.0.0.1", "--master-port", port]
        environment = {**os.environ, "HF_HOME": str(machines / f"home{number}")}
        options = {"cwd": machines / str(number), "env": environment, "text": True}
        command = [*launcher, "-m", "hf_transferability", *words]
        launched.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options))
    (out, err), (silent, _) = (process.communicate(timeout=600) for process in launched)
    assert out, err
    assert silent == ""
    assert [process.returncode for process in launched] == [1, 1]  # two candidates failed
    two = json.loads(out)
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
