"""Who is fine-tuned before a decision: the candidates of a ranking that may be the best, in rank order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hf_transferability.results import Row


@dataclass(frozen=True)
class Contender:
    """A candidate that may be the best.

    Attributes:
        name: as the user gave it.
        rank: its place in the ranking.
        tied: whether the images cannot tell it from the first.
        score: by the metric that sorts the ranking.
    """

    name: str
    rank: int
    tied: bool
    score: float = 0.0


def contenders(rows: Sequence[Row], advice: Mapping[str, Any] | None) -> list[Contender]:
    """The candidates that these images cannot tell from the first, and as many of the first as the benchmarks ask for.

    Args:
        rows: of a ranking, in rank order.
        advice: of `benchmark.advice.advise`; None where no order could be formed.

    Returns:
        In rank order, without those flagged `no_relation`;
        the first alone where nothing else may be the best, and nobody where there is no ranking.
    """
    ranked = [row for row in rows if row["score"] is not None and row["rank"] is not None]
    if advice is None or not ranked:
        return []
    tied = {advice["first"], *advice["not_told_apart"]}
    count = max(advice["fine_tune"] or 1, 1)
    return [
        Contender(str(row["checkpoint"]), int(row["rank"]), row["checkpoint"] in tied, float(row["score"]))
        for place, row in enumerate(ranked)
        if (row["checkpoint"] in tied or place < count) and (place == 0 or "no_relation" not in row.get("flags", ()))
    ]
