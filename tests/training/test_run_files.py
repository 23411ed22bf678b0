"""Files of runs: which runs may share a folder."""

import json
import shutil
import threading
import time
from dataclasses import replace

import datasets
import pytest
from helpers.grids import SMALL_GRID

from hf_transferability import UsageError
from hf_transferability.checkpoints.resolving import resolve
from hf_transferability.training import run_files
from hf_transferability.training.grids import run_grid
from hf_transferability.training.settings import RowLabels

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"image_size": 20}, "image_size 16 there, 20 now"),
        ({"dropout": 0.2, "augment": False}, "dropout 0.5 there, 0.2 now; augment True there, False now"),
        ({"sample_seed": 1}, "sample_seed 0 there, 1 now; other images or labels in the training or validation sample"),
        ({"grid": (0.05, 0.1)}, r"other settings \(1 there, 2 now\)"),
    ],
)
def test_another_protocol_is_refused(target, checkpoint, grid, tmp_path, instant_runs, changed, message):
    run_grid(target, [checkpoint], tmp_path / "out", grid=grid(0.05), **SMALL_GRID)
    rates = changed.get("grid", (0.05,))
    changed = {name: value for name, value in changed.items() if name != "grid"}
    options = SMALL_GRID | {"protocol": replace(SMALL_GRID["protocol"], **changed)}
    with pytest.raises(UsageError, match=f"were made in the same way.*: {message}.* Choose another --output"):
        run_grid(target, [checkpoint], tmp_path / "out", grid=grid(*rates), **options)


def test_another_test_split_is_refused(target, checkpoint, grid, tmp_path, instant_runs):
    """Equal training and validation samples, and one image less in the test split."""
    changing = tmp_path / "changing"
    shutil.copytree(target, changing)
    run_grid(changing, [checkpoint], tmp_path / "out", grid=grid(0.05), **SMALL_GRID)
    file = changing / "data" / "test-00000-of-00001.parquet"
    datasets.Dataset.from_parquet(str(file)).select(range(35)).to_parquet(file)
    with pytest.raises(UsageError, match=r"other images or labels in the .* or in the test split\. Choose another --output"):
        run_grid(changing, [checkpoint], tmp_path / "out", grid=grid(0.05), **SMALL_GRID)
    assert len(instant_runs) == 1


def test_of_two_protocols_at_once_one_is_refused(tmp_path, monkeypatch):
    write, refused, start = run_files.replace_file, [], threading.Barrier(2, timeout=30)

    def write_slowly(file, content):
        time.sleep(0.2)  # time for another process to look for the file
        write(file, content)

    def check(size):
        start.wait()
        try:
            run_files.check_protocol(tmp_path / "target", {"image_size": size}, {"train": {}})
        except UsageError as error:
            refused.append(str(error))

    monkeypatch.setattr(run_files, "replace_file", write_slowly)
    threads = [threading.Thread(target=check, args=(size,)) for size in (16, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(refused) == 1 and "image_size" in refused[0]


@pytest.mark.parametrize("seeds", [1, 2])
def test_another_checkpoint_of_one_name_is_refused(target, checkpoint, make_checkpoint, grid, tmp_path, seeds, instant_runs):
    out, other = tmp_path / "out", tmp_path / "elsewhere" / checkpoint.name
    shutil.copytree(make_checkpoint(size=16, seed=1), other)
    assert resolve(str(other)).revision != resolve(str(checkpoint)).revision
    run_grid(target, [checkpoint], out, grid=grid(0.05), **SMALL_GRID)
    before = sorted(out.rglob("run-*.json"))
    message = f"runs of {checkpoint.name} must .* checkpoint_revision; those in {out}.* Choose another --output, or .* name"
    with pytest.raises(UsageError, match=message):
        run_grid(target, [other], out, grid=grid(0.05), **SMALL_GRID | {"seeds": seeds})
    assert sorted(out.rglob("run-*.json")) == before
    runs = run_grid(target, {"other": other, checkpoint.name: checkpoint}, out, grid=grid(0.05), **SMALL_GRID)
    assert runs["checkpoint_revision"].nunique() == 2
    (other / "model.safetensors").unlink()
    with pytest.raises(UsageError, match="runs of other must"):
        run_grid(target, {"other": other}, out, grid=grid(0.05), **SMALL_GRID)


@pytest.mark.parametrize("labels", [{"benchmark": "mine"}, {"scenario": "architecture"}])
def test_finished_rows_with_other_labels_are_refused(target, checkpoint, grid, tmp_path, labels, instant_runs):
    run_grid(target, [checkpoint], tmp_path, grid=grid(0.05), **SMALL_GRID)
    with pytest.raises(UsageError, match=f"must all have one {next(iter(labels))}; .* Choose another --output"):
        run_grid(target, [checkpoint], tmp_path, grid=grid(0.05), **SMALL_GRID, labels=RowLabels(**labels))


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe",
        b'{"status": "o',
        b"[]",
        b"[" * 10**5,
        b"{}",
        {"test_auc": "0.7"},
        {"seconds": True},
        {"test_auc": 1.5},
        {"run": None},
    ],
)
def test_a_damaged_result_is_named_and_is_made_again_once_it_is_removed(
    target, checkpoint, grid, tmp_path, content, instant_runs
):
    before = run_grid(target, [checkpoint], tmp_path, grid=grid(0.05), **SMALL_GRID)
    (file,) = tmp_path.rglob("run-*.json")
    whole = json.loads(file.read_text())
    file.write_bytes(json.dumps(whole | content).encode() if isinstance(content, dict) else content)
    with pytest.raises(UsageError, match=r"run-0000\.json is damaged: .* Remove it, and the run is made again\."):
        run_grid(target, [checkpoint], tmp_path, grid=grid(0.05), **SMALL_GRID)
    file.unlink()
    assert run_grid(target, [checkpoint], tmp_path, grid=grid(0.05), **SMALL_GRID)["test_auc"].equals(before["test_auc"])


@pytest.mark.parametrize("content", [b"\xff\xfe", b"{", b"null"])
def test_a_damaged_protocol_is_named(target, checkpoint, grid, tmp_path, content, instant_runs):
    run_grid(target, [checkpoint], tmp_path, grid=grid(0.05), **SMALL_GRID)
    (file,) = tmp_path.rglob("protocol.json")
    file.write_bytes(content)
    with pytest.raises(UsageError, match=r"protocol\.json is damaged: .* Restore it, or choose another --output\."):
        run_grid(target, [checkpoint], tmp_path, grid=grid(0.05), **SMALL_GRID)
