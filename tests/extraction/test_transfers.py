"""Pixels come to a CUDA card from pinned memory; elsewhere nothing is copied. And with them, a whole extraction there."""

import numpy as np
import pytest
import torch
from helpers.pretend_device import CARD, OnCard, pretend_card
from transformers import ViTConfig

from hf_transferability.checkpoints.checkpoint import Inputs
from hf_transferability.checkpoints.loading import load
from hf_transferability.checkpoints.resolving import resolve
from hf_transferability.data.targets import check_images, load_target
from hf_transferability.extraction.passes import extract
from hf_transferability.extraction.processes import Processes
from hf_transferability.extraction.transfers import moved

CPU = torch.device("cpu")
VIT = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 24,
    "patch_size": 8,
}


def test_on_a_cpu_nothing_is_copied():
    parts = [torch.rand(3, 2), torch.rand(1, 2)]
    assert [part.data_ptr() for part in moved(iter(parts), CPU)] == [part.data_ptr() for part in parts]


def test_each_part_is_asked_for_when_the_one_before_is_in_use():
    asked = []

    def parts():
        for number in range(3):
            asked.append(number)
            yield torch.tensor(number)

    for number, _ in enumerate(moved(parts(), CPU)):
        assert asked == list(range(number + 1))


def test_to_a_card_from_pinned_memory_without_waiting(monkeypatch):
    with pretend_card() as card:
        pinned, waiting = [], []
        monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: pinned.append(len(tensor)) or tensor)
        to = torch.Tensor.to
        monkeypatch.setattr(torch.Tensor, "to", lambda *args, **options: waiting.append(options) or to(*args, **options))
        parts = [torch.rand(3, 2), Inputs({"pixels": torch.rand(2, 2), "mask": torch.ones(2)})]
        first, second = moved(iter(parts), card)
        assert isinstance(first, OnCard)
        assert torch.equal(first.inner, parts[0])
        assert isinstance(second, Inputs)
        assert {value.device for value in second.values()} == {CARD}
    assert pinned == [3, 2, 2]
    assert waiting == [{"non_blocking": True}] * 3


def test_without_pinned_memory_all_the_same(monkeypatch):
    def refused(tensor):
        raise RuntimeError("CUDA error: out of memory")

    with pretend_card() as card:
        monkeypatch.setattr(torch.Tensor, "pin_memory", refused)
        part = torch.rand(3, 2)
        assert torch.equal(next(moved(iter([part]), card)).inner, part)


@pytest.mark.parametrize("micro_batch", [40, 3], ids=["one pass", "two passes"])
@pytest.mark.parametrize("config", [None, VIT], ids=["resnet", "vit"])
def test_an_extraction_on_a_card(make_target, make_checkpoint, config, micro_batch, monkeypatch):
    """No tensor of one device meets one of the other, and the arrays are those of the processor.

    Gradients are made up, as autograd asks for a driver.
    """

    def gradients(outputs, weights, grad_outputs, allow_unused):
        return tuple(torch.ones_like(weight) * grad_outputs.abs().sum() for weight in weights)

    monkeypatch.setattr(torch.autograd, "grad", gradients)
    target = check_images(load_target(make_target(n=36)))[0]
    source = resolve(str(make_checkpoint(ViTConfig(**config, num_labels=5) if config else None)))
    expected = extract(load(source), target, micro_batch=micro_batch)
    checkpoint, state = load(source), Processes()
    with pretend_card() as card:
        monkeypatch.setattr(Processes, "device", card)
        arrays = extract(checkpoint, target, micro_batch=micro_batch, state=state)
    assert next(checkpoint.network.parameters()).device == CARD
    np.testing.assert_allclose(arrays.features, expected.features, atol=1e-5)
    np.testing.assert_allclose(arrays.source_probabilities, expected.source_probabilities, atol=1e-6)
    np.testing.assert_allclose(arrays.gradient_norms, expected.gradient_norms, rtol=1e-4)
    assert arrays.facts["device"] == "cuda"
    assert arrays.facts["device_memory"] == 1.0
