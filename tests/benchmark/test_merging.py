"""Rows merged into a table by their keys."""

import pandas as pd
import pytest
from made import scores

from hf_transferability.benchmark import tables
from hf_transferability.benchmark.merging import merge

LATER = "2025-06-02T00:00:00+00:00"


def table(*parts: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([tables.check_provenance(part, "scores") for part in parts], ignore_index=True)


def values(frame: pd.DataFrame) -> dict[str, float]:
    assert frame["source"].is_unique
    return dict(zip(frame["source"], frame["score"], strict=True))


def counts(merged) -> tuple[int, ...]:
    return merged.added, merged.replaced, merged.unchanged, merged.older, merged.repeated


def test_nothing_is_lost():
    old = table(scores("a", "b", score=1), scores("c", score=2, date="2026-01-01T00:00:00+00:00"))
    new = table(scores("a", score=1), scores("b", "c", score=3, date=LATER), scores("d", score=4))
    before = old.copy(), new.copy()
    merged = merge(old, new, "scores")
    assert values(merged.frame) == {"a": 1, "b": 3, "c": 2, "d": 4}
    assert counts(merged) == (1, 1, 1, 1, 0)
    assert values(merged.fresh) == {"b": 3, "d": 4}
    assert merged.frame["source"].is_monotonic_increasing
    pd.testing.assert_frame_equal(old, before[0])
    pd.testing.assert_frame_equal(new, before[1])
    again = merge(merged.frame, new, "scores")
    assert not again.differs
    assert counts(again) == (0, 0, 3, 1, 0)
    pd.testing.assert_frame_equal(again.frame, merged.frame)


def test_the_first_rows():
    merged = merge(None, table(scores("b", "a")), "scores")
    assert (counts(merged), merged.differs) == ((2, 0, 0, 0, 0), True)
    assert merged.frame["source"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"date": LATER}, "unchanged"),  # the same figure once more
        ({"score": None, "date": LATER}, "replaced"),
        ({"hardware": "another", "date": LATER}, "replaced"),
        ({"score": 9}, "older"),  # as new, and otherwise: the one that was first stays
        ({"score": 9, "date": "2024"}, "older"),
        ({"score": 9, "metric_version": 2}, "replaced"),  # from features that were kept
        ({"score": 9, "date": None, "citation": "Somebody 2020"}, "older"),
    ],
)
def test_which_row_stays(changes, outcome):
    merged = merge(table(scores("a")), table(scores("a", **changes)), "scores")
    assert (merged.unchanged, merged.replaced, merged.older) == tuple(
        int(outcome == each) for each in ("unchanged", "replaced", "older")
    )
    assert len(merged.frame) == 1


def test_an_undated_figure_gives_way():
    old = table(scores("a", date=None, citation="Somebody 2020"))
    assert merge(old, table(scores("a", score=9)), "scores").replaced == 1


def test_a_key_that_is_there_twice_heals_to_the_newest():
    old = table(scores("a", "b", score=2, date=LATER), scores("a", score=1))
    merged = merge(old, table(scores("b", score=2, date=LATER)), "scores")
    assert values(merged.frame) == {"a": 2, "b": 2}
    assert (counts(merged), merged.differs) == ((0, 0, 1, 0, 1), True)


def test_columns_of_either_side_stay():
    old, new = table(scores("a", remark="old")), table(scores("b", weight=2.5))
    frame = merge(old, new, "scores").frame.set_index("source")
    assert frame.loc["a", "remark"] == "old"
    assert frame.loc["b", "weight"] == 2.5
    assert pd.isna(frame.loc["b", "remark"])
    assert frame["sample_size"].dtype == "Int64"
