"""The loss on a device is that of the processor."""

import numpy as np
import pytest
import torch
from helpers.pretend_device import pretend_card

from hf_transferability.accelerated.logistic import loss
from hf_transferability.accelerated.place import Place
from hf_transferability.metrics import _logistic as here
from hf_transferability.metrics._accelerator import lent


class Listening:
    """An accelerator that only remembers each problem that it is asked for."""

    def __init__(self):
        self.asked = []

    def in_place_of(self, work, own, inputs):
        self.asked.append((own, inputs))
        return own


def problems(n, d, classes, *, folds=3, missing=False, tolerance=1e-3):
    """The processor's losses, of float32 and (for a small tolerance) float64, with their inputs."""
    rng = np.random.default_rng(n + d)
    codes = np.concatenate([np.arange(classes), np.arange(classes), rng.integers(0, classes, n - 2 * classes)])
    x = rng.standard_normal((n, d)) + rng.standard_normal((classes, d))[codes]
    training = np.arange(folds)[:, None] != rng.integers(0, folds, n)
    if missing:
        training[0, codes == classes - 1] = False
    heard = Listening()
    # The loss of images whose class a fold has not seen has no weight.
    with lent(heard), np.errstate(invalid="ignore"):
        here.cross_validated_probabilities(x - x.mean(axis=0), codes, training, tolerance)
    return heard.asked


CASES = [
    {"n": 80, "d": 10, "classes": 3},
    {"n": 80, "d": 10, "classes": 2},
    {"n": 60, "d": 150, "classes": 4},
    {"n": 120, "d": 12, "classes": 30},
    {"n": 80, "d": 10, "classes": 3, "missing": True},  # a fold without a class, so of two
    {"n": 80, "d": 10, "classes": 4, "missing": True},
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_value_and_gradient(case):
    asked = problems(**case, tolerance=1e-8)
    assert {inputs[0].dtype for _, inputs in asked} == {np.dtype(np.float32), np.dtype(np.float64)}
    for own, inputs in asked:
        tolerance = 1e-11 if inputs[0].dtype == np.float64 else 1e-4
        evaluate = loss(Place(torch.device("cpu")), *inputs)
        size = (inputs[0].shape[1] + 1) * len(inputs[5]) * (inputs[4].max() + 1)
        for scale in (0.0, 0.1, 2.0):
            point = np.random.default_rng(1).standard_normal(size) * scale
            with np.errstate(invalid="ignore"):
                expected = own(point)
            value = evaluate(point)
            assert value[0] == pytest.approx(expected[0], rel=tolerance)
            np.testing.assert_allclose(value[1], expected[1], rtol=0, atol=tolerance * max(np.abs(expected[1]).max(), 1e-2))


def test_features_wider_than_any_matrix(monkeypatch):
    monkeypatch.setattr(here, "_WIDEST", 20)
    asked = problems(40, 100, 3)
    assert len(asked) == 3  # fold by fold
    for own, inputs in asked:
        size = (inputs[0].shape[1] + 1) * len(inputs[5]) * (inputs[4].max() + 1)
        point = np.random.default_rng(1).standard_normal(size)
        expected, value = own(point), loss(Place(torch.device("cpu")), *inputs)(point)
        np.testing.assert_allclose(value[1], expected[1], rtol=0, atol=1e-4 * np.abs(expected[1]).max())


def test_without_memory_there_is_none(monkeypatch):
    place = Place(torch.device("cpu"))
    monkeypatch.setattr(place, "budget", lambda: 1000)
    assert loss(place, *problems(80, 10, 3)[0][1]) is None


def test_no_tensor_is_on_another_device():
    own, inputs = problems(80, 10, 3)[0]
    point = np.random.default_rng(1).standard_normal(11 * 9)
    with pretend_card() as card:
        value = loss(Place(card), *inputs)(point)
    assert value[0] == pytest.approx(own(point)[0], rel=1e-4)
