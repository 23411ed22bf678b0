"""From fine-tuning runs to ground truth, and the noise ceiling."""

import numpy as np
import pandas as pd
import pytest
from helpers.tables import runs

from hf_transferability.benchmark import bundled, tables
from hf_transferability.benchmark.ground_truth import (
    choose,
    from_runs,
    halves,
    in_words,
    one_measure,
    reliability,
    reliability_over_seeds,
    runs_of,
    unit,
    with_shared_runs,
)
from hf_transferability.errors import UsageError

PAIR = ["scenario", "source", "target"]


@pytest.fixture(scope="module")
def published_runs():
    return bundled.load("runs")


def test_the_published_ground_truth_follows_from_the_runs(published_runs):
    found = from_runs(with_shared_runs(published_runs)).set_index(PAIR)
    expected = bundled.load("ground_truth").set_index(PAIR)
    assert len(expected) == 267
    found = found.loc[expected.index]
    np.testing.assert_allclose(found.performance, expected.performance, rtol=0, atol=1e-12)
    listed = expected.n_runs.notna()  # of the source that both scenarios share, the table gives no number
    assert listed.sum() == 256
    assert (found.n_runs[listed] == expected.n_runs[listed]).all()
    assert len(from_runs(published_runs)) == 256


def test_selections_by_hand():
    table = runs({("a", "skin"): [(0.3, 0.7), (0.1, 0.8), None, (0.2, 0.9)], ("b", "skin"): [(0.5, 0.6), (0.5, 0.5)]})
    assert from_runs(table).set_index("source").performance.to_dict() == {"a": 0.8, "b": 0.6}  # equal losses: the first run
    best_two = from_runs(table, "mean_of_best_2").set_index("source")
    assert best_two.performance.to_dict() == pytest.approx({"a": 0.85, "b": 0.55})
    assert best_two.n_runs.to_dict() == {"a": 3, "b": 2}
    assert from_runs(table, "mean_of_best_9").set_index("source").performance["a"] == pytest.approx(0.8)


def test_a_pair_whose_runs_all_failed_has_no_ground_truth():
    assert from_runs(runs({("a", "skin"): [None, None], ("b", "skin"): [(0.1, 0.9)]})).source.tolist() == ["b"]


def measured(*rows):
    """Ground truth from rows of source, measure, performance, standard deviation and seeds."""
    columns = ["source", "measure", "performance", "performance_sd", "n_runs"]
    frame = pd.DataFrame(rows, columns=columns).assign(
        benchmark="m", scenario="architecture", target="t", selection="mean_of_3_seeds"
    )
    return tables.check(frame, "ground_truth")


def test_one_measure_for_each_pair():
    both = measured(("a", "auc", 0.9, 0, 3), ("a", "accuracy", 0.7, 0, 3), ("b", "balanced_accuracy", 0.5, 0, 3))
    assert one_measure(both).measure.tolist() == ["auc", "balanced_accuracy"]
    assert one_measure(both, "accuracy").performance.tolist() == [0.7]
    with pytest.raises(UsageError, match=r"`measure` must be one that the ground truth has: .*; got 'average_precision'"):
        one_measure(both, "average_precision")
    without = measured(("a", "balanced_accuracy", 0.9, 0, 3), ("a", "accuracy", 0.7, 0, 3))
    with pytest.raises(UsageError, match=r"has the measures accuracy, balanced_accuracy\. Choose one with --measure"):
        one_measure(without)
    chosen, notes = choose(without, None, None, "accuracy")
    assert chosen.performance.tolist() == [0.7]
    assert notes[0] == "ground truth: mean accuracy of 3 fine-tuning seeds, as the cited study published it."
    assert unit(iter(["balanced_accuracy", "accuracy"])) == "accuracy or balanced accuracy"


def test_reliability_over_seeds_by_hand():
    """Variance between 0.8, 0.9 and 1.0 is 0.01; the mean of 4 seeds of standard deviation 0.1 has a variance of 0.0025."""
    noisy = measured(*((source, "auc", value, 0.1, 4) for source, value in zip("abc", (0.8, 0.9, 1.0), strict=True)))
    (row,) = reliability_over_seeds(noisy).to_dict("records")
    assert row["value"] == pytest.approx(0.75) and row["n_sources"] == 3
    assert reliability_over_seeds(noisy.assign(performance_sd=1.0)).value.tolist() == [0]
    assert reliability_over_seeds(noisy.assign(performance=0.5)).value.tolist() == [0]
    assert reliability_over_seeds(noisy.head(2)).empty
    assert reliability_over_seeds(noisy.drop(columns="performance_sd")).empty


@pytest.mark.parametrize("selection", ["best", "mean_of_best_0", "mean_of_best_", "highest_test_auc"])
def test_other_selections_are_refused(selection):
    with pytest.raises(UsageError, match="must be lowest_validation_loss or mean_of_best_K"):
        runs_of(selection)


@pytest.mark.parametrize(
    ("finished", "words"),
    [
        ([6, 8], "of the 5 fine-tuning runs with the lowest validation loss (de-noised)"),
        ([2, 8], "of the 5 fine-tuning runs with the lowest validation loss, or of all where fewer finished, at least 2"),
        ([2, 3], "of all finished fine-tuning runs, 2 to 3 per source and target"),
        ([2, 2], "of all finished fine-tuning runs, 2 per source and target"),
        ([1, 1], "of the only fine-tuning run that finished"),
    ],
)
def test_a_selection_says_how_many_runs_it_really_averages(finished, words):
    assert words in in_words("mean_of_best_5", finished)
    table = runs({(f"source {k}", "skin"): [(0.1, 0.8)] * n for k, n in enumerate(finished)})
    assert words in choose(None, table, "mean_of_best_5")[1][0]


def test_halves_share_the_settings_and_hold_all_runs():
    """Four settings; the figures tell which runs are in which half, for both sources the same."""
    figures = [(0.1 * i, 0.5 + 0.1 * i) for i in range(4)]
    table = runs({("a", "skin"): figures, ("b", "skin"): figures, ("skin", "skin"): figures, ("c", "skin"): figures[:1]})
    sources, first, second = halves(table, "source_dataset", "skin", "mean_of_best_4", repeats=20)
    assert sources.tolist() == ["a", "b"]  # not the target's own, and not one with a single run
    np.testing.assert_allclose(first[:, 0], first[:, 1])
    np.testing.assert_allclose(first + second, 2 * 0.65)  # two runs each: the two means have the mean of all
    assert len(np.unique(first[:, 0].round(9))) > 2
    _, own, _ = halves(table, "source_dataset", "skin", "mean_of_best_4", repeats=20, one_division=False)
    assert not np.allclose(own[:, 0], own[:, 1])


def test_one_setting_with_several_seeds_can_be_divided():
    table = runs({(source, "skin"): [(0.1 * i, 0.5 + 0.1 * i) for i in range(4)] for source in "ab"})
    table = table.assign(learning_rate=0.1, seed=table.run)
    _, first, second = halves(table, "source_dataset", "skin", "mean_of_best_4", repeats=20)
    np.testing.assert_allclose(first + second, 2 * 0.65)
    np.testing.assert_allclose(first[:, 0], first[:, 1])


def test_halves_are_seeded():
    table = runs({(source, "skin"): [(0.1, (i + j) / 10) for j in range(6)] for i, source in enumerate("abc")})
    one, again, other = (halves(table, "source_dataset", "skin", seed=seed)[1] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_reliability_of_runs_without_and_with_nothing_but_noise():
    rng = np.random.default_rng(0)
    clear = {(s, "skin"): [(rng.random(), 0.5 + 0.1 * i) for _ in range(8)] for i, s in enumerate("abcd")}
    row = reliability(runs(clear)).iloc[0]
    assert row.value == pytest.approx(1)
    assert row.n_sources == 4
    noise = {(s, f"t{t}"): [(rng.random(), rng.random()) for _ in range(8)] for s in "abcd" for t in range(30)}
    assert abs(reliability(runs(noise), repeats=20).value.mean()) < 0.15


def test_reliability_is_undefined_for_a_single_source_or_run():
    assert reliability(runs({("a", "skin"): [(0.1, 0.8)] * 4})).value.isna().all()
    assert reliability(runs({("a", "skin"): [(0.1, 0.8)], ("b", "skin"): [(0.1, 0.8)]})).n_sources.tolist() == [0]


def test_the_published_noise_ceiling(published_runs):
    """Published: 0.66 and 0.55 on average over the targets with scores; random divisions differ by 0.02 at most."""
    found = reliability(published_runs)
    assert ((found.low <= found.value) & (found.value <= found.high)).all()
    means = found[found.target != "chestmnist"].groupby("scenario").value.mean()
    assert means["source_dataset"] == pytest.approx(0.66, abs=0.02)
    assert means["architecture"] == pytest.approx(0.55, abs=0.02)


def test_the_mean_of_the_best_runs_is_less_noisy(published_runs):
    some = published_runs[published_runs.target.isin(["breastmnist", "organcmnist", "dermamnist"])]
    one, five = (reliability(some, selection, repeats=20).value for selection in ("lowest_validation_loss", "mean_of_best_5"))
    assert (five > one).all()
