"""Who is dropped in a race, and how large its samples are."""

import numpy as np
import pytest

from hf_transferability.ranking.dropping import below_threshold, best_positions, stage_sizes


def halves_around(scores: list[float], spread: float, n: int = 10) -> list[list[float]]:
    """Scores on half-samples with this spread."""
    rng = np.random.default_rng(0)
    return (np.array(scores) + spread * rng.standard_normal((n, len(scores)))).tolist()


def test_only_what_its_spread_cannot_lift_to_the_best_stays_behind():
    scores = [0.9, 0.8, 0.7, 0.65, 0.1]
    assert [entry.position for entry in below_threshold(scores, halves_around(scores, 0.05))] == [4]
    assert [entry.position for entry in below_threshold(scores, halves_around(scores, 0.001))] == [3, 4]
    assert below_threshold(scores, halves_around(scores, 0.5)) == []
    entry = below_threshold(scores, halves_around(scores, 0.05))[0]
    assert entry.score == 0.1 and entry.score < entry.highest < entry.threshold == 0.7


def test_as_many_go_on_as_are_to_be_kept():
    scores = [0.9, 0.8, 0.7, 0.6]
    assert [entry.position for entry in below_threshold(scores, halves_around(scores, 0.001), keep=1)] == [1, 2, 3]
    assert below_threshold(scores, halves_around(scores, 0.001), keep=4) == []
    equal = [0.5] * 6
    assert below_threshold(equal, halves_around(equal, 0.001), keep=2) == []


def test_the_best_are_as_many_as_asked_for_and_those_equal_to_the_last():
    assert best_positions([0.1, 0.9, None, 0.8, 0.8, 0.7], keep=2) == [1, 3, 4]
    assert best_positions([0.1, None, 0.3], keep=3) == [0, 2]
    assert best_positions([None, None]) == []


def test_a_candidate_without_score_or_spread_is_not_judged():
    scores = [0.9, None, 0.8, 0.1]
    halves = [[a, None, b, c] for a, _, b, c in halves_around([0.9, 0.0, 0.8, 0.1], 0.01)]
    assert [entry.position for entry in below_threshold(scores, halves, keep=2)] == [3]
    assert below_threshold(scores, [], keep=2) == []
    alone = [[a, None, b, None] for a, _, b, _ in halves]
    assert below_threshold(scores, alone, keep=2) == []


@pytest.mark.parametrize(("images", "classes"), [(300, 3), (1000, 10), (10_000, 100)])
def test_stages_grow_to_the_sample(images, classes):
    sizes = stage_sizes(images, classes)
    assert sizes == [round(images / 3), images]


def test_a_sample_that_is_small_for_its_classes_is_not_divided():
    assert stage_sizes(60, 3) == [60]
    assert stage_sizes(300, 30) == [300]
