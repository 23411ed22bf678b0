"""The objective on a device is that of the processor."""

import numpy as np
import pytest
import torch
from helpers.pretend_device import pretend_card

from hf_transferability.accelerated.neighbourhood_components import objective
from hf_transferability.accelerated.place import Place
from hf_transferability.metrics import _neighbourhood_components as here
from hf_transferability.metrics._accelerator import lent

SHAPES = [(60, 8, 2, 5), (40, 90, 3, 20), (150, 30, 40, 30), (90, 4, 3, 4), (300, 20, 7, 10)]


class Listening:
    """An accelerator that only remembers what it is asked for."""

    def in_place_of(self, work, own, inputs):
        self.own, self.inputs = own, inputs
        return own


def problem(n, d, classes, dimensions, dtype=np.float64, duplicates=False, scale=1.0):
    """The processor's objective, its inputs and points to evaluate it at."""
    rng = np.random.default_rng(n)
    codes = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])
    x = (rng.standard_normal((n, d)) + rng.standard_normal((classes, d))[codes]) * scale
    if duplicates:
        x[n // 2 :] = x[: n - n // 2]
    x = x.astype(dtype)
    heard = Listening()
    start = rng.standard_normal((dimensions, d)) * 0.3
    with lent(heard):
        here.neighbourhood_components(x, codes, start, 1)
    width = heard.inputs[0].shape[1]
    return heard, [(rng.standard_normal((dimensions, width)) * size).ravel() for size in (0.05, 0.3, 2.0)]


@pytest.mark.parametrize("duplicates", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-11), (np.float32, 3e-4)])
@pytest.mark.parametrize("shape", SHAPES)
def test_value_and_gradient(shape, dtype, tolerance, duplicates):
    heard, points = problem(*shape, dtype=dtype, duplicates=duplicates)
    evaluate = objective(Place(torch.device("cpu")), *heard.inputs)
    for point in points:
        expected, value = heard.own(point), evaluate(point)
        assert value[0] == pytest.approx(expected[0], rel=tolerance)
        assert value[1].dtype == dtype
        # Where the gradient vanishes, so do the digits of what it is a difference of.
        size = max(np.abs(expected[1]).max(), 0.1 * len(heard.inputs[0]))
        np.testing.assert_allclose(value[1], expected[1], rtol=0, atol=tolerance * size)


def test_far_apart_images_have_no_gradient_and_no_nan():
    heard, points = problem(60, 8, 2, 5, scale=1e4)
    expected, value = heard.own(points[-1]), objective(Place(torch.device("cpu")), *heard.inputs)(points[-1])
    assert np.isfinite(value[1]).all()
    assert value[0] == pytest.approx(expected[0])


def test_chunks_of_rows_give_the_same(monkeypatch):
    heard, points = problem(150, 30, 5, 8)
    place = Place(torch.device("cpu"))
    whole = objective(place, *heard.inputs)(points[1])
    monkeypatch.setattr(place, "rows", lambda row_bytes, arrays=0: 37)
    chunked = objective(place, *heard.inputs)(points[1])
    assert chunked[0] == pytest.approx(whole[0], rel=1e-12)
    np.testing.assert_allclose(chunked[1], whole[1], rtol=1e-9, atol=1e-12)


def test_without_memory_there_is_none(monkeypatch):
    heard, _ = problem(60, 8, 2, 5)
    place = Place(torch.device("cpu"))
    monkeypatch.setattr(place, "budget", lambda: 1000)
    assert objective(place, *heard.inputs) is None


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_no_tensor_is_on_another_device(dtype):
    heard, points = problem(60, 8, 3, 5, dtype=dtype)
    with pretend_card() as card:
        value = objective(Place(card), *heard.inputs)(points[1])
    assert value[0] == pytest.approx(heard.own(points[1])[0], rel=1e-4)
