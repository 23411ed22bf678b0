"""Grids of fine-tuning runs: settings, rows, resumption, other processes, and the command."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import datasets
import pytest
from filelock import FileLock

from hf_transferability import CheckpointError, TargetError, UsageError
from hf_transferability.benchmark import tables
from hf_transferability.checkpoints.loading import resolve
from hf_transferability.cli import main
from hf_transferability.progress import Lines
from hf_transferability.training import grids
from hf_transferability.training.finetuning import Setting

pytestmark = pytest.mark.usefixtures("one_thread")
TINY = {"image_size": 16, "epochs": 2, "patience": 2, "seeds": 1, "train_per_class": 8, "validation_per_class": 4}


@pytest.fixture
def grid(tmp_path):
    """grid(rates) -> a file with one setting per learning rate."""

    def write(*rates: float):
        (tmp_path / "grid.json").write_text(
            json.dumps([{"batch_size": 8, "learning_rate": rate, "momentum": 0.9, "weight_decay": 0} for rate in rates])
        )
        return tmp_path / "grid.json"

    return write


@pytest.fixture
def untrained(monkeypatch):
    """Runs end at once, with figures that follow from their setting and seed; a list of the learning rates and seeds."""
    done = []

    def end(checkpoint, draw, setting, *, seed, **options):
        done.append((setting.learning_rate, seed))
        names = ("validation_loss", "validation_auc", "validation_accuracy", "test_loss", "test_auc", "test_accuracy")
        figures = dict.fromkeys(names, (setting.learning_rate + seed / 10) % 1)
        return {"stopped_epoch": 2, "best_epoch": 1, **figures, "status": "ok", "seconds": 0.1}

    monkeypatch.setattr(grids, "fine_tune", end)
    return done


def test_named_grids_and_files(tmp_path):
    assert len(grids.settings("small", 3)) == 6
    paper = grids.settings("paper", 2)
    assert len(set(paper)) == 120 and {setting.batch_size for setting in paper} == {32, 64}
    assert {setting.batch_size for setting in grids.settings("paper", 11)} == {128, 256}
    file = tmp_path / "grid.json"
    file.write_text('{"batch_size": [4, 8], "learning_rate": [0.1], "momentum": [0], "weight_decay": [0, 0.1]}')
    assert grids.settings(file, 3)[1] == Setting(4, 0.1, 0, 0.1)


@pytest.mark.parametrize("text", ["[]", "{", '[{"batch_size": 8}]', '{"batch_size": [8], "lr": [1]}', "7"])
def test_a_file_that_is_no_grid_is_refused(tmp_path, text):
    (tmp_path / "grid.json").write_text(text)
    with pytest.raises(UsageError, match="`grid` must"):
        grids.settings(tmp_path / "grid.json", 3)


@pytest.mark.parametrize("name", ["learning_rate", "weight_decay"])
def test_settings_that_are_not_finite_are_refused(tmp_path, name):
    row = {"batch_size": 8, "learning_rate": 0.1, "momentum": 0, "weight_decay": 0} | {name: float("inf")}
    (tmp_path / "grid.json").write_text(json.dumps([row]))
    with pytest.raises(UsageError, match=f"{name}=inf.* Correct it"):
        grids.settings(tmp_path / "grid.json", 3)


@pytest.mark.parametrize("size", [1, 0, 2.5, True])
def test_batches_of_less_than_two_images_are_refused(tmp_path, size):
    row = {"batch_size": size, "learning_rate": 0.1, "momentum": 0, "weight_decay": 0}
    (tmp_path / "grid.json").write_text(json.dumps([row]))
    with pytest.raises(UsageError, match=f"batch_size must be a whole number of at least 2, got {size}. Correct it"):
        grids.settings(tmp_path / "grid.json", 3)
    (tmp_path / "grid.json").write_text(json.dumps([row | {"batch_size": 2}]))
    assert grids.settings(tmp_path / "grid.json", 3)[0].batch_size == 2


def test_rows_are_tables_with_provenance_and_come_again(target, checkpoint, grid, tmp_path):
    frames = []
    for name in ("first", "second"):
        grids.run_grid(target, [checkpoint], tmp_path / name, grid=grid(0.05, 1e25), **TINY)
        frames.append(tables.check_provenance(tables.read(tmp_path / name / "runs.parquet", "runs"), "runs"))
    runs = frames[0]
    assert runs["status"].tolist() == ["ok", "diverged"]
    assert runs["test_auc"].isna().tolist() == [False, True]
    assert runs["checkpoint_revision"].unique().tolist() == [resolve(str(checkpoint)).revision]
    own = ["seconds", "date"]
    assert frames[0].drop(columns=own).equals(frames[1].drop(columns=own))
    truth = tables.check_provenance(tables.read(tmp_path / "first" / "ground_truth.parquet", "ground_truth"), "ground_truth")
    assert set(truth["selection"]) == {"lowest_validation_loss", "mean_of_best_5"}
    assert truth["performance"].tolist() == [runs["test_auc"][0]] * 2 and truth["n_runs"].tolist() == [1, 1]


def test_a_second_call_repeats_nothing_and_more_seeds_add(target, checkpoint, grid, tmp_path, untrained):
    grids.run_grid(target, [checkpoint], tmp_path, grid=grid(0.05), **TINY)
    run = tmp_path / target.name / checkpoint.name / "run-0000.json"
    before = run.stat().st_mtime_ns
    runs = grids.run_grid(target, [checkpoint], tmp_path, grid=grid(0.05), **TINY | {"seeds": 2})
    assert untrained == [(0.05, 0), (0.05, 1)] and run.stat().st_mtime_ns == before
    assert runs["run"].tolist() == [0, 1] and runs["seed"].tolist() == [0, 1]
    # The seeds share their images, so that their validation losses can be compared.
    assert runs["dataset_fingerprint"].nunique() == 1 and set(runs["sample_seed"]) == {0}
    assert runs["test_auc"].nunique() == 2


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"image_size": 20}, "image_size 16 there, 20 now"),
        ({"dropout": 0.2, "augment": False}, "dropout 0.5 there, 0.2 now; augment True there, False now"),
        ({"sample_seed": 1}, "sample_seed 0 there, 1 now; other images or labels in the training or validation sample"),
        ({"grid": (0.05, 0.1)}, r"other settings \(1 there, 2 now\)"),
    ],
)
def test_another_protocol_is_refused(target, checkpoint, grid, tmp_path, untrained, changed, message):
    grids.run_grid(target, [checkpoint], tmp_path / "out", grid=grid(0.05), **TINY)
    rates = changed.pop("grid", (0.05,))
    with pytest.raises(UsageError, match=f"were made in the same way.*: {message}.* Choose another --output"):
        grids.run_grid(target, [checkpoint], tmp_path / "out", grid=grid(*rates), **TINY | changed)


def test_another_test_split_is_refused(target, checkpoint, grid, tmp_path, untrained):
    """The same samples to train and to choose by, and one image less to test on."""
    changing = tmp_path / "changing"
    shutil.copytree(target, changing)
    grids.run_grid(changing, [checkpoint], tmp_path / "out", grid=grid(0.05), **TINY)
    file = changing / "data" / "test-00000-of-00001.parquet"
    datasets.Dataset.from_parquet(str(file)).select(range(35)).to_parquet(file)
    with pytest.raises(UsageError, match=r"other images or labels in the .* or in the test split\. Choose another --output"):
        grids.run_grid(changing, [checkpoint], tmp_path / "out", grid=grid(0.05), **TINY)
    assert len(untrained) == 1


def test_a_checkpoint_that_cannot_be_loaded_is_a_row_that_is_tried_again(target, checkpoint, grid, tmp_path, untrained):
    broken = tmp_path / "broken"
    shutil.copytree(checkpoint, broken)
    (broken / "model.safetensors").unlink()
    out = tmp_path / "out"
    runs = grids.run_grid(target, {"bad": broken, "good": checkpoint}, out, grid=grid(0.05), **TINY)
    assert dict(zip(runs["source"], runs["status"], strict=True)) == {"bad": "failed", "good": "ok"}
    note = runs.set_index("source")["note"]["bad"]
    assert "no model.safetensors" in note and "broken" in note and str(tmp_path) not in note
    assert tables.check_provenance(runs, "runs")["checkpoint_revision"].isna().tolist() == [True, False]
    shutil.copy(checkpoint / "model.safetensors", broken)
    runs = grids.run_grid(target, {"bad": broken, "good": checkpoint}, out, grid=grid(0.05), **TINY)
    assert set(runs["status"]) == {"ok"}


def test_two_processes_share_a_grid_and_one_takes_up_what_the_other_left(target, checkpoint, grid, tmp_path, monkeypatch):
    """The other is killed in the middle of a run."""
    out = tmp_path / "out"
    words = ["finetune", "--dataset", str(target), "--checkpoint", str(checkpoint), "--output", str(out), "--seeds", "1"]
    words += ["--grid", str(grid(*(0.01 * k for k in range(1, 9)))), "--image-size", "16", "--epochs", "4"]
    words += ["--train-per-class", "8", "--validation-per-class", "4"]
    runs = out / target.name / checkpoint.name
    other = subprocess.Popen(
        [sys.executable, "-m", "hf_transferability", *words],
        env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    guard = threading.Timer(180, other.kill)  # nothing below may wait for it without end
    guard.start()
    try:
        while not list(runs.glob("run-*.json")):
            assert other.poll() is None
            time.sleep(0.01)
        other.send_signal(signal.SIGSTOP)  # until this process works, too
        mine, theirs = [], []
        own = grids.fine_tune

        def counted(*args, **options):
            mine.append(options)
            other.send_signal(signal.SIGCONT)
            if len(mine) == 3:
                other.kill()
                other.wait()
                theirs.extend(file for file in runs.glob("run-*.json"))
            return own(*args, **options)

        monkeypatch.setattr(grids, "fine_tune", counted)
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


def test_a_run_that_another_process_does_is_left_to_it(target, checkpoint, grid, tmp_path, untrained):
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
        said = io.StringIO()
        runs = grids.run_grid(target, [checkpoint], tmp_path, grid=grid(0.05, 0.1), progress=Lines(said), **TINY)
        assert runs["run"].tolist() == [1]
        assert "1 runs are left to other processes" in said.getvalue()
        assert "or start the same command again" in said.getvalue()
    finally:
        guard.cancel()
        other.kill()
        other.communicate()
    assert grids.run_grid(target, [checkpoint], tmp_path, grid=grid(0.05, 0.1), **TINY)["run"].tolist() == [0, 1]


def test_command(target, checkpoint, grid, tmp_path, capfd):
    words = ["finetune", "--dataset", str(target), "--checkpoint", str(checkpoint), "--output", str(tmp_path), "--seeds", "1"]
    words += ["--grid", str(grid(0.05)), "--image-size", "16", "--epochs", "1", "--benchmark", "mine"]
    assert main(words) == 0
    printed = capfd.readouterr()
    lines = printed.out.splitlines()
    assert lines[0] == f"test AUC on {target.name}: mean over the classes, one versus rest; 0.5 for guessing"
    assert [word.strip() for word in lines[2].split("  ") if word.strip()] == [
        "source", "lowest loss", "mean of best", "finished", "diverged", "failed",
    ]  # fmt: skip
    auc = f"{tables.read(tmp_path / 'runs.parquet', 'runs')['test_auc'][0]:.4f}"
    assert lines[3].split() == [checkpoint.name, auc, auc, "1", "0", "0"]
    assert "mean of best: test AUC of the only fine-tuning run that finished." in printed.out
    assert "36 training images, not 300" in printed.err
    assert tables.read(tmp_path / "runs.parquet", "runs")["benchmark"].tolist() == ["mine"]
    assert main([*words[:-1], "x", "--grid", "large"]) == 2
    assert "`grid` must be small, paper or a .json file" in capfd.readouterr().err


def test_the_summary_counts_what_came_of_the_runs(target, checkpoint, grid, tmp_path, capfd, monkeypatch, untrained):
    end = grids.fine_tune

    def ends(checkpoint, draw, setting, **options):
        if setting.learning_rate == 0.1:
            raise MemoryError("no memory for a batch")
        if setting.learning_rate == 0.2:
            return {"stopped_epoch": 1, "status": "diverged", "seconds": 0.1}
        return end(checkpoint, draw, setting, **options)

    monkeypatch.setattr(grids, "fine_tune", ends)
    words = ["finetune", "--dataset", str(target), "--checkpoint", str(checkpoint), "--output", str(tmp_path)]
    words += ["--grid", str(grid(0.3, 0.1, 0.2)), "--image-size", "16"]
    assert main(words) == 1
    printed = capfd.readouterr()
    assert printed.out.splitlines()[3].split() == [checkpoint.name, "0.3000", "0.3500", "2", "2", "2"]
    assert "mean test AUC of all finished fine-tuning runs, 2 per source and target (de-noised)." in printed.out
    assert f"failed: {checkpoint.name}, 2 of 6 runs: MemoryError: no memory for a batch" in printed.err
    assert main([*words[:-3], str(grid(0.1)), "--image-size", "16", "--output", str(tmp_path / "none")]) == 1
    printed = capfd.readouterr()
    assert printed.out.splitlines()[3].split() == [checkpoint.name, "-", "-", "0", "0", "2"]
    assert "no run finished" in printed.out


def test_a_network_that_does_not_take_the_size_fails_as_a_row(target, make_checkpoint, grid, tmp_path):
    from transformers import ViTConfig

    vit = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=24, patch_size=8,
    )  # fmt: skip
    runs = grids.run_grid(target, [make_checkpoint(vit)], tmp_path, grid=grid(0.05), **TINY)
    assert runs["status"].tolist() == ["failed"]
    assert "image size" in runs["note"][0]


@pytest.mark.parametrize(
    ("error", "note"),
    [(KeyError("pooler"), "KeyError: 'pooler'"), (ValueError("a\nb"), "ValueError: a"), (OSError(), "OSError: ")],
)
def test_whatever_a_run_raises_fails_that_run_only(target, checkpoint, grid, tmp_path, monkeypatch, error, note):
    own = grids.fine_tune

    def first_fails(checkpoint, draw, setting, **options):
        if setting.learning_rate == 0.05:
            raise error
        return own(checkpoint, draw, setting, **options)

    monkeypatch.setattr(grids, "fine_tune", first_fails)
    runs = grids.run_grid(target, [checkpoint], tmp_path, grid=grid(0.05, 0.1), **TINY)
    assert runs["status"].tolist() == ["failed", "ok"] and runs["note"][0] == note


def test_an_error_of_the_data_still_ends_the_grid(target, checkpoint, grid, tmp_path, monkeypatch):
    def fails(*arguments, **options):
        raise TargetError("row 3 cannot be decoded")

    monkeypatch.setattr(grids, "fine_tune", fails)
    with pytest.raises(TargetError, match="row 3"):
        grids.run_grid(target, [checkpoint], tmp_path, grid=grid(0.05), **TINY)


def test_runs_before_an_error_are_in_the_tables(target, checkpoint, grid, tmp_path, monkeypatch, untrained):
    end = grids.fine_tune

    def second_fails(checkpoint, draw, setting, **options):
        if setting.learning_rate == 0.1:
            raise TargetError("row 3 cannot be decoded")
        return end(checkpoint, draw, setting, **options)

    monkeypatch.setattr(grids, "fine_tune", second_fails)
    with pytest.raises(TargetError, match="row 3"):
        grids.run_grid(target, [checkpoint], tmp_path / "out", grid=grid(0.05, 0.1), **TINY)
    assert tables.read(tmp_path / "out" / "runs.parquet", "runs")["run"].tolist() == [0]
    assert len(tables.read(tmp_path / "out" / "ground_truth.parquet", "ground_truth")) == 2


def test_a_figure_that_cannot_be_written_fails_that_run_only(target, checkpoint, grid, tmp_path, monkeypatch, untrained):
    end = grids.fine_tune

    def infinite(checkpoint, draw, setting, **options):
        return end(checkpoint, draw, setting, **options) | (
            {"test_loss": float("inf")} if setting.learning_rate == 0.05 else {}
        )

    monkeypatch.setattr(grids, "fine_tune", infinite)
    runs = grids.run_grid(target, [checkpoint], tmp_path, grid=grid(0.05, 0.1), **TINY)
    assert runs["status"].tolist() == ["failed", "ok"] and "ValueError" in runs["note"][0]


def test_a_run_whose_owner_ends_meanwhile_is_taken_up_in_the_same_call(
    target, checkpoint, grid, tmp_path, monkeypatch, untrained
):
    locks = tmp_path / target.name / checkpoint.name / ".locks"
    locks.mkdir(parents=True)
    owner, end = FileLock(locks / "run-0000.lock"), grids.fine_tune

    def released(*arguments, **options):
        owner.release()
        return end(*arguments, **options)

    monkeypatch.setattr(grids, "fine_tune", released)
    with owner:
        runs = grids.run_grid(target, [checkpoint], tmp_path, grid=grid(0.05, 0.1), **TINY)
    assert untrained == [(0.1, 0), (0.05, 0)]
    assert runs["status"].tolist() == ["ok", "ok"]


def test_what_failed_before_is_tried_again_and_what_fails_meanwhile_is_not(target, checkpoint, grid, tmp_path, monkeypatch):
    """Another process fails in the second run while this one does the first."""
    second, tried = tmp_path / target.name / checkpoint.name / "run-0001.json", []

    def fails(checkpoint, draw, setting, **options):
        tried.append(setting.learning_rate)
        if second.exists():
            row = json.loads(second.read_text())
            second.unlink()
            grids._write(second, row | {"note": "that of the other"})
            os.utime(second, ns=(1, len(tried)))  # whatever the resolution of the clock
        raise MemoryError("too large")

    monkeypatch.setattr(grids, "fine_tune", fails)
    assert len(grids.run_grid(target, [checkpoint], tmp_path, grid=grid(0.05, 0.1), **TINY)) == 2
    assert tried == [0.05, 0.1]
    runs = grids.run_grid(target, [checkpoint], tmp_path, grid=grid(0.05, 0.1), **TINY)
    assert tried == [0.05, 0.1, 0.05]
    assert runs["note"].tolist() == ["MemoryError: too large", "that of the other"]


def test_of_two_protocols_at_once_one_is_refused(tmp_path, monkeypatch):
    replace, refused, start = grids._replace, [], threading.Barrier(2, timeout=30)

    def slow(file, text):
        time.sleep(0.2)  # another may look meanwhile whether the file is there
        replace(file, text)

    def check(size):
        start.wait()
        try:
            grids._check_protocol(tmp_path / "target" / "protocol.json", {"image_size": size})
        except UsageError as error:
            refused.append(str(error))

    monkeypatch.setattr(grids, "_replace", slow)
    threads = [threading.Thread(target=check, args=(size,)) for size in (16, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(refused) == 1 and "image_size" in refused[0]


@pytest.mark.parametrize("dropout", [-0.1, 1, float("nan")])
def test_a_dropout_that_is_none_is_refused(target, checkpoint, tmp_path, dropout):
    with pytest.raises(UsageError, match=r"`dropout` must be at least 0 and less than 1; got .* Choose another"):
        grids.run_grid(target, [checkpoint], tmp_path / "out", **TINY, dropout=dropout)
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_that_has_seen_the_target_is_noted(target, checkpoint, grid, tmp_path, untrained):
    seen = tmp_path / "seen"
    shutil.copytree(checkpoint, seen)
    (seen / "README.md").write_text(f"---\ndatasets: [owner/{target.name}]\n---\n")
    runs = grids.run_grid(target, [seen, checkpoint], tmp_path / "out", grid=grid(0.05), **TINY)
    notes = runs.set_index("source")["note"]
    assert notes["seen"] == f"seen was trained on owner/{target.name}, as its model card says"
    assert notes.isna()[checkpoint.name]


@pytest.mark.parametrize("seeds", [1, 2])
def test_another_checkpoint_of_the_same_name_is_refused(target, checkpoint, make_checkpoint, grid, tmp_path, seeds, untrained):
    out, other = tmp_path / "out", tmp_path / "elsewhere" / checkpoint.name
    shutil.copytree(make_checkpoint(size=16, seed=1), other)
    assert resolve(str(other)).revision != resolve(str(checkpoint)).revision
    grids.run_grid(target, [checkpoint], out, grid=grid(0.05), **TINY)
    before = sorted(out.rglob("run-*.json"))
    message = f"runs of {checkpoint.name} must .* checkpoint_revision; those in {out}.* Choose another --output, or .* name"
    with pytest.raises(UsageError, match=message):
        grids.run_grid(target, [other], out, grid=grid(0.05), **TINY | {"seeds": seeds})
    assert sorted(out.rglob("run-*.json")) == before
    runs = grids.run_grid(target, {"other": other, checkpoint.name: checkpoint}, out, grid=grid(0.05), **TINY)
    assert runs["checkpoint_revision"].nunique() == 2
    (other / "model.safetensors").unlink()
    with pytest.raises(UsageError, match="runs of other must"):
        grids.run_grid(target, {"other": other}, out, grid=grid(0.05), **TINY)


@pytest.mark.parametrize("asked", [{"benchmark": "mine"}, {"scenario": "architecture"}])
def test_ended_rows_of_another_benchmark_or_scenario_are_refused(target, checkpoint, grid, tmp_path, asked, untrained):
    grids.run_grid(target, [checkpoint], tmp_path, grid=grid(0.05), **TINY)
    with pytest.raises(UsageError, match=f"must all have one {next(iter(asked))}; .* Choose another --output"):
        grids.run_grid(target, [checkpoint], tmp_path, grid=grid(0.05), **TINY, **asked)


def test_a_checkpoint_error_is_not_hidden(tmp_path):
    assert isinstance(grids._loaded(str(tmp_path / "nowhere"), False, False, None), CheckpointError)
