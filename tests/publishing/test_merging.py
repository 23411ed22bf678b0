"""Rows merged into a table by their keys."""

import pandas as pd
import pyarrow as pa
import pytest
from helpers.score_rows import PROVENANCE, scores

from hf_transferability.benchmark import tables
from hf_transferability.publishing.merging import merge

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
def test_which_row_is_kept(changes, outcome):
    merged = merge(table(scores("a")), table(scores("a", **changes)), "scores")
    assert (merged.unchanged, merged.replaced, merged.older) == tuple(
        int(outcome == each) for each in ("unchanged", "replaced", "older")
    )
    assert len(merged.frame) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"checkpoint_revision": "sha256:" + "c" * 64},
        {"dataset_config": "small"},
        {"dataset_revision": "d" * 40},
        {"dataset_fingerprint": "e" * 64},
        {"split": "test"},
        {"sample_size": 20},
        {"sample_seed": 3},
        {"pool": "4 candidates, 0123456789ab"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_row_with_another_input_has_another_key(changes):
    old, new = table(scores("a")), table(scores("a", score=9, date=LATER, **changes))
    merged = merge(old, new, "scores")
    assert (counts(merged), sorted(merged.frame["score"])) == ((1, 0, 0, 0, 0), [0.5, 9])
    again = merge(merged.frame, table(scores("a", score=7, date="2025-06-03T00:00:00+00:00", **changes)), "scores")
    assert (counts(again), sorted(again.frame["score"])) == ((0, 1, 0, 0, 0), [0.5, 7])


def test_ground_truth_of_another_checkpoint_is_another_row():
    row = {
        "benchmark": "made",
        "scenario": "architecture",
        "source": "a",
        "target": "t",
        "selection": "x",
        "measure": "auc",
        "performance": 0.9,
    }
    one = {**PROVENANCE, **row, "checkpoint_revision": "sha256:1"}
    old, new = (
        tables.check_provenance(pd.DataFrame([each]), "ground_truth")
        for each in (one, {**one, "checkpoint_revision": "sha256:2", "performance": 0.1, "date": LATER})
    )
    assert counts(merge(old, new, "ground_truth")) == (1, 0, 0, 0, 0)


def test_a_row_without_date_is_replaced():
    old = table(scores("a", date=None, citation="Somebody 2020"))
    assert merge(old, table(scores("a", score=9)), "scores").replaced == 1


def test_of_repeated_keys_the_newest_row_is_kept():
    old = table(scores("a", "b", score=2, date=LATER), scores("a", score=1))
    merged = merge(old, table(scores("b", score=2, date=LATER)), "scores")
    assert values(merged.frame) == {"a": 2, "b": 2}
    assert (counts(merged), merged.differs) == ((0, 0, 1, 0, 1), True)


def test_columns_of_both_tables_are_kept():
    old, new = table(scores("a", remark="old")), table(scores("b", weight=2.5))
    frame = merge(old, new, "scores").frame.set_index("source")
    assert frame.loc["a", "remark"] == "old"
    assert frame.loc["b", "weight"] == 2.5
    assert pd.isna(frame.loc["b", "remark"])
    assert frame["sample_size"].dtype == "Int64"


@pytest.mark.parametrize("extra", [{"remark": "old"}, {"weight": 2}, {"checked": True}, {"share": 0.5}])
@pytest.mark.parametrize("old_has_it", [True, False])
def test_every_file_of_a_table_has_one_schema(extra, old_has_it):
    """The rows of a proposal lie in a file beside that of the table."""
    frames = [table(scores("a", **extra)), table(scores("b"))]
    old, new = frames if old_has_it else frames[::-1]
    merged = merge(old, new, "scores")
    schemas = [pa.Schema.from_pandas(frame, preserve_index=False) for frame in (merged.fresh, merged.frame)]
    assert schemas[0].equals(schemas[1])
    if old_has_it:
        assert schemas[0].equals(pa.Schema.from_pandas(old, preserve_index=False))
    assert not [field for field in schemas[0] if pa.types.is_null(field.type)]
