"""Fine-tuning: samples, one run, and a grid that several processes share and that goes on after a kill."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import datasets
import numpy as np
import pytest
import torch
from builders import blobs
from PIL import Image
from sklearn.metrics import roc_auc_score

from hf_transferability import CheckpointError, TargetError, UsageError
from hf_transferability.benchmark import finetuning, grids, tables
from hf_transferability.benchmark.augmentation import Augmentation
from hf_transferability.benchmark.finetuning import Setting, fine_tune, macro_auc
from hf_transferability.benchmark.samples import Splits
from hf_transferability.checkpoints import load, resolve
from hf_transferability.cli import main

pytestmark = pytest.mark.usefixtures("one_thread")
SPLITS = ("train", "validation", "test")
SETTING = Setting(8, 0.05, 0.9, 1e-4)
FEW = {"train_per_class": 8, "validation_per_class": 4}
TINY = {"image_size": 16, "epochs": 2, "patience": 2, "seeds": 1, **FEW}


@pytest.fixture(scope="module")
def target(make_target):
    return make_target(n=36, n_classes=3, splits=SPLITS)


@pytest.fixture(scope="module")
def checkpoint(make_checkpoint):
    return make_checkpoint(size=16)


@pytest.fixture(scope="module")
def loaded(checkpoint):
    return load(resolve(str(checkpoint)))


@pytest.fixture
def grid(tmp_path):
    """grid(rates) -> a file with one setting per learning rate."""

    def write(*rates: float):
        (tmp_path / "grid.json").write_text(
            json.dumps([{"batch_size": 8, "learning_rate": rate, "momentum": 0.9, "weight_decay": 0} for rate in rates])
        )
        return tmp_path / "grid.json"

    return write


def in_memory(splits: dict[str, list], label) -> datasets.DatasetDict:
    """A dataset of made-up images with these labels."""
    features = datasets.Features({"image": datasets.Image(), "label": label})
    return datasets.DatasetDict(
        {
            split: datasets.Dataset.from_dict(
                {"image": [Image.fromarray(image) for image in blobs(len(labels), 3, k)[0]], "label": labels}, features=features
            )
            for k, (split, labels) in enumerate(splits.items())
        }
    )


# --- figures


@pytest.mark.parametrize("n_classes", [2, 3, 7])
def test_auc_is_scikit_learns(n_classes):
    rng = np.random.default_rng(n_classes)
    labels = np.append(np.arange(n_classes), rng.integers(n_classes, size=60))
    probabilities = rng.dirichlet(np.ones(n_classes), len(labels)).round(2)  # with ties
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    expected = (
        roc_auc_score(labels, probabilities[:, 1])
        if n_classes == 2
        else roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    )
    assert macro_auc(labels, probabilities) == pytest.approx(expected, abs=1e-12)


def test_auc_of_several_labels_is_the_mean_over_columns_with_both():
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(2, size=(50, 4)), rng.random((50, 4))
    assert macro_auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores, average="macro"), abs=1e-12)
    labels[:, 1] = 1
    kept = [0, 2, 3]
    assert macro_auc(labels, scores) == pytest.approx(roc_auc_score(labels[:, kept], scores[:, kept]), abs=1e-12)
    assert macro_auc(np.zeros(5, int), np.full((5, 2), 0.5)) == 0.5


def test_pixels_are_what_the_image_processor_gives(loaded):
    pixels = torch.randint(256, (2, 3, 16, 16), dtype=torch.uint8)
    expected = loaded.preprocess([image.permute(1, 2, 0).numpy() for image in pixels])
    torch.testing.assert_close(finetuning.normalised(pixels, loaded.processor), expected, atol=1e-5, rtol=0)


def test_augmentation_keeps_form_and_type_and_changes_the_images():
    pixels = torch.randint(256, (19, 3, 16, 16), dtype=torch.uint8)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, second = Augmentation(16)(pixels), Augmentation(16)(pixels)
    assert first.shape == pixels.shape and first.dtype == torch.uint8
    assert not torch.equal(first, pixels) and not torch.equal(first, second)


# --- samples


def test_samples_are_drawn_by_the_seed_and_the_test_split_is_whole(target):
    splits = Splits(target, 16)
    draw, again, other = splits.draw(0, 8, 4), splits.draw(0, 8, 4), splits.draw(1, 8, 4)
    assert (len(draw.train), len(draw.validation), len(draw.test)) == (24, 12, 36)
    assert draw.fingerprint == again.fingerprint != other.fingerprint
    assert draw.notes == ()


def test_without_a_validation_split_it_is_drawn_from_training(make_target):
    draw = Splits(make_target(n=36, splits=("train", "test")), 16).draw(0, 8, 4)
    assert (len(draw.train), len(draw.validation)) == (24, 12)
    assert draw.train.pool is draw.validation.pool
    assert not set(draw.train.positions.tolist()) & set(draw.validation.positions.tolist())
    assert draw.notes == ("no validation split: drawn from training",)


def test_too_few_images_are_shared_four_to_one_and_said(make_target):
    draw = Splits(make_target(n=36, splits=("train", "test")), 16).draw(0)
    assert (len(draw.train), len(draw.validation)) == (28, 8)
    assert "8 validation images, not 75" in draw.notes


def test_classes_missing_from_a_split_are_said_and_labels_agree():
    names = datasets.ClassLabel(names=["a", "b", "c"])
    data = in_memory({"train": [0, 1, 2] * 8, "validation": [2, 0] * 8, "test": [2, 1] * 8}, names)
    draw = Splits(data, 16).draw(0, 8, 4)
    assert draw.notes == ("not in the validation sample: b", "not in the test sample: a")
    assert draw.test.labels.unique().tolist() == [1, 2]


@pytest.mark.parametrize(
    ("splits", "names", "message"),
    [
        (("train",), {}, r"`test_split` must be one of train; got 'test'\. Pass --test-split NAME\."),
        (("train", "test"), {"train": "training"}, r"`train_split` must be one of train, test; got 'training'"),
    ],
)
def test_a_missing_split_is_refused(make_target, splits, names, message):
    with pytest.raises(UsageError, match=message):
        Splits(make_target(splits=splits), 16, **names)


@pytest.mark.parametrize("names", [{"test": "validation"}, {"train": "validation"}])
def test_a_split_in_use_is_not_found_as_validation_split(make_target, names):
    draw = Splits(make_target(n=36, splits=("train", "validation", "test")[: 2 if "test" in names else 3]), 16, **names).draw(
        0, 8, 4
    )
    assert draw.train.pool is draw.validation.pool is not draw.test.pool
    assert not set(draw.train.positions.tolist()) & set(draw.validation.positions.tolist())
    assert "no validation split: drawn from training" in draw.notes


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"test": "train"}, "`train_split` and `test_split` must be different .* of train. Pass another --test-split"),
        ({"validation": "test"}, "`validation_split` and `test_split` must be different .* of test. Pass another --test-split"),
        ({"validation": "train[:50%]"}, "`train_split` and `validation_split` .* of train. Pass another --validation-split"),
        ({"validation": "validation+test[:5]"}, "`validation_split` and `test_split` must be different .* of test"),
    ],
)
def test_one_split_in_two_roles_is_refused(target, names, message):
    with pytest.raises(UsageError, match=message):
        Splits(target, 16, **names)


def test_numbers_to_predict_are_refused():
    numbers = [k + 0.5 for k in range(16)]
    data = in_memory({"train": numbers, "test": numbers}, datasets.Value("float32"))
    with pytest.raises(UsageError, match="its labels are numbers"):
        Splits(data, 16)


def test_a_corrupt_image_is_named(target):
    splits = Splits(target, 16)
    pool = splits.pools["train"]
    pool.target.images.encoded[3] = b"no image"
    with pytest.raises(TargetError, match=rf"row {pool.target.positions[3]} of split train .* cannot be decoded.*Mend"):
        pool.pixels(torch.tensor([3]))


# --- one run


def test_a_run_learns_and_repeats_itself(target, loaded):
    draw = Splits(target, 16).draw(0, 12, 4)
    before = {name: tensor.clone() for name, tensor in loaded.network.state_dict().items()}
    first, again = (fine_tune(loaded, draw, SETTING, epochs=8, augment=False) for _ in range(2))
    other = fine_tune(loaded, draw, SETTING, epochs=8, augment=False, seed=1)
    for row in (first, again, other):
        row.pop("seconds")
    assert first == again != other
    assert first["status"] == "ok" and first["test_auc"] > 0.9
    assert all(torch.equal(tensor, before[name]) for name, tensor in loaded.network.state_dict().items())


def test_a_run_stops_when_validation_no_longer_improves(target, loaded, monkeypatch):
    aucs = iter([0.6, 0.7, 0.65, 0.7, 0.7, 0.9, 0.8])
    monkeypatch.setattr(finetuning, "macro_auc", lambda labels, probabilities: next(aucs))
    monkeypatch.setattr(finetuning, "_train_epoch", lambda model, sample, view, optimizer, size: not optimizer.step())
    monkeypatch.setattr(finetuning, "_loss", lambda logits, labels: torch.ones(len(labels)))
    row = fine_tune(loaded, Splits(target, 16).draw(0, **FEW), SETTING, epochs=20, patience=3)
    assert (row["best_epoch"], row["stopped_epoch"], row["validation_auc"], row["test_auc"]) == (2, 5, 0.7, 0.9)


def test_the_test_split_is_used_once_and_after_the_choice(target, loaded, monkeypatch):
    draw = Splits(target, 16).draw(0, **FEW)
    seen = []
    evaluate, train = finetuning._evaluate, finetuning._train_epoch
    monkeypatch.setattr(finetuning, "_evaluate", lambda model, sample: seen.append(sample) or evaluate(model, sample))
    monkeypatch.setattr(
        finetuning, "_train_epoch", lambda model, sample, *rest: seen.append(sample) or train(model, sample, *rest)
    )
    fine_tune(loaded, draw, SETTING, epochs=3)
    roles = {id(draw.train): "train", id(draw.validation): "validation", id(draw.test): "test"}
    assert [roles[id(sample)] for sample in seen] == ["train", "validation"] * 3 + ["test"]


def test_divergence_is_a_status_without_figures(target, loaded):
    row = fine_tune(loaded, Splits(target, 16).draw(0, **FEW), Setting(8, 1e25, 0.9, 0.0), epochs=5)
    assert row["status"] == "diverged"
    assert not [name for name in row if name.startswith(("test_", "validation_"))]


def test_two_classes_and_several_labels(loaded):
    binary = in_memory({split: [0, 1] * 12 for split in SPLITS}, datasets.ClassLabel(names=["a", "b"]))
    several = datasets.List(datasets.ClassLabel(names=["a", "b", "c"]))
    labels = [[k % 3] + [2] * (k % 2 and k % 3 != 2) for k in range(24)]
    for data, width in ((binary, 2), (in_memory(dict.fromkeys(SPLITS, labels), several), 3)):
        draw = Splits(data, 16).draw(0, **FEW)
        assert len(draw.train.pool.classes) == width
        row = fine_tune(loaded, draw, SETTING, epochs=1)
        assert row["status"] == "ok" and 0 <= row["test_auc"] <= 1 and 0 <= row["test_accuracy"] <= 1


# --- grids


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


@pytest.mark.parametrize("size", [1, 0, 2.5, True])
def test_batches_of_less_than_two_images_are_refused(tmp_path, size):
    row = {"batch_size": size, "learning_rate": 0.1, "momentum": 0, "weight_decay": 0}
    (tmp_path / "grid.json").write_text(json.dumps([row]))
    with pytest.raises(UsageError, match=f"batch_size must be a whole number of at least 2, got {size}. Correct it"):
        grids.settings(tmp_path / "grid.json", 3)
    (tmp_path / "grid.json").write_text(json.dumps([row | {"batch_size": 2}]))
    assert grids.settings(tmp_path / "grid.json", 3)[0].batch_size == 2


def test_rows_are_tables_with_provenance_and_come_again(target, checkpoint, grid, tmp_path, loaded):
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
    assert truth["test_auc"].tolist() == [runs["test_auc"][0]] * 2 and truth["n_runs"].tolist() == [1, 1]


def test_a_second_call_repeats_nothing_and_more_seeds_add(target, checkpoint, grid, tmp_path, monkeypatch):
    grids.run_grid(target, [checkpoint], tmp_path, grid=grid(0.05), **TINY)
    run = tmp_path / target.name / checkpoint.name / "run-0000.json"
    before = run.stat().st_mtime_ns
    called = []
    own = grids.fine_tune
    monkeypatch.setattr(grids, "fine_tune", lambda *args, **kwargs: called.append(kwargs["seed"]) or own(*args, **kwargs))
    runs = grids.run_grid(target, [checkpoint], tmp_path, grid=grid(0.05), **TINY | {"seeds": 2})
    assert called == [1] and run.stat().st_mtime_ns == before
    assert runs["run"].tolist() == [0, 1] and runs["seed"].tolist() == [0, 1]
    # The seeds share their images, so that their validation losses can be compared.
    assert runs["dataset_fingerprint"].nunique() == 1 and set(runs["sample_seed"]) == {0}
    assert runs["test_auc"].nunique() == 2


def test_other_images_are_another_protocol(target, checkpoint, grid, tmp_path):
    runs = grids.run_grid(target, [checkpoint], tmp_path / "first", grid=grid(0.05), **TINY)
    other = grids.run_grid(target, [checkpoint], tmp_path / "second", grid=grid(0.05), sample_seed=1, **TINY)
    assert set(runs["dataset_fingerprint"]) != set(other["dataset_fingerprint"])
    with pytest.raises(UsageError, match="has another sample_seed, images"):
        grids.run_grid(target, [checkpoint], tmp_path / "first", grid=grid(0.05), sample_seed=1, **TINY)


def test_another_protocol_is_refused(target, checkpoint, grid, tmp_path):
    grids.run_grid(target, [checkpoint], tmp_path, grid=grid(0.05), **TINY)
    with pytest.raises(UsageError, match="has another settings, image_size"):
        grids.run_grid(target, [checkpoint], tmp_path, grid=grid(0.1), **TINY | {"image_size": 20})


def test_a_checkpoint_that_cannot_be_loaded_is_a_row_that_is_tried_again(target, checkpoint, grid, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(checkpoint, broken)
    (broken / "model.safetensors").unlink()
    out = tmp_path / "out"
    runs = grids.run_grid(target, {"bad": broken, "good": checkpoint}, out, grid=grid(0.05), **TINY)
    assert dict(zip(runs["source"], runs["status"], strict=True)) == {"bad": "failed", "good": "ok"}
    assert "no model.safetensors" in runs.set_index("source")["note"]["bad"]
    shutil.copy(checkpoint / "model.safetensors", broken)
    runs = grids.run_grid(target, {"bad": broken, "good": checkpoint}, out, grid=grid(0.05), **TINY)
    assert set(runs["status"]) == {"ok"}


def test_a_killed_grid_goes_on_and_two_processes_share_it(target, checkpoint, grid, tmp_path):
    rates = [0.01 * k for k in range(1, 7)]
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "hf_transferability",
        "finetune",
        "--dataset",
        str(target),
        "--checkpoint",
        str(checkpoint),
    ]
    command += ["--output", str(out), "--grid", str(grid(*rates)), "--seeds", "1", "--image-size", "16", "--epochs", "6"]
    command += ["--train-per-class", "8", "--validation-per-class", "4"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    runs = out / target.name / checkpoint.name

    first = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list(runs.glob("run-*.json")):
        assert first.poll() is None
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.wait()
    kept = {file: file.stat().st_mtime_ns for file in runs.glob("run-*.json")}
    assert 1 <= len(kept) < len(rates)
    second = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while len(list(runs.glob("run-*.json"))) == len(kept) and second.poll() is None:
        time.sleep(0.01)
    words = command[command.index("finetune") :]
    assert main(words) == 0  # at the same time
    output = second.communicate(timeout=300)
    assert second.returncode == 0, output
    assert all(file.stat().st_mtime_ns == when for file, when in kept.items())
    found = tables.read(out / "runs.parquet", "runs")
    assert found["run"].tolist() == list(range(6)) and set(found["status"]) == {"ok"}
    assert not list(out.rglob("*.part"))


def test_a_run_that_another_process_does_is_left_to_it(target, checkpoint, grid, tmp_path):
    folder = tmp_path / target.name / checkpoint.name
    (folder / ".locks").mkdir(parents=True)
    code = "import sys, time, filelock\nlock = filelock.FileLock(sys.argv[1])\nlock.acquire()\n"
    code += "print('mine', flush=True)\ntime.sleep(600)"
    lock = folder / ".locks" / "run-0000.lock"
    other = subprocess.Popen([sys.executable, "-c", code, str(lock)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "mine\n"
        runs = grids.run_grid(target, [checkpoint], tmp_path, grid=grid(0.05, 0.1), **TINY)
        assert runs["run"].tolist() == [1]
    finally:
        other.kill()
        other.communicate()
    assert grids.run_grid(target, [checkpoint], tmp_path, grid=grid(0.05, 0.1), **TINY)["run"].tolist() == [0, 1]


def test_command(target, checkpoint, grid, tmp_path, capfd):
    words = ["finetune", "--dataset", str(target), "--checkpoint", str(checkpoint), "--output", str(tmp_path), "--seeds", "1"]
    words += ["--grid", str(grid(0.05)), "--image-size", "16", "--epochs", "1", "--benchmark", "mine"]
    assert main(words) == 0
    printed = capfd.readouterr()
    assert printed.out.splitlines()[0].split() == ["source", "lowest_validation_loss", "mean_of_best_5", "runs"]
    assert printed.out.splitlines()[1].split()[0] == checkpoint.name and "1 ok" in printed.out
    assert "36 training images, not 300" in printed.err
    assert tables.read(tmp_path / "runs.parquet", "runs")["benchmark"].tolist() == ["mine"]
    assert main([*words[:-1], "x", "--grid", "large"]) == 2
    assert "`grid` must be small, paper or a .json file" in capfd.readouterr().err


def test_checkpoints_without_a_source_head_are_fine_tuned(target, make_checkpoint):
    from transformers import CLIPVisionConfig, CLIPVisionModel, ViTConfig, ViTModel

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    sizes |= {"image_size": 16, "patch_size": 8}
    draw = Splits(target, 16).draw(0, **FEW)
    for config, model_class in ((ViTConfig(**sizes), ViTModel), (CLIPVisionConfig(**sizes), CLIPVisionModel)):
        checkpoint = load(resolve(str(make_checkpoint(config, size=16, model_class=model_class))))
        assert not checkpoint.has_source_head
        assert fine_tune(checkpoint, draw, SETTING, epochs=2)["status"] == "ok"


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


@pytest.mark.parametrize("dropout", [-0.1, 1, float("nan")])
def test_a_dropout_that_is_none_is_refused(target, checkpoint, tmp_path, dropout):
    with pytest.raises(UsageError, match=r"`dropout` must be at least 0 and less than 1; got .* Choose another"):
        grids.run_grid(target, [checkpoint], tmp_path / "out", **TINY, dropout=dropout)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("seeds", [1, 2])
def test_another_checkpoint_of_the_same_name_is_refused(target, checkpoint, make_checkpoint, grid, tmp_path, seeds):
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
def test_ended_rows_of_another_benchmark_or_scenario_are_refused(target, checkpoint, grid, tmp_path, asked):
    grids.run_grid(target, [checkpoint], tmp_path, grid=grid(0.05), **TINY)
    with pytest.raises(UsageError, match=f"must all have one {next(iter(asked))}; .* Choose another --output"):
        grids.run_grid(target, [checkpoint], tmp_path, grid=grid(0.05), **TINY, **asked)


def test_a_checkpoint_error_is_not_hidden(tmp_path):
    assert isinstance(grids._loaded(str(tmp_path / "nowhere"), False, False, None), CheckpointError)
