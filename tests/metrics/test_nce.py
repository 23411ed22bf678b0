import numpy as np
import pytest
from scipy.stats import entropy
from sklearn.metrics import mutual_info_score

from hf_transferability.metrics import score


def test_by_hand(scored):
    """Source class 0 is seen with labels 0, 0, 1, and source class 1 with 1, 1."""
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.2, 0.8], [0.4, 0.6]])
    value, flags = scored("nce", {"source_probabilities": p, "labels": np.array([0, 0, 1, 1, 1])})
    assert value[0] == pytest.approx((2 * np.log(2 / 3) + np.log(1 / 3)) / 5)
    assert not flags


@pytest.mark.parametrize("seed", range(5))
def test_equals_mutual_information_minus_the_entropy_of_the_labels(seed, make_arrays, scored):
    arrays = make_arrays(n=70, classes=4, signal=0.5, seed=seed)
    source = arrays["source_probabilities"].argmax(axis=1)
    expected = mutual_info_score(arrays["labels"], source) - entropy(np.bincount(arrays["labels"]))
    assert scored("nce", arrays)[0][0] == pytest.approx(expected)


def test_one_source_class_for_all_tells_nothing(scored):
    labels = np.array([0] * 6 + [1] * 3 + [2])
    p = np.tile([0.5, 0.3, 0.2], (10, 1))
    shares = np.array([0.6, 0.3, 0.1])
    assert scored("nce", {"source_probabilities": p, "labels": labels})[0][0] == pytest.approx(shares @ np.log(shares))


def test_only_the_most_probable_class_counts_and_of_equals_the_first(scored):
    labels = np.array([0, 0, 1, 1, 0])
    p = np.array([[0.5, 0.5], [0.6, 0.4], [0.1, 0.9], [0.4, 0.6], [0.45, 0.55]])
    hard = np.eye(2)[[0, 0, 1, 1, 1]]
    assert scored("nce", {"source_probabilities": p, "labels": labels})[0] == pytest.approx(
        scored("nce", {"source_probabilities": hard, "labels": labels})[0]
    )


def test_a_source_class_for_every_image_is_perfect_and_flagged(scored):
    value, flags = scored("nce", {"source_probabilities": np.eye(12), "labels": np.arange(12) % 3})
    assert value[0] == 0
    assert flags == {"saturated"}


def test_refuses_logits():
    with pytest.raises(ValueError, match=r"^`source_probabilities` must be non-negative with rows that sum to 1; got values"):
        score("nce", source_probabilities=[[2.0, -1.0]] * 4, labels=[0, 0, 1, 1])
