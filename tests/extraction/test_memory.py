"""One forward and one backward pass give what two passes give, where memory allows it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from helpers.families import FAMILIES, SIZE
from timm.models import save_for_hf

from hf_transferability.checkpoints.loading import load
from hf_transferability.checkpoints.resolving import resolve
from hf_transferability.data.targets import Target, check_images, load_target
from hf_transferability.extraction import passes
from hf_transferability.extraction.memory import Plan, _plan, activation_bytes
from hf_transferability.extraction.passes import extract


@pytest.fixture(scope="module")
def target(make_target) -> Target:
    drawn = check_images(load_target(make_target(n=40, n_classes=3)))[0]
    # Even random networks part these classes by more than the margin; mixed labels have a gradient.
    labels = np.random.default_rng(0).permutation(drawn.labels)
    return Target(drawn.images, labels, drawn.class_names, "single_label", drawn.positions, drawn.key, drawn.provenance)


def timm_folder(folder: Path, name: str, arguments: dict) -> Path:
    torch.manual_seed(0)
    lively = {} if arguments else {"zero_init_last": False}  # else the second convolution has no gradient
    small = {"input_size": (3, 64, 64), "test_input_size": (3, 64, 64)}
    network = timm.create_model(name, num_classes=5, pretrained_cfg_overlay=small, **arguments, **lively)
    save_for_hf(network, str(folder), model_config={"num_classes": 5}, model_args=arguments, safe_serialization=True)
    return folder


@pytest.fixture(params=["resnet basic", "vit", "timm resnet18", "timm vit_tiny_patch16_224"])
def checkpoint(request, make_checkpoint, tmp_path):
    if request.param.startswith("timm "):
        arguments = {"img_size": SIZE, "depth": 2, "patch_size": 8} if "vit" in request.param else {}
        folder = timm_folder(tmp_path, request.param.removeprefix("timm "), arguments)
    else:
        folder = make_checkpoint(FAMILIES[request.param][0](), size=SIZE)
    return load(resolve(str(folder)))


def with_plan(monkeypatch, plan: Plan) -> None:
    monkeypatch.setattr(passes, "make_plan", lambda *arguments: plan)


def count_forwards(monkeypatch, checkpoint) -> list[int]:
    """Images of each forward pass from now on; every one is checked to ask for gradients of two weights at most."""
    forward, images = checkpoint.forward, []

    def counted(pixels):
        wanted = {id(parameter) for parameter in checkpoint.network.parameters() if parameter.requires_grad}
        assert wanted <= {id(layer.weight) for layer in checkpoint.layers}
        images.append(len(pixels))
        return forward(pixels)

    monkeypatch.setattr(checkpoint, "forward", counted)
    return images


def test_one_pass_gives_the_values_of_two(checkpoint, target, monkeypatch):
    images = count_forwards(monkeypatch, checkpoint)
    with_plan(monkeypatch, Plan(4, 0))
    two = extract(checkpoint, target)
    assert sum(images) == 2 * len(target)
    images.clear()
    with_plan(monkeypatch, Plan(4, 6))
    one = extract(checkpoint, target)
    assert sum(images) == len(target)
    assert (two.gradient_norms > 0).any(axis=0).all()
    np.testing.assert_allclose(one.gradient_norms, two.gradient_norms, rtol=1e-5)
    np.testing.assert_allclose(one.features, two.features, rtol=1e-5, atol=1e-5 * np.abs(two.features).max())
    np.testing.assert_allclose(one.source_probabilities, two.source_probabilities, rtol=1e-5)
    assert not any(parameter.requires_grad for parameter in checkpoint.network.parameters())


@pytest.fixture(scope="module")
def small(make_checkpoint):
    return load(resolve(str(make_checkpoint())))


def test_only_batches_that_fit_take_one_pass(small, target, monkeypatch):
    images = count_forwards(monkeypatch, small)
    with_plan(monkeypatch, Plan(4, 5))
    extract(small, target)
    assert sum(images) == 2 * 36 + 4, "six batches of 6 images in two passes, the remainder of 4 in one"


def test_out_of_memory_falls_back_to_two_passes_before_it_halves(small, target, monkeypatch):
    expected = extract(small, target)
    forward, held = small.forward, []

    def forward_with_little_memory(pixels):
        held.append(len(pixels) if torch.is_grad_enabled() else 0)
        if sum(held[-2:]) > 3:
            held.clear()
            raise torch.OutOfMemoryError("CUDA out of memory.")
        features, logits = forward(pixels)
        if features.requires_grad:
            features.register_hook(lambda gradient: held.clear())
        return features, logits

    monkeypatch.setattr(small, "forward", forward_with_little_memory)
    with_plan(monkeypatch, Plan(3, 6))
    arrays = extract(small, target)
    assert arrays.facts["micro_batch"] == 3, "two passes are enough"
    np.testing.assert_allclose(arrays.gradient_norms, expected.gradient_norms, rtol=1e-4)


def test_without_gradients_nothing_is_kept_for_them(small, target, monkeypatch):
    expected = extract(small, target)
    forward = small.forward

    def without_graph(pixels):
        assert not torch.is_grad_enabled()
        return forward(pixels)

    monkeypatch.setattr(small, "forward", without_graph)
    with_plan(monkeypatch, Plan(4, 100))
    arrays = extract(small, target, gradients=False)
    assert arrays.gradient_norms is None
    assert not arrays.with_gradients
    np.testing.assert_allclose(arrays.features, expected.features, atol=1e-5)


@pytest.mark.parametrize(("size", "budget"), [(25e6, 12e9), (25e6, 1e9), (1e5, 1e9), (4e9, 1e9)])
@pytest.mark.parametrize("cpu", [True, False])
def test_a_plan_fits_its_budget(size, budget, cpu):
    plan = _plan(int(size), budget, cpu)
    assert plan.micro_batch >= 1
    if plan.micro_batch > 1:
        assert 3 * plan.micro_batch * size <= budget
    assert plan.one_pass == 0 or (plan.one_pass + 2 * plan.micro_batch) * size <= budget


def test_usual_samples_take_one_pass_on_a_usual_machine():
    """Gradient batches of 183 images (1,100 in all) of 224 px in a ResNet-18, with 24 GB free."""
    assert _plan(25_000_000, 12e9, True).one_pass >= 183


def test_activations_are_measured(small):
    pixels = small.preprocess([np.zeros((24, 24, 3), dtype=np.uint8)])
    one, four = activation_bytes(small, pixels), activation_bytes(small, pixels.repeat(4, 1, 1, 1))
    assert pixels.nbytes < one
    assert four == pytest.approx(4 * one, rel=0.1)


@pytest.mark.parametrize("layers", [0, 1])
def test_a_network_without_two_layers_is_measured_too(small, layers):
    """Otherwise a micro-batch would be as large as can be, whatever the memory."""
    pixels = small.preprocess([np.zeros((24, 24, 3), dtype=np.uint8)])
    both = activation_bytes(small, pixels)
    fewer = activation_bytes(replace(small, layers=small.layers[:layers]), pixels)
    assert both <= fewer <= 3 * both
    assert not any(parameter.requires_grad for parameter in small.network.parameters())
