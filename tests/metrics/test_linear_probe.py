import importlib

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hf_transferability.metrics import score
from hf_transferability.metrics._lbfgs import Minimum
from hf_transferability.metrics._logistic import cross_validated_probabilities


def test_features_that_say_nothing_are_one_half(scored):
    """Every value occurs equally often in each class; the folds alone keep the AUC from one half."""
    x = np.zeros((40, 2))
    x[:, 0] = np.repeat([0.0, 1.0], 20)
    labels = np.tile([0, 1], 20)
    value, _ = scored("linear_probe", {"features": x, "labels": labels})
    assert value[0] == pytest.approx(0.5, abs=0.25)


def test_by_hand(scored):
    """A line that separates the classes, in either direction, orders every pair: AUC 1."""
    x = np.linspace(-1, 1, 20)[:, None]
    for sign in (1, -1):
        assert scored("linear_probe", {"features": sign * x, "labels": np.repeat([0, 1], 10)})[0][0] == 1


def test_noise_is_near_one_half_however_wide(make_arrays, scored):
    values = [scored("linear_probe", make_arrays(n=60, d=200, signal=0.0, seed=seed))[0][0] for seed in range(3)]
    assert np.mean(values) == pytest.approx(0.5, abs=0.15)


def test_imbalance_is_not_rewarded(make_arrays, scored):
    arrays = make_arrays(n=200, signal=0.0)
    labels = (np.arange(200) < 20).astype(int)
    assert scored("linear_probe", {**arrays, "labels": labels})[0][0] < 0.75


def test_small_classes(make_arrays, scored):
    arrays = make_arrays(n=30, classes=2, signal=5.0)
    labels = arrays["labels"].copy()
    labels[:3] = (2, 3, 3)
    value, flags = scored("linear_probe", {**arrays, "labels": labels})
    assert 0 <= value[0] <= 1
    assert flags == {"single_image_class"}
    text = "^`labels` must have at least 2 classes with at least 2 images each; got fewer. Take a larger sample.$"
    with pytest.raises(ValueError, match=text):
        scored("linear_probe", {**arrays, "labels": (np.arange(30) == 0).astype(int)})


def test_a_column_that_cannot_be_scored_is_left_out(make_arrays, scored):
    arrays = make_arrays(n=40, classes=2)
    columns = np.stack([arrays["labels"], 1 - arrays["labels"]], axis=1)
    value, _ = scored("linear_probe", {**arrays, "labels": columns})
    rare = np.hstack([columns, (np.arange(40) == 7).astype(int)[:, None]])
    assert scored("linear_probe", {**arrays, "labels": rare})[0] == value


def test_the_seed_draws_the_folds(make_arrays, scored):
    arrays = make_arrays(n=60, signal=0.5)
    assert scored("linear_probe", arrays, seed=0)[0] != scored("linear_probe", arrays, seed=1)[0]


def test_not_converged_is_flagged(monkeypatch, make_arrays, scored):
    monkeypatch.setattr(importlib.import_module("hf_transferability.metrics._logistic"), "MOST_STEPS", 1)
    assert "not_converged" in scored("linear_probe", make_arrays())[1]


def test_an_optimiser_that_gives_up_has_not_converged(monkeypatch, make_arrays, scored):
    def stuck(objective, start, **options):
        return Minimum(start, objective(start)[1], 3)

    monkeypatch.setattr(importlib.import_module("hf_transferability.metrics._logistic"), "minimise", stuck)
    assert "not_converged" in scored("linear_probe", make_arrays())[1]


@pytest.mark.parametrize(
    ("n", "d", "classes", "seed"), [(300, 512, 3, 2), (300, 512, 2, 0), (200, 64, 5, 0), (60, 4200, 3, 1), (400, 128, 3, 0)]
)
def test_the_auc_is_that_of_the_solution(n, d, classes, seed, scored):
    """Against scikit-learn's logistic regression, which is given a hundred times the steps."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    x = rng.standard_normal((n, d)) + 0.05 * rng.standard_normal((classes, d))[labels]
    areas = []
    for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(x, labels):
        model = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-9, max_iter=20_000)).fit(x[train], labels[train])
        values = model.predict_proba(x[test])
        areas.append([roc_auc_score(labels[test] == code, values[:, code]) for code in range(classes)])
    value, flags = scored("linear_probe", {"features": x, "labels": labels})
    assert value[0] == pytest.approx(np.mean(areas), abs=1e-4)
    assert "not_converged" not in flags


def test_large_samples_are_subsampled(monkeypatch, make_arrays, scored):
    monkeypatch.setattr(importlib.import_module("hf_transferability.metrics.linear_probe"), "_LARGEST_SAMPLE", 50)
    assert "subsampled" in scored("linear_probe", make_arrays(n=120))[1]


def test_refuses_one_row_for_all():
    with pytest.raises(ValueError, match=r"^`features` must vary between images"):
        score("linear_probe", features=np.ones((9, 2)), labels=[0, 1, 2] * 3)


def test_duplicate_images_have_one_probability_also_where_features_are_wide():
    rng = np.random.default_rng(4)
    x = np.repeat(rng.standard_normal((30, 400)), 2, axis=0)
    codes = np.concatenate([[0, 1, 2], rng.integers(0, 3, 57)])
    training = rng.random((4, 60)) < 0.7
    probabilities, _ = cross_validated_probabilities(x - x.mean(axis=0), codes, training, 1e-7)
    np.testing.assert_array_equal(probabilities[:, ::2], probabilities[:, 1::2])
