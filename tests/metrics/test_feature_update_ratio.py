import numpy as np
import pytest

from hf_transferability.metrics import score


def test_ratio_of_means_by_hand():
    assert score("feature_update_ratio", gradient_norms=[[1.0, 3.0], [3.0, 1.0], [0.0, 0.0]]) == 1.0
    assert score("feature_update_ratio", gradient_norms=[[2.0, 0.0]]) == 0.0


@pytest.mark.parametrize(
    ("norms", "text"),
    [
        (
            [[0.0, 1.0]],
            "`gradient_norms` must have a gradient at the first layer; got mean norms 0 and 1. Either no batch held",
        ),
        ([[5e-324, 1e300]], "`gradient_norms` must have a gradient at the first layer; got mean norms"),
        ([[np.nan, 1.0]], "`gradient_norms` must be finite; got NaN or infinity in 1 of 1 rows"),
        ([[-1.0, 1.0]], "`gradient_norms` must not be negative; got -1. Pass L2 norms."),
        ([[1.0, 1.0, 1.0]], r"`gradient_norms` must have shape \[n_batches, 2\] \(first, second layer\); got \(1, 3\)."),
        ([1.0, 1.0], r"`gradient_norms` must be an array \[n_batches, 2\]; got shape \(2,\)."),
    ],
)
def test_refuses(norms, text):
    with pytest.raises(ValueError, match=f"^{text}"), np.errstate(over="ignore"):
        score("feature_update_ratio", gradient_norms=norms)
