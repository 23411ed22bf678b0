"""Limited-memory BFGS: the minima of functions that are known, and where it stops."""

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der

from hf_transferability.metrics._lbfgs import minimise


def bowl(x: np.ndarray) -> tuple[float, np.ndarray]:
    """A quadratic with curvatures from 1 to 1000 and its minimum at 1, 2, 3, ..."""
    curvature = np.geomspace(1, 1000, len(x)).astype(x.dtype)
    away = x - np.arange(1, len(x) + 1, dtype=x.dtype)
    return float((curvature * away**2).sum()) / 2, curvature * away


@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-6), (np.float32, 1e-2)])
def test_a_quadratic_in_both_precisions(dtype: type, tolerance: float) -> None:
    found = minimise(bowl, np.zeros(40, dtype=dtype), most_steps=500, gradient_tolerance=tolerance)
    assert found.x.dtype == found.gradient.dtype == dtype
    np.testing.assert_allclose(found.x, np.arange(1, 41), atol=2 * tolerance)
    assert found.steps < 500


def test_a_valley_that_bends() -> None:
    found = minimise(lambda x: (float(rosen(x)), rosen_der(x)), np.full(10, -1.0), most_steps=1000, gradient_tolerance=1e-8)
    np.testing.assert_allclose(found.x, 1.0, atol=1e-6)


def test_a_function_that_is_not_convex_ends_in_a_minimum() -> None:
    found = minimise(
        lambda x: (float(-np.cos(x).sum()), np.sin(x)), np.array([2.5, -3.0]), most_steps=99, gradient_tolerance=1e-9
    )
    np.testing.assert_allclose(np.cos(found.x), 1.0)


def test_steps_into_what_is_no_number_are_shortened() -> None:
    def log_barrier(x: np.ndarray) -> tuple[float, np.ndarray]:
        with np.errstate(invalid="ignore", divide="ignore"):
            return float((x - np.log(x)).sum()), 1 - 1 / x

    found = minimise(log_barrier, np.array([1e-3, 50.0]), most_steps=200, gradient_tolerance=1e-8)
    np.testing.assert_allclose(found.x, 1.0, atol=1e-6)


def test_it_stops_at_the_limit_of_steps_and_at_small_gains() -> None:
    start = np.zeros(40)
    assert minimise(bowl, start, most_steps=3, gradient_tolerance=0.0).steps == 3
    few = minimise(bowl, start, most_steps=500, gradient_tolerance=0.0, value_tolerance=0.1)
    many = minimise(bowl, start, most_steps=500, gradient_tolerance=0.0, value_tolerance=1e-6)
    assert few.steps < many.steps < 500


def test_it_stays_in_a_minimum_and_leaves_the_start_as_it_is() -> None:
    start = np.arange(1.0, 6.0)
    found = minimise(bowl, start, most_steps=9, gradient_tolerance=1e-9)
    assert found.steps == 0
    minimise(bowl, start := start + 1, most_steps=9, gradient_tolerance=1e-9)
    np.testing.assert_array_equal(start, np.arange(2.0, 7.0))


def test_where_nothing_can_be_lowered_it_ends() -> None:
    found = minimise(lambda x: (0.0, np.ones_like(x)), np.zeros(3), most_steps=9, gradient_tolerance=1e-9)
    assert found.steps == 0  # the gradient says that it falls, the values say that it does not
