"""Extraction equals the reference for all micro-batches, sizes of memory and numbers of processes."""

import json
import os
import shutil
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch

from hf_transferability.checkpoints.checkpoint import Checkpoint
from hf_transferability.checkpoints.loading import load
from hf_transferability.checkpoints.resolving import resolve
from hf_transferability.checkpoints.tracing import find_head, gradient_layers, trace
from hf_transferability.cli import main
from hf_transferability.data.targets import Target, check_images, load_target
from hf_transferability.errors import CheckpointError, TransferabilityError
from hf_transferability.extraction import gradient_batch
from hf_transferability.extraction.passes import extract, gradient_batches
from hf_transferability.extraction.processes import Processes
from hf_transferability.metrics import score

REFERENCE = Path(__file__).parents[1] / "reference" / "gradients"
EXPECTED = json.loads((REFERENCE / "expected.json").read_text())


def checked_target(folder, **options) -> Target:
    return check_images(load_target(folder, **options))[0]


def reference_case(name: str, dtype: torch.dtype) -> tuple[Checkpoint, Target]:
    """A recorded network and its recorded input, which has been preprocessed already."""
    from transformers import AutoModelForImageClassification

    network = AutoModelForImageClassification.from_pretrained(REFERENCE / name / "model", dtype=dtype)
    network.eval().requires_grad_(False)
    inputs = np.load(REFERENCE / name / "inputs.npz")
    pixels = torch.tensor(inputs["pixel_values"], dtype=dtype)
    traced = trace(network, lambda: network(pixel_values=pixels[:2]))
    head_name, head = find_head(traced.outputs, traced.result.logits)
    layers, _ = gradient_layers(network, traced.weights, head_name)
    checkpoint = Checkpoint(name, network, None, head, True, layers, {}, {})
    checkpoint.preprocess = lambda positions: pixels[list(positions)]
    target = Target(list(range(len(pixels))), inputs["labels"], [], "single_label", [], "", {})
    return checkpoint, target


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 2e-3)])
def test_reference_values(name, dtype, tolerance):
    checkpoint, target = reference_case(name, dtype)
    expected = EXPECTED[name]
    arrays = extract(checkpoint, target, micro_batch=7)
    norms = np.stack([expected["first_grad_norms"], expected["second_grad_norms"]], axis=1)
    np.testing.assert_allclose(arrays.gradient_norms, norms, rtol=tolerance, atol=tolerance * norms.max())
    ratio = score("feature_update_ratio", gradient_norms=arrays.gradient_norms)
    assert ratio == pytest.approx(expected["feature_update_ratio"], rel=tolerance)
    outputs = np.load(REFERENCE / name / "outputs.npz")
    np.testing.assert_allclose(arrays.features, outputs["features"], rtol=1e-4, atol=1e-4)
    logits = outputs["logits"].astype(np.float64)
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(arrays.source_probabilities, probabilities, atol=1e-5)
    layers = [layer.name.removesuffix(".weight") for layer in checkpoint.layers]
    assert layers == [expected["first_conv"], expected["second_conv"]]


@pytest.mark.parametrize("name", EXPECTED)
def test_batches_are_those_of_the_reference(name):
    sizes = EXPECTED[name]["batch_sizes"]
    assert [batch.stop - batch.start for batch in gradient_batches(sum(sizes))] == sizes


@pytest.mark.parametrize("n", [12, 13, 75, 98, 372, 1100])
def test_balanced_batches_cover_the_sample_in_order(n):
    batches = gradient_batches(n, "balanced")
    assert [i for batch in batches for i in range(batch.start, batch.stop)] == list(range(n))
    sizes = [batch.stop - batch.start for batch in batches]
    assert len(sizes) == 6
    assert max(sizes) - min(sizes) <= 1


@pytest.fixture(scope="module")
def tiny(make_target, make_checkpoint) -> tuple[Path, Path]:
    return make_target(n=40, n_classes=3), make_checkpoint()


def test_micro_batches_do_not_change_the_result(tiny):
    target = checked_target(tiny[0])
    checkpoint = load(resolve(str(tiny[1])))
    large, small = (extract(checkpoint, target, micro_batch=k) for k in (256, 1))
    np.testing.assert_allclose(small.features, large.features, atol=1e-5)
    np.testing.assert_allclose(small.gradient_norms, large.gradient_norms, rtol=1e-4)
    np.testing.assert_allclose(small.source_probabilities, large.source_probabilities, atol=1e-6)


def test_pixels_that_are_not_stored_are_preprocessed_again(tiny, monkeypatch):
    target = checked_target(tiny[0])
    checkpoint = load(resolve(str(tiny[1])))
    stored = extract(checkpoint, target, micro_batch=2)
    monkeypatch.setattr(gradient_batch, "_STORED_PIXELS", 2 * 2 * 3 * 24 * 24 * 4)
    again = extract(checkpoint, target, micro_batch=2)
    np.testing.assert_allclose(again.gradient_norms, stored.gradient_norms, rtol=1e-4)


def test_out_of_memory_halves_the_micro_batch(tiny):
    target = checked_target(tiny[0])
    checkpoint = load(resolve(str(tiny[1])))
    expected = extract(checkpoint, target, micro_batch=2)
    forward, sizes = checkpoint.forward, []

    def forward_with_little_memory(pixels):
        sizes.append(len(pixels))
        if len(pixels) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(pixels)

    checkpoint.forward = forward_with_little_memory
    arrays = extract(checkpoint, target, micro_batch=6)
    assert sizes[0] == 6
    assert arrays.facts["micro_batch"] == 1  # 6, 3, 1
    np.testing.assert_allclose(arrays.features, expected.features, atol=1e-5)
    np.testing.assert_allclose(arrays.gradient_norms, expected.gradient_norms, rtol=1e-4)


def test_out_of_memory_with_one_image_is_an_error_of_the_checkpoint(tiny):
    target = checked_target(tiny[0])
    checkpoint = load(resolve(str(tiny[1])))

    def forward_without_memory(pixels):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    checkpoint.forward = forward_without_memory
    with pytest.raises(CheckpointError, match="out of memory with a single image"):
        extract(checkpoint, target, micro_batch=4)


def test_features_that_are_not_finite_name_the_checkpoint(tiny, make_checkpoint):
    from safetensors.torch import load_file, save_file

    folder = make_checkpoint(seed=5)
    weights = load_file(folder / "model.safetensors")
    first = next(name for name in weights if name.endswith("embedder.embedder.convolution.weight"))
    weights[first] = weights[first] * float("inf")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=rf"{folder.name}.*"):
        extract(load(resolve(str(folder))), checked_target(tiny[0]))


def test_a_multi_label_target_has_no_gradient_norms(tiny):
    target = checked_target(tiny[0])
    several = Target(target.images, np.eye(3, dtype=int)[target.labels], target.class_names, "multi_label", [], "", {})
    arrays = extract(load(resolve(str(tiny[1]))), several)
    assert arrays.gradient_norms is None
    assert arrays.features.shape == (40, 32)


def test_processes_that_are_not_connected_are_refused(monkeypatch):
    class Alone:
        num_processes = 1

        def __init__(self, **options):
            pass

    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr("accelerate.PartialState", Alone)
    with pytest.raises(TransferabilityError, match="2 processes were started, but Accelerate sees 1"):
        Processes()


def test_a_process_that_never_appears_is_not_waited_for(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    values = {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("torch.accelerator.is_available", lambda: False)
    monkeypatch.setattr("hf_transferability.extraction.processes._START", timedelta(seconds=1))
    with pytest.raises(TransferabilityError, match=r"the processes cannot be connected: .*1/2 clients"):
        Processes()


def test_two_processes_give_the_result_of_one(tiny, tmp_path, capfd):
    """Real processes under torchrun: one table, one cache, equal numbers, and no process waits for a candidate that failed."""
    broken = tmp_path / "broken"
    shutil.copytree(tiny[1], broken)
    (broken / "model.safetensors").write_bytes(b"not weights")
    words = [str(tiny[0]), str(broken), str(tiny[1]), "--format", "json", "--micro-batch", "4"]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*launcher, "-m", "hf_transferability", "rank", *words, "--cache-dir", str(tmp_path / "two")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=600,
    )
    assert done.stdout, done.stderr
    assert done.returncode != 0
    two = json.loads(done.stdout)  # a second table would not parse
    assert main(["rank", *words, "--cache-dir", str(tmp_path / "one")]) == 1
    one = json.loads(capfd.readouterr().out)
    for document in (one, two):
        assert [row["error"] is None for row in document["rows"]] == [True, False]
    for component in ("feature_quality", "feature_update_ratio"):
        assert two["rows"][0][component] == pytest.approx(one["rows"][0][component], rel=1e-3, abs=1e-2)
    from safetensors.numpy import load_file

    files = [next((tmp_path / name).glob("*.safetensors")) for name in ("one", "two")]
    first, second = (load_file(path) for path in files)
    assert files[0].name == files[1].name
    for name in ("features", "source_probabilities", "gradient_norms"):
        np.testing.assert_allclose(second[name], first[name], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("n_processes", [2, 3, 8, 11])
def test_every_batch_is_done_once_by_any_number_of_processes(tiny, n_processes, monkeypatch):
    """Also for more processes than batches. Here they run one after the other, and each gets the results of those before."""
    target = checked_target(tiny[0])
    checkpoint = load(resolve(str(tiny[1])))
    expected = extract(checkpoint, target, micro_batch=8)
    shares: list = []
    for rank_of_process in range(n_processes):
        state = Processes()
        state.process_index, state.num_processes = rank_of_process, n_processes
        state.gather = lambda mine: shares.append(mine) or shares
        try:
            arrays = extract(checkpoint, target, micro_batch=8, state=state)
        except (AssertionError, ValueError):  # not all shares are there yet
            assert rank_of_process + 1 < n_processes
    np.testing.assert_allclose(arrays.features, expected.features, atol=1e-5)
    np.testing.assert_allclose(arrays.gradient_norms, expected.gradient_norms, rtol=1e-4)


def test_a_missing_gradient_names_its_cause(tiny, make_checkpoint):
    target = checked_target(tiny[0])
    checkpoint = load(resolve(str(tiny[1])))
    assert extract(checkpoint, target).facts["no_gradient"] is None

    lonely = Target(target.images.subset(range(12)), np.arange(12), [], "single_label", [], "", {})
    assert "two images of one class" in extract(checkpoint, lonely).facts["no_gradient"]

    forward, n = checkpoint.forward, iter(range(10_000))
    codes = torch.from_numpy(target.labels)

    def perfect(pixels):
        features, logits = forward(pixels)
        positions = [next(n) % len(codes) for _ in pixels]
        return features * 0 + torch.nn.functional.one_hot(codes[positions], 32).float(), logits

    checkpoint.forward = perfect
    assert "too easy" in extract(checkpoint, target, micro_batch=100).facts["no_gradient"]

    checkpoint.forward = lambda pixels: (forward(pixels)[0].detach() + 0 * sum(w.weight.sum() for w in checkpoint.layers), None)
    checkpoint.has_source_head = False
    assert "vanishes" in extract(checkpoint, target, micro_batch=100).facts["no_gradient"]
