"""Order, ranks and tie groups of a pool, on rows made by hand."""

import numpy as np
import pytest

from hf_transferability.metrics import collect_flags
from hf_transferability.ranking import pool
from hf_transferability.ranking.scoring import Scores
from hf_transferability.results import ranked_rows


def make_row(score, halves=(), flags=(), error=None):
    return {"score": score, "flags": list(flags), "error": error, "halves": {"logme": list(halves), "transferability": []}}


def test_order_and_shared_ranks():
    rows = [make_row(None, error="gone"), make_row(0.5), make_row(0.9), make_row(None), make_row(0.5)]
    ordered = pool.order(rows, "source_dataset", "logme")
    assert [row["score"] for row in ordered] == [0.9, 0.5, 0.5, None, None]
    assert [row.get("rank") for row in ordered] == [1, 2, 2, None, None]
    assert ordered[-1]["error"] == "gone"


def test_a_candidate_at_its_floor_stands_last_where_the_order_turns_round():
    rows = [make_row(0.9, flags=["at_floor"]), make_row(0.1), make_row(None, error="gone")]
    ordered = pool.order(rows, "architecture", "transferability")
    assert [row["score"] for row in ordered] == [0.1, 0.9, None]
    assert [row.get("rank") for row in ordered] == [1, 2, None]
    ordered = pool.order(rows, "source_dataset", "transferability")
    assert [row["score"] for row in ordered] == [0.9, 0.1, None]


def test_a_candidate_at_its_floor_ties_nobody_above_it():
    rows = [make_row(score) for score in (0.5, 0.1, 0.9)]
    for row in rows:
        row["halves"]["transferability"] = [row["score"]] * 10
    rows[2]["flags"] = ["at_floor"]
    ordered = pool.order(rows, "architecture", "transferability")
    assert [(row["score"], row["tie_group"]) for row in ordered] == [(0.5, 1), (0.1, 2), (0.9, 3)]


def test_candidates_that_flip_in_more_than_a_tenth_of_the_halves_are_tied():
    steady, close, far = [3.0] * 10, [2.0] * 8 + [4.0] * 2, [1.0] * 9 + [2.5]
    rows = [make_row(3.0, steady), make_row(2.0, close), make_row(1.0, far)]
    ordered = pool.order(rows, "source_dataset", "logme")
    # The second beats the first in two halves of ten; the third beats the second in one.
    assert [row["tie_group"] for row in ordered] == [1, 1, 2]


def test_a_tie_includes_those_between():
    rows = [make_row(3.0, [3.0, 1.0]), make_row(2.0, [2.0, 0.5]), make_row(1.0, [0.0, 1.5])]
    ordered = pool.order(rows, "source_dataset", "logme")
    assert [row["tie_group"] for row in ordered] == [1, 1, 1]


def test_a_pool_that_is_one_tie_group_is_said_to_be_in_no_order():
    assert pool.tie_notes([{"tie_group": 1}, {"tie_group": 2}, {"tie_group": None}]) == []
    assert pool.tie_notes([{"tie_group": 1}, {"tie_group": None}]) == []
    (note,) = pool.tie_notes([{"tie_group": 1}, {"tie_group": 1}, {"tie_group": None}])
    assert "cannot order the 2 candidates" in note


def test_equal_scores_are_tied_whatever_the_halves_say():
    rows = [make_row(1.0, [1.0] * 10), make_row(1.0, [0.5] * 10), make_row(0.0, [0.0] * 10)]
    assert [row["tie_group"] for row in pool.order(rows, "source_dataset", "logme")] == [1, 1, 2]


def test_without_halves_nothing_is_said_about_ties():
    ordered = pool.order([make_row(1.0), make_row(1.0), make_row(0.0)], "source_dataset", "logme")
    assert all("tie_group" not in row for row in ordered)


def test_a_metric_that_is_the_same_for_all_is_flagged():
    rows = [{"flags": {}, "intervals": {}, "halves": {}} for _ in range(3)]
    notes = pool.add_scores(rows, [Scores({"sfda": 1.0}, {"sfda": [1.0, 1.0]}) for _ in rows], ["sfda"], "source_dataset")
    assert all("constant_over_pool" in row["flags"] for row in rows)
    assert "sfda 1" in notes[0]


def test_intervals_of_the_published_variant_have_its_range():
    rows = [{"flags": {}, "intervals": {}, "halves": {}}]
    scores = [Scores({"nleep": 0.5}, {"nleep": [0.4, 0.5, 0.6]})]
    pool.add_scores(rows, scores, ["nleep"], "source_dataset", "published")
    assert rows[0]["intervals"]["nleep"][1] > 0.6


def test_intervals_come_from_the_spread_of_the_halves():
    rng = np.random.default_rng(0)
    halves = rng.normal(-1.0, 0.1, 4000).tolist()
    rows = [{"flags": {}, "intervals": {}, "halves": {}} for _ in range(2)]
    scores = [Scores({"logme": -1.0}, {"logme": halves}), Scores({"logme": -2.0}, {"logme": halves})]
    assert pool.add_scores(rows, scores, ["logme"], "source_dataset") == []
    low, high = rows[0]["intervals"]["logme"]
    assert (low, high) == pytest.approx((-1.1645, -0.8355), abs=0.01)


def test_intervals_stay_within_the_range():
    rows = [{"flags": {}, "intervals": {}, "halves": {}}]
    pool.add_scores(rows, [Scores({"leep": -0.01}, {"leep": [-0.5, -0.01, 0.0]})], ["leep"], "source_dataset")
    assert rows[0]["intervals"]["leep"][1] == 0.0


def alive(*pairs, **facts):
    """Rows and scores of candidates with a quality and a ratio each, None for a candidate without."""
    names = ("feature_quality", "feature_update_ratio")
    scores = [Scores({} if pair is None else dict(zip(names, pair, strict=True))) for pair in pairs]
    return [({name: values[i] for name, values in facts.items()}, each) for i, each in enumerate(scores)]


def test_pool_scores_of_a_relative_metric_use_the_whole_pool():
    pairs = ((0.5, 1.0), (0.75, 3.0), (1.0, 2.0))
    assert pool.pool_scores("transferability", alive(*pairs), "source_dataset") == [0.0, 0.5, 0.5]
    assert pool.pool_scores("transferability", alive(*pairs, None), "architecture") == [1.0, 0.0, 0.0, None]
    with collect_flags() as flags:
        assert pool.pool_scores("transferability", alive(pairs[0]), "source_dataset") == [None]
    assert "pool_of_one" in flags


def test_an_untrained_candidate_takes_part_in_no_pool():
    pairs = ((0.5, 1.0), (0.75, 3.0), (1.0, 2.0), (9.0, 9.0))
    candidates = alive(*pairs, untrained=[False, False, False, True])
    assert pool.pool_scores("transferability", candidates, "source_dataset") == [0.0, 0.5, 0.5, None]
    assert pool.pool_scores("feature_quality", candidates, "source_dataset") == [0.5, 0.75, 1.0, 9.0]


def test_untrained_candidates_come_after_every_trained_one():
    rows = [
        make_row(None, error="no such file"),
        make_row(None) | {"untrained": True, "name": "untrained"},
        make_row(None, error="undefined") | {"untrained": False},
        make_row(0.1) | {"untrained": False},
        make_row(None) | {"untrained": False},
        make_row(0.9, flags=["at_floor"]) | {"untrained": False},
    ]
    for scenario in ("source_dataset", "architecture"):
        for metric in ("transferability", "logme"):
            ordered = pool.order(rows, scenario, metric)
            assert [row.get("untrained") for row in ordered] == [False, False, False, False, True, None]
            assert ordered[4].get("rank") is None


def test_a_pool_without_two_trained_candidates_says_so():
    rows = [make_row(None) | {"untrained": True} for _ in range(2)] + [make_row(0.5) | {"untrained": False}]
    assert pool.no_ranking_notes(rows, "logme") == [
        "there is no ranking: 1 of 3 candidates could be scored, and an order needs two; 2 are untrained."
    ]


def test_ranks_that_move_over_half_of_the_pool_are_flagged():
    halves = [[4.0, 3.0, 2.0, 1.0], [1.0, 3.5, 2.0, 0.5]]  # the first falls from rank 1 to 3; with the next, to 4
    for last, flagged in (([3.0, 4.0, 2.5, 1.0], False), ([0.1, 3.0, 2.0, 1.0], True)):
        rows = [{"flags": {}, "intervals": {}, "halves": {}} for _ in range(4)]
        columns = list(zip(*halves, last, strict=True))
        scores = [Scores({"logme": float(i)}, {"logme": list(column)}) for i, column in enumerate(columns)]
        pool.add_scores(rows, scores, ["logme"], "source_dataset")
        assert ["unstable" in row["flags"] for row in rows] == [flagged, False, False, False]


def test_one_alone_has_no_rank():
    (first, last) = pool.order([make_row(None, error="gone"), make_row(0.5, [0.4, 0.6])], "source_dataset", "logme")
    assert first["score"] == 0.5
    assert first.get("rank") is None
    assert first.get("tie_group") is None
    assert pool.no_ranking_notes([first, last], "logme") == [
        "there is no ranking: 1 of 2 candidates could be scored, and an order needs two."
    ]
    assert pool.no_ranking_notes([make_row(0.5), make_row(0.4), last], "logme") == []


def test_a_pool_without_scores_says_why_it_cannot_be_ordered():
    rows = [make_row(None) | {"feature_quality": 0.5, "feature_update_ratio": ratio} for ratio in (1.0, 2.0)]
    assert ranked_rows(rows) == []
    assert pool.no_ranking_notes(rows, "transferability") == [
        "there is no ranking: the pool cannot be ordered by transferability, as feature quality is the same for all 2 "
        "candidates."
    ]
    (note,) = pool.no_ranking_notes([rows[0], rows[0]], "transferability")
    assert "feature quality and update ratio are the same for all 2 candidates" in note
    (note,) = pool.no_ranking_notes(rows, "ncti")
    assert "by ncti, as what it is made of is the same" in note


def by_metrics(**columns: list) -> list[dict]:
    """Rows in the order of the first metric, best first."""
    names = "abcd"
    return [
        {"checkpoint": names[i], "rank": i + 1, "score": values[0], **dict(zip(columns, values, strict=True))}
        for i, values in enumerate(zip(*columns.values(), strict=True))
    ]


def test_metrics_that_put_others_first_are_named_with_their_agreement():
    rows = by_metrics(transferability=[0.9, 0.5, 0.1], knn=[0.7, 0.6, 0.5], logme=[1.0, 2.0, 3.0], parc=[1.0, 2.0, 3.0])
    (note,) = pool.disagreement_notes(rows, ["transferability", "knn", "logme", "parc"])
    assert "first candidate: a by transferability, knn; c by logme, parc. Agreement of the others" in note
    assert "with the order by transferability (weighted Kendall tau, 1 for the same order): -0.33 on average" in note
    assert "\n" not in note


def test_metrics_that_agree_on_the_first_need_no_note():
    rows = by_metrics(transferability=[0.9, 0.5, 0.1], knn=[0.7, 0.5, 0.6], sfda=[1.0, 1.0, 0.5])
    assert pool.disagreement_notes(rows, ["transferability", "knn", "sfda"]) == []
    assert pool.disagreement_notes(rows, ["transferability"]) == []


@pytest.mark.parametrize("values", [[1.0, None, 3.0], [2.0, 2.0, 2.0]])
def test_a_metric_that_cannot_order_the_candidates_has_no_first(values):
    rows = by_metrics(transferability=[0.9, 0.5, 0.1], leep=values)
    assert pool.disagreement_notes(rows, ["transferability", "leep"]) == []


def test_equal_scores_have_no_first():
    rows = by_metrics(transferability=[0.5, 0.5], logme=[1.0, 2.0])
    rows[1]["rank"] = 1
    assert pool.disagreement_notes(rows, ["transferability", "logme"]) == []


def test_a_first_that_shares_rank_1_is_no_disagreement():
    rows = by_metrics(transferability=[0.5, 0.5, 0.1], logme=[1.0, 2.0, 0.5])
    rows[1]["rank"] = 1
    assert pool.disagreement_notes(rows, ["transferability", "logme"]) == []
    (note,) = pool.disagreement_notes([row | {"knn": -row["score"]} for row in rows], ["transferability", "logme", "knn"])
    assert "first candidate: a and b by transferability, logme; c by knn." in note


def test_rows_without_rank_are_not_compared():
    rows = by_metrics(transferability=[0.9, 0.5, 0.1], logme=[1.0, 2.0, 3.0])
    rows[2]["rank"] = None
    (note,) = pool.disagreement_notes(rows, ["transferability", "logme"])
    assert "b by logme" in note
    rows[1]["rank"] = None
    assert pool.disagreement_notes(rows, ["transferability", "logme"]) == []


def test_a_metric_that_lacks_values_is_named_as_left_out():
    rows = by_metrics(transferability=[0.9, 0.5], logme=[1.0, 2.0], leep=[1.0, None])
    (note,) = pool.disagreement_notes(rows, ["transferability", "logme", "leep"])
    assert note.endswith("-1.00 on average. Left out, without a value for every candidate: leep.")
