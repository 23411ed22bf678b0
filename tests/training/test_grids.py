"""Grids of fine-tuning runs: repetition, interruption and several processes."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from filelock import FileLock
from helpers.forks import PROGRAM, Process
from helpers.grids import SMALL_GRID

from hf_transferability.benchmark import tables
from hf_transferability.cli import main
from hf_transferability.progress import Lines, Progress
from hf_transferability.training import grids, one_run, run_files
from hf_transferability.training.grids import run_grid

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_second_call_repeats_nothing_and_more_seeds_add_runs(target, checkpoint, grid, tmp_path, instant_runs):
    run_grid(target, [checkpoint], tmp_path, grid=grid(0.05), **SMALL_GRID)
    run = tmp_path / target.name / checkpoint.name / "run-0000.json"
    before = run.stat().st_mtime_ns
    runs = run_grid(target, [checkpoint], tmp_path, grid=grid(0.05), **SMALL_GRID | {"seeds": 2})
    assert instant_runs == [(0.05, 0), (0.05, 1)] and run.stat().st_mtime_ns == before
    assert runs["run"].tolist() == [0, 1] and runs["seed"].tolist() == [0, 1]
    # The seeds share their images, so that their validation losses can be compared.
    assert runs["dataset_fingerprint"].nunique() == 1 and set(runs["sample_seed"]) == {0}
    assert runs["test_auc"].nunique() == 2


def test_progress_counts_the_epochs_of_all_runs(target, checkpoint, grid, tmp_path):
    class Kept(Progress):
        totals, steps = [], []

        def stage(self, name, total=None, unit="images"):
            self.totals += [(total, unit)] if name.startswith("fine-tuning") else []

        def advance(self, done):
            self.steps.append(done)

    run_grid(target, [checkpoint], tmp_path, grid=grid(0.05, 0.1), progress=Kept(), **SMALL_GRID)
    epochs = SMALL_GRID["protocol"].epochs
    assert Kept.totals == [(2 * epochs, "epochs")]
    assert sorted(set(Kept.steps)) == list(range(1, 2 * epochs + 1))


def test_a_checkpoint_that_breaks_after_the_start_is_tried_again(target, checkpoint, grid, tmp_path, monkeypatch, instant_runs):
    broken = tmp_path / "broken"
    shutil.copytree(checkpoint, broken)
    own = grids.check_trainable

    def then_break(*given):
        own(*given)
        (broken / "model.safetensors").unlink()

    monkeypatch.setattr(grids, "check_trainable", then_break)
    out = tmp_path / "out"
    runs = run_grid(target, {"bad": broken, "good": checkpoint}, out, grid=grid(0.05), **SMALL_GRID)
    assert dict(zip(runs["source"], runs["status"], strict=True)) == {"bad": "failed", "good": "ok"}
    note = runs.set_index("source")["note"]["bad"]
    assert "no model.safetensors" in note and "broken" in note and str(tmp_path) not in note
    assert tables.check_provenance(runs, "runs")["checkpoint_revision"].isna().tolist() == [True, False]
    shutil.copy(checkpoint / "model.safetensors", broken)
    monkeypatch.setattr(grids, "check_trainable", own)
    runs = run_grid(target, {"bad": broken, "good": checkpoint}, out, grid=grid(0.05), **SMALL_GRID)
    assert set(runs["status"]) == {"ok"}


def test_two_processes_share_a_grid_until_one_is_killed(program, target, checkpoint, grid, tmp_path, monkeypatch):
    """The other is killed in the middle of a run."""
    out = tmp_path / "out"
    words = ["finetune", "--dataset", str(target), "--checkpoint", str(checkpoint), "--output", str(out), "--seeds", "1"]
    words += ["--grid", str(grid(*(0.01 * k for k in range(1, 9)))), "--image-size", "16", "--epochs", "4"]
    words += ["--train-per-class", "8", "--validation-per-class", "4"]
    runs = out / target.name / checkpoint.name
    other = Process(program, PROGRAM, words)
    guard = threading.Timer(180, other.kill)  # nothing below may wait for it without end
    guard.start()
    try:
        while not list(runs.glob("run-*.json")):
            assert other.poll() is None
            time.sleep(0.01)
        other.send_signal(signal.SIGSTOP)  # until this process works, too
        mine, theirs = [], []
        own = one_run.fine_tune

        def counted(*args, **options):
            mine.append(options)
            if len(mine) == 1:  # the other finishes one more beside this one, and is stopped before it has done them all
                done = len(list(runs.glob("run-*.json")))
                other.send_signal(signal.SIGCONT)
                while len(list(runs.glob("run-*.json"))) == done:
                    assert other.poll() is None
                    time.sleep(0.01)
                other.send_signal(signal.SIGSTOP)
            if len(mine) == 3:
                other.kill()
                other.wait()
                theirs.extend(file for file in runs.glob("run-*.json"))
            return own(*args, **options)

        monkeypatch.setattr(one_run, "fine_tune", counted)
        assert main(words) == 0
    finally:
        guard.cancel()
        other.kill()
        other.wait()
    kept = {file: file.stat().st_mtime_ns for file in runs.glob("run-*.json")}
    assert main(words) == 0
    assert all(file.stat().st_mtime_ns == when for file, when in kept.items())
    assert len(mine) + len(theirs) - 2 == 8  # two of those were mine; no run was done twice
    found = tables.read(out / "runs.parquet", "runs")
    assert found["run"].tolist() == list(range(8)) and set(found["status"]) == {"ok"}
    assert not list(out.rglob("*.part"))


def test_a_run_in_progress_elsewhere_is_left_to_its_process(target, checkpoint, grid, tmp_path, instant_runs):
    folder = tmp_path / target.name / checkpoint.name
    (folder / ".locks").mkdir(parents=True)
    code = "import sys, time, filelock\nlock = filelock.FileLock(sys.argv[1])\nlock.acquire()\n"
    code += "print('mine', flush=True)\ntime.sleep(600)"
    lock = folder / ".locks" / "run-0000.lock"
    other = subprocess.Popen([sys.executable, "-c", code, str(lock)], stdout=subprocess.PIPE, text=True)
    guard = threading.Timer(60, other.kill)  # `readline` ends with it
    guard.start()
    try:
        assert other.stdout.readline() == "mine\n"
        output = io.StringIO()
        runs = run_grid(target, [checkpoint], tmp_path, grid=grid(0.05, 0.1), progress=Lines(output), **SMALL_GRID)
        assert runs["run"].tolist() == [1]
        assert "1 runs are left to other processes" in output.getvalue()
        assert "or start the same command again" in output.getvalue()
    finally:
        guard.cancel()
        other.kill()
        other.communicate()
    assert run_grid(target, [checkpoint], tmp_path, grid=grid(0.05, 0.1), **SMALL_GRID)["run"].tolist() == [0, 1]


def test_a_run_that_another_process_gives_up_is_done_in_the_same_call(
    target, checkpoint, grid, tmp_path, monkeypatch, instant_runs
):
    locks = tmp_path / target.name / checkpoint.name / ".locks"
    locks.mkdir(parents=True)
    owner, end = FileLock(locks / "run-0000.lock"), one_run.fine_tune

    def released(*arguments, **options):
        owner.release()
        return end(*arguments, **options)

    monkeypatch.setattr(one_run, "fine_tune", released)
    with owner:
        runs = run_grid(target, [checkpoint], tmp_path, grid=grid(0.05, 0.1), **SMALL_GRID)
    assert instant_runs == [(0.1, 0), (0.05, 0)]
    assert runs["status"].tolist() == ["ok", "ok"]


def test_earlier_failures_are_repeated_and_new_failures_are_not(target, checkpoint, grid, tmp_path, monkeypatch):
    """Another process fails in the second run while this one does the first."""
    second, tried = tmp_path / target.name / checkpoint.name / "run-0001.json", []

    def fails(checkpoint, draw, setting, **options):
        tried.append(setting.learning_rate)
        if second.exists():
            row = json.loads(second.read_text())
            second.unlink()
            run_files.write_run(second, row | {"note": "that of the other"})
            os.utime(second, ns=(1, len(tried)))  # whatever the resolution of the clock
        raise MemoryError("too large")

    monkeypatch.setattr(one_run, "fine_tune", fails)
    assert len(run_grid(target, [checkpoint], tmp_path, grid=grid(0.05, 0.1), **SMALL_GRID)) == 2
    assert tried == [0.05, 0.1]
    runs = run_grid(target, [checkpoint], tmp_path, grid=grid(0.05, 0.1), **SMALL_GRID)
    assert tried == [0.05, 0.1, 0.05]
    assert runs["note"].tolist() == ["MemoryError: too large", "that of the other"]
