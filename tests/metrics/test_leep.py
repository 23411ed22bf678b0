import numpy as np
import pytest

from hf_transferability.metrics import score


def test_by_hand(scored):
    """z0 is seen with labels 0, 0, 1, so P(0|z0) = 2/3; z1 with 1, 1."""
    p = np.array([[1.0, 0], [1, 0], [1, 0], [0, 1], [0, 1]])
    value, flags = scored("leep", {"source_probabilities": p, "labels": np.array([0, 0, 1, 1, 1])})
    assert value[0] == pytest.approx((2 * np.log(2 / 3) + np.log(1 / 3)) / 5)
    assert not flags


def test_perfect_translation_is_zero_and_no_information_is_the_entropy(scored):
    labels = np.array([0] * 6 + [1] * 3 + [2])
    assert scored("leep", {"source_probabilities": np.eye(3)[labels], "labels": labels})[0][0] == 0
    shares = np.array([0.6, 0.3, 0.1])
    value, _ = scored("leep", {"source_probabilities": np.full((10, 4), 0.25), "labels": labels})
    assert value[0] == pytest.approx(shares @ np.log(shares))


def test_a_source_class_without_mass_changes_nothing(make_arrays, scored):
    arrays = make_arrays()
    p = arrays["source_probabilities"]
    value, _ = scored("leep", arrays)
    assert scored("leep", {**arrays, "source_probabilities": np.hstack([p, np.zeros((60, 2))])})[0] == pytest.approx(
        value, rel=1e-12
    )


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (
            [[2.0, -1.0]] * 4,
            "`source_probabilities` must be non-negative with rows that sum to 1; got values from -1 to 2 and row sums",
        ),
        ([[0.5, 0.4]] * 4, "`source_probabilities` must be non-negative with rows that sum to 1; got values from 0.4 to 0.5"),
        ([[1.0]] * 4, r"`source_probabilities` must have at least 2 rows and 2 columns; got shape \(4, 1\)"),
        ([[np.nan, 1.0]] * 4, "`source_probabilities` must be finite; got NaN or infinity in 4 of 4 rows"),
        ([["a", "b"]] * 4, "`source_probabilities` must be real numbers"),
    ],
)
def test_refuses_what_is_no_probability(p, text):
    with pytest.raises((ValueError, TypeError), match=f"^{text}"):
        score("leep", source_probabilities=p, labels=[0, 0, 1, 1])
