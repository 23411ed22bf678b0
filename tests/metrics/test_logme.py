import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from hf_transferability.metrics import score


def largest_log_evidence(x, t):
    """log N(t; 0, I / beta + F F' / alpha) / n at its largest over alpha and beta: the definition, without the fixed point."""
    n = len(t)

    def negative(log_variances):
        noise, prior = np.exp(log_variances)
        return -multivariate_normal(np.zeros(n), noise * np.eye(n) + prior * x @ x.T).logpdf(t)

    starts = [
        minimize(negative, start, method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10}) for start in [(0, 0), (-3, -3)]
    ]
    return -min(start.fun for start in starts) / n


@pytest.mark.parametrize(("n", "d"), [(4, 1), (40, 5), (20, 30)])
def test_is_the_largest_evidence(n, d, make_arrays, scored):
    arrays = make_arrays(n=n, d=d, classes=2, signal=0.5)
    expected = np.mean([largest_log_evidence(arrays["features"], arrays["labels"] == k) for k in range(2)])
    assert scored("logme", arrays)[0][0] == pytest.approx(expected, abs=2e-3)  # the published epsilon of 1e-5 is part of ours


def test_by_hand(scored):
    """One feature, x = (1, 1), t = (1, 0) or (0, 1): s = 2, in its own unit 1; t has 1/2 along x and 1/2 beside it."""
    arrays = {"features": np.array([[1.0], [1.0]]), "labels": np.array([0, 1])}
    value, flags = scored("logme", arrays)
    s, projected, rest = 1.0, 0.5, 0.5
    r = 1.0
    for _ in range(5000):
        gamma = s / (s + r)
        alpha = gamma / (s * projected / (s + r) ** 2 + 1e-5)
        beta = (2 - gamma) / (projected / (1 + s / r) ** 2 + rest + 1e-5)
        r = alpha / beta
    fit = projected / (1 + s / r) ** 2 + rest
    norm = s * projected / (s + r) ** 2
    by_hand = (
        np.log(alpha) / 2 + np.log(beta) - np.log(alpha + s * beta) / 2 - beta / 2 * fit - alpha / 2 * norm - np.log(2 * np.pi)
    ) / 2
    assert value[0] == pytest.approx(by_hand, rel=1e-9)
    assert "single_image_class" in flags


@pytest.mark.parametrize("factor", [1e-3, 16, 1e4])
def test_the_unit_of_the_features_does_not_matter(factor, make_arrays, scored):
    arrays = make_arrays(n=60, d=8, signal=2.0)
    scaled = {**arrays, "features": arrays["features"] * factor}
    assert scored("logme", scaled)[0] == pytest.approx(scored("logme", arrays)[0], rel=1e-9)


def test_width_does_not_win(make_arrays, scored):
    """The published value puts wide noise before narrow signal; the exact one does not."""
    noise, signal = make_arrays(n=80, d=400, signal=0.0), make_arrays(n=80, d=10, signal=2.0)
    assert scored("logme", noise, variant="published")[0] > scored("logme", signal, variant="published")[0]
    assert scored("logme", noise)[0] < scored("logme", signal)[0]


@pytest.mark.parametrize("variant", ["default", "published"])
def test_dead_and_repeated_features(variant, make_arrays, scored):
    arrays = make_arrays(n=90, d=6)
    x = arrays["features"]
    value, _ = scored("logme", {**arrays, "features": np.hstack([x, np.zeros((90, 4)), x])}, variant=variant)
    assert np.isfinite(value).all()


@pytest.mark.parametrize("variant", ["default", "published"])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e8])
@pytest.mark.parametrize("d", [3, 40])
def test_perfect_fit_is_finite(variant, scale, d, scored):
    labels = np.arange(30) % 3
    features = np.tile(np.eye(3)[labels], (1, d // 3 + 1))[:, :d] * scale
    assert np.isfinite(scored("logme", {"features": features, "labels": labels}, variant=variant)[0]).all()


def test_regression_targets(make_arrays, scored):
    arrays = make_arrays(n=60, d=4)
    rng = np.random.default_rng(1)
    target = arrays["features"] @ rng.standard_normal(4)
    good, _ = scored("logme", {**arrays, "labels": target + 0.1 * rng.standard_normal(60)})
    bad, _ = scored("logme", {**arrays, "labels": rng.permutation(target)})
    assert good > bad
    assert bad[0] == pytest.approx(largest_log_evidence(arrays["features"], rng.permutation(target)), abs=0.2)
    for labels, text in (
        (np.full(60, 0.5), "must vary"),
        (target[:-1], "one entry per row"),
        (target * np.nan, "must hold a value for every image; got NaN"),
        (np.append(target[1:], np.inf), "must be finite"),
    ):
        with pytest.raises(ValueError, match=f"^`labels` .*{text}|^`labels` {text}"):
            scored("logme", {**arrays, "labels": labels})


def evidence_by_singular_values(x, t):
    """The evidence at the fixed point from the singular values of the features as they are, without any limit of rank."""
    (n, d), (u, singular, _) = x.shape, np.linalg.svd(x, full_matrices=False)
    along = u.T @ t
    s, projected, rest = (singular / singular[0]) ** 2, along**2, ((t - u @ along) ** 2).sum()
    alpha = beta = 1.0
    for _ in range(5000):
        r = alpha / beta
        residual, m2 = (projected / (1 + s / r) ** 2).sum() + rest, (s * projected / (s + r) ** 2).sum()
        gamma = (s / (s + r)).sum()
        alpha, beta = gamma / (m2 + 1e-5), (n - gamma) / (residual + 1e-5)
    logs = np.log(beta * s + alpha).sum() + (d - len(s)) * np.log(alpha)
    return (d * np.log(alpha) + n * np.log(beta) - beta * residual - alpha * m2 - logs - n * np.log(2 * np.pi)) / (2 * n)


@pytest.mark.parametrize(("n", "d"), [(60, 5), (20, 30)])
def test_features_far_from_zero_keep_their_axes(n, d, scored):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, d)) + 1e7
    target = x[:, 0] + 0.1 * rng.standard_normal(n)
    value = scored("logme", {"features": x, "labels": target})[0][0]
    assert value == pytest.approx(evidence_by_singular_values(x, target), rel=1e-5)


def test_what_is_left_of_a_target_that_features_explain(scored):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 5))
    target = 1e5 * x[:, 0] + 1e-3 * rng.standard_normal(200)
    value = scored("logme", {"features": x, "labels": target})[0][0]
    assert value == pytest.approx(evidence_by_singular_values(x, target), rel=1e-6)


def test_refuses_zeros():
    with pytest.raises(ValueError, match=r"^`features` must not be zero throughout; got only zeros"):
        score("logme", features=np.zeros((9, 2)), labels=[0, 1, 2] * 3)
