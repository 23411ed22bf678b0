"""Neighbours on a device are those of the processor, also where distances are tied."""

import numpy as np
import pytest
import torch
from helpers.pretend_device import pretend_card
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from hf_transferability.accelerated import neighbours
from hf_transferability.accelerated.place import Place
from hf_transferability.metrics._groups import neighbours_outside
from hf_transferability.metrics.knn import _within_reach

SHAPES = [(60, 8), (40, 90), (30, 20), (200, 2)]


@pytest.fixture(params=["whole", "chunks of 7 rows"])
def place(request, monkeypatch):
    place = Place(torch.device("cpu"))
    if request.param != "whole":
        monkeypatch.setattr(place, "rows", lambda row_bytes, arrays=0: 7)
    return place


def features(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def whole_numbers(n=80, d=20):
    """Features whose distances are exact in float64, many of them tied, and many images occurring several times."""
    rng = np.random.default_rng(3)
    return rng.integers(-1, 2, (30, d)).astype(np.float64)[rng.integers(0, 30, n)]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_nearest_others(place, shape):
    x = features(*shape)
    expected = NearestNeighbors(n_neighbors=6).fit(x).kneighbors()
    got = neighbours.nearest(place, x, 6)()
    np.testing.assert_allclose(got[0], expected[0], rtol=1e-9)
    assert np.array_equal(got[1], expected[1])


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("x", [features(60, 8), whole_numbers()], ids=["distinct", "tied"])
def test_all_within_reach(place, x, grouped):
    groups = np.arange(len(x)) // 3 if grouped else np.arange(len(x))
    rows = np.arange(1, len(x), 2)
    expected = _within_reach(x, rows, 5, 1e-9, groups)
    got = neighbours.within_reach(place, x, 5, 1e-9, groups, len(rows))(rows)
    for one, other in zip(got[:2], expected[:2], strict=True):
        assert np.array_equal(one, other)
    for one, other in zip(got[2:], expected[2:], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_outside_groups(place, shape):
    x = features(*shape)
    groups = np.random.default_rng(1).integers(0, len(x) // 3, len(x))
    expected, got = neighbours_outside(x, groups, 5), neighbours.outside(place, x, groups, 5)()
    assert np.array_equal(np.sort(got, axis=1), np.sort(expected, axis=1))
    assert (groups[got] != groups[:, None]).all()


def test_outside_groups_the_processor_chooses_among_tied_images(place):
    assert neighbours.outside(place, whole_numbers(), np.arange(80) // 4, 5)() is NotImplemented


@pytest.mark.parametrize("shape", [(60, 20), (40, 90), (200, 16)])
def test_shares_of_neighbours_as_scikit_learn_counts_them(place, shape):
    x = features(*shape)
    codes = np.random.default_rng(2).integers(0, 3, len(x))
    np.testing.assert_allclose(neighbours.shares(place, x, codes, 5)(), shares_here(x, codes))


def test_shares_among_tied_images_of_one_class(place):
    """Every image occurs four times with one label: which of a neighbour's copies is taken changes no share."""
    x, codes = np.repeat(features(20, 20), 4, axis=0), np.repeat(np.random.default_rng(2).integers(0, 3, 20), 4)
    np.testing.assert_allclose(neighbours.shares(place, x, codes, 5)(), shares_here(x, codes))


def test_the_processor_chooses_among_tied_images_of_several_classes(place):
    x = whole_numbers()
    assert neighbours.shares(place, x, np.random.default_rng(2).integers(0, 3, len(x)), 5)() is NotImplemented


def shares_here(x, codes):
    return KNeighborsClassifier(5).fit(x, codes).predict_proba(x)[np.arange(len(x)), codes]


def test_without_memory_there_is_none(monkeypatch):
    place, x = Place(torch.device("cpu")), features(60, 8)
    monkeypatch.setattr(place, "budget", lambda: 1000)
    codes = np.zeros(60, dtype=int)
    assert neighbours.nearest(place, x, 5) is None
    assert neighbours.within_reach(place, x, 5, 0.0, codes, 60) is None
    assert neighbours.outside(place, x, codes, 5) is None
    assert neighbours.shares(place, x, codes, 5) is None


def test_no_tensor_is_on_another_device():
    x, codes = whole_numbers(), np.arange(80) % 3
    groups = np.arange(80) // 4
    with pretend_card() as card:
        place = Place(card)
        neighbours.nearest(place, x, 5)()
        neighbours.within_reach(place, x, 5, 1e-9, groups, 20)(np.arange(20))
        neighbours.outside(place, x, groups, 5)()
        neighbours.shares(place, x, codes, 5)()
        x = features(60, 8)
        positions = neighbours.outside(place, x, groups[:60], 5)()
        shares = neighbours.shares(place, x, codes[:60], 5)()
    assert isinstance(positions, np.ndarray)
    np.testing.assert_allclose(shares, shares_here(x, codes[:60]))
