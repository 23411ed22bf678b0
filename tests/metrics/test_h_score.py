import numpy as np
import pytest

from hf_transferability.metrics import score


def test_by_hand(scored):
    """Total variance 1.25, variance of the class means 1."""
    arrays = {"features": np.array([[0.0], [1], [2], [3]]), "labels": np.array([0, 0, 1, 1])}
    assert scored("h_score", arrays, variant="published")[0][0] == pytest.approx(0.8)


def test_plain_saturates_on_noise_and_says_so_and_the_default_does_not(make_arrays, scored):
    arrays = make_arrays(n=60, d=300, classes=3, signal=0.0)
    value, flags = scored("h_score", arrays, variant="published")
    assert value[0] == pytest.approx(2.0)
    assert {"saturated", "n<=d"} <= flags
    value, flags = scored("h_score", arrays)
    assert value[0] < 1.2
    assert "saturated" not in flags


@pytest.mark.parametrize("variant", ["default", "published"])
def test_dead_constant_and_repeated_features(variant, make_arrays, scored):
    arrays = make_arrays(n=90, d=6)
    x = arrays["features"]
    value, _ = scored("h_score", arrays, variant="published")
    wider = np.hstack([x, np.zeros((90, 2)), np.full((90, 2), 1234567.1), x])
    again, _ = scored("h_score", {**arrays, "features": wider}, variant=variant)
    assert 0 <= again[0] <= 2
    if variant == "published":
        assert again == pytest.approx(value, rel=1e-6)


def test_perfect_fit_is_the_highest_value(scored):
    labels = np.arange(30) % 3
    value, flags = scored("h_score", {"features": np.eye(3)[labels], "labels": labels}, variant="published")
    assert value[0] == pytest.approx(2.0)
    assert "saturated" in flags


def test_equal_class_means_are_flagged():
    with pytest.warns(UserWarning, match=r"^saturated: .* \(0: the class means are one, or the shrinkage leaves nothing"):
        assert score("h_score", features=[[0], [2], [1], [1]], labels=[0, 0, 1, 1]) == 0


def test_refuses_one_row_for_all():
    with pytest.raises(
        ValueError, match=r"^`features` must vary between images; got the same row for all. Check the checkpoint.$"
    ):
        score("h_score", features=np.full((6, 3), 0.1), labels=[0, 1] * 3)
