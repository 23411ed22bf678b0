from math import exp, log

import numpy as np
import pytest
from scipy.special import expit
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from hf_transferability.metrics import get_metric, score


def test_components_by_hand():
    """One feature: the energy of an image is its value, and the shrinkage leaves a single variance as it is. Two features:
    log(e^a + e^b)."""
    value = score("etran", features=np.array([[0.0], [1], [2], [2], [3], [4]]), labels=[0, 0, 0, 1, 1, 1])
    assert value["energy"] == pytest.approx(2)
    assert value["posterior"] == pytest.approx(np.mean([expit(-3 * (x - 2)) for x in (0, 1, 2)]))  # variance 2/3 within
    x = np.array([[0.0, 1.0], [2.0, 0.5], [3.0, 3.0], [1.0, 0.0]])
    value = score("etran", features=x, labels=[0, 0, 1, 1])
    assert value["energy"] == pytest.approx(sum(log(exp(a) + exp(b)) for a, b in x) / 4)


@pytest.mark.parametrize(("n", "d", "classes"), [(60, 8, 3), (80, 20, 2), (90, 60, 4)])
@pytest.mark.parametrize("scale", [0.05, 1.0])
def test_posterior_is_that_of_scikit_learn(n, d, classes, scale, make_arrays, scored):
    """Its least-squares solver shrinks each class's covariance towards its mean variance and weighs them by their shares.

    The shrinkage is formed from an exact eigenvalue; three rounds of the power method come close to it.
    """
    arrays = make_arrays(n=n, d=d, classes=classes)
    x, y = arrays["features"] * scale, arrays["labels"]
    means = np.stack([x[y == k].mean(axis=0) for k in range(classes)])
    largest = np.linalg.eigvalsh((x - means[y]).T @ (x - means[y]) / n)[-1]
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=max(np.exp(-5 * largest), 1e-10)).fit(x, y)
    expected = model.predict_proba(x)[np.arange(n), y].mean()
    value, _ = scored("etran", {**arrays, "features": x})
    assert value[1] == pytest.approx(expected, abs=0.01 if scale < 1 else 1e-6)


def test_energy_of_large_features_is_finite():
    x = np.array([[1e6, 0.0], [1e6 + 1, 1.0], [1e6 + 2, 1.0], [1e6 + 3, 0.0]])
    assert score("etran", features=x, labels=[0, 1, 0, 1])["energy"] == pytest.approx(1e6 + 1.5)


def test_saturated_is_flagged(make_arrays, scored):
    value, flags = scored("etran", make_arrays(n=60, d=90, signal=0.0))
    assert value[1] == pytest.approx(1)
    assert flags == {"n<=d", "saturated"}


def test_combination_by_hand():
    scores = get_metric("etran").combine({"energy": [1.0, 2.0, 3.0], "posterior": [0.9, 0.5, 0.6]})
    assert scores == pytest.approx([0 + 1, 0.5 + 0, 1 + 0.25])


def test_refuses_classes_without_variance():
    with pytest.raises(ValueError, match=r"^`features` must vary within a class; got the same row for all images of each."):
        score("etran", features=np.eye(3)[[0, 1, 2] * 4], labels=[0, 1, 2] * 4)
