"""The decision after short runs: figures count as far as they differ by more than their error, else the ranking."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from hf_transferability.choosing.contenders import Contender
from hf_transferability.choosing.decision import Result, decide, standard_error

EVIDENCE = {"chance_of_best": [0.4, 0.6, 0.8, 0.9, 1.0], "regret": 0.03}


def decided(aucs: list[float | None], images: int = 600, evidence: dict | None = EVIDENCE):
    """The decision over contenders a, b, c ... of the ranking with these validation AUCs."""
    names = "abcde"[: len(aucs)]
    contenders = [Contender(name, place, True, 1 - place / 10) for place, name in enumerate(names, 1)]
    results = [
        Result(name, place, auc, auc, 0.01, None if auc is None else images, 2)
        for place, (name, auc) in enumerate(zip(names, aucs, strict=True), 1)
    ]
    return decide(contenders, results, evidence)


def test_a_clear_difference_decides_and_a_small_one_leaves_it_to_the_ranking():
    clear = decided([0.70, 0.90, 0.72])
    assert (clear.recommended, clear.by) == ("b", "fine-tuning")
    assert decided([0.70, 0.71, 0.705], images=60).recommended == "a"
    assert decided([0.70, 0.90, 0.72], images=20).recommended == "b"
    assert decided([0.8, 0.8, 0.8]).recommended == "a"
    assert decided([0.80, 0.79, 0.60]).runner_up == "b"


def test_without_two_figures_the_ranking_decides():
    for aucs in ([None, 0.9], [0.9], [None, None, None]):
        decision = decided(aucs)
        assert (decision.recommended, decision.by, decision.expected_loss) == ("a", "ranking", EVIDENCE["regret"])
    nothing = decide([], [], None)
    assert nothing.recommended is nothing.runner_up is nothing.expected_loss is None


def test_the_expected_loss_falls_with_clearer_figures_and_with_more_contenders():
    clear, close = decided([0.9, 0.7]), decided([0.9, 0.89], images=100)
    assert clear.expected_loss is not None and close.expected_loss is not None
    assert 0 < clear.expected_loss < close.expected_loss
    missed = (1 - 0.6) * 0.03 / (1 - 0.4)  # the best is not among the first two
    assert clear.expected_loss == pytest.approx(missed, abs=2e-3)
    four = decided([0.9, 0.7, 0.7, 0.7])
    assert four.expected_loss is not None and four.expected_loss < clear.expected_loss
    assert decided([0.9, 0.7], evidence=None).expected_loss is None


def test_few_of_a_pool_that_is_larger_than_the_benchmarks_count_as_the_same_share_of_it():
    contenders = [Contender(name, place, True, 1 - place / 10) for place, name in enumerate("abcd", 1)]
    results = [
        Result(one.name, one.rank, auc, auc, 0.01, 600, 2) for one, auc in zip(contenders, [0.9] + [0.7] * 3, strict=True)
    ]
    losses = [decide(contenders, results, EVIDENCE, n).expected_loss for n in (5, 10, 20)]
    # Four of 10 are two of 5, four of 20 one of 5: what is missed has these chances.
    expected = [(1 - chance) * 0.03 / (1 - 0.4) for chance in (0.9, 0.6, 0.4)]
    np.testing.assert_allclose(losses, expected, atol=2e-3)


def test_the_standard_error_of_an_auc_is_that_of_repeated_samples():
    rng, labels = np.random.default_rng(0), np.repeat([0, 1], 100)
    aucs = [roc_auc_score(labels, rng.normal(labels * 1.2)) for _ in range(400)]
    assert standard_error(float(np.mean(aucs)), 200) == pytest.approx(np.std(aucs), rel=0.15)
