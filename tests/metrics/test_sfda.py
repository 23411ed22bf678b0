import importlib
import tracemalloc
from math import exp

import numpy as np
import pytest

from hf_transferability.metrics import score


def sigmoid(value):
    return 1 / (1 + exp(-value))


def test_by_hand(scored):
    """One feature, two classes of three: the shrinkage leaves a single variance as it is."""
    classes = ([0.0, 1.0, 2.0], [2.0, 3.0, 4.0])

    def posteriors(groups):
        means = [sum(group) / 3 for group in groups]
        within = sum((x - mean) ** 2 for group, mean in zip(groups, means, strict=True) for x in group) / 6
        slope, middle = (means[1] - means[0]) / within, sum(means) / 2
        return [
            [sigmoid(sign * slope * (x - middle)) for x in group] for sign, group in zip((-1, 1), groups, strict=True)
        ], means

    own, means = posteriors(classes)
    moved = []
    for group, shares, other in zip(classes, own, means[::-1], strict=True):
        confidences = [sigmoid(2 * share - 1) for share in shares]  # the second softmax, of two shares
        moved.append([p * x + (1 - p) * other for p, x in zip(confidences, group, strict=True)])
    expected = sum(sum(shares) for shares in posteriors(moved)[0]) / 6
    arrays = {"features": np.concatenate(classes)[:, None], "labels": np.array([0] * 3 + [1] * 3)}
    assert scored("sfda", arrays)[0][0] == pytest.approx(expected, rel=1e-9)


def test_saturates_on_noise_and_says_so(make_arrays, scored):
    value, flags = scored("sfda", make_arrays(n=60, d=90, signal=0.0))
    assert value[0] == pytest.approx(1)
    assert flags == {"n<=d", "saturated"}


def test_both_variants_are_one(make_arrays, scored):
    assert scored("sfda", make_arrays())[0] == scored("sfda", make_arrays(), variant="published")[0]


def test_dead_and_cancelling_features(make_arrays, scored):
    arrays = make_arrays(n=90, d=3)
    x = arrays["features"]
    for features in (np.hstack([x, np.zeros((90, 3))]), np.hstack([x, -x])):
        value, _ = scored("sfda", {**arrays, "features": features})
        assert 1 / 3 < value[0] <= 1


def test_refuses_classes_without_variance():
    text = "^`features` must vary within a class; got the same row for all images of each. Take a sample with more"
    with pytest.raises(ValueError, match=text):
        score("sfda", features=np.eye(3)[[0, 1, 2] * 4], labels=[0, 1, 2] * 4)


@pytest.mark.parametrize("name", ["sfda", "etran"])
def test_a_large_sample_needs_few_copies(name, make_arrays):
    """Of its features in float64: one that is changed, and one for the check that they are finite."""
    arrays = make_arrays(n=30_000, d=128, classes=3)
    inputs = {"features": arrays["features"].astype(np.float32), "labels": arrays["labels"]}
    tracemalloc.start()
    score(name, **inputs)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * 8 * inputs["features"].size


def test_chunks_do_not_change_the_value(make_arrays, scored, monkeypatch):
    arrays = make_arrays(n=100, d=10)
    whole = scored("sfda", arrays)[0], scored("etran", arrays)[0]
    monkeypatch.setattr(importlib.import_module("hf_transferability.metrics._sample"), "_NUMBERS", 70)
    parts = scored("sfda", arrays)[0], scored("etran", arrays)[0]
    np.testing.assert_allclose(np.concatenate(parts), np.concatenate(whole), rtol=1e-10)
