"""Small fixed problems on which a device must agree with the processor before it is trusted."""

from collections.abc import Callable

import numpy as np

from hf_transferability.metrics import collect_flags
from hf_transferability.metrics._accelerator import Accelerator, lent
from hf_transferability.metrics._groups import neighbours_outside
from hf_transferability.metrics._logistic import cross_validated_probabilities
from hf_transferability.metrics._neighbourhood_components import neighbourhood_components
from hf_transferability.metrics.feature_quality import feature_quality
from hf_transferability.metrics.knn import knn
from hf_transferability.metrics.parc import parc

_IMAGES, _REPEATED, _FEATURES, _CLASSES = 90, 6, 12, 3
_STEPS = 3  # of an optimiser: more would amplify rounding


def difference(work: str, device: Accelerator) -> str | None:
    """How the device's result for a small problem differs from the processor's; None where by rounding only.

    Args:
        work: a piece of a metric, by its name.
        device: does this work, or raises what is wrong.

    Raises:
        Exception: what the device raises.
    """
    for problem, tolerance in _PROBLEMS[work]:
        with collect_flags():
            with lent(None):
                expected = problem()
            with lent(device):
                got = problem()
        distance = float(np.abs(got - expected).max() / max(np.abs(expected).max(), 1e-9)) if len(got) else 0.0
        if not distance <= tolerance:  # also where it is not a number
            return f"a relative difference of {distance:.2g}, where {tolerance:.2g} is rounding"
    return None


def _inputs() -> tuple[np.ndarray, np.ndarray]:
    """Features, some images twice, and classes."""
    rng = np.random.default_rng(7)
    codes = np.arange(_IMAGES) % _CLASSES
    x = rng.standard_normal((_IMAGES, _FEATURES)) + 0.8 * rng.standard_normal((_CLASSES, _FEATURES))[codes]
    x[-_REPEATED:] = x[:_REPEATED]
    return x - x.mean(axis=0), codes


def _components(dtype: type) -> Callable[[], np.ndarray]:
    def problem() -> np.ndarray:
        x, codes = _inputs()
        return neighbourhood_components(x.astype(dtype), codes, np.eye(5, _FEATURES) * 0.5, _STEPS)

    return problem


def _probabilities() -> np.ndarray:
    x, codes = _inputs()
    training = np.arange(3)[:, None] != np.arange(_IMAGES) // _CLASSES % 3
    return cross_validated_probabilities(x, codes, training, 1e-8)[0]


def _outside() -> np.ndarray:
    x = _inputs()[0][:-_REPEATED]  # which of two equal images is taken is nobody's choice
    return np.sort(neighbours_outside(x, np.arange(len(x)) // 5, 3), axis=1)


def _knn(grouped: bool) -> np.ndarray:
    x, codes = _inputs()
    groups = np.arange(_IMAGES) // 2 if grouped else None
    return np.array([knn(features=x, labels=codes, groups=groups, k=k) for k in (1, 3, 5)])


def _quality() -> np.ndarray:
    x, codes = _inputs()
    # Of a single feature, whose order no projection changes: the learned one does not matter.
    return np.array([feature_quality(features=x[:-_REPEATED, :1], labels=codes[:-_REPEATED])])


def _parc() -> np.ndarray:
    x, codes = _inputs()
    return np.array([parc(features=x, labels=codes), parc(features=x, labels=codes, groups=np.arange(_IMAGES) // 2)])


_PROBLEMS: dict[str, list[tuple[Callable[[], np.ndarray], float]]] = {
    "neighbourhood components": [(_components(np.float64), 1e-7), (_components(np.float32), 1e-4)],
    "logistic regressions": [(_probabilities, 1e-4)],
    "neighbours": [(lambda: _knn(False), 1e-9)],
    "neighbours with ties": [(lambda: _knn(True), 1e-9)],
    "neighbours outside groups": [(_outside, 0.0)],
    "shares of neighbours": [(_quality, 1e-9)],
    "ranks of pairs": [(_parc, 1e-4)],  # distances are rounded, here and there perhaps to another digit
}
