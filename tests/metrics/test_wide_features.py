"""Features wider than the sample: the same values as from matrices of n_features x n_features, without these."""

import tracemalloc

import numpy as np
import pytest

from hf_transferability.metrics import _logistic, score
from hf_transferability.metrics._discriminant import (
    Coordinates,
    adaptive_shrinkage,
    coordinates,
    log_posteriors,
    means_and_within_covariance,
)
from hf_transferability.metrics._sample import Sample


@pytest.mark.parametrize("scale", [0.01, 0.1, 0.3])
def test_the_discriminant_on_the_principal_axes_is_that_of_the_features(scale):
    """Small features, so that the shrinkage is neither nothing nor all."""
    rng = np.random.default_rng(0)
    codes = np.arange(40) % 3
    x = scale * (rng.normal(size=(40, 120)) + 0.3 * codes[:, None])
    values = []
    for space in (Coordinates(x, np.ones(120), 120), coordinates(Sample(x))):
        means, within = means_and_within_covariance(space.x, codes)
        shrinkage = adaptive_shrinkage(within, space.ones)
        posteriors = log_posteriors(space.x, codes, means, within, shrinkage, space.n_features)
        values.append((shrinkage, posteriors - posteriors.mean(axis=1, keepdims=True)))
    assert coordinates(Sample(x)).x.shape == (40, 40)
    assert values[1][0] == pytest.approx(values[0][0], rel=1e-9)
    np.testing.assert_allclose(values[1][1], values[0][1], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("classes", [2, 4])
def test_the_linear_probe_from_inner_products_is_that_from_features(monkeypatch, classes):
    rng = np.random.default_rng(1)
    codes = np.arange(60) % classes
    x = np.exp(rng.normal(size=90)) * (rng.normal(size=(60, 90)) + 0.2 * codes[:, None])
    x[:, 5] = 1.0
    x[:12, 7], x[12:, 7] = np.arange(12), 3.0  # constant among the training images of the first fold
    training = np.array([np.arange(60) // 12 != fold for fold in range(5)])
    expected, _ = _logistic.cross_validated_probabilities(x - x.mean(axis=0), codes, training, 1e-7)
    monkeypatch.setattr(_logistic, "_WIDEST", 10)
    values, converged = _logistic.cross_validated_probabilities(x - x.mean(axis=0), codes, training, 1e-7)
    assert converged
    np.testing.assert_allclose(values, expected, atol=2e-3)


@pytest.mark.parametrize("metric", ["sfda", "etran", "linear_probe"])
def test_memory_grows_with_the_features_not_with_their_square(metric):
    """6,000 x 6,000 numbers would take 137 MiB in float32; the features take 1.1."""
    x = np.random.default_rng(0).normal(size=(24, 6000))
    tracemalloc.start()
    try:
        with pytest.warns(UserWarning) if metric != "linear_probe" else pytest.MonkeyPatch.context():
            score(metric, features=x, labels=np.arange(24) % 2)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 30 * 2**20
