"""The objective of neighbourhood components analysis against its definition."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from hf_transferability.metrics import _soft_neighbours
from hf_transferability.metrics._soft_neighbours import SoftNeighbours


def defined(z: np.ndarray, codes: np.ndarray) -> tuple[float, np.ndarray]:
    """The value and half its gradient as the paper has them, in float64."""
    z = z.astype(np.float64)
    differences = z[:, None] - z
    far = (differences**2).sum(axis=2)
    np.fill_diagonal(far, np.inf)
    p = np.exp(far.min(axis=1, keepdims=True) - far)
    p /= p.sum(axis=1, keepdims=True)
    same = codes[:, None] == codes
    shares = (p * same).sum(axis=1, keepdims=True)
    weights = p * (shares - same)
    pull = np.einsum("ij,ijk->ik", weights, differences) - np.einsum("ij,ijk->jk", weights, differences)
    return float(shares.sum()), pull


def images(n: int, classes: int, scale: float, dtype: type = np.float64) -> tuple[np.ndarray, np.ndarray]:
    """Projected images with some relation to their classes, which rise."""
    rng = np.random.default_rng(n)
    codes = np.sort(np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)]))
    z = rng.standard_normal((n, 6)) + rng.standard_normal((classes, 6))[codes]
    return (scale * z).astype(dtype), codes


@pytest.mark.parametrize("scale", [0.01, 0.3, 1.0, 10.0, 1e4])
@pytest.mark.parametrize("n, classes", [(5, 2), (130, 3), (300, 40), (257, 2)])
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-9), (np.float32, 2e-3)])
def test_value_and_gradient(n: int, classes: int, scale: float, dtype: type, tolerance: float) -> None:
    z, codes = images(n, classes, scale, dtype)
    value, pull = SoftNeighbours(codes).value_and_pull(z)
    wanted, wanted_pull = defined(z, codes)
    assert np.isfinite(pull).all()
    if scale > 100:  # distances are rounded to 1e-8 (in float32 to whole numbers), and so are the logarithms of probabilities
        tolerance = 1e-5 if dtype == np.float64 else 0.1
    assert value == pytest.approx(wanted, rel=tolerance)
    np.testing.assert_allclose(pull, wanted_pull, atol=tolerance * max(np.abs(wanted_pull).max(), 1e-3 * scale))


@pytest.mark.parametrize("few", [0.0, 1.1])
def test_few_pairs_and_all_pairs_agree(few: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_soft_neighbours, "_FEW", few)
    z, codes = images(300, 5, 1.0)
    value, pull = SoftNeighbours(codes).value_and_pull(z)
    wanted, wanted_pull = defined(z, codes)
    assert value == pytest.approx(wanted, rel=1e-10)
    np.testing.assert_allclose(pull, wanted_pull, atol=1e-10)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_an_image_far_from_all_others_and_duplicates(dtype: type) -> None:
    z, codes = images(200, 3, 1.0, dtype)
    z[0] = 300.0
    z[10:14] = z[9]
    value, pull = SoftNeighbours(codes).value_and_pull(z)
    wanted, wanted_pull = defined(z, codes)
    tolerance = 1e-9 if dtype == np.float64 else 2e-3
    assert value == pytest.approx(wanted, rel=tolerance)
    np.testing.assert_allclose(pull, wanted_pull, atol=tolerance * np.abs(wanted_pull).max())


def test_threads_change_no_bit() -> None:
    z, codes = images(700, 4, 0.5)
    with ThreadPoolExecutor(4) as pool:
        value, pull = SoftNeighbours(codes, pool.map).value_and_pull(z)
    alone, pull_alone = SoftNeighbours(codes).value_and_pull(z)
    assert value == alone
    np.testing.assert_array_equal(pull, pull_alone)


@pytest.mark.parametrize("few", [0.0, 1.1])
def test_distances_that_rounding_makes_very_negative(few: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_soft_neighbours, "_FEW", few)
    z, codes = images(150, 3, 1e-3)
    z += 1e9  # squares of 1e18 are rounded to hundreds, far beyond the exponents that are numbers
    value, pull = SoftNeighbours(codes).value_and_pull(z)
    assert 0 <= value <= len(z)
    assert np.isfinite(pull).all()


def test_an_image_far_from_images_that_are_all_near_each_other():
    z, codes = images(400, 3, 0.1)
    z[5] = 300.0  # too far for one exponential of both directions, while no other pair is negligible
    value, pull = SoftNeighbours(codes).value_and_pull(z)
    wanted, wanted_pull = defined(z, codes)
    assert value == pytest.approx(wanted, rel=1e-9)
    np.testing.assert_allclose(pull, wanted_pull, atol=1e-9 * np.abs(wanted_pull).max())
