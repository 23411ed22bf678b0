import importlib

import numpy as np
import pytest

from hf_transferability.metrics import score


def test_by_hand(scored):
    """Two directions make two groups of images, at distance 0 or 2: a correlation of two yes-or-no questions."""
    arrays = {"features": np.array([[0.0, 1.0], [0.1, 1.2], [1.0, 0.0], [1.3, 0.1]]), "labels": np.array([0, 0, 1, 2])}
    value, flags = scored("parc", arrays)
    # same group and same label once, same group and other label once, both different four times
    assert value[0] == pytest.approx(100 * (1 * 4 - 1 * 0) / np.sqrt(2 * 4 * 1 * 5))
    assert flags == {"single_image_class"}


def test_does_not_depend_on_the_order_of_the_classes(make_arrays, scored):
    arrays = make_arrays(n=70, d=40, classes=7)
    turned = {**arrays, "labels": 6 - arrays["labels"]}
    assert scored("parc", arrays)[0] == pytest.approx(scored("parc", turned)[0], rel=1e-12)


def test_directions_of_rounding_are_left_out(make_arrays, scored):
    arrays = make_arrays(n=20, d=3)
    x = arrays["features"]
    value, _ = scored("parc", arrays)
    wide = np.hstack([x, np.full((20, 30), 0.1)])
    assert scored("parc", {**arrays, "features": wide})[0] == pytest.approx(value, rel=1e-6)
    repeated, _ = scored("parc", {**arrays, "features": np.tile(x, (1, 20))})
    assert repeated == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("variant", ["default", "published"])
def test_refuses_one_direction_and_classes_of_one(variant, make_arrays, scored):
    arrays = make_arrays(n=20, d=1)
    with pytest.raises(ValueError, match=r"^`features` must vary along at least 2 directions; got 1"):
        scored("parc", arrays, variant=variant)
    with pytest.raises(ValueError, match=r"^`labels` must have a class with at least 2 images; got one image in each"):
        scored("parc", {**make_arrays(n=20), "labels": np.arange(20)}, variant=variant)


def test_noise_is_near_zero(make_arrays, scored):
    for n, d in ((200, 20), (60, 200)):
        assert abs(scored("parc", make_arrays(n=n, d=d, signal=0.0))[0][0]) < 5


def test_large_samples_are_subsampled(monkeypatch, make_arrays, scored):
    monkeypatch.setattr(importlib.import_module("hf_transferability.metrics.parc"), "_LARGEST_SAMPLE", 50)
    value, flags = scored("parc", make_arrays(n=120))
    assert flags == {"subsampled"}
    assert -100 <= value[0] <= 100


def test_all_images_at_one_distance_have_no_order():
    x = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    with pytest.warns(UserWarning, match="single_image_class"):
        assert abs(score("parc", features=x, labels=[0, 0, 1])) <= 100
