import importlib

import numpy as np
import pytest

from hf_transferability.metrics import collect_flags, score
from hf_transferability.ranking.scoring import half_samples


def test_five_images_by_hand(scored):
    """Each of five images has all five as neighbours: 3 of 5 see a share of 3/5, 2 of 5 a share of 2/5."""
    arrays = {"features": np.array([[0.0], [1], [2], [3], [4]]), "labels": np.array([0, 1, 0, 1, 0])}
    assert scored("feature_quality", arrays)[0][0] == pytest.approx((3 * 0.6 + 2 * 0.4) / 5)


@pytest.mark.parametrize(("n", "d", "classes"), [(80, 60, 2), (70, 3, 3), (70, 3, 5), (40, 90, 2), (160, 60, 52)])
def test_every_initialisation(n, d, classes, make_arrays, scored):
    """PCA, identity, LDA, wider than the sample, LDA with more classes than dimensions."""
    value, flags = scored("feature_quality", make_arrays(n=n, d=d, classes=classes, signal=3.0))
    assert 0.2 <= value[0] <= 1
    assert ("n<=d" in flags) == (n <= d)


def test_dead_repeated_and_constant_features(make_arrays, scored):
    arrays = make_arrays(n=60, d=3, signal=3.0)
    x = arrays["features"]
    value, _ = scored("feature_quality", {**arrays, "features": np.hstack([x, x, np.zeros((60, 60)), np.full((60, 2), 0.1)])})
    assert value[0] > 0.8


def test_nothing_varies_within_the_classes(scored):
    labels = np.arange(12) % 2
    value, _ = scored("feature_quality", {"features": np.array([[0.0], [1.0]])[labels], "labels": labels})
    assert value[0] == 1


def test_refuses_too_few_images():
    with pytest.raises(ValueError, match=r"^`features` must have at least 5 rows; got 4. Take a larger sample.$"):
        score("feature_quality", features=np.eye(4), labels=[0, 0, 1, 1])


def test_a_rare_class_survives_the_subsample(monkeypatch, make_arrays, scored):
    monkeypatch.setattr(importlib.import_module("hf_transferability.metrics.feature_quality"), "_LARGEST_SAMPLE", 30)
    arrays = make_arrays(n=200, classes=2, signal=5.0)
    arrays["labels"][:] = 0
    arrays["labels"][:2] = 1
    value, flags = scored("feature_quality", arrays)
    assert value[0] < 1  # the two of the other class are there, and too few to fill their neighbourhood
    assert "subsampled" in flags


def widths(n: int, d: int, kind: str) -> np.ndarray:
    """Standard deviations of features: decaying as those of networks, with one or three that dominate, or far from 1."""
    decaying = np.arange(1, d + 1) ** -0.5
    factors = {
        "decaying": 1.0,
        "one dominates": 300.0,
        "one dominates by far": 30_000.0,
        "one among narrow": 300.0,
        "wide": 100.0,
    }
    decaying = np.ones(d) if kind.startswith("one") else decaying
    decaying[: d if kind == "wide" else 1] *= factors[kind]
    return decaying / (300.0 if kind == "one among narrow" else 1.0)


@pytest.mark.parametrize("kind", ["decaying", "one dominates", "one dominates by far", "one among narrow", "wide"])
@pytest.mark.parametrize(("n", "d"), [(400, 96), (200, 256)])
def test_half_samples_in_the_cheaper_form_spread_as_exact_ones(n, d, kind):
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, n)
    x = (rng.standard_normal((n, d)) + 0.4 * rng.standard_normal((4, d))[labels]) * widths(n, d, kind)
    exact, cheap = [], []
    for rows in half_samples(labels, 10, 0):
        with collect_flags():
            exact.append(score("feature_quality", features=x[rows], labels=labels[rows]))
            cheap.append(score("feature_quality", features=x[rows], labels=labels[rows], half_sample=True))
    assert np.mean(cheap) == pytest.approx(np.mean(exact), abs=0.03)  # exact ones move by 0.02 with a rounding error
    # Single halves take other paths by rounding, which moves the spread of ten of them by a tenth or two.
    assert np.std(cheap, ddof=1) == pytest.approx(np.std(exact, ddof=1), rel=0.35)


def test_more_classes_than_half_the_images(make_arrays, scored):
    value, flags = scored("feature_quality", make_arrays(n=60, d=4, classes=50))
    assert 0 <= value[0] <= 1
    assert "single_image_class" in flags
