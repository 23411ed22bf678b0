"""The row of a candidate: made in one place, in the order of the columns' definitions."""

from dataclasses import replace

import pytest

from hf_transferability.metrics import all_metrics
from hf_transferability.ranking.candidates import Candidate
from hf_transferability.ranking.rows import ranked
from hf_transferability.ranking.scoring import Scores
from hf_transferability.results import COLUMNS

FACTS = {"n_features": 8, "parameters": 100, "licence": "mit", "seconds": 1.0, "architecture": "resnet", "untrained": False}


def candidate(name: str, quality: float, ratio: float = 1.0, logme: float = 0.0, **changes) -> Candidate:
    values = {"feature_quality": quality, "feature_update_ratio": ratio, "logme": logme}
    halves = {key: [value, value + 0.01] for key, value in values.items()}
    return replace(Candidate(name, "a" * 40, FACTS, Scores(values, halves)), **changes)


def test_rows_in_rank_order_with_every_column_defined():
    pool = [candidate("low", 0.4, 1.0, -0.5), candidate("high", 0.9, 2.0, 0.5), Candidate("broken", error="gone")]
    rows, _ = ranked(pool, ["consensus", "transferability", "logme"], "default", "source_dataset")
    assert [row["checkpoint"] for row in rows] == ["high", "low", "broken"]
    assert [row["rank"] for row in rows] == [1, 2, None]
    assert [row["error"] for row in rows] == [None, None, "gone"]
    known = {*COLUMNS, *all_metrics()}
    for row in rows:
        assert set(row) <= known
        order = [name for name in COLUMNS if name in row]
        assert [name for name in row if name in COLUMNS] == order
        assert row["score"] == row["consensus"]
    assert rows[0]["first_share"] == 1.0


def test_an_untrained_candidate_keeps_its_numbers_and_gets_no_score():
    untrained = candidate("random", 0.99, 9.0, 9.0, facts=FACTS | {"untrained": True})
    pool = [untrained, candidate("low", 0.4, 1.0, -0.5), candidate("high", 0.9, 2.0, 0.5)]
    for metrics in (["consensus"], ["transferability"], ["logme"], ["feature_quality"]):
        for scenario in ("source_dataset", "architecture"):
            rows, _ = ranked(pool, metrics, "default", scenario)
            assert rows[-1]["checkpoint"] == "random"
            assert rows[-1]["score"] is rows[-1]["rank"] is rows[-1]["tie_group"] is rows[-1]["error"] is None
            assert "untrained" in rows[-1]["flags"]
            assert rows[-1]["feature_quality"] == 0.99
    alone, _ = ranked(pool[1:], ["consensus"], "default", "architecture")
    assert [row["score"] for row in alone] == [
        row["score"] for row in ranked(pool, ["consensus"], "default", "architecture")[0][:2]
    ]


def test_candidates_are_not_changed():
    pool = [candidate("low", 0.4), candidate("high", 0.9, trained_on_target="scans")]
    before = [dict(each.facts) for each in pool]
    rows, _ = ranked(pool, ["feature_quality"], "default", "source_dataset")
    assert [dict(each.facts) for each in pool] == before
    assert rows[0]["flag_details"]["trained_on_target"] == "scans"
    assert pool[1].scores.flags == {}


@pytest.mark.parametrize("missing", ["feature_quality", "logme"])
def test_consensus_needs_one_of_its_parts_only(missing):
    lacking = candidate("lacking", 0.4)
    scores = lacking.scores
    scores.values[missing], scores.halves[missing], scores.reasons[missing] = None, [], "undefined"
    rows, _ = ranked([lacking, candidate("whole", 0.9, 1.0, 1.0)], ["consensus"], "default", "source_dataset")
    assert all(row["score"] is not None and row["error"] is None for row in rows)
    assert rows[-1]["undefined"] == {missing: "undefined"}


def test_a_flag_of_several_metrics_names_each_of_them_with_its_numbers():
    halves = [[4.0, 3.0, 2.0, 1.0], [0.5, 4.0, 3.0, 2.0]]  # by logme the first becomes the last
    pool = []
    for name, column in zip("abcd", zip(*halves, strict=True), strict=True):
        scores = Scores({"logme": column[0]}, {"logme": list(column)}, flags={"unstable": "nleep: spread 0.2"})
        pool.append(Candidate(name, facts=FACTS, scores=scores))
    rows, _ = ranked(pool, ["logme"], "default", "source_dataset")
    details = {row["checkpoint"]: row["flag_details"]["unstable"] for row in rows}
    assert details["a"] == "nleep: spread 0.2; logme: rank 1 to 4 of 4 on half-samples"
    assert details["c"] == "nleep: spread 0.2"
