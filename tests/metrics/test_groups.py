"""Groups (patients): no image is compared with, or learned from, another image of its group."""

import importlib
import re
from pathlib import Path

import numpy as np
import pytest

from hf_transferability.metrics import all_metrics, collect_flags, score
from hf_transferability.metrics._groups import encode_groups, first_seen_codes, neighbours_outside
from hf_transferability.metrics.feature_quality import feature_quality
from hf_transferability.metrics.knn import knn
from hf_transferability.metrics.linear_probe import linear_probe
from hf_transferability.metrics.parc import parc

SHARES = ("feature_quality", "knn", "linear_probe")  # of images that are right, or ordered rightly
GROUPED = (*SHARES, "parc")
DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"


def patients(n_patients: int = 40, images: int = 6, d: int = 60, seed: int = 0):
    """Features that say who the patient is and nothing of the class, which each patient has by chance."""
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.repeat(np.arange(n_patients), images))
    labels = (rng.permutation(n_patients) % 2)[groups]
    return rng.normal(size=(n_patients, d))[groups] * 4 + rng.normal(size=(len(groups), d)) * 0.1, labels, groups


def test_those_that_compare_images_take_groups():
    assert {name for name, metric in all_metrics().items() if metric.uses_groups} == set(GROUPED)


@pytest.mark.parametrize("name", SHARES)
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


@pytest.mark.parametrize("name", all_metrics())
def test_every_metric_refuses_groups_that_do_not_fit(name, make_arrays):
    inputs = {key: value for key, value in make_arrays().items() if key in all_metrics()[name].inputs}
    if set(inputs) == {"gradient_norms"}:
        inputs["labels"] = np.arange(60) % 3
    n = len(inputs["labels"])
    for groups in (np.arange(n - 1), np.arange(n + 5), np.zeros((n, 2)), "ab"):
        with pytest.raises(ValueError, match=f"`groups` must have one entry per image, {n} in all"):
            score(name, **inputs, groups=groups)
    with pytest.raises(TypeError, match="`groups` must be integers or texts"):
        score(name, **inputs, groups=np.linspace(0, 1, n))


def test_other_metrics_ignore_groups(make_arrays):
    arrays = make_arrays()
    with collect_flags():
        for name in ("logme", "h_score"):
            inputs = {"features": arrays["features"], "labels": arrays["labels"]}
            assert score(name, **inputs, groups=np.arange(60) // 2) == score(name, **inputs)


def near_copies(copies: int, signal: float, seed: int, n: int = 60, d: int = 24) -> dict[str, np.ndarray]:
    """Inputs of metrics for 60 groups of so many images that hardly differ, of three classes."""
    rng = np.random.default_rng(seed)
    labels, groups = rng.permutation(np.arange(n) % 3), np.repeat(np.arange(n), copies)
    x = signal * rng.normal(size=(3, d))[labels] + rng.normal(size=(n, d))
    logits = signal * rng.normal(size=(3, 7))[labels] + rng.normal(size=(n, 7))
    x, logits = (values[groups] + 0.02 * rng.normal(size=(len(groups), values.shape[1])) for values in (x, logits))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return {"features": x, "labels": labels[groups], "source_probabilities": probabilities, "groups": groups}


def mean_score(name: str, copies: int, signal: float) -> float:
    """Mean over three seeds; of a pool-relative metric its first raw number."""
    values = []
    for seed in range(3):
        arrays = near_copies(copies, signal, seed)
        with collect_flags():
            value = score(name, **{key: arrays[key] for key in (*all_metrics()[name].inputs, "groups")})
        values.append(next(iter(value.values())) if isinstance(value, dict) else value)
    return float(np.mean(values))


def counts_copies(text: str) -> set[str]:
    """The metrics that the guide says count copies as images of their own."""
    (line,) = [line for line in text.splitlines() if line.startswith("Copies count as images in ")]
    return set(re.findall(r"`(\w+)`", line))


@pytest.mark.parametrize(
    "name", [name for name, metric in all_metrics().items() if {"features", "source_probabilities"} & set(metric.inputs)]
)
def test_copies_of_an_image_in_its_group_gain_nothing(name):
    """With six images a group that hardly differ, the score is that of one image a group; or the guide says that it is not."""
    if all_metrics()[name].is_composite:
        return  # its parts are tested
    nothing, something = (mean_score(name, 1, signal) for signal in (0.0, 0.5))
    gains = [mean_score(name, 6, 0.0) - nothing, mean_score(name, 6, 0.5) - something]
    gained = max(gains) > 0.15 * abs(something - nothing)
    assert gained == (name in counts_copies(DOCS.read_text())), (nothing, something, gains)
    assert not gained or name not in GROUPED


def test_parc_compares_no_two_images_of_a_group():
    x, labels, groups = patients()
    naive, aware = parc(features=x, labels=labels), parc(features=x, labels=labels, groups=groups)
    one = np.unique(groups, return_index=True)[1]
    assert aware == pytest.approx(parc(features=x[one], labels=labels[one]), abs=1)
    assert naive > aware + 3
    with pytest.raises(ValueError, match="at least 2 groups; got one group in each"):
        parc(features=x, labels=labels, groups=labels)


def test_parc_of_groups_of_one_image_is_parc(make_arrays):
    arrays = make_arrays(n=40)
    inputs = {"features": arrays["features"], "labels": arrays["labels"]}
    for variant in ("default", "published"):
        assert parc(**inputs, variant=variant, groups=np.arange(40)) == parc(**inputs, variant=variant)


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
        ([float("nan"), 1] * 15, ValueError, "a value for every image; got NaN"),
        ([None, "a"] * 15, ValueError, "a value for every image; got None"),
        (np.array([1, "a"] * 15, dtype=object), TypeError, "of one type"),
        ([0] * 27 + [1, 2, 3], ValueError, "at least 5 images outside each group; one holds 27 of 30"),
    ],
)
@pytest.mark.parametrize("function", [feature_quality, knn])
def test_refusals(make_arrays, function, groups, error, text):
    arrays = make_arrays(n=30)
    with pytest.raises(error, match=text):
        function(features=arrays["features"], labels=arrays["labels"], groups=groups)
