import numpy as np
import pytest
from scipy.special import expit

from hf_transferability.metrics import ScoreWarning, score
from hf_transferability.metrics.ncti import combine


def row(seli, ncc, vc):
    return {"seli": seli, "ncc": ncc, "vc": vc}


def test_components_by_hand():
    """One feature, two classes of three, variance 2/3 within and 10/6 in all: x is projected to x / sqrt(2/3)."""
    value = score("ncti", features=np.array([[0.0], [1], [2], [2], [3], [4]]), labels=[0, 0, 0, 1, 1, 1])
    posterior = np.array([[expit(-3 * (x - 2)), expit(3 * (x - 2))] for x in (0, 1, 2)])
    assert value["seli"] == pytest.approx(np.sqrt(10 / (2 / 3)))
    assert value["ncc"] == pytest.approx(posterior[:, 0].mean())
    assert value["vc"] == pytest.approx(np.log(2 * np.linalg.svd(posterior, compute_uv=False).sum()))


def test_saturated_is_flagged(make_arrays, scored):
    value, flags = scored("ncti", make_arrays(n=60, d=200, signal=9.0))
    assert value[1] > 0.999
    assert {"saturated", "n<=d"} <= flags


@pytest.mark.parametrize("variant", ["default", "published"])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_dead_and_repeated_features(variant, scale, make_arrays, scored):
    arrays = make_arrays(n=50, d=5)
    x = np.hstack([arrays["features"], arrays["features"], np.zeros((50, 80))]) * scale
    value, _ = scored("ncti", {**arrays, "features": x}, variant=variant)
    assert np.isfinite(value).all()


def test_combine():
    pool = [row(1.0, 0.5, 3.0), row(2.0, 0.6, 4.0), row(3.0, 0.9, 3.5)]
    assert combine(pool) == pytest.approx([0, 0.5 + 0.25 - 1, 1 + 1 - 0.5])
    assert combine(pool, variant="published") == pytest.approx([0, 0.5 + 0.25 + 1, 1 + 1 + 0.5])
    assert combine([None, *pool, None]) == [None, *combine(pool), None]


def test_combine_small_and_constant_pools():
    with pytest.warns(ScoreWarning, match="^pool_of_one"):
        assert combine([row(1, 0.5, 3), None]) == [None, None]
    with pytest.warns(ScoreWarning, match="^pool_of_one"):
        assert combine([]) == []
    with pytest.warns(ScoreWarning, match="^pool_of_two"):
        assert combine([row(1, 0.5, 3), row(2, 0.6, 4)]) == [0, 1]
    with pytest.warns(ScoreWarning, match=r"^constant_over_pool: .* \(ncc\)$"):
        assert combine([row(1, 1, 3), row(2, 1, 4), row(3, 1, 3.5)]) == [0, -0.5, 0.5]
    with pytest.warns(ScoreWarning, match=r"\(seli, ncc, vc\)$"):
        assert combine([row(1, 1, 3)] * 3) == [None] * 3


def test_combine_refuses():
    with pytest.raises(ValueError, match=r"^`seli` must be finite; got nan\. Use None"):
        combine([row(np.nan, 1, 3), row(2, 1, 4)])
    with pytest.raises(ValueError, match=r"^`components` must hold seli, ncc, vc; got \['seli'\]"):
        combine([{"seli": 1.0}, row(2, 1, 4)])
    with pytest.raises(ValueError, match=r"^`variant` must be one of default, published for ncti; got 'other'"):
        combine([row(1, 1, 3), row(2, 1, 4)], variant="other")
