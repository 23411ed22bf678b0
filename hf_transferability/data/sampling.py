"""Which images of a target are drawn, and in which order. All choices come from one seed."""

from collections.abc import Iterable
from numbers import Integral

import numpy as np

from hf_transferability.errors import UsageError, unknown_name

IMAGES_PER_CLASS = 100  # the paper's sample: 100 times the number of classes, not 100 of each
LARGEST_DEFAULT = 10_000  # images; a column of thousands of classes would otherwise draw the whole dataset
SMALLEST_SAMPLE = 12  # below this no gradient batch of floor(n / 6) images can hold two of one class
DRAWS = ("random", "stratified")


def draw_sample(
    codes: np.ndarray, size: int | str | None, draw: str, seed: int, groups: np.ndarray | None = None
) -> np.ndarray:
    """Positions of the drawn images, in seeded random order whatever the draw.

    Args:
        codes: [n_images] class codes; only their number of distinct values and a stratified draw depend on them.
        size: number of images; None for 100 x classes, at most 10,000; "all". More than there are means all.
        draw: "random" over images, or "stratified", which keeps each class's share (and at least one image of each).
        seed: seed of the draw and the order.
        groups: [n_images] codes of images that belong together, such as those of a patient. They are drawn in turn: one image
            of every group before a second of any (of a stratified draw within each class), so that none fills the sample.

    Raises:
        UsageError: an unknown draw or size.
    """
    if draw not in DRAWS:
        raise UsageError(unknown_name("draw", draw, DRAWS))
    rng = np.random.default_rng(seed)
    n = sample_size(size, len(np.unique(codes)))
    order = rng.permutation(len(codes))
    if n is None or n >= len(codes):
        return order
    is_drawn = np.zeros(len(codes), dtype=bool)
    if draw == "random":
        is_drawn[in_turn(None if groups is None else groups[order], len(order))[:n]] = True
        return order[is_drawn]
    in_order = codes[order]
    for code, count in _shares(codes, n).items():
        members = np.flatnonzero(in_order == code)
        is_drawn[members[in_turn(None if groups is None else groups[order][members], len(members))[:count]]] = True
    return order[is_drawn]


def in_turn(groups: np.ndarray | None, n: int) -> np.ndarray:
    """Positions [n], the first image of every group before the second of any; in their order without groups.

    Args:
        groups: codes [n] from 0, or None.
        n: number of images.
    """
    if groups is None:
        return np.arange(n)
    by_group = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[by_group], prepend=-1))
    turn = np.empty(n, dtype=np.int64)
    turn[by_group] = np.arange(n) - np.repeat(starts, np.diff([*starts, n]))
    return np.argsort(turn, kind="stable")


def sample_size(size: int | str | None, n_classes: int) -> int | None:
    """The number of images to draw; None means all.

    Raises:
        UsageError: neither a positive integer, "all" nor None.
    """
    if size is None:
        return min(IMAGES_PER_CLASS * n_classes, LARGEST_DEFAULT)
    if size == "all":
        return None
    if isinstance(size, bool) or not isinstance(size, Integral) or size < 1:
        raise UsageError(f"`sample_size` must be a positive integer or 'all'; got {size!r}. Leave it out for 100 x classes.")
    return int(size)


class Reservoir:
    """A uniform sample of a stream of unknown length (algorithm R), kept in memory."""

    def __init__(self, size: int, seed: int):
        self.size = size
        self.seen = 0
        self.items: list = []
        self._rng = np.random.default_rng(seed)

    def extend(self, stream: Iterable) -> None:
        """Offer every item of the stream."""
        for item in stream:
            self.seen += 1
            if len(self.items) < self.size:
                self.items.append(item)
            elif (slot := int(self._rng.integers(self.seen))) < self.size:
                self.items[slot] = item

    def shuffled(self) -> list:
        """The sample in seeded random order."""
        return [self.items[i] for i in self._rng.permutation(len(self.items))]


def _shares(codes: np.ndarray, n: int) -> dict[int, int]:
    """Images per class: proportional by largest remainder, at least one of each, at most what there is."""
    classes, available = np.unique(codes, return_counts=True)
    if n < len(classes):
        raise UsageError(
            f"`sample_size` must be at least the number of classes for a stratified draw; got {n} for {len(classes)}. "
            "Take a larger sample."
        )
    exact = available * n / len(codes)
    counts = np.maximum(np.floor(exact).astype(int), 1)
    while counts.sum() != n:
        step = 1 if counts.sum() < n else -1
        room = counts < available if step > 0 else counts > 1
        counts[np.argmax(np.where(room, step * (exact - counts), -np.inf))] += step
    return dict(zip(classes.tolist(), counts.tolist(), strict=True))
