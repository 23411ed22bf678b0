"""The rank correlation of `metrics.parc` on a device: the distances of all pairs of images, sorted and ranked there."""

from collections.abc import Callable

import numpy as np
import torch

from hf_transferability.accelerated.place import Place
from hf_transferability.metrics.parc import spearman

_COPIES = 6  # of all pairs, in int64, that sorting and ranking hold at once
_ROWS = 256  # of the matrix of distances at once


def multiplications(rows: np.ndarray, *_: object) -> int:
    """Steps of a sort of all pairs, about."""
    return len(rows) ** 2 * 12


def correlation(
    place: Place, rows: np.ndarray, codes: np.ndarray, units: np.ndarray, digits: int
) -> Callable[[], float] | None:
    """What gives Spearman's correlation between pairs' distances and whether their classes differ.

    Args:
        place: where to compute.
        rows: standardised images [n_samples, n_components], of length 1.
        codes: classes [n_samples].
        units: [n_samples]; pairs within one are left out.
        digits: decimals of distances.

    Returns:
        A function; None where there is no memory for it.
    """
    n = len(rows)
    if _COPIES * 8 * n * (n - 1) // 2 + rows.nbytes > place.budget():
        return None

    def correlate() -> float:
        images, classes, groups = place.put(rows), place.put(codes), place.put(units)
        parts = []
        for start in range(0, n, _ROWS):
            chosen = slice(start, start + _ROWS)
            distances = 1 - images[chosen] @ images[start:].T
            keys = distances.mul_(10.0**digits).round_().long() * 2
            keys += classes[chosen, None] != classes[start:]
            parts.append(keys[(groups[chosen, None] != groups[start:]).triu(1)])
        pairs = torch.cat(parts)
        del parts
        pairs = pairs.sort().values
        return spearman(len(pairs), *_sums(pairs))

    return correlate


def _sums(pairs: torch.Tensor) -> tuple[float, float, int]:
    """Of sorted keys (twice the distance, plus 1 for different classes): the sum of the ranks of pairs of different classes,
    the correction for ties, and how many are of different classes."""
    unlike_so_far = (pairs & 1).cumsum(dim=0)
    counts = torch.unique_consecutive(pairs >> 1, return_counts=True)[1]
    ends = counts.cumsum(dim=0)
    unlike = unlike_so_far[ends - 1].diff(prepend=torch.zeros_like(ends[:1]))
    size = counts.double()
    ranks = (ends - counts).double() + (size + 1) / 2
    sums = torch.stack([(unlike.double() * ranks).sum(), (size**3 - size).sum(), unlike.sum().double()]).cpu()
    return float(sums[0]), float(sums[1]), int(sums[2])
