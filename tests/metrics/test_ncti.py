import numpy as np
import pytest
from scipy.special import expit

from hf_transferability.metrics import ScoreWarning, get_metric, score


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


def combined(*rows, variant="default"):
    columns = {name: [None if own is None else own[name] for own in rows] for name in ("seli", "ncc", "vc")}
    return get_metric("ncti").combine(columns, variant=variant)


def test_combination_by_hand():
    pool = [row(1.0, 0.5, 3.0), row(2.0, 0.6, 4.0), row(3.0, 0.9, 3.5)]
    assert combined(*pool) == pytest.approx([0, 0.5 + 0.25 - 1, 1 + 1 - 0.5])
    assert combined(*pool, variant="published") == pytest.approx([0, 0.5 + 0.25 + 1, 1 + 1 + 0.5])
    assert combined(None, *pool, None) == [None, *combined(*pool), None]


def test_small_and_constant_pools():
    with pytest.warns(ScoreWarning, match=r"^pool_of_one: .* \(1 of 2 candidates have seli and ncc and vc\)$"):
        assert combined(row(1, 0.5, 3), None) == [None, None]
    with pytest.warns(ScoreWarning, match="^pool_of_two"):
        assert combined(row(1, 0.5, 3), row(2, 0.6, 4)) == [0, 1]
    with pytest.warns(ScoreWarning, match=r"^constant_over_pool: .* \(ncc\)$"):
        assert combined(row(1, 1, 3), row(2, 1, 4), row(3, 1, 3.5)) == [0, -0.5, 0.5]
    with pytest.warns(ScoreWarning, match=r"\(seli, ncc, vc\)$"):
        assert combined(*[row(1, 1, 3)] * 3) == [None] * 3


def test_a_missing_component_is_refused():
    with pytest.raises(ValueError, match=r"^`parts` must hold seli, ncc, vc for ncti; got seli\. Pass lists by these names\.$"):
        get_metric("ncti").combine({"seli": [1.0, 2.0]})
