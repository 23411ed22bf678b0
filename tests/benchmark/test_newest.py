"""Of several rows of one source and target the newest counts."""

import pandas as pd
import pytest
from helpers.tables import ground_truth, scores, value

from hf_transferability.benchmark.compare import compare
from hf_transferability.benchmark.pools import pools

FEW = {"resamples": 50}


def measured(values, metric, date, **provenance):
    return scores({"skin": values}, metric).assign(date=date, **provenance)


def test_of_several_scores_of_one_source_the_newest_counts():
    old = measured({"a": 1, "b": 2, "c": 3, "d": 4}, "leep", "2025-01-01", sample_size=20)
    new = measured({"a": 4, "b": 3, "c": 2}, "leep", "2025-01-02", sample_size=300)
    for given in (pd.concat([old, new]), pd.concat([new, old])):
        (pool,) = pools(ground_truth(), given)
        assert pool.scores["leep", "default"].to_dict() == {"a": 4, "b": 3, "c": 2, "d": 4}
        found = compare(ground_truth(), given, **FEW)
        assert any("the newest counts; 3 older ones were ignored" in note for note in found.notes)
        assert value(found, "leep", "skin") == value(compare(ground_truth(), newest_only(given), **FEW), "leep", "skin")
    assert not any("ignored" in note for note in compare(ground_truth(), new, **FEW).notes)


def newest_only(given):
    return given.sort_values("date").drop_duplicates("source", keep="last")


def test_of_several_ground_truths_of_one_source_the_newest_counts():
    old = ground_truth().assign(date="2025-01-01", checkpoint_revision="sha256:1")
    new = ground_truth({"skin": {"a": 0.1}}).assign(date="2025-01-02", checkpoint_revision="sha256:2")
    given = scores({"skin": {"a": 4, "b": 3, "c": 2, "d": 1}})
    (pool,) = pools(pd.concat([new, old]), given)
    assert pool.performance.to_dict() == {"a": 0.1, "b": 0.8, "c": 0.7, "d": 0.6}
    found = compare(pd.concat([new, old]), given, **FEW)
    assert any("ground truth: of several figures" in note and "1 older ones were ignored" in note for note in found.notes)


def test_scores_of_several_pools_are_formed_anew():
    """Each pool scales over its own candidates, so that its scores cannot stand beside those of another."""
    parts = {"a": (3, 1), "b": (2, 3), "c": (1, 2), "d": (0, 0)}
    components = [
        measured({source: part[i] for source, part in parts.items()}, name, "2025-01-01", pool=None)
        for i, name in enumerate(["feature_quality", "feature_update_ratio"])
    ]
    one = measured({"a": 0.9, "b": 0.8}, "transferability", "2025-01-01", pool="2 candidates, 1")
    other = measured({"c": 0.7, "d": 0.6}, "transferability", "2025-01-02", pool="2 candidates, 2")
    (pool,) = pools(ground_truth(), pd.concat([*components, one, other]))
    assert pool.scores["transferability", "default"].to_dict() == pytest.approx({"a": 1 / 3, "b": 2 / 3, "c": 2 / 9, "d": 0})
    found = compare(ground_truth(), pd.concat([*components, one, other]), **FEW)
    assert any("transferability: 4 scores are of several pools" in note for note in found.notes)
    whole = measured({"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.6}, "transferability", "2025-01-01", pool="4 candidates, 3")
    (pool,) = pools(ground_truth(), pd.concat([*components, whole]))
    assert pool.scores["transferability", "default"].to_dict() == {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.6}
    (pool,) = pools(ground_truth(), pd.concat([one, other]))  # without the components: the newest pool
    assert pool.scores["transferability", "default"].dropna().to_dict() == {"c": 0.7, "d": 0.6}
