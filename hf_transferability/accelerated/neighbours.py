"""Nearest neighbours on a device, all in float64: those of k-NN and of feature quality, as `metrics` finds them."""

from collections.abc import Callable, Iterator

import numpy as np
import torch

from hf_transferability.accelerated.place import Place

_MATRICES = 5  # of the size of a chunk's distances that are held at once, in float64
_EQUAL = 1e-12  # squared distances that differ by less, relative to the features' mean square, differ by rounding


def multiplications(x: np.ndarray, *_: object) -> int:
    """Those of the distances of all pairs."""
    return len(x) * x.size


def nearest(place: Place, x: np.ndarray, k: int) -> Callable[[], tuple[np.ndarray, np.ndarray]] | None:
    """What gives the distances and positions [n_samples, k] of each image's nearest others, the nearest first."""
    images = _images(place, x)
    if images is None:
        return None

    def find() -> tuple[np.ndarray, np.ndarray]:
        squares, positions = [], []
        for start, squared in images.distances():
            squared.diagonal(start).fill_(torch.inf)
            values, indices = squared.topk(k, dim=1, largest=False)
            squares.append(values)
            positions.append(indices)
        return torch.cat(squares).sqrt_().cpu().numpy(), torch.cat(positions).cpu().numpy()

    return find


def within_reach(
    place: Place, x: np.ndarray, k: int, equal: float, groups: np.ndarray
) -> Callable[[np.ndarray], tuple[np.ndarray, ...]] | None:
    """What does the same as `metrics.knn._within_reach` for some rows."""
    images = _images(place, x)
    if images is None:
        return None
    units = place.put(groups)

    def find(rows: np.ndarray) -> tuple[np.ndarray, ...]:
        chosen = place.put(rows)
        found: list[tuple[torch.Tensor, ...]] = []
        for start, squared in images.distances(chosen):
            squared.masked_fill_(units[chosen[start : start + len(squared)], None] == units, torch.inf)
            reach = squared.topk(k, dim=1, largest=False).values[:, -1]
            image, neighbour = (squared <= reach[:, None] + equal).nonzero(as_tuple=True)
            found.append((image + start, neighbour, squared[image, neighbour], reach))
        return tuple(torch.cat(parts).cpu().numpy() for parts in zip(*found, strict=True))

    return find


def outside(place: Place, x: np.ndarray, groups: np.ndarray, k: int) -> Callable[[], np.ndarray] | None:
    """What gives the k nearest images outside each image's group: positions [n_samples, k]."""
    images = _images(place, x)
    if images is None:
        return None
    units = place.put(groups)

    def find() -> np.ndarray:
        found = []
        for start, squared in images.distances():
            squared.masked_fill_(units[start : start + len(squared), None] == units, torch.inf)
            found.append(_first(squared, k, images.equal))
        return torch.cat(found).cpu().numpy()

    return find


def shares(place: Place, x: np.ndarray, codes: np.ndarray, k: int) -> Callable[[], np.ndarray] | None:
    """What gives the share [n_samples] of each image's class among its k nearest, itself included."""
    images = _images(place, x)
    if images is None:
        return None
    classes = place.put(codes)

    def find() -> np.ndarray:
        found = []
        for start, squared in images.distances():
            same = classes[_first(squared, k, images.equal)] == classes[start : start + len(squared), None]
            found.append(same.double().mean(dim=1))
        return torch.cat(found).cpu().numpy()

    return find


def _first(squared: torch.Tensor, k: int, equal: float) -> torch.Tensor:
    """Positions [n_rows, k] of the k nearest; of several at one distance the first, as scikit-learn takes them."""
    reach = squared.topk(k, dim=1, largest=False).values[:, -1:]
    nearer = squared < reach - equal
    tied = (squared <= reach + equal) & ~nearer
    room = k - nearer.sum(dim=1, keepdim=True)
    return (nearer | (tied & (tied.cumsum(dim=1) <= room))).nonzero()[:, 1].reshape(-1, k)


class _Images:
    """Features on the device, and the squared distances between them in chunks of rows."""

    def __init__(self, place: Place, x: np.ndarray, most: int):
        self._x, self._most = place.put(x.astype(np.float64, copy=False)), most
        self._squares = (self._x * self._x).sum(dim=1)
        self.equal = _EQUAL * float(self._squares.mean())

    def distances(self, rows: torch.Tensor | None = None) -> Iterator[tuple[int, torch.Tensor]]:
        """Of all images or of some to all: position of the first, and squared distances [n_rows, n_samples]."""
        for start in range(0, len(self._x if rows is None else rows), self._most):
            part = slice(start, start + self._most) if rows is None else rows[start : start + self._most]
            squared = torch.addmm(self._squares, self._x[part], self._x.T, alpha=-2)
            squared += self._squares[part, None]
            yield start, squared.clamp_(min=0.0)


def _images(place: Place, x: np.ndarray) -> _Images | None:
    """None where there is no memory for them."""
    most = place.rows(_MATRICES * len(x) * 8, 2 * x.size * 8)
    return _Images(place, x, most) if most else None
