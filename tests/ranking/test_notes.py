"""Notes on a ranking's pool, from rows made by hand."""

import pytest

from hf_transferability.ranking import notes
from hf_transferability.results import ranked_rows


def make_row(score, error=None, **more):
    return {"score": score, "error": error, **more}


def test_a_ranking_needs_two_candidates():
    rows = [make_row(0.5), make_row(None, error="gone")]
    assert notes.no_ranking(rows, "logme") == [
        "there is no ranking: 1 of 2 candidates could be scored, and an order needs two."
    ]
    assert notes.no_ranking([make_row(0.5), make_row(0.4), rows[1]], "logme") == []


def test_untrained_candidates_are_counted():
    (note,) = notes.no_ranking([make_row(0.5), make_row(None, untrained=True)], "logme")
    assert note.endswith("an order needs two; 1 are untrained.")


def test_a_pool_without_scores_says_why_it_cannot_be_ordered():
    rows = [make_row(None, feature_quality=0.5, feature_update_ratio=ratio) for ratio in (1.0, 2.0)]
    assert ranked_rows(rows) == []
    assert notes.no_ranking(rows, "transferability") == [
        "there is no ranking: the pool cannot be ordered by transferability, as feature quality is the same for all 2 "
        "candidates."
    ]
    (note,) = notes.no_ranking([rows[0], rows[0]], "transferability")
    assert "feature quality and update ratio are the same for all 2 candidates" in note
    (note,) = notes.no_ranking(rows, "ncti")
    assert "by ncti, as what it is made of is the same" in note


def test_what_was_named_before_is_told():
    assert notes.repeated(["a", "b"], [0, 1]) == []
    assert notes.repeated(["a", "a/", "b"], [0, 2]) == ["a/ means what was named before, so each is ranked once."]
    (note,) = notes.repeated(["a"] * 7, [0])
    assert note.startswith("a, a, a and 3 more mean what was named before")


def by_metrics(**columns: list) -> list[dict]:
    """Rows in the order of the first metric, best first."""
    names = "abcd"
    return [
        {"checkpoint": names[i], "rank": i + 1, "score": values[0], **dict(zip(columns, values, strict=True))}
        for i, values in enumerate(zip(*columns.values(), strict=True))
    ]


def test_metrics_that_put_others_first_are_named_with_their_agreement():
    rows = by_metrics(transferability=[0.9, 0.5, 0.1], knn=[0.7, 0.6, 0.5], logme=[1.0, 2.0, 3.0], parc=[1.0, 2.0, 3.0])
    (note,) = notes.disagreement(rows, ["transferability", "knn", "logme", "parc"])
    assert "compare what other metrics put first: c by logme and 1 more (mean agreement with transferability -0.33)." in note
    assert "\n" not in note


def test_many_that_differ_are_counted():
    values = {
        name: [0.1 * i for i in order] for name, order in zip("pqrs", ([1, 3, 2], [1, 4, 2], [1, 5, 3], [1, 2, 9]), strict=True)
    }
    (note,) = notes.disagreement(by_metrics(transferability=[0.9, 0.5, 0.1], **values), ["transferability", *values])
    assert "b by p, and 2 more metrics; c by s (" in note
    assert len(note.split()) <= 25


def test_metrics_that_agree_on_the_first_need_no_note():
    rows = by_metrics(transferability=[0.9, 0.5, 0.1], knn=[0.7, 0.5, 0.6], sfda=[1.0, 1.0, 0.5])
    assert notes.disagreement(rows, ["transferability", "knn", "sfda"]) == []
    assert notes.disagreement(rows, ["transferability"]) == []


@pytest.mark.parametrize("values", [[1.0, None, 3.0], [2.0, 2.0, 2.0]])
def test_a_metric_that_cannot_order_the_candidates_has_no_first(values):
    rows = by_metrics(transferability=[0.9, 0.5, 0.1], leep=values)
    assert notes.disagreement(rows, ["transferability", "leep"]) == []


def test_equal_scores_have_no_first():
    rows = by_metrics(transferability=[0.5, 0.5], logme=[1.0, 2.0])
    rows[1]["rank"] = 1
    assert notes.disagreement(rows, ["transferability", "logme"]) == []


def test_a_first_that_shares_rank_1_is_no_disagreement():
    rows = by_metrics(transferability=[0.5, 0.5, 0.1], logme=[1.0, 2.0, 0.5])
    rows[1]["rank"] = 1
    assert notes.disagreement(rows, ["transferability", "logme"]) == []
    (note,) = notes.disagreement([row | {"knn": -row["score"]} for row in rows], ["transferability", "logme", "knn"])
    assert "put first: c by knn (" in note


def test_rows_without_rank_are_not_compared():
    rows = by_metrics(transferability=[0.9, 0.5, 0.1], logme=[1.0, 2.0, 3.0])
    rows[2]["rank"] = None
    (note,) = notes.disagreement(rows, ["transferability", "logme"])
    assert "b by logme" in note
    rows[1]["rank"] = None
    assert notes.disagreement(rows, ["transferability", "logme"]) == []


def test_a_metric_that_lacks_values_is_named_as_left_out():
    rows = by_metrics(transferability=[0.9, 0.5], logme=[1.0, 2.0], leep=[1.0, None])
    first, second = notes.disagreement(rows, ["transferability", "logme", "leep"])
    assert "agreement with transferability -1.00" in first
    assert second.endswith("lack a value for some candidate: leep.")
