import importlib

import numpy as np
import pytest

from hf_transferability.metrics import ScoreWarning, score


def test_one_component_by_hand(scored):
    """Three images allow one component, which says what the class shares say."""
    arrays = {"features": np.array([[0.0], [1], [3]]), "labels": np.array([0, 0, 1])}
    value, flags = scored("nleep", arrays)
    assert value[0] == pytest.approx((2 * np.log(2 / 3) + np.log(1 / 3)) / 3)
    assert flags == {"single_image_class"}


def test_clusters_that_are_classes(make_arrays, scored):
    arrays = make_arrays(n=90, d=4, signal=30.0)
    assert scored("nleep", arrays)[0][0] == pytest.approx(0, abs=1e-6)
    assert scored("nleep", arrays, variant="published")[0][0] == pytest.approx(1, abs=1e-6)


def test_spread_over_the_seeds_is_reported(make_arrays):
    arrays = make_arrays(n=100, d=20, classes=2, signal=0.0)
    text = r"^unstable: .* \(standard deviation 0\.\d+ over 5 seeds, gain over the class shares 0\.\d+\)$"
    with pytest.warns(ScoreWarning, match=text):
        score("nleep", features=arrays["features"], labels=arrays["labels"])


def test_default_is_steadier_than_a_single_mixture(make_arrays, scored):
    arrays = make_arrays(n=100, d=10, signal=0.7)
    default = [scored("nleep", arrays, seed=seed)[0][0] for seed in range(0, 30, 10)]
    single = [np.log(scored("nleep", arrays, seed=seed, variant="published")[0][0]) for seed in range(6)]
    assert np.std(default) < np.std(single)


def test_small_samples_and_duplicates(make_arrays, scored):
    arrays = make_arrays(n=12, d=3)
    twins = {key: np.repeat(value, 2, axis=0) for key, value in arrays.items()}
    assert np.isfinite([scored("nleep", arrays)[0], scored("nleep", twins)[0]]).all()


def test_published_names_what_it_cannot_do(make_arrays, scored):
    with pytest.raises(
        ValueError, match=r"^`features` must have at least 15 rows, 5 per class, for the published variant; got 14"
    ):
        scored("nleep", make_arrays(n=14), variant="published")
    arrays = make_arrays(n=40, d=40)
    arrays["features"] *= 1e8
    with pytest.raises(ValueError, match=r"^`features` must allow 15 separate mixture components"):
        scored("nleep", arrays, variant="published")


def test_large_samples_are_subsampled(monkeypatch, make_arrays, scored):
    monkeypatch.setattr(importlib.import_module("hf_transferability.metrics.nleep"), "_LARGEST_SAMPLE", 50)
    arrays = make_arrays(n=120, d=4)
    value, flags = scored("nleep", arrays)
    assert "subsampled" in flags
    assert scored("nleep", arrays)[0] == value
