"""Preprocessed images are computed once for candidates of one image processor, within the budget."""

import numpy as np
import pytest
import torch
from transformers import ViTImageProcessor

from hf_transferability.checkpoints.loading import load
from hf_transferability.checkpoints.resolving import resolve
from hf_transferability.data.targets import Target, check_images, load_target
from hf_transferability.errors import CheckpointError
from hf_transferability.extraction import pixels
from hf_transferability.extraction.passes import extract
from hf_transferability.extraction.pixels import PixelStore, Reader, processor_key


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


class Recorded:
    """A checkpoint that only preprocesses: images to rows of their first value, and tells what it was given."""

    name, input_names, image_size, processor = "recorded", ("pixel_values",), (224, 224), None

    def __init__(self):
        self.given = []

    def preprocess(self, images):
        values = [int(image[0, 0, 0]) for image in images]
        self.given.append(values)
        if 255 in values:
            raise ValueError("broken")
        return torch.tensor(values)[:, None].repeat(1, 2 if 254 not in values else 3)


def numbered(n: int, **special: int) -> Target:
    """Images whose first value is their position, or another one."""
    images = [np.full((2, 2, 3), special.get(f"at{position}", position), dtype=np.uint8) for position in range(n)]
    return Target(images, np.zeros(n, dtype=int), ["x"], "single_label", [], "key", {})  # type: ignore[arg-type]


def read_all(reader: Reader, parts: list[range]) -> list[list[int]]:
    return [part[:, 0].tolist() for part in reader(parts)]


@pytest.mark.parametrize("size", [1, 7, 32, 50, 100])
def test_pixels_come_in_order_for_any_micro_batch(size):
    batches = [slice(0, 100), slice(100, 170)]
    with Reader(Recorded(), numbered(170), batches) as reader:
        for batch in batches:
            parts = [range(a, min(a + size, batch.stop)) for a in range(batch.start, batch.stop, size)]
            assert read_all(reader, parts) == [list(part) for part in parts]
            assert read_all(reader, parts[-1:]) == [list(parts[-1])], "a second pass reads again"


def test_one_micro_batch_is_preprocessed_in_chunks_and_the_next_batch_ahead(monkeypatch):
    monkeypatch.setattr(pixels, "usable_cores", lambda: 4)
    checkpoint, batches = Recorded(), [slice(start, start + 40) for start in range(0, 240, 40)]
    with Reader(checkpoint, numbered(240), batches) as reader:
        assert read_all(reader, [range(40)]) == [list(range(40))]
        reader._threads.shutdown(wait=True)  # all that was asked for is done
    assert max(map(len, checkpoint.given)) <= 32
    done = {position for chunk in checkpoint.given for position in chunk}
    assert {*range(40), *range(40, 80)} <= done, "the next batch, while the network computes this one"
    assert len(checkpoint.given) <= 2 + 4 + 1, "not the whole sample"


def test_large_images_come_in_smaller_chunks():
    checkpoint = Recorded()
    checkpoint.image_size = (1024, 1024)
    with Reader(checkpoint, numbered(40), [slice(0, 40)]) as reader:
        list(reader([range(40)]))
    assert max(map(len, checkpoint.given)) * 12 * 1024**2 <= 64 * 2**20


def test_an_error_comes_through():
    with Reader(Recorded(), numbered(6, at3=255), [slice(0, 6)]) as reader, pytest.raises(ValueError, match="broken"):
        list(reader([range(6)]))


def test_images_of_several_sizes_are_a_clear_reason(monkeypatch):
    target = numbered(80, at70=254)
    with Reader(Recorded(), target, [slice(0, 80)]) as reader, pytest.raises(CheckpointError, match="images of several sizes"):
        list(reader([range(80)]))


def test_a_padding_processor_fails_with_its_reason(make_target, make_checkpoint, monkeypatch):
    checkpoint = load(resolve(str(make_checkpoint())))
    target = check_images(load_target(make_target(n=40, n_classes=3)))[0]

    def padding(images, return_tensors):
        """To the largest of the images given, as some processors do: here by how many there are."""
        return {"pixel_values": torch.zeros(len(images), 3, 24, 24 + len(images) % 2)}

    monkeypatch.setattr(checkpoint, "processor", padding)
    monkeypatch.setattr(pixels, "_CHUNK", 5)
    for store in (None, PixelStore()):
        with pytest.raises(CheckpointError, match="images of several sizes"):
            extract(checkpoint, target, store=store)


@pytest.mark.parametrize("values", [torch.zeros(10, 3, 4, 4), [torch.zeros(3, 4, 4), torch.zeros(3, 5, 4)], None])
def test_a_processor_that_gives_no_batch_is_a_clear_reason(values, make_checkpoint, monkeypatch):
    checkpoint = load(resolve(str(make_checkpoint())))
    monkeypatch.setattr(checkpoint, "processor", lambda images, return_tensors: {"pixel_values": values})
    with pytest.raises(CheckpointError, match="must give one input of one size for each image"):
        checkpoint.preprocess([np.zeros((4, 4, 3), dtype=np.uint8)] * 2)


def test_stored_pixels_of_several_sizes_are_not_stacked():
    store = PixelStore(10**6)
    store.add("key", [0], torch.zeros(1, 3, 4, 4))
    store.add("key", [1], torch.zeros(1, 3, 5, 4))
    assert store.get("key", [0, 1]) is None
    assert store.get("key", [1]).shape == (1, 3, 5, 4)
