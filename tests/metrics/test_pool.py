"""The scales of pool-relative scores, against SciPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from hf_transferability.metrics._pool import rank_shares, scaled, sum_of_scaled

NAN = np.nan


def test_scaled_by_hand():
    values = np.array([[1.0, 3.0, 2.0, NAN], [5.0, 5.0, NAN, NAN], [NAN, NAN, NAN, NAN], [-1.0, 1.0, 0.0, 0.5]])
    expected = [[0.0, 1.0, 0.5, NAN], [NAN] * 4, [NAN] * 4, [0.0, 1.0, 0.5, 0.75]]
    np.testing.assert_array_equal(scaled(values), expected)


def test_values_that_differ_by_rounding_alone_are_one_value():
    values = np.array([0.3, 0.1 + 0.2, 0.3])
    assert np.isnan(scaled(values)).all()
    assert rank_shares(values).tolist() == [0.5] * 3


def test_rank_shares_by_hand():
    values = np.array([[10.0, 30.0, 20.0, NAN], [5.0, 5.0, 7.0, 1.0], [NAN, NAN, 4.0, NAN]])
    expected = [[0.5 / 3, 2.5 / 3, 1.5 / 3, NAN], [2 / 4, 2 / 4, 3.5 / 4, 0.5 / 4], [NAN, NAN, 0.5, NAN]]
    np.testing.assert_allclose(rank_shares(values), expected)


@given(st.lists(st.one_of(st.none(), st.integers(-5, 5)), min_size=1, max_size=12))
def test_rank_shares_are_scipys_average_ranks(values):
    array = np.array([NAN if value is None else value for value in values])
    known = ~np.isnan(array)
    shares = rank_shares(array)
    assert np.isnan(shares[~known]).all()
    assert shares[known] == pytest.approx((rankdata(array[known]) - 0.5) / max(known.sum(), 1))


def test_a_sum_of_scaled_parts_leaves_out_what_does_not_vary():
    parts = {"up": np.array([[1.0, 2.0, 3.0], [1.0, 1.0, 1.0], [1.0, NAN, 2.0]]), "down": np.array([[4.0, 4.0, 4.0]] * 3)}
    np.testing.assert_array_equal(
        sum_of_scaled(parts, {"up": 1, "down": -1}), [[0.0, 0.5, 1.0], [NAN, NAN, NAN], [0.0, NAN, 1.0]]
    )
    parts["down"] = np.array([[4.0, 5.0, 6.0]] * 3)
    np.testing.assert_array_equal(
        sum_of_scaled(parts, {"up": 1, "down": -1}), [[0.0, 0.0, 0.0], [0.0, -0.5, -1.0], [0.0, NAN, 0.0]]
    )
