"""Tie groups: neighbours in a ranking that the sample cannot order.

Two candidates that change places in more than a tenth of the half-samples share a group, and so do those between them. Groups
are chains: two of one group may differ clearly, with others between them.
"""

from collections.abc import Sequence

_FLIPS = 0.1  # share of half-samples in which two candidates may change places and still be told apart
Halves = Sequence[float | None]


def tie_groups(ranked: Sequence[tuple[float | None, Halves]]) -> list[int]:
    """The number of each candidate's group, counted from 1 in rank order.

    Args:
        ranked: the score of each candidate and its scores on the half-samples, None where undefined; in rank order.

    Example:
        >>> tie_groups([(3.0, [3.0, 2.0]), (2.0, [2.0, 3.0]), (1.0, [1.0, 1.0])])
        [1, 1, 2]
    """
    numbers: list[int] = []
    group, reach = 0, -1
    for i, better in enumerate(ranked):
        if i > reach:
            group += 1
        numbers.append(group)
        flipped = [j for j in range(i + 1, len(ranked)) if _flips(better, ranked[j]) > _FLIPS]
        reach = max(reach, *flipped, i)
    return numbers


def _flips(better: tuple[float | None, Halves], worse: tuple[float | None, Halves]) -> float:
    """Share of half-samples in which the order of two candidates is turned round; equality counts half.

    1 for equal scores, and where no half-sample has both, since nothing tells the two apart.
    """
    if better[0] == worse[0]:
        return 1.0
    pairs = [(a, b) for a, b in zip(better[1], worse[1], strict=True) if a is not None and b is not None]
    return sum((a < b) + 0.5 * (a == b) for a, b in pairs) / len(pairs) if pairs else 1.0
