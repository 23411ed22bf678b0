from math import exp, log, sqrt

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from hf_transferability.metrics import score
from hf_transferability.metrics.gbc import gbc


def test_one_feature_by_hand():
    """Means 1 and 5, variances 1 and 1: two ordered pairs of exp(-16 / 8). With variances 1 and 4: v = 2.5."""
    assert gbc(features=[[0.0], [2], [4], [6]], labels=[0, 0, 1, 1]) == pytest.approx(-2 * exp(-2))
    distance = 16 / 2.5 / 8 + log(2.5 / sqrt(1 * 4)) / 2
    assert gbc(features=[[0.0], [2], [3], [7]], labels=[0, 0, 1, 1]) == pytest.approx(-2 * exp(-distance))


def test_two_features_by_hand():
    """The principal axes are those of the features: means (0, 0) and (10, 0), variances (1, 1/4) and (1, 1)."""
    x = np.array([[-1, -0.5], [-1, 0.5], [1, -0.5], [1, 0.5], [9, -1], [9, 1], [11, -1], [11, 1]])
    labels = [0] * 4 + [1] * 4
    middle = 0.625
    distance = 100 / 8 + log(middle / sqrt(0.25)) / 2
    with pytest.warns(UserWarning, match="^saturated"):
        assert gbc(features=x, labels=labels) == pytest.approx(-2 * exp(-distance))
    distance = 100 / 0.8125 / 8 + 2 * log(0.8125 / sqrt(0.625 * 1)) / 2  # 0.625 and 1 in both dimensions
    with pytest.warns(UserWarning, match="^saturated"):
        assert gbc(features=x, labels=labels, covariance="spherical") == pytest.approx(-2 * exp(-distance))


def test_overlap_equals_the_integral_of_the_root_of_both_densities(make_arrays):
    """The Bhattacharyya coefficient by numerical integration, a product over the dimensions of a diagonal covariance."""
    arrays = make_arrays(n=60, d=1, classes=3, signal=0.7)
    x = arrays["features"][:, 0]
    laws = [norm(x[arrays["labels"] == k].mean(), x[arrays["labels"] == k].std()) for k in range(3)]
    overlaps = [
        quad(lambda t, p=p, q=q: sqrt(p.pdf(t) * q.pdf(t)), -40, 40, limit=200)[0] for p in laws for q in laws if p is not q
    ]
    assert score("gbc", features=arrays["features"], labels=arrays["labels"]) == pytest.approx(-sum(overlaps), rel=1e-6)


def test_classes_that_are_one_overlap_wholly(scored):
    x = np.tile(np.arange(10.0), 3)[:, None]
    value, _ = scored("gbc", {"features": x, "labels": np.repeat([0, 1, 2], 10)})
    assert value[0] == pytest.approx(-3 * 2)


def test_well_separated_classes_saturate_and_say_so(make_arrays, scored):
    value, flags = scored("gbc", make_arrays(n=90, signal=9.0))
    assert value[0] == pytest.approx(0, abs=1e-9)
    assert flags == {"saturated"}


@pytest.mark.parametrize("variant", ["default", "published"])
@pytest.mark.parametrize("covariance", ["diagonal", "spherical"])
def test_dead_repeated_and_constant_features(variant, covariance, make_arrays):
    x = make_arrays(n=60, d=3)["features"]
    labels = make_arrays(n=60, d=3)["labels"]
    wider = np.hstack([x, x, np.zeros((60, 9)), np.full((60, 2), 0.1)])
    assert -6 <= gbc(features=wider, labels=labels, variant=variant, covariance=covariance) <= 0


def test_the_published_smallest_variance_depends_on_the_scale(make_arrays):
    arrays = make_arrays(n=60, d=4, signal=1.0)
    x, labels = arrays["features"], arrays["labels"]
    assert gbc(features=x, labels=labels, variant="published") == pytest.approx(gbc(features=x, labels=labels), rel=1e-9)
    published = gbc(features=x * 1e-4, labels=labels, variant="published")
    assert published == pytest.approx(-6, abs=0.01)  # every variance is 1e-4, far above the distances
    assert gbc(features=x * 1e-4, labels=labels) == pytest.approx(gbc(features=x, labels=labels), rel=1e-9)


def test_refuses():
    with pytest.raises(ValueError, match=r"^`covariance` must be one of diagonal, spherical; got 'full'\. Choose one of"):
        gbc(features=np.eye(4), labels=[0, 0, 1, 1], covariance="full")
    with pytest.raises(ValueError, match=r"^`features` must vary between images; got the same row for all."):
        gbc(features=np.ones((4, 2)), labels=[0, 0, 1, 1])
