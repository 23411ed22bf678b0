"""Agreement: cases that can be solved by hand, equality with scipy on resamples, and what is undefined."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hf_transferability import agreement
from hf_transferability.agreement import (
    STATISTICS,
    chance_of_best,
    draws,
    friedman,
    interval,
    kendall_tau,
    means,
    pearson,
    random_orders,
    regret_at,
    regret_of_first,
    resampled,
    spearman,
    split_half,
    weighted_tau,
)
from hf_transferability.errors import UndefinedAgreement

CORRELATIONS = {"weighted_tau": weighted_tau, "kendall_tau": kendall_tau, "pearson": pearson, "spearman": spearman}
AUCS = [0.5, 0.6, 0.7, 0.8]

# Few different values, so that ties in both are common.
numbers = st.lists(st.integers(0, 4), min_size=2, max_size=8)


@pytest.mark.parametrize("correlation", CORRELATIONS.values())
def test_the_same_order_is_1_and_the_opposite_one_minus_1(correlation):
    assert correlation(AUCS, AUCS) == pytest.approx(1)
    assert correlation([-auc for auc in AUCS], AUCS) == pytest.approx(-1)


def test_a_swap_at_the_top_costs_more_than_one_at_the_bottom():
    """Of four candidates with weights 1, 1/2, 1/3, 1/4 a pair weighs the sum of its two, whichever order ranks them."""
    top, bottom = [1, 2, 4, 3], [2, 1, 3, 4]
    total = 3 * (1 + 1 / 2 + 1 / 3 + 1 / 4)
    assert weighted_tau(top, AUCS) == pytest.approx(1 - 2 * (1 + 1 / 2) / total)
    assert weighted_tau(bottom, AUCS) == pytest.approx(1 - 2 * (1 / 3 + 1 / 4) / total)
    assert kendall_tau(top, AUCS) == kendall_tau(bottom, AUCS) == pytest.approx(1 - 2 / 6)


def test_the_first_argument_is_the_score_and_both_are_numbers_not_ranks():
    scores, aucs = [0.1, 0.9, 0.4], [0.6, 0.9, 0.7]
    assert weighted_tau(scores, aucs) == pytest.approx(1)
    assert weighted_tau(scores, aucs) == pytest.approx(stats.weightedtau(scores, aucs).statistic)


def test_regret_by_hand():
    aucs = [0.80, 0.90, 0.85, 0.70]
    assert regret_at([4, 3, 2, 1], aucs, 1) == pytest.approx(0.10)
    assert regret_at([4, 1, 3, 2], aucs, 2) == pytest.approx(0.05)
    assert regret_at([4, 3, 2, 1], aucs, 2) == 0


def test_regret_of_ties_is_the_mean_over_their_orders():
    aucs = [0.80, 0.90, 0.85, 0.70]
    assert regret_at([2, 2, 1, 1], aucs, 1) == pytest.approx(0.05)  # one of the first two
    assert regret_at([0, 0, 0, 0], aucs, 1) == pytest.approx(0.9 - np.mean(aucs))  # a random choice
    pairs = [max(pair) for pair in itertools.combinations(aucs, 2)]
    assert regret_at([0, 0, 0, 0], aucs, 2) == pytest.approx(0.9 - np.mean(pairs))


@given(st.integers(1, 4), st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), min_size=5, max_size=6))
def test_regret_equals_the_mean_over_all_orders(k, candidates):
    scores, aucs = zip(*candidates, strict=True)
    orders = [p for p in itertools.permutations(range(len(scores))) if sorted(p, key=lambda i: -scores[i]) == list(p)]
    wanted = np.mean([max(aucs) - max(aucs[i] for i in order[:k]) for order in orders])
    assert regret_at(scores, aucs, k) == pytest.approx(wanted)


def test_chance_of_the_best():
    aucs = [0.80, 0.90, 0.85]
    np.testing.assert_allclose(chance_of_best([3, 2, 1], aucs), [0, 1, 1])
    np.testing.assert_allclose(chance_of_best([2, 2, 1], aucs), [1 / 2, 1, 1])
    np.testing.assert_allclose(chance_of_best([0, 0, 0], aucs), [1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(chance_of_best([3, 2, 1], [0.9, 0.9, 0.8]), [1, 1, 1])  # any one of two best will do


@given(numbers, st.data())
def test_chance_of_the_best_grows_to_1(scores, data):
    aucs = data.draw(st.lists(st.integers(0, 4), min_size=len(scores), max_size=len(scores)))
    chances = chance_of_best(scores, aucs)
    assert (np.diff(chances) > -1e-12).all()
    assert chances[-1] == 1


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=5, max_size=5))
def test_chance_of_the_best_equals_the_mean_over_all_orders(candidates):
    scores, aucs = zip(*candidates, strict=True)
    orders = [p for p in itertools.permutations(range(5)) if sorted(p, key=lambda i: -scores[i]) == list(p)]
    best = [[max(aucs) in [aucs[i] for i in order[:k]] for k in range(1, 6)] for order in orders]
    np.testing.assert_allclose(chance_of_best(scores, aucs), np.mean(best, axis=0), atol=1e-12)


def test_of_equal_aucs_any_will_do_wherever_it_stands():
    """The first by score has the best AUC, though it is named after the other one that has it."""
    np.testing.assert_allclose(chance_of_best([1, 2, 3], [0.9, 0.8, 0.9]), [1, 1, 1])
    np.testing.assert_allclose(chance_of_best([3, 2, 1], [0.8, 0.9, 0.9]), [0, 1, 1])


def test_many_pools_at_once_are_the_same_as_each_alone():
    pools = np.random.default_rng(0).integers(0, 3, size=(2, 40, 5)).astype(float)
    each = list(zip(*pools, strict=True))
    np.testing.assert_array_equal(chance_of_best(*pools), [chance_of_best(*one) for one in each])
    np.testing.assert_allclose(regret_of_first(*pools), [regret_at(*one, 1) for one in each], atol=1e-12)
    for broken in ([[1, 2]], [[1, np.nan]]):
        with pytest.raises(ValueError, match="finite numbers"):
            regret_of_first(broken, [[0.7, 0.8]] if np.isnan(broken).any() else [[0.7, 0.8, 0.9]])


@pytest.mark.parametrize("correlation", CORRELATIONS.values())
@pytest.mark.parametrize(
    ("scores", "aucs", "text"),
    [
        ([1, 1, 1], [0.7, 0.8, 0.9], "the score is the same for all 3 candidates"),
        ([1, 2], [0.7, 0.7], "the fine-tuned performance is the same for all 2 candidates"),
        ([1], [0.7], "must be at least 2 candidates with score and fine-tuned performance; got 1"),
        ([], [], "got 0"),
    ],
)
def test_undefined_is_an_error_with_its_reason(correlation, scores, aucs, text):
    with pytest.raises(UndefinedAgreement, match=text):
        correlation(scores, aucs)


def test_two_candidates_are_enough_for_a_tau_but_not_for_a_choice_of_three():
    assert weighted_tau([1, 2], [0.7, 0.8]) == pytest.approx(1)
    assert regret_at([2, 1], [0.7, 0.8], 1) == pytest.approx(0.1)
    with pytest.raises(UndefinedAgreement, match="the first 3 of 2 leave nothing to choose from"):
        regret_at([1, 2], [0.7, 0.8], 3)


@pytest.mark.parametrize("function", STATISTICS.values())
@pytest.mark.parametrize("scores", [[1, np.nan, 2], [1, 2], [[1, 2, 3]], [np.inf, 1, 2]])
def test_wrong_arrays_are_refused(function, scores):
    with pytest.raises(ValueError, match="two lists of finite numbers") as caught:
        function(scores, [0.7, 0.8, 0.9])
    assert not isinstance(caught.value, UndefinedAgreement)


@settings(max_examples=60, deadline=None)
@given(numbers, st.data())
def test_resamples_equal_scipy(scores, data):
    """The counts of a resample stand for the candidates themselves: the same value as of the long list."""
    aucs = data.draw(st.lists(st.integers(0, 4), min_size=len(scores), max_size=len(scores)))
    counts = draws(len(scores), 6, data.draw(st.integers(0, 9)))
    for name, correlation in CORRELATIONS.items():
        for found, count in zip(resampled(name, scores, aucs, counts), counts, strict=True):
            chosen = np.repeat(np.arange(len(scores)), count)
            try:
                wanted = correlation(np.array(scores)[chosen], np.array(aucs)[chosen])
            except UndefinedAgreement:
                assert np.isnan(found)
            else:
                assert found == pytest.approx(wanted, abs=1e-9)


@given(numbers, st.data())
def test_regret_of_resamples_lies_within_that_of_their_orders(scores, data):
    aucs = data.draw(st.lists(st.integers(0, 4), min_size=len(scores), max_size=len(scores)))
    counts = draws(len(scores), 4, 0)
    for found, count in zip(resampled("regret_at_1", scores, aucs, counts), counts, strict=True):
        there = np.flatnonzero(count)
        first = [aucs[i] for i in there if scores[i] == max(scores[j] for j in there)]
        assert found in {max(aucs[i] for i in there) - auc for auc in first}


def bootstrapped(statistic, scores, aucs, seed=0):
    """The 90 % interval of a statistic over resampled candidates, as the comparison forms it."""
    x, y = np.asarray(scores, dtype=float), np.asarray(aucs, dtype=float)
    return interval(resampled(statistic, x, y, draws(len(x), 1000, seed), seed))


def test_intervals_are_seeded_and_hold_the_value():
    rng = np.random.default_rng(0)
    aucs = rng.random(30)
    scores = aucs + 0.3 * rng.random(30)
    for name in (*CORRELATIONS, "regret_at_1"):
        first = bootstrapped(name, scores, aucs, seed=1)
        assert first == bootstrapped(name, scores, aucs, seed=1)
        assert first != bootstrapped(name, scores, aucs, seed=2) or name == "regret_at_1"
        value = {**CORRELATIONS, **STATISTICS}[name](scores, aucs)
        assert first[0] <= value <= first[1]


def test_an_interval_needs_half_of_its_resamples():
    assert interval([np.nan, 1, 2]) is not None
    assert interval([np.nan, np.nan, 1]) is None
    assert interval([1.0]) is None
    assert bootstrapped("weighted_tau", [1] * 6, [0.7, 0.8, 0.9, 0.6, 0.5, 0.4]) is None


def test_random_orders_are_0_on_average():
    for name in CORRELATIONS:
        if name != "pearson":
            found = random_orders(name, AUCS, orders=4000, seed=3)
            assert abs(found.mean()) < 0.03
    regrets = random_orders("regret_at_1", AUCS, orders=4000, seed=3)
    assert regrets.mean() == pytest.approx(regret_at([0] * 4, AUCS, 1), abs=0.01)


def test_friedman_by_hand():
    chi2, p = friedman([[3, 3, 3], [2, 2, 2], [1, 1, 1]])
    assert chi2 == pytest.approx(6)  # 12 / (3 * 3 * 4) * (9 + 36 + 81) - 3 * 3 * 4
    assert p == pytest.approx(np.exp(-3))  # of chi2 with 2 degrees of freedom


def test_undefined_agreement_ranks_last():
    assert friedman([[3, np.nan], [2, 2], [1, 1]]) == friedman([[3, -9], [2, 2], [1, 1]])


@pytest.mark.parametrize("table", [[[1, 2], [2, 1]], [[1], [2], [3]], [[1, 1], [1, 1], [1, 1]]])
def test_friedman_is_undefined_for_too_few_or_equal_methods(table):
    with pytest.raises(UndefinedAgreement):
        friedman(table)


def test_halves_that_agree_and_halves_that_do_not():
    same = np.array([AUCS, AUCS])
    np.testing.assert_allclose(split_half("weighted_tau", same, same), [1, 1])
    np.testing.assert_allclose(split_half("kendall_tau", same, -same), [-1, -1])
    assert split_half("regret_at_1", [[1, 2, 3]], [[0.9, 0.8, 0.6]])[0] == pytest.approx(0.3)


def test_means_pass_over_what_is_undefined():
    np.testing.assert_equal(means([[1, np.nan, np.nan], [3, 4, np.nan]]), [2, 4, np.nan])


def test_numbers_close_to_a_constant_keep_their_digits():
    aucs = [0.99991, 0.99992, 0.99993, 0.99994]
    assert pearson([1, 2, 3, 4], aucs) == pytest.approx(1)
    assert pearson([1, 2, 3, 4], [0.9 + 1e-14 * i for i in range(4)]) == pytest.approx(1, abs=0.1)
    assert agreement.LEVEL == 0.9
