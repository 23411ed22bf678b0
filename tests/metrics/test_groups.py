"""Groups (patients): no image is compared with, or learned from, another image of its group."""

import importlib

import numpy as np
import pytest

from hf_transferability.metrics import all_metrics, collect_flags, score
from hf_transferability.metrics._groups import encode_groups, first_seen_codes, neighbours_outside
from hf_transferability.metrics.feature_quality import feature_quality
from hf_transferability.metrics.knn import knn
from hf_transferability.metrics.linear_probe import linear_probe

GROUPED = ("feature_quality", "knn", "linear_probe")


def patients(n_patients: int = 40, images: int = 6, d: int = 60, seed: int = 0):
    """Features that say who the patient is and nothing of the class, which each patient has by chance."""
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.repeat(np.arange(n_patients), images))
    labels = (rng.permutation(n_patients) % 2)[groups]
    return rng.normal(size=(n_patients, d))[groups] * 4 + rng.normal(size=(len(groups), d)) * 0.1, labels, groups


def test_those_that_compare_images_take_groups():
    assert {name for name, metric in all_metrics().items() if metric.uses_groups} == set(GROUPED)


@pytest.mark.parametrize("name", GROUPED)
def test_knowing_the_patient_is_worth_nothing(name):
    x, labels, groups = patients()
    with collect_flags():
        naive, aware = score(name, features=x, labels=labels), score(name, features=x, labels=labels, groups=groups)
    assert naive > 0.95
    # Chance is one half; feature quality is fitted on the same images, so that its floor is higher.
    assert aware < (0.85 if name == "feature_quality" else 0.7)


@pytest.mark.parametrize("name", GROUPED)
def test_names_of_groups_do_not_matter(name):
    x, labels, groups = patients(n_patients=20, images=3)
    renamed = np.random.default_rng(1).permutation(20)[groups]
    with collect_flags():
        values = [
            score(name, features=x, labels=labels, groups=names) for names in (groups, [f"p{g}" for g in groups], renamed)
        ]
    assert values == pytest.approx([values[0]] * 3)


def test_other_metrics_ignore_groups(make_arrays):
    arrays = make_arrays()
    with collect_flags():
        for name in ("logme", "h_score"):
            inputs = {"features": arrays["features"], "labels": arrays["labels"]}
            assert score(name, **inputs, groups=np.arange(60) // 2) == score(name, **inputs)


def test_knn_by_hand():
    """Without groups every image has its twin beside it; with them the nearest is of the other class."""
    x = np.array([[0.0], [0.1], [1.0], [1.1], [2.0], [2.1]])
    labels, groups = [0, 0, 1, 1, 0, 0], [1, 1, 2, 2, 3, 3]
    assert knn(features=x, labels=labels, k=1) == 1
    with collect_flags():
        assert knn(features=x, labels=labels, groups=groups, k=1) == 0


def test_knn_of_groups_of_one_image_is_knn(make_arrays):
    arrays = make_arrays(n=90)
    inputs = {"features": arrays["features"], "labels": arrays["labels"]}
    assert knn(**inputs, groups=np.arange(90)) == pytest.approx(knn(**inputs))


def test_neighbours_are_the_nearest_outside_the_group():
    rng = np.random.default_rng(0)
    x, groups = rng.normal(size=(50, 3)), rng.integers(0, 8, 50)
    found = neighbours_outside(x, groups, 5)
    for i in range(50):
        distance = np.linalg.norm(x - x[i], axis=1)
        distance[groups == groups[i]] = np.inf
        assert set(found[i]) == set(np.argsort(distance)[:5])


def test_no_fold_of_the_probe_learns_from_a_group_that_it_tests(monkeypatch):
    module = importlib.import_module("hf_transferability.metrics.linear_probe")
    rng = np.random.default_rng(0)
    labels, groups = rng.permutation(np.arange(120) % 3), rng.integers(0, 15, 120)
    x = np.column_stack([groups * 1.0, rng.normal(size=(120, 4))])
    original, tested = module.cross_validated_probabilities, []

    def checked(x, codes, training, tolerance):
        for rows in training:
            assert not set(x[rows, 0]) & set(x[~rows, 0])
            tested.append(int((~rows).sum()))
        return original(x, codes, training, tolerance)

    monkeypatch.setattr(module, "cross_validated_probabilities", checked)
    linear_probe(features=x, labels=labels, groups=groups)
    assert len(tested) == 5
    assert sum(tested) == 120
    with pytest.raises(AssertionError):
        linear_probe(features=x, labels=labels)


def test_a_class_of_one_group_is_left_out_of_the_probe(make_arrays):
    arrays = make_arrays(n=60, classes=3)
    labels = arrays["labels"]
    groups = np.where(labels == 2, 0, 1 + np.arange(60) % 10)
    kept = labels != 2
    value = linear_probe(features=arrays["features"], labels=labels, groups=groups)
    assert value == pytest.approx(
        linear_probe(features=arrays["features"][kept], labels=labels[kept], groups=groups[kept]), abs=0.02
    )
    with pytest.raises(ValueError, match="at least 2 classes with at least 2 groups each"):
        linear_probe(features=arrays["features"], labels=labels, groups=labels)


def test_codes_do_not_show_the_order_of_names():
    assert first_seen_codes(np.array(["z", "a", "z", "m"])).tolist() == [0, 1, 0, 2]
    assert encode_groups([3.0, 1.0, 3.0], 3).tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("groups", "error", "text"),
    [
        ([1, 2], ValueError, "one entry per image, 30 in all"),
        ([[1]] * 30, ValueError, "one entry per image"),
        ([0] * 30, ValueError, "at least 2 groups; got one"),
        ([0.5, 1] * 15, TypeError, "integers or texts; got floats"),
        ([float("nan"), 1] * 15, TypeError, "integers or texts"),
        ([None, "a"] * 15, ValueError, "a group for every image"),
        (np.array([1, "a"] * 15, dtype=object), TypeError, "of one type"),
        ([0] * 27 + [1, 2, 3], ValueError, "at least 5 images outside each group; one holds 27 of 30"),
    ],
)
@pytest.mark.parametrize("function", [feature_quality, knn])
def test_refusals(make_arrays, function, groups, error, text):
    arrays = make_arrays(n=30)
    with pytest.raises(error, match=text):
        function(features=arrays["features"], labels=arrays["labels"], groups=groups)
