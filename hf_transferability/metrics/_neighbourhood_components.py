"""Neighbourhood components analysis (Goldberger et al., NIPS 2004), with scikit-learn's objective, optimiser and stopping
rule.

Faster than scikit-learn's by its arithmetic: of distances, which are symmetric, half are computed, and probabilities below
rounding take no part in products (see `_soft_neighbours.py`).
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.optimize import minimize

from hf_transferability.metrics._accelerator import on_accelerator
from hf_transferability.metrics._lbfgs import minimise
from hf_transferability.metrics._soft_neighbours import SoftNeighbours

ITERATIONS = 50
_TOLERANCE = 1e-5
_THREADS_FROM = 1500  # below so many images threads cost more than they bring
_MOST_THREADS = 8


def neighbourhood_components(x: np.ndarray, codes: np.ndarray, start: np.ndarray, iterations: int = ITERATIONS) -> np.ndarray:
    """The learned projection [n_dimensions, n_features].

    Args:
        x: [n_samples, n_features], float32 or float64, which decides the precision of the n x n work; features wider than
            the sample are better given in the span of the images.
        codes: [n_samples], classes as 0..n_classes-1, each with at least one image.
        start: [n_dimensions, n_features], where the optimiser starts.
        iterations: of the optimiser at most.
    """
    order = np.argsort(codes, kind="stable")
    x, codes = x[order], codes[order]
    threads = min(os.cpu_count() or 1, _MOST_THREADS) if len(x) >= _THREADS_FROM else 1
    with ThreadPoolExecutor(threads) as pool:
        neighbours = SoftNeighbours(codes, pool.map if threads > 1 else map)

        def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
            value, pull = neighbours.value_and_pull(x @ flat.reshape(start.shape).T)
            return -value, (-2 * (pull.T @ x)).ravel()

        evaluate = on_accelerator("neighbourhood components", objective, x, codes, len(start))
        if x.dtype == np.float32:  # the path is another one in any case
            learned = minimise(
                evaluate,
                start.astype(x.dtype).ravel(),
                most_steps=iterations,
                gradient_tolerance=_TOLERANCE,
                value_tolerance=_TOLERANCE,
            ).x
        else:
            options = {"maxiter": iterations}
            learned = minimize(evaluate, start.ravel(), method="L-BFGS-B", jac=True, tol=_TOLERANCE, options=options).x
    return learned.reshape(start.shape)
