"""The loss of the logistic regressions of `metrics._logistic` and its gradient on a device."""

from collections.abc import Callable

import numpy as np
import torch

from hf_transferability.accelerated.place import Place
from hf_transferability.metrics._logistic import free_and_missing

_LOGITS = 5  # arrays of the size of all logits that are held at once

Loss = Callable[[np.ndarray], tuple[float, np.ndarray]]


def multiplications(
    coordinates: np.ndarray,
    to_weights: np.ndarray,
    centres: np.ndarray,
    variances: np.ndarray,
    codes: np.ndarray,
    training: np.ndarray,
) -> int:
    """Those of one evaluation, about."""
    return 2 * (coordinates.size + to_weights.size) * len(training) * int(codes.max() + 1)


def loss(
    place: Place,
    coordinates: np.ndarray,
    to_weights: np.ndarray,
    centres: np.ndarray,
    variances: np.ndarray,
    codes: np.ndarray,
    training: np.ndarray,
) -> Loss | None:
    """What gives the mean penalised loss over some folds and its gradient, in the precision of the arrays.

    Args:
        place: where to compute.
        coordinates, to_weights, centres, variances, codes, training: as for `metrics._logistic._Problem`, whose docstring has
            the formula.

    Returns:
        A function of the unknowns, flat [(n_axes + 1) * n_folds * n_classes]; None where there is no memory for it.
    """
    n, folds, classes = len(coordinates), len(training), int(codes.max() + 1)
    held = coordinates.nbytes + to_weights.nbytes + _LOGITS * n * folds * classes * coordinates.itemsize
    if held > place.budget():
        return None
    free, missing = free_and_missing(codes, training)
    dtype = coordinates.dtype
    images, weights_of, middles = place.put(coordinates), place.put(to_weights), place.put(centres)
    squares = place.put(np.repeat(variances, classes, axis=1).astype(dtype))
    offsets = place.put(np.where(missing, -np.inf, 0.0).astype(dtype))
    weight = place.put(training.T[:, :, None].astype(dtype))
    target = place.put((codes[:, None, None] == np.arange(classes)).astype(dtype))
    own_class = place.put(codes.astype(np.int64))[:, None, None].expand(n, folds, 1)
    factor = place.put((free.ravel() / n).astype(dtype))

    def evaluate(flat: np.ndarray) -> tuple[float, np.ndarray]:
        u = place.put(flat.reshape(-1, folds * classes).astype(dtype))
        by_fold = u[:-1].reshape(-1, folds, classes)
        shift = u[-1] - torch.einsum("fa,afc->fc", middles, by_fold).flatten()
        logits = (images @ u[:-1] + shift).reshape(n, folds, classes) + offsets
        logits -= logits.amax(dim=2, keepdim=True)
        true = logits.gather(2, own_class)
        logits.exp_()
        total = logits.sum(dim=2, keepdim=True)
        weights = weights_of @ u[:-1]
        penalised = squares * weights
        losses = torch.where(weight > 0, total.log() - true, 0.0).sum(dim=(1, 2))
        penalties = (weights * penalised).sum(dim=1) / 2
        residuals = logits.div_(total).sub_(target).mul_(weight).reshape(n, -1)
        last = residuals.sum(dim=0)
        gradient = images.T @ residuals + weights_of.T @ penalised
        gradient -= (middles.T[:, :, None] * last.reshape(folds, classes)).reshape(len(gradient), -1)
        gradient, last = gradient * factor, last * factor
        values = torch.cat([losses, penalties, gradient.flatten(), last]).cpu().numpy()  # one copy for all
        n_terms = n + len(penalties)
        return float(values[:n_terms].sum(dtype=np.float64)) / n, values[n_terms:]

    return evaluate
