"""Made-up arrays, and scores with the flags that came with them."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hf_transferability.metrics import ScoreWarning, get_metric, score

Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="session")
def make_arrays() -> Callable[..., Arrays]:
    """All four inputs: classes whose features lie `signal` standard deviations apart, in a seeded random order."""

    def make(n: int = 60, d: int = 8, classes: int = 3, signal: float = 1.5, seed: int = 0) -> Arrays:
        rng = np.random.default_rng(seed)
        labels = rng.permutation(np.arange(n) % classes)
        centres = np.linalg.qr(rng.standard_normal((max(d, classes), classes)))[0][:d].T * signal * 2
        logits = rng.standard_normal((n, 6)) + signal * rng.standard_normal((classes, 6))[labels]
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return {
            "features": rng.standard_normal((n, d)) * np.linspace(2, 0.5, d) + centres[labels],
            "labels": labels,
            "source_probabilities": probabilities,
            "gradient_norms": rng.uniform(1, 2, (7, 2)),
        }

    return make


@pytest.fixture(scope="session")
def scored() -> Callable[..., tuple[np.ndarray, set[str]]]:
    """The value (or raw components) as an array, and the flags. Any other warning is an error, as everywhere."""

    def run(name: str, arrays: Arrays, **options: Any) -> tuple[np.ndarray, set[str]]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("error")
            warnings.simplefilter("always", ScoreWarning)
            value = score(name, **{key: arrays[key] for key in get_metric(name).inputs}, **options)
        flags = {warning.message.flag for warning in caught if isinstance(warning.message, ScoreWarning)}
        return np.array(list(value.values()) if isinstance(value, dict) else [value]), flags

    return run
