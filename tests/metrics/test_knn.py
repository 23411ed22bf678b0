import importlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from hf_transferability.metrics import collect_flags
from hf_transferability.metrics.knn import knn


def test_by_hand():
    """Two groups far apart: every image sees the other three of its group, and only the lone b is outvoted."""
    x = np.array([[0.0], [1.0], [2.1], [3.3], [10.0], [11.0], [12.1], [13.3]])
    labels = ["a", "a", "b", "a", "c", "c", "c", "c"]
    with pytest.warns(UserWarning, match="single_image_class"):
        assert knn(features=x, labels=labels, k=3) == 7 / 8


def test_equals_scikit_learn_where_no_vote_is_tied(make_arrays):
    arrays = make_arrays(n=80, classes=2)
    expected = cross_val_score(KNeighborsClassifier(5), arrays["features"], arrays["labels"], cv=LeaveOneOut()).mean()
    assert knn(features=arrays["features"], labels=arrays["labels"]) == expected


def test_a_tie_goes_to_the_nearest():
    """With two neighbours the nearer one decides: 0 sees 1 then 2, 1 sees 0 then 2, 2 sees 1 then 0, and so on."""
    x = np.array([[0.0], [1.0], [2.1], [20.0], [21.0], [22.1]])
    for labels, right in (([0, 0, 1, 1, 1, 0], 4), ([1, 1, 0, 0, 0, 1], 4)):
        assert knn(features=x, labels=labels, k=2) == pytest.approx(right / 6)


def test_equal_distances_share_their_votes():
    """The image at 0 has two neighbours at one distance, of two classes: with k = 1 it is half right."""
    x = np.array([[0.0], [1.0], [-1.0], [1.5], [-1.5], [30.0]])
    # 1 and 1.5 see each other, -1 and -1.5 too; 30 sees 1.5.
    assert knn(features=x, labels=[0, 0, 1, 0, 1, 1], k=1) == pytest.approx((0.5 + 4 + 0) / 6)


@given(st.integers(0, 10_000))
def test_order_does_not_matter_with_duplicates_and_dead_rows(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(8, 3))[rng.integers(0, 8, 40)] * (rng.random((40, 1)) > 0.3)
    labels = rng.permutation(np.arange(40) % 3)
    order = rng.permutation(40)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    with collect_flags():
        value = knn(features=x, labels=labels)
        assert knn(features=x[order], labels=labels[order]) == pytest.approx(value, abs=1e-12)
        assert knn(features=x @ rotation + 3, labels=labels) == pytest.approx(value, abs=1e-12)


def test_majority_is_flagged(make_arrays, scored):
    arrays = make_arrays(n=100, signal=0.0)
    labels = (np.arange(100) < 6).astype(int)
    value, flags = scored("knn", {**arrays, "labels": labels})
    assert value[0] <= 0.94
    assert "at_majority" in flags


def test_k():
    x = np.arange(6.0)[:, None]
    with pytest.raises(ValueError, match=r"^`features` must have at least 7 rows for k=6; got 6\."):
        knn(features=x, labels=[0, 1] * 3, k=6)
    with pytest.raises(ValueError, match=r"^`k` must be at least 1; got 0\."):
        knn(features=x, labels=[0, 1] * 3, k=0)
    with pytest.raises(TypeError, match=r"^`k` must be an integer; got 2\.5\."):
        knn(features=x, labels=[0, 1] * 3, k=2.5)


def test_duplicates_are_neighbours_but_no_image_is_its_own(scored):
    x = np.repeat(np.eye(4), 6, axis=0)
    labels = np.repeat(np.arange(4), 6)
    assert scored("knn", {"features": x, "labels": labels})[0][0] == 1
    assert scored("knn", {"features": x, "labels": np.tile([0, 1], 12)})[0][0] < 1


def test_large_samples_are_subsampled(monkeypatch, make_arrays, scored):
    monkeypatch.setattr(importlib.import_module("hf_transferability.metrics.knn"), "_LARGEST_SAMPLE", 50)
    assert scored("knn", make_arrays(n=120, signal=9.0)) == (1.0, {"subsampled"})
