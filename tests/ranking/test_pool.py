"""Scores over a pool, order, ranks and tie groups, on candidates made by hand."""

import numpy as np
import pytest

from hf_transferability.metrics import collect_flags
from hf_transferability.ranking.candidates import Candidate
from hf_transferability.ranking.pool import Entry, metric_over_pool, order, score_pool
from hf_transferability.ranking.scoring import Scores


def candidates(*scores: Scores | None, facts=()) -> list[Candidate]:
    """Candidates a, b, c, ... with these scores; None has failed."""
    facts = facts or [{}] * len(scores)
    return [
        Candidate("abcdefgh"[i], facts=own, scores=each, error=None if each else "gone")
        for i, (each, own) in enumerate(zip(scores, facts, strict=True))
    ]


def places(*entries: Entry) -> list[tuple]:
    """(position, rank, tie group) in rank order."""
    return [(place.position, place.rank, place.tie_group) for place in order(entries)]


def test_order_and_shared_ranks():
    ordered = order([Entry(None, failed=True), Entry(0.5), Entry(0.9), Entry(None), Entry(0.5)])
    assert [(place.position, place.rank) for place in ordered] == [(2, 1), (1, 2), (4, 2), (3, None), (0, None)]


def test_a_candidate_at_its_floor_is_listed_after_the_others_and_ties_none_of_them():
    steady = [[score] * 10 for score in (0.5, 0.1, 0.9)]
    found = places(Entry(0.5, steady[0]), Entry(0.1, steady[1]), Entry(0.9, steady[2], at_floor=True))
    assert found == [(0, 1, 1), (1, 2, 2), (2, 3, 3)]


def test_untrained_candidates_are_listed_after_trained_ones_and_only_before_those_that_could_not_be_loaded():
    entries = (
        Entry(None, untrained=None, failed=True),
        Entry(None, untrained=True),
        Entry(0.2),
        Entry(None, failed=True),
        Entry(0.1),
    )
    assert [place.position for place in order(entries)] == [2, 4, 3, 1, 0]


def test_candidates_that_flip_in_more_than_a_tenth_of_the_halves_are_tied():
    steady, close, far = [3.0] * 10, [2.0] * 8 + [4.0] * 2, [1.0] * 9 + [2.5]
    # The second beats the first in two halves of ten; the third beats the second in one.
    assert [group for _, _, group in places(Entry(3.0, steady), Entry(2.0, close), Entry(1.0, far))] == [1, 1, 2]


def test_a_tie_includes_those_between():
    found = places(Entry(3.0, [3.0, 1.0]), Entry(2.0, [2.0, 0.5]), Entry(1.0, [0.0, 1.5]))
    assert [group for _, _, group in found] == [1, 1, 1]


def test_equal_scores_are_tied_whatever_the_halves_say():
    found = places(Entry(1.0, [1.0] * 10), Entry(1.0, [0.5] * 10), Entry(0.0, [0.0] * 10))
    assert [group for _, _, group in found] == [1, 1, 2]


def test_without_halves_nothing_is_said_about_ties():
    ordered = order([Entry(1.0), Entry(1.0), Entry(0.0)])
    assert all(place.tie_group is None and place.first_share is None for place in ordered)


def test_the_share_of_halves_in_which_a_candidate_is_first():
    ordered = order([Entry(1.0, [4.0, 4.0, 1.0, 2.0]), Entry(0.9, [3.0, 5.0, 1.0, None]), Entry(0.1, [0.0, 0.0, 0.0, 0.0])])
    assert [place.first_share for place in ordered] == [0.625, 0.375, 0.0]  # one half is shared by two
    assert sum(place.first_share for place in ordered) == pytest.approx(1)


def test_a_candidate_at_its_floor_is_first_in_no_half():
    halves = [[0.5] * 4, [0.1] * 4, [0.9] * 4]
    ordered = order([Entry(0.5, halves[0]), Entry(0.1, halves[1]), Entry(0.9, halves[2], at_floor=True)])
    assert [(place.position, place.first_share) for place in ordered] == [(0, 1.0), (1, 0.0), (2, 0.0)]


def test_candidates_that_no_half_compares_cannot_be_told_apart():
    found = places(Entry(3.0, [3.0, 2.9]), Entry(2.0, [None, None]), Entry(1.0, [1.0, 1.1]))
    assert [group for _, _, group in found] == [1, 1, 1]


def test_one_alone_has_no_rank():
    first, last = order([Entry(None, failed=True), Entry(0.5, [0.4, 0.6])])
    assert first.position == 1
    assert first.rank is first.tie_group is first.first_share is None
    assert last.position == 0


def test_a_metric_that_is_the_same_for_all_is_flagged():
    pool = score_pool(candidates(*[Scores({"sfda": 1.0}, {"sfda": [1.0, 1.0]})] * 3), ["sfda"], "source_dataset")
    assert all("constant_over_pool" in flags for flags in pool.flags)
    ((flag, note),) = pool.notes
    assert flag == "constant_over_pool" and "sfda 1" in note


def test_intervals_of_the_published_variant_have_its_range():
    pool = score_pool(candidates(Scores({"nleep": 0.5}, {"nleep": [0.4, 0.5, 0.6]})), ["nleep"], "source_dataset", "published")
    assert pool.metrics["nleep"].intervals[0][1] > 0.6


def test_intervals_come_from_the_spread_of_the_halves():
    rng = np.random.default_rng(0)
    halves = rng.normal(-1.0, 0.1, 4000).tolist()
    scores = [Scores({"logme": -1.0}, {"logme": halves}), Scores({"logme": -2.0}, {"logme": halves})]
    pool = score_pool(candidates(*scores), ["logme"], "source_dataset")
    assert pool.notes == []
    assert pool.metrics["logme"].intervals[0] == pytest.approx([-1.1645, -0.8355], abs=0.01)


def test_intervals_stay_within_the_range():
    pool = score_pool(candidates(Scores({"leep": -0.01}, {"leep": [-0.5, -0.01, 0.0]})), ["leep"], "source_dataset")
    assert pool.metrics["leep"].intervals[0][1] == 0.0


def paper(quality: float, ratio: float) -> Scores:
    return Scores({"feature_quality": quality, "feature_update_ratio": ratio})


def test_a_composite_metric_uses_the_whole_pool():
    pool = candidates(paper(0.5, 1.0), paper(0.75, 3.0), paper(1.0, 2.0))
    assert metric_over_pool("transferability", pool, "source_dataset") == [0.0, 0.5, 0.5]
    assert metric_over_pool("transferability", [*pool, *candidates(None)], "architecture") == [1.0, 0.0, 0.0, None]
    with collect_flags() as flags:
        assert metric_over_pool("transferability", pool[:1], "source_dataset") == [None]
    assert "pool_of_one" in flags


def test_untrained_candidates_take_part_in_no_composite_score():
    facts = [{"untrained": False}] * 3 + [{"untrained": True}]
    pool = candidates(paper(0.5, 1.0), paper(0.75, 3.0), paper(1.0, 2.0), paper(9.0, 9.0), facts=facts)
    assert metric_over_pool("transferability", pool, "source_dataset") == [0.0, 0.5, 0.5, None]


def test_ranks_that_move_over_half_of_the_pool_are_flagged():
    halves = [[4.0, 3.0, 2.0, 1.0], [1.0, 3.5, 2.0, 0.5]]  # the first falls from rank 1 to 3; with the next, to 4
    for last, flagged in (([3.0, 4.0, 2.5, 1.0], False), ([0.1, 3.0, 2.0, 1.0], True)):
        columns = list(zip(*halves, last, strict=True))
        scores = [Scores({"logme": float(i)}, {"logme": list(column)}) for i, column in enumerate(columns)]
        pool = score_pool(candidates(*scores), ["logme"], "source_dataset")
        assert ["unstable" in flags for flags in pool.flags] == [flagged, False, False, False]
        assert not flagged or pool.flags[0]["unstable"] == "logme: rank 1 to 4 of 4 on half-samples"


def test_flags_of_the_pool_are_not_given_to_untrained_candidates():
    facts = [{}, {}, {"untrained": True}]
    pool = score_pool(
        candidates(paper(0.5, 1.0), paper(0.75, 3.0), paper(9.0, 9.0), facts=facts), ["transferability"], "source_dataset"
    )
    assert [list(flags) for flags in pool.flags] == [["pool_of_two"], ["pool_of_two"], []]


def test_flags_of_the_pool_are_not_given_to_candidates_without_the_metric():
    """A race computes gradients, and so the score of the paper, for its best only."""
    scores = [paper(0.5, 1.0), paper(0.75, 3.0), Scores({"feature_quality": 0.2})]
    pool = score_pool(candidates(*scores), ["transferability"], "source_dataset")
    assert [list(flags) for flags in pool.flags] == [["pool_of_two"], ["pool_of_two"], []]


def agreeing(quality: float, *halves: float) -> Scores:
    """Scores whose two members of the consensus agree, also on the half-samples."""
    names = ("feature_quality", "logme")
    return Scores(dict.fromkeys(names, quality), {name: list(halves) for name in names})


@pytest.mark.parametrize(
    ("sizes", "reachable"),
    [
        ([None] * 4, [(1 / 8, 7 / 8)] * 4),  # (rank - 1/2) / 4 for ranks 1 and 4
        ([1, 2, 3, 4], [(size / 8, size / 8 + 3 / 8) for size in (1, 2, 3, 4)]),  # half of that, and half of the size's rank
    ],
)
def test_an_interval_holds_only_what_the_rank_and_the_size_of_a_candidate_can_give(sizes, reachable):
    scores = [agreeing(0.4, 0.4, 0.1), agreeing(0.3, 0.3, 0.4), agreeing(0.2, 0.2, 0.3), agreeing(0.1, 0.1, 0.2)]
    pool = candidates(*scores, facts=[{"parameters": size} for size in sizes])
    intervals = score_pool(pool, ["consensus"], "source_dataset").metrics["consensus"].intervals
    for interval, (low, high) in zip(intervals, reachable, strict=True):
        assert low - 1e-9 <= interval[0] <= interval[1] <= high + 1e-9
    assert intervals[0] == pytest.approx(reachable[0])  # first and last of two halves: everything that it can reach


def test_a_failed_candidate_has_no_values():
    pool = score_pool(candidates(Scores({"logme": 1.0}), None, Scores({"logme": 2.0})), ["logme"], "source_dataset")
    assert pool.metrics["logme"].values == [1.0, None, 2.0]
    assert pool.flags[1] == {}
