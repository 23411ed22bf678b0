"""The sample that metrics share."""

import numpy as np
import pytest

from hf_transferability.metrics import score
from hf_transferability.metrics._sample import Sample, first_of_equal_rows


@pytest.mark.parametrize("name", ["gbc", "h_score", "knn", "linear_probe", "logme", "parc", "sfda", "transrate"])
def test_a_sample_scores_as_its_array(name, make_arrays):
    arrays = make_arrays(n=60, d=8)
    alone = score(name, features=arrays["features"], labels=arrays["labels"])
    assert score(name, features=Sample(arrays["features"]), labels=arrays["labels"]) == alone


def test_metrics_share_one_decomposition(make_arrays, monkeypatch):
    arrays = make_arrays(n=60, d=8)
    calls = []
    decompose = np.linalg.eigh
    monkeypatch.setattr(np.linalg, "eigh", lambda matrix: (calls.append(1), decompose(matrix))[1])
    sample = Sample(arrays["features"])
    for name in ("gbc", "h_score", "parc", "nleep"):
        score(name, features=sample, labels=arrays["labels"])
    assert len(calls) == 1


def test_part_and_array(make_arrays):
    features = make_arrays(n=30, d=4)["features"]
    sample = Sample(features)
    assert sample.part(slice(None)) is sample
    assert np.array_equal(sample.part(np.array([3, 1])), features[[3, 1]])


def test_what_metrics_share_is_made_once_for_each_key(make_arrays):
    sample = Sample(make_arrays()["features"])
    made = []

    def make():
        made.append(len(made))
        return made[-1]

    assert [sample.shared("a", make), sample.shared("a", make), sample.shared("b", make)] == [0, 0, 1]
    assert sample.part(np.arange(10)).shared("a", make) == 2  # another sample shares nothing with it


def test_the_first_of_equal_rows():
    x = np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0], [1.0, 2.5], [3.0, 4.0]], dtype=np.float32)
    assert first_of_equal_rows(x).tolist() == [0, 1, 0, 3, 1]
