from math import log

import numpy as np
import pytest

from hf_transferability.metrics import score
from hf_transferability.metrics.transrate import transrate


def test_two_features_by_hand():
    """Two images of class a on the first axis, four of class b on the second; the mean of all is 0.

    Second moments: all 18/6 = 3 and 16/6 = 8/3; class a 9 and 0; class b 0 and 4.
    """
    x = np.array([[3.0, 0], [-3, 0], [0, 2], [0, -2], [0, 2], [0, -2]])
    labels = ["a", "a", "b", "b", "b", "b"]
    together, a, b = (log(1 + 3e4) + log(1 + 8e4 / 3)) / 2, log(1 + 9e4) / 2, log(1 + 4e4) / 2
    assert transrate(features=x, labels=labels) == pytest.approx(together - (2 * a + 4 * b) / 6, rel=1e-12)
    assert transrate(features=x, labels=labels, variant="published") == pytest.approx(together - (a + b) / 2, rel=1e-12)


def listing(features, labels, weights=None):
    """The authors' listing (Huang et al. 2022), with the determinant of a [d, d] matrix."""

    def coding_rate(z, eps=1e-4):
        n, d = z.shape
        return 0.5 * np.linalg.slogdet(np.eye(d) + 1 / (n * eps) * z.T @ z)[1]

    z = features - features.mean(axis=0, keepdims=True)
    return coding_rate(z) - np.average([coding_rate(z[labels == k]) for k in np.unique(labels)], weights=weights)


@pytest.mark.parametrize("d", [3, 8, 90])
def test_equals_the_authors_listing(d, make_arrays, scored):
    arrays = make_arrays(n=60, d=d)
    labels = np.where(np.arange(60) < 40, 0, arrays["labels"])  # of different size
    arrays = {**arrays, "labels": labels}
    published, flags = scored("transrate", arrays, variant="published")
    assert published[0] == pytest.approx(listing(arrays["features"], labels), rel=1e-9)
    value, _ = scored("transrate", arrays)
    assert value[0] == pytest.approx(listing(arrays["features"], labels, np.bincount(labels)), rel=1e-9)
    assert flags == ({"n<=d"} if d == 90 else set())
    assert abs(value[0] - published[0]) > 0.01


def test_classes_of_one_size_make_both_forms_the_same(make_arrays, scored):
    arrays = make_arrays(n=60, classes=3)
    assert scored("transrate", arrays)[0] == pytest.approx(scored("transrate", arrays, variant="published")[0], rel=1e-12)


def test_classes_that_are_one_have_nothing_to_tell(scored):
    x = np.tile(np.random.default_rng(0).standard_normal((10, 3)), (3, 1))
    value, _ = scored("transrate", {"features": x, "labels": np.repeat([0, 1, 2], 10)})
    assert value[0] == pytest.approx(0, abs=1e-9)


def test_the_published_form_can_be_negative_and_the_default_not():
    """One far image of its own class has a high rate, which counts as much as all the others'."""
    x = np.array([[0.0], [0.1], [0.2], [0.3], [0.2], [0.1], [0.3], [50.0]])
    labels = [0] * 7 + [1]
    with pytest.warns(UserWarning, match="^single_image_class"):
        assert transrate(features=x, labels=labels, variant="published") < 0
    with pytest.warns(UserWarning, match="^single_image_class"):
        assert transrate(features=x, labels=labels) > 0


def test_dead_and_constant_features_change_nothing(make_arrays):
    arrays = make_arrays(n=60, d=3)
    x, labels = arrays["features"], arrays["labels"]
    wider = np.hstack([x, np.zeros((60, 9)), np.full((60, 2), 0.1)])
    assert transrate(features=wider, labels=labels) == pytest.approx(transrate(features=x, labels=labels), rel=1e-9)


def test_refuses_features_that_never_vary():
    with pytest.raises(ValueError, match=r"^`features` must vary between images; got the same row for all\."):
        score("transrate", features=np.ones((4, 2)), labels=[0, 0, 1, 1])
