"""Scaling of a raw component over the pool of candidates, shared by the metrics that exist only relative to a pool."""

from collections.abc import Sequence

import numpy as np


def scaled(name: str, values: Sequence[float | None]) -> np.ndarray | None:
    """Min-max scaled over the candidates that have a value, NaN for the others; None if the values never vary.

    Raises:
        ValueError: a value that is not finite.
    """
    for value in values:
        if value is not None and not np.isfinite(value):
            raise ValueError(f"`{name}` must be finite; got {value}. Use None for a candidate without a value.")
    array = np.array([np.nan if value is None else float(value) for value in values])
    if np.isnan(array).all():
        return None
    low, high = np.nanmin(array), np.nanmax(array)
    # Equal values of different rounding are constant, too: their order would be an accident.
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        return None
    return (array - low) / (high - low)
