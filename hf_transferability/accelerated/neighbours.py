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


def multiplications_of_rows(x: np.ndarray, k: int, equal: float, groups: np.ndarray, n_rows: int) -> int:
    """Those of the distances of some rows to all images."""
    return n_rows * x.size


def within_reach(
    place: Place, x: np.ndarray, k: int, equal: float, groups: np.ndarray, n_rows: int
) -> Callable[[np.ndarray], tuple[np.ndarray, ...]] | None:
    """What does the same as `metrics.knn._within_reach` for some rows, `n_rows` in all calls."""
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
    """What gives the k nearest images outside each image's group: positions [n_samples, k].

    NotImplemented where an image at the distance of the k-th is left out: which one, only the processor's own code decides.
    """
    images = _images(place, x)
    if images is None:
        return None
    units = place.put(groups)

    def find() -> np.ndarray:
        positions, ambiguous = [], []
        for start, squared in images.distances():
            squared.masked_fill_(units[start : start + len(squared), None] == units, torch.inf)
            reach, indices = squared.topk(k, dim=1, largest=False)
            ambiguous.append(((squared <= reach[:, -1:] + images.equal).sum(dim=1) > k).any())
            positions.append(indices)
        return NotImplemented if torch.stack(ambiguous).any() else torch.cat(positions).cpu().numpy()

    return find


def shares(place: Place, x: np.ndarray, codes: np.ndarray, k: int) -> Callable[[], np.ndarray] | None:
    """What gives the share [n_samples] of each image's class among its k nearest, itself included.

    NotImplemented where the choice among images at one distance decides it: only the processor's own code makes that.
    """
    images = _images(place, x)
    if images is None:
        return None
    classes = place.put(codes)

    def find() -> np.ndarray:
        counts, ambiguous = [], []
        for start, squared in images.distances():
            same = classes[start : start + len(squared), None] == classes
            reach = squared.topk(k, dim=1, largest=False).values[:, -1:]
            nearer = squared < reach - images.equal
            tied = (squared <= reach + images.equal) & ~nearer
            room, n_tied, n_same = k - nearer.sum(dim=1), tied.sum(dim=1), (tied & same).sum(dim=1)
            taken = torch.where(n_tied <= room, n_same, torch.where(n_same == n_tied, room, 0))
            ambiguous.append(((n_tied > room) & (n_same > 0) & (n_same < n_tied)).any())
            counts.append((nearer & same).sum(dim=1) + taken)
        return NotImplemented if torch.stack(ambiguous).any() else torch.cat(counts).cpu().numpy() / k

    return find


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
