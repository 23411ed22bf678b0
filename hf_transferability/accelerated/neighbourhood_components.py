"""The objective of `metrics._soft_neighbours` and its gradient on a device, on all pairs of images."""

from collections.abc import Callable

import numpy as np
import torch

from hf_transferability.accelerated.place import Place

# exp of this is far below the rounding of a sum of probabilities.
_SMALLEST_EXPONENT = {torch.float64: -300.0, torch.float32: -30.0}
_MATRICES = 4  # of the size of a chunk's probabilities that are held at once

Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]


def multiplications(x: np.ndarray, codes: np.ndarray, dimensions: int) -> int:
    """Those of one evaluation, about."""
    return 3 * len(x) ** 2 * dimensions


def objective(place: Place, x: np.ndarray, codes: np.ndarray, dimensions: int) -> Objective | None:
    """What gives the negative sum of the images' probabilities of a neighbour of their class, and its gradient.

    Args:
        place: where to compute.
        x: [n_samples, n_features], float32 or float64, the precision of the result.
        codes: [n_samples].
        dimensions: rows of the projection.

    Returns:
        A function of the projection, flat; None where there is no memory for it.
    """
    n = len(x)
    most = place.rows(_MATRICES * n * x.itemsize, x.nbytes)
    if not most:
        return None
    images, classes = place.put(x), place.put(codes)

    def evaluate(flat: np.ndarray) -> tuple[float, np.ndarray]:
        projection = place.put(flat.reshape(dimensions, -1).astype(x.dtype))
        z = images @ projection.T
        squares = (z * z).sum(dim=1)
        pull, sums, shares = torch.zeros_like(z), torch.zeros_like(squares), []
        for start in range(0, n, most):
            part = z[start : start + most]
            w = _neighbour_probabilities(part, z, squares, start)
            same = torch.where(classes[start : start + most, None] == classes, w, 0.0)
            share = same.sum(dim=1, keepdim=True)
            w.mul_(-share).add_(same)
            pull[start : start + most] += w @ z
            pull += w.T @ part
            sums += w.sum(dim=0)
            shares.append(share.flatten())
        pull -= sums[:, None] * z
        gradient = -2 * (pull.T @ images)
        values = torch.cat([*shares, gradient.flatten()]).cpu().numpy()  # one copy for both
        return -float(values[:n].sum(dtype=np.float64)), values[n:]

    return evaluate


def _neighbour_probabilities(part: torch.Tensor, z: torch.Tensor, squares: torch.Tensor, start: int) -> torch.Tensor:
    """Of the images from `start` on: the soft neighbour probabilities of all images [n_rows, n_samples]."""
    w = torch.addmm(-squares, part, z.T, alpha=2)
    w -= squares[start : start + len(part), None]
    w.diagonal(start).fill_(-torch.inf)
    w.clamp_(max=0.0)  # rounding can make a squared distance negative
    w -= w.amax(dim=1, keepdim=True)
    w.clamp_(min=_SMALLEST_EXPONENT[w.dtype]).exp_()
    w.diagonal(start).zero_()
    return w.div_(w.sum(dim=1, keepdim=True))
