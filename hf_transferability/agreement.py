"""How far scores agree with fine-tuned performance. Arrays in, numbers out.

Scores and fine-tuned performance of the same candidates, in one order; higher is better in both. What cannot be
computed, because one of the two is constant or there are too few candidates, is an `UndefinedAgreement` with its reason, and
never NaN.

The values come from scipy. For thousands of resamples the same statistics are computed from counts of candidates, all
resamples at once (a weighted tau of 14 candidates in 1,000 resamples: 2 ms, against some 400 ms with scipy); the tests hold
the two equal.
"""

from collections.abc import Callable, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy import stats
from scipy.special import comb

from hf_transferability.errors import UndefinedAgreement

LEVEL = 0.9  # of every interval
FEWEST = 5  # candidates for an interval: resamples of fewer are mostly copies of one or two

_Batch = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def weighted_tau(scores: Any, performance: Any) -> float:
    """Weighted Kendall tau, -1 to 1: pairs count more the better their candidates are (Vigna 2015, scipy's defaults).

    Args:
        scores: [n_candidates].
        performance: [n_candidates].

    Raises:
        UndefinedAgreement: fewer than two candidates, or all of them tie in one of the two.
        ValueError: not two lists of finite numbers of equal length.

    Example:
        >>> weighted_tau([1, 2, 3], [0.7, 0.8, 0.9])
        1.0
    """
    x, y = _two_orders(scores, performance)
    return float(np.clip(stats.weightedtau(x, y).statistic, -1, 1))


def kendall_tau(scores: Any, performance: Any) -> float:
    """Kendall's tau-b, -1 to 1; arguments and errors as in `weighted_tau`."""
    x, y = _two_orders(scores, performance)
    return float(stats.kendalltau(x, y).statistic)


def spearman(scores: Any, performance: Any) -> float:
    """Spearman's rank correlation, -1 to 1; arguments and errors as in `weighted_tau`."""
    x, y = _two_orders(scores, performance)
    return float(stats.spearmanr(x, y).statistic)


def pearson(scores: Any, performance: Any) -> float:
    """Pearson's linear correlation, -1 to 1; arguments and errors as in `weighted_tau`."""
    x, y = _two_orders(scores, performance)
    # Scaled first: numbers that are nearly constant, or very large or small, would lose their digits in squares.
    x, y = ((values - values.min()) / np.ptp(values) for values in (x, y))
    return float(np.clip(np.corrcoef(x, y)[0, 1], -1, 1))


def regret_at(scores: Any, performance: Any, k: int) -> float:
    """What fine-tuning only the k candidates of highest score loses, in performance: the best of all less the best of those k.

    Where a tie in the score leaves open which candidates are the first k, the mean over all orders of the tied ones: a
    constant score has the regret of a random choice.

    Args:
        scores: [n_candidates].
        performance: [n_candidates].
        k: 1 or more.

    Raises:
        UndefinedAgreement: there are no more than k candidates, so that nothing is chosen.
        ValueError: not two lists of finite numbers of equal length, or k below 1.

    Example:
        >>> round(regret_at([3, 2, 1], [0.8, 0.9, 0.7], k=1), 3)
        0.1
    """
    x, y = _arrays(scores, performance)
    if k < 1:
        raise ValueError(f"`k` must be at least 1; got {k}.")
    if len(x) <= k:
        raise UndefinedAgreement(f"the first {k} of {len(x)} leave nothing to choose from")
    border = np.sort(x)[-k]
    sure, tied = y[x > border], np.sort(y[x == border])
    taken = k - len(sure)
    # Of `taken` of the tied ones, drawn at random, the highest is the j-th (from below) with this probability.
    chance = comb(np.arange(len(tied)), taken - 1) / comb(len(tied), taken)
    best = np.maximum(tied, sure.max(initial=-np.inf))
    return float(max(y.max() - (chance * best).sum(), 0.0))


STATISTICS: MappingProxyType[str, Callable[[Any, Any], float]] = MappingProxyType(
    {
        "weighted_tau": weighted_tau,
        "kendall_tau": kendall_tau,
        "pearson": pearson,
        "regret_at_1": partial(regret_at, k=1),
        "regret_at_3": partial(regret_at, k=3),
        "regret_at_5": partial(regret_at, k=5),
    }
)


def chance_of_best(scores: Any, performance: Any) -> np.ndarray:
    """Probability, 0 or 1 but for ties, that a best candidate is among the first k by score, for k = 1 .. n_candidates.

    Ties in the score are broken at random; of candidates that tie for the best performance any one will do.

    Args:
        scores: [n_candidates], or one row per pool.
        performance: likewise.

    Returns:
        Of the same shape.

    Raises:
        ValueError: shapes that differ, or numbers that are not finite.

    Example:
        >>> chance_of_best([[3, 2], [2, 1]], [[0.8, 0.9], [0.9, 0.7]]).tolist()
        [[0.0, 1.0], [1.0, 1.0]]
    """
    x, y = _arrays(scores, performance, dimensions=(1, 2))
    best = y == y.max(axis=-1, keepdims=True)
    foremost = np.where(best, x, -np.inf).max(axis=-1, keepdims=True)  # the highest score of a best candidate
    tied = x == foremost
    higher, ties, others = (flags.sum(axis=-1, keepdims=True) for flags in (x > foremost, tied, tied & ~best))
    # Of the first k, those that do not score higher are drawn from the tied; it fails if all of them are no best ones.
    taken = np.clip(np.arange(1, x.shape[-1] + 1) - higher, 0, ties)
    numbers = np.arange(x.shape[-1] + 1)
    ways = comb(numbers[:, None], numbers)
    return 1 - ways[others, taken] / ways[ties, taken]


def regret_of_first(scores: Any, performance: Any) -> np.ndarray:
    """`regret_at` with k = 1, of many pools at once.

    Args:
        scores: [n_pools, n_candidates].
        performance: likewise.

    Returns:
        [n_pools].

    Raises:
        ValueError: shapes that differ, or numbers that are not finite.

    Example:
        >>> regret_of_first([[3, 2], [2, 2]], [[0.8, 0.9], [0.9, 0.7]]).round(3).tolist()
        [0.1, 0.1]
    """
    x, y = _arrays(scores, performance, dimensions=(2,))
    first = x == x.max(axis=1, keepdims=True)
    return y.max(axis=1) - np.where(first, y, 0).sum(axis=1) / first.sum(axis=1)


def draws(n_candidates: int, resamples: int, seed: int) -> np.ndarray:
    """Bootstrap samples of candidates as counts: how often each is drawn, int [resamples, n_candidates]."""
    return np.random.default_rng(seed).multinomial(n_candidates, np.full(n_candidates, 1 / n_candidates), resamples)


def resampled(statistic: str, scores: Any, performance: Any, counts: np.ndarray, seed: int = 0) -> np.ndarray:
    """A statistic on every resample; NaN marks the resamples that leave it undefined, for `interval` to pass over.

    Args:
        statistic: one of STATISTICS, or spearman.
        scores: [n_candidates], or one row per resample.
        performance: likewise.
        counts: int [n_resamples, n_candidates], how often each resample has each candidate.
        seed: decides the order in which candidates of equal score are taken, for regret.

    Returns:
        [n_resamples].
    """
    x, y = (np.atleast_2d(np.asarray(values, dtype=float)) for values in (scores, performance))
    if statistic.startswith("regret_at_"):
        return _regrets(x, y, counts, int(statistic.rpartition("_")[2]), np.random.default_rng(seed))
    with np.errstate(invalid="ignore", divide="ignore"):
        return _BATCHES[statistic](x, y, counts)


def interval(values: Any) -> tuple[float, float] | None:
    """The middle 90% of the values that are not NaN; None where those are fewer than half."""
    values = np.asarray(values, dtype=float)
    defined = values[~np.isnan(values)]
    if len(defined) < 2 or len(defined) < len(values) / 2:
        return None
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def random_orders(statistic: str, performance: Any, *, orders: int = 1000, seed: int = 0) -> np.ndarray:
    """A statistic of so many random orders of the candidates; [orders], NaN where it is undefined."""
    y = np.asarray(performance, dtype=float)
    places = np.tile(np.arange(len(y)), (orders, 1))
    shuffled = np.random.default_rng(seed).permuted(places, axis=1)
    return resampled(statistic, shuffled, y, np.ones((orders, len(y)), dtype=int))


def friedman(agreements: Any) -> tuple[float, float]:
    """Friedman's test that all methods agree equally well with fine-tuning: are their ranks per target more than chance?

    Args:
        agreements: [n_methods, n_targets], higher is better; NaN where undefined, which ranks last.

    Returns:
        (chi2, p).

    Raises:
        UndefinedAgreement: fewer than three methods or two targets, or methods that tie everywhere.

    Example:
        >>> chi2, p = friedman([[3, 3], [2, 2], [1, 1]])
        >>> chi2
        4.0
    """
    table = np.array(agreements, dtype=float)
    if table.ndim != 2 or table.shape[0] < 3 or table.shape[1] < 2:
        raise UndefinedAgreement(f"Friedman's test needs 3 methods and 2 targets; got {' and '.join(map(str, table.shape))}")
    table[np.isnan(table)] = -np.inf
    if (table == table[0]).all():
        raise UndefinedAgreement("all methods tie on every target")
    result = stats.friedmanchisquare(*table)
    return float(result.statistic), float(result.pvalue)


def split_half(statistic: str, first: Any, second: Any) -> np.ndarray:
    """How well one half of the fine-tuning runs predicts the other: the statistic with one half's performance as the score.

    Args:
        statistic: one of STATISTICS, or spearman.
        first, second: [n_repeats, n_candidates], performance from two halves of the runs, in each of several random divisions.

    Returns:
        [n_repeats], NaN where undefined. Its mean is the noise ceiling: what a method reaches that knows fine-tuning itself,
        from half of the runs.
    """
    x, y = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    return resampled(statistic, x, y, np.ones(x.shape, dtype=int))


def _arrays(scores: Any, performance: Any, dimensions: Sequence[int] = (1,)) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(scores, dtype=float), np.asarray(performance, dtype=float)
    if x.ndim not in dimensions or x.shape != y.shape or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError(
            "`scores` and `performance` must be two lists of finite numbers, one each per candidate; "
            f"got shapes {x.shape} and {y.shape}. Leave out candidates that lack one."
        )
    return x, y


def _two_orders(scores: Any, performance: Any) -> tuple[np.ndarray, np.ndarray]:
    x, y = _arrays(scores, performance)
    if len(x) < 2:
        raise UndefinedAgreement(f"there must be at least 2 candidates with score and fine-tuned performance; got {len(x)}")
    for values, name in ((x, "score"), (y, "fine-tuned performance")):
        if (values == values[0]).all():
            raise UndefinedAgreement(f"the {name} is the same for all {len(x)} candidates")
    return x, y


# Below, every array is [n_resamples or 1, n_candidates]; a candidate that is drawn c times stands for c equal ones.


def _weighted_taus(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    sign_x, sign_y = _signs(x), _signs(y)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, counts.sum(axis=1).max(initial=0) + 1))])
    taus = np.zeros(len(counts))
    for first, second in ((x, y), (y, x)):
        first, second = np.broadcast_arrays(first, second)
        order = np.lexsort((-second, -first), axis=-1)
        ends = np.cumsum(_in_order(counts, order), axis=1)
        starts = np.concatenate([np.zeros((len(ends), 1), dtype=int), ends[:, :-1]], axis=1)
        # A candidate's copies hold the ranks from start to end; each weighs 1 / (rank + 1).
        weights = _in_order(harmonic[ends] - harmonic[starts], np.argsort(order, axis=1))
        agreeing, in_x, in_y = (
            (_times(signs, counts) * weights).sum(axis=1) for signs in (sign_x * sign_y, np.abs(sign_x), np.abs(sign_y))
        )
        taus += agreeing / np.sqrt(in_x * in_y)
    return taus / 2


def _kendall_taus(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    sign_x, sign_y = _signs(x), _signs(y)
    agreeing, in_x, in_y = (
        (_times(signs, counts) * counts).sum(axis=1) for signs in (sign_x * sign_y, np.abs(sign_x), np.abs(sign_y))
    )
    return agreeing / np.sqrt(in_x * in_y)


def _pearsons(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    n = counts.sum(axis=1, keepdims=True)
    spans = [np.ptp(values, axis=1, keepdims=True) for values in (x, y)]
    x, y = ((values - values.min(axis=1, keepdims=True)) / span for values, span in zip((x, y), spans, strict=True))
    x, y = (values - (counts * values).sum(axis=1, keepdims=True) / n for values in (x, y))
    products = [(counts * a * b).sum(axis=1) for a, b in ((x, y), (x, x), (y, y))]
    tiny = 1e-12 * n[:, 0]  # of a resample with one value only, rounding leaves this instead of 0
    return np.where((products[1] > tiny) & (products[2] > tiny), products[0] / np.sqrt(products[1] * products[2]), np.nan)


def _spearmans(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    # The mean rank of a candidate's copies: those below it, and half of those that tie with it.
    x, y = (_times((_signs(values) + 1) / 2, counts) for values in (x, y))
    return _pearsons(x, y, counts)


def _regrets(x: np.ndarray, y: np.ndarray, counts: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    if len(x) == 1 and len(np.unique(x)) == x.size:
        order = np.argsort(-x, axis=1)
    else:  # ties in a random order, another one in each resample
        x = np.broadcast_to(x, counts.shape)
        order = np.lexsort((rng.random(counts.shape), -x), axis=-1)
    drawn, performance = _in_order(counts, order), _in_order(y, order)
    first = (drawn > 0) & (np.cumsum(drawn, axis=1) - drawn < k)
    best, taken = (np.where(chosen, performance, -np.inf).max(axis=1) for chosen in (drawn > 0, first))
    enough = drawn.sum(axis=1) > k
    return np.where(enough, np.where(enough, best, 0) - np.where(enough, taken, 0), np.nan)


def _in_order(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Every row of the values in its order, or all of them in the only one."""
    if len(order) == 1:
        return values[:, order[0]]
    return np.take_along_axis(np.broadcast_to(values, order.shape), order, axis=1)


def _signs(values: np.ndarray) -> np.ndarray:
    """[n, candidates] -> [n, candidates, candidates]: 1 where the first is higher, -1 where it is lower."""
    return np.sign(values[:, :, None] - values[:, None, :])


def _times(pairs: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """For every candidate, the sum of a figure of its pairs over the copies of the others."""
    if len(pairs) == 1:  # one matrix for all resamples: a single product
        return counts @ pairs[0].T
    return np.einsum("bij,bj->bi", pairs, counts)


_BATCHES: dict[str, _Batch] = {
    "weighted_tau": _weighted_taus,
    "kendall_tau": _kendall_taus,
    "pearson": _pearsons,
    "spearman": _spearmans,
}


def means(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Mean over targets of a statistic on the same resamples: [n_resamples]; NaN only where every target is undefined."""
    table = np.array(columns, dtype=float)
    defined = ~np.isnan(table)
    total = np.where(defined, table, 0).sum(axis=0)
    return np.where(defined.any(axis=0), total / np.maximum(defined.sum(axis=0), 1), np.nan)
