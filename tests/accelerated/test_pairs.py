"""PARC's rank correlation on a device is that of the processor."""

import numpy as np
import pytest
import torch
from helpers.pretend_device import pretend_card

from hf_transferability.accelerated.pairs import correlation
from hf_transferability.accelerated.place import Place
from hf_transferability.metrics.parc import _rank_correlation, _sorted_pairs, _standardised

CPU = Place(torch.device("cpu"))


def rows(n, d, classes, duplicates=False):
    rng = np.random.default_rng(n)
    codes = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])
    x = rng.standard_normal((n, d)) + 0.5 * rng.standard_normal((classes, d))[codes]
    if duplicates:
        x[n // 2 :] = x[: n - n // 2]
    return _standardised(x), codes


@pytest.mark.parametrize("duplicates", [False, True])
@pytest.mark.parametrize(("n", "d", "classes"), [(60, 8, 2), (30, 29, 3), (150, 32, 40), (700, 2, 5), (5, 2, 2)])
@pytest.mark.parametrize("grouped", [False, True])
def test_values(n, d, classes, duplicates, grouped):
    unit, codes = rows(n, d, classes, duplicates)
    units = np.arange(n) // 2 if grouped else np.arange(n)
    expected = _rank_correlation(_sorted_pairs(unit, codes, units))
    assert correlation(CPU, unit, codes, units, 10)() == pytest.approx(expected, abs=1e-9)


def test_all_pairs_at_one_distance():
    unit = np.zeros((6, 3))
    assert correlation(CPU, unit, np.arange(6) % 2, np.arange(6), 10)() == 0.0


def test_without_memory_there_is_none(monkeypatch):
    place = Place(torch.device("cpu"))
    monkeypatch.setattr(place, "budget", lambda: 1000)
    assert correlation(place, *rows(60, 8, 2), np.arange(60), 10) is None


def test_no_tensor_is_on_another_device():
    unit, codes = rows(60, 8, 3, duplicates=True)
    with pretend_card() as card:
        value = correlation(Place(card), unit, codes, np.arange(60), 10)()
    assert value == pytest.approx(_rank_correlation(_sorted_pairs(unit, codes, np.arange(60))))
