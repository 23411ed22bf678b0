"""Preprocessed images are computed once for candidates of one image processor, within the budget."""

import numpy as np
import pytest
import torch
from transformers import ViTImageProcessor

from hf_transferability.checkpoints.loading import load
from hf_transferability.checkpoints.resolving import resolve
from hf_transferability.data.targets import check_images, load_target
from hf_transferability.extraction.passes import extract
from hf_transferability.extraction.pixels import PixelStore, ahead, processor_key


@pytest.fixture(scope="module")
def target(make_target):
    return check_images(load_target(make_target(n=40, n_classes=3)))[0]


def counted(checkpoint, monkeypatch) -> list[int]:
    """Images of each call of its processor from now on."""
    preprocess, images = checkpoint.preprocess, []
    monkeypatch.setattr(checkpoint, "preprocess", lambda given: images.append(len(given)) or preprocess(given))
    return images


def test_a_second_candidate_finds_the_pixels_of_the_first(target, make_checkpoint, monkeypatch):
    first, second, other = (
        load(resolve(str(make_checkpoint(seed=seed, size=size)))) for seed, size in [(0, 24), (1, 24), (2, 20)]
    )
    expected = extract(second, target, micro_batch=5)
    store = PixelStore()
    images = counted(second, monkeypatch), counted(other, monkeypatch)
    for checkpoint in (first, other):
        extract(checkpoint, target, micro_batch=4, store=store)
    assert sum(images[1]) == 40
    arrays = extract(second, target, micro_batch=5, store=store)
    assert sum(images[0]) == 0
    assert np.array_equal(arrays.features, expected.features)
    assert np.array_equal(arrays.gradient_norms, expected.gradient_norms)


def test_the_budget_bounds_what_is_stored(target, make_checkpoint, monkeypatch):
    checkpoint = load(resolve(str(make_checkpoint())))
    store = PixelStore(10 * 3 * 24 * 24 * 4)
    expected = extract(checkpoint, target, micro_batch=8, store=store)
    assert len(store._stored) == 10
    images = counted(checkpoint, monkeypatch)
    again = extract(checkpoint, target, micro_batch=8, store=store)
    assert 40 - 10 <= sum(images) <= 40
    assert np.array_equal(again.features, expected.features)


def test_processors_share_a_key_exactly_when_they_are_equal():
    def key(**settings) -> str | None:
        return processor_key(ViTImageProcessor(size={"height": 24, "width": 24}, **settings))

    assert key() == key()
    assert key() != key(image_mean=[0.1, 0.5, 0.5])
    assert key() != key(resample=0)
    assert processor_key(lambda images: images) is None


def test_results_come_in_order_and_an_error_comes_through():
    assert [int(value) for value in ahead(lambda part: torch.tensor(part.start), [range(i, i + 1) for i in range(20)])] == [
        *range(20)
    ]

    def broken(part: range) -> torch.Tensor:
        if part.start == 3:
            raise ValueError("broken")
        return torch.tensor(part.start)

    with pytest.raises(ValueError, match="broken"):
        list(ahead(broken, [range(i, i + 1) for i in range(6)]))
