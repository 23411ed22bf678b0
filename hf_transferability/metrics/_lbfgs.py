"""Limited-memory BFGS without bounds (Nocedal, "Updating quasi-Newton matrices with limited storage", Mathematics of
Computation 1980), in the precision of its start.

SciPy's, which has bounds, takes longer for a step than the objectives of this package do, and works in float64 only. The
line search interpolates and extrapolates as theirs does, with the same conditions (strong ones of Wolfe).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_MEMORY = 10
_DECREASE, _CURVATURE = 1e-3, 0.9  # of an accepted step, as in SciPy
_MOST_TRIALS = 20  # of one line search

Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]


@dataclass(frozen=True)
class Minimum:
    """Where the optimiser stopped.

    Attributes:
        x: [n_variables], in the precision of the start.
        gradient: [n_variables], at x.
        steps: how many it took.
    """

    x: np.ndarray
    gradient: np.ndarray
    steps: int


def minimise(
    objective: Objective, start: np.ndarray, *, most_steps: int, gradient_tolerance: float, value_tolerance: float = 0.0
) -> Minimum:
    """Minimise a smooth function.

    Args:
        objective: value and gradient [n_variables] at a point; the gradient may be of any float type.
        start: [n_variables], float32 or float64.
        most_steps: after which it stops.
        gradient_tolerance: it stops when no entry of the gradient is larger.
        value_tolerance: it stops when a step lowers the value by no more than this share of the larger of the value and 1.

    It also stops where no step lowers the value, as when rounding hides that it still falls.
    """
    x = start.copy()
    value, gradient = objective(x)
    gradient = gradient.astype(x.dtype, copy=False)
    moves: list[tuple[np.ndarray, np.ndarray, float]] = []
    for step in range(most_steps):
        if np.abs(gradient).max() <= gradient_tolerance:
            return Minimum(x, gradient, step)
        direction = _direction(gradient, moves)
        slope = float(gradient @ direction)
        length = 1.0 if moves else 1.0 / float(np.sqrt(gradient @ gradient))  # a first step of length one, as SciPy's
        found = _line_search(objective, x, value, direction, slope, length)
        if found is None:
            return Minimum(x, gradient, step)
        new_x, new_value, new_gradient = found
        move, change = new_x - x, new_gradient - gradient
        product = float(move @ change)
        if product > np.finfo(x.dtype).eps * float(change @ change):
            moves = [*moves[-_MEMORY + 1 :], (move, change, product)]
        lowered = value - new_value
        x, value, gradient = new_x, new_value, new_gradient
        if lowered <= value_tolerance * max(abs(value), abs(value + lowered), 1.0):
            return Minimum(x, gradient, step + 1)
    return Minimum(x, gradient, most_steps)


def _direction(gradient: np.ndarray, moves: list[tuple[np.ndarray, np.ndarray, float]]) -> np.ndarray:
    """The gradient times minus the inverse Hessian that the last moves [n_variables], the changes of the gradient that they
    made, and the products of the two imply."""
    direction = -gradient
    weights = []
    for move, change, product in reversed(moves):
        weights.append(float(move @ direction) / product)
        direction -= direction.dtype.type(weights[-1]) * change
    if moves:
        _, change, product = moves[-1]
        direction *= direction.dtype.type(product / float(change @ change))
    for (move, change, product), weight in zip(moves, reversed(weights), strict=True):
        direction += direction.dtype.type(weight - float(change @ direction) / product) * move
    return direction


def _line_search(
    objective: Objective, x: np.ndarray, value: float, direction: np.ndarray, slope: float, length: float
) -> tuple[np.ndarray, float, np.ndarray] | None:
    """A point along the direction that lowers the value enough and where it falls or rises less steeply, with its value and
    gradient; if no such point is found, the lowest that was tried and lowers it enough, or None."""
    if slope >= 0:
        return None
    low = _Trial(0.0, value, slope)
    high: _Trial | None = None
    best, lowest = None, np.inf
    for _ in range(_MOST_TRIALS):
        point = x + x.dtype.type(length) * direction
        new_value, gradient = objective(point)
        gradient = gradient.astype(x.dtype, copy=False)
        trial = _Trial(length, new_value, float(gradient @ direction))
        enough = new_value <= value + _DECREASE * length * slope
        if enough and new_value < lowest:
            best, lowest = (point, new_value, gradient), new_value
        if enough and abs(trial.slope) <= -_CURVATURE * slope:
            return point, new_value, gradient
        if not enough or not new_value <= low.value:  # too far, or no number at all
            high = trial
        elif trial.slope * (trial.length - low.length) >= 0:
            low, high = trial, low
        else:
            low, before = trial, low
            if high is None:
                length = _beyond(before, low)
                continue
        length = _between(low, high)
    return best


@dataclass(frozen=True)
class _Trial:
    """A length along the direction, the value there, and its slope."""

    length: float
    value: float
    slope: float


def _between(low: _Trial, high: _Trial) -> float:
    """The minimum of the cubic through two trials, not too near to either."""
    width = high.length - low.length
    share = 0.5
    if np.isfinite(high.value) and np.isfinite(high.slope):
        bend = low.slope + high.slope - 3 * (high.value - low.value) / width
        root = bend**2 - low.slope * high.slope
        if root >= 0:
            root = np.sign(width) * np.sqrt(root)
            under = high.slope - low.slope + 2 * root
            if under != 0:
                share = 1 - (high.slope + root - bend) / under
    return low.length + float(np.clip(share, 0.1, 0.9)) * width


def _beyond(before: _Trial, last: _Trial) -> float:
    """Where the slope ends if it goes on to change as between two trials, at least 1.1 and at most 4 times their distance
    farther."""
    width, change = last.length - before.length, last.slope - before.slope
    wanted = -last.slope * width / change if change > 0 else np.inf
    return last.length + float(np.clip(wanted, 1.1 * width, 4 * width))
