"""`hf-transferability finetune`: what it prints and its exit status."""

import numpy as np
import pytest
from datasets import ClassLabel, DatasetDict, concatenate_datasets
from helpers.splits import in_memory
from PIL import Image

from hf_transferability.benchmark import tables
from hf_transferability.cli import main
from hf_transferability.training import one_run

pytestmark = pytest.mark.usefixtures("one_thread")


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


def test_the_summary_counts_runs_by_status(target, checkpoint, grid, tmp_path, capfd, monkeypatch, instant_runs):
    end = one_run.fine_tune

    def ends(checkpoint, draw, setting, **options):
        if setting.learning_rate == 0.1:
            raise MemoryError("no memory for a batch")
        if setting.learning_rate == 0.2:
            return {"stopped_epoch": 1, "status": "diverged", "seconds": 0.1}
        return end(checkpoint, draw, setting, **options)

    monkeypatch.setattr(one_run, "fine_tune", ends)
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


def test_groups_and_duplicates_are_in_every_run(checkpoint, grid, tmp_path, capfd, instant_runs):
    data = in_memory({"train": [0, 1] * 20, "test": [0, 1] * 8}, ClassLabel(names=["a", "b"]))
    data["test"] = concatenate_datasets([data["test"], data["train"].select(range(40))])
    names = {"train": [f"Meier {i // 4}" for i in range(40)], "test": [f"Huber {i}" for i in range(56)]}
    data = DatasetDict({split: data[split].add_column("patient", names[split]) for split in names})
    data.save_to_disk(tmp_path / "data")
    words = ["finetune", "--dataset", str(tmp_path / "data"), "--checkpoint", str(checkpoint), "--seeds", "1"]
    words += ["--grid", str(grid(0.05)), "--image-size", "16", "--group-column", "patient"]
    assert main([*words, "--output", str(tmp_path / "runs")]) == 0
    row = tables.read(tmp_path / "runs" / "runs.parquet", "runs").iloc[0]
    assert row["draw"] == "random, groups (patient) in turn"
    assert "groups (patient): 8 in training, 2 in validation, 56 in test" in row["note"]
    assert "40 of 56 test images are also in training" in row["note"]
    written = "".join(path.read_text() for path in (tmp_path / "runs").rglob("*.json"))
    assert "Meier" not in written + str(row.to_dict()) + capfd.readouterr().err


def test_what_is_not_used_whole_is_said_for_every_split(checkpoint, grid, tmp_path, capfd, instant_runs):
    """Images of 16 bits, which are scaled by all of their range unless a window is given."""

    def deep(image):
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 16)

    in_memory({"train": [0, 1] * 8, "test": [0, 1] * 6}, ClassLabel(names=["a", "b"]), deep).save_to_disk(tmp_path / "data")
    words = ["finetune", "--dataset", str(tmp_path / "data"), "--checkpoint", str(checkpoint), "--grid", str(grid(0.05))]
    words += ["--seeds", "1", "--image-size", "16", "--output", str(tmp_path / "runs"), "--window", "0,4095"]
    assert main(words) == 0
    printed = capfd.readouterr().err
    assert "split train: windowed: " in printed and "16 of 16 images by 0..4095" in printed
    assert "split test: windowed: " in printed and "12 of 12 images by 0..4095" in printed
