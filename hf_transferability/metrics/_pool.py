"""Scores that exist only over a pool of candidates: checks and flags that are the same for every formula, and the
scales that formulas are made of.
"""

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from types import MappingProxyType

import numpy as np

from hf_transferability.errors import shown
from hf_transferability.metrics._flags import warn

# Facts of a candidate that a formula may use -> the flag where one is missing for a candidate that is scored.
FACTS = MappingProxyType({"parameters": "size_unknown"})
_ROUNDING = 1e-12  # values closer than this, relative to their size, differ by rounding alone


def checked_arrays(
    metric: str, parts: Mapping[str, Sequence[float | None]], needed: Sequence[str], known: Sequence[str]
) -> dict[str, np.ndarray]:
    """The values of a pool as float64 arrays [n_candidates] by name, NaN for None; all of `known`, in their order.

    Raises:
        ValueError: names that are not known, one of the needed that is missing, lists of different length, or a value
            that is not finite.
        TypeError: no list, or an entry that is neither a number nor None.
    """
    if set(parts) - set(known) or set(needed) - set(parts) or not parts:
        names = ", ".join(known)
        raise ValueError(
            f"`parts` must hold {names} for {metric}; got {', '.join(parts) or 'nothing'}. Pass lists by these names."
        )
    for name, values in parts.items():
        _check_values(name, values)
    lengths = [len(values) for values in parts.values()]
    if len(set(lengths)) > 1:
        raise ValueError(
            f"{' and '.join(f'`{name}`' for name in parts)} must have one entry per candidate; "
            f"got {' and '.join(map(str, lengths))}. Use None for a missing value."
        )
    for name, values in parts.items():
        for value in values:
            if value is not None and not math.isfinite(value):
                raise ValueError(f"`{name}` must be finite; got {value}. Use None for a candidate without a value.")
    empty: list[float | None] = [None] * lengths[0]
    return {
        name: np.array([np.nan if value is None else float(value) for value in parts.get(name, empty)], dtype=np.float64)
        for name in known
    }


def _check_values(name: str, values: object) -> None:
    """Refuse what is no list (or array) of numbers and None."""
    if isinstance(values, np.ndarray) or hasattr(values, "tolist"):
        values = values.tolist()
    if not isinstance(values, list | tuple):
        raise TypeError(f"`{name}` must be a list of one number or None per candidate; got {shown(values)}. Pass a list.")
    for value in values:
        if value is not None and (isinstance(value, bool) or not isinstance(value, Real)):
            raise TypeError(f"`{name}` must hold numbers or None; got {shown(value)}. Use None for a missing value.")


def complete_candidates(arrays: Mapping[str, np.ndarray], names: Sequence[str], *, every: bool) -> np.ndarray:
    """Which candidates of a pool have what a formula needs [n_candidates]: every one of `names`, or one of them.

    Warns with pool_of_one where fewer than two do, and with pool_of_two.
    """
    has = np.array([~np.isnan(arrays[name]) for name in names])
    complete = np.asarray(has.all(axis=0) if every else has.any(axis=0))
    if complete.sum() < 2:
        what = (" and " if every else " or ").join(names)
        warn("pool_of_one", f"{int(complete.sum())} of {len(complete)} candidates have {what}")
    elif complete.sum() == 2:
        warn("pool_of_two")
    return complete


def warn_about_pool(arrays: Mapping[str, np.ndarray], names: Sequence[str], facts: Sequence[str], complete: np.ndarray) -> None:
    """Warn with constant_over_pool for what is the same for all, and with the flag of a fact that is not known of all."""
    if constant := [name for name in names if has_one_value(arrays[name])]:
        warn("constant_over_pool", ", ".join(constant))
    for fact in facts:
        known = int((complete & ~np.isnan(arrays[fact])).sum())
        if known < complete.sum():
            warn(FACTS[fact], f"known for {known} of {int(complete.sum())} candidates")


def has_one_value(values: np.ndarray) -> bool:
    """Whether two or more candidates of a pool have a value [n_candidates] and all have the same, up to rounding."""
    return bool((~np.isnan(values)).sum() > 1 and np.isnan(scaled(values)).all())


def scaled(values: np.ndarray) -> np.ndarray:
    """Min-max scaled over the candidates of each pool that have a value [..., n_candidates]: the lowest 0, the highest 1.

    NaN where a candidate has none, and for a whole pool whose values differ by no more than rounding: their order would
    be an accident.
    """
    low = np.fmin.reduce(values, axis=-1, keepdims=True)
    high = np.fmax.reduce(values, axis=-1, keepdims=True)
    spread = high - low
    varies = spread > _ROUNDING * np.maximum(abs(low), abs(high))
    return np.divide(values - low, spread, out=np.full(values.shape, np.nan), where=np.broadcast_to(varies, values.shape))


def rank_shares(values: np.ndarray) -> np.ndarray:
    """(Average rank, the lowest 1, minus 1/2) / (number of candidates that have a value), for each pool [..., n_candidates].

    Between 0 and 1, equal values share theirs, and a pool in which all are equal up to rounding gets 1/2 throughout. NaN
    where a candidate has no value.
    """
    missing = np.isnan(values)
    scale = scaled(values)
    compared = np.where(np.isnan(scale) & ~missing, 0.0, scale)
    lower = (compared[..., None, :] < compared[..., :, None]).sum(axis=-1)
    equal = (compared[..., None, :] == compared[..., :, None]).sum(axis=-1)
    count = np.maximum((~missing).sum(axis=-1, keepdims=True), 1)
    return np.where(missing, np.nan, (lower + equal / 2) / count)


def sum_of_scaled(parts: Mapping[str, np.ndarray], signs: Mapping[str, int]) -> np.ndarray:
    """The signed sum of scaled parts over each pool [..., n_candidates].

    A part that is the same for all of a pool's candidates adds nothing; where that holds for every part, and for a
    candidate that lacks one, the sum is NaN.
    """
    scales = {name: scaled(parts[name]) for name in signs}
    lacking = np.any([np.isnan(parts[name]) for name in signs], axis=0)
    varying = np.any([~np.isnan(scale) for scale in scales.values()], axis=0)
    total = np.sum([sign * np.nan_to_num(scales[name]) for name, sign in signs.items()], axis=0)
    return np.where(lacking | ~varying, np.nan, total)
