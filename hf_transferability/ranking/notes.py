"""What the reader of a ranking should know about its pool, one sentence each."""

from collections.abc import Sequence

import numpy as np

from hf_transferability.agreement import weighted_tau
from hf_transferability.metrics import get_metric
from hf_transferability.results import Row, ranked_rows


def no_ranking(rows: Sequence[Row], metric: str) -> list[str]:
    """Why there is no ranking, where fewer than two candidates have a score by the metric that would sort them."""
    if ranked_rows(rows):
        return []
    trained = [row for row in rows if not row.get("untrained")]
    complete = [row for row in trained if not row["error"]]
    if len(complete) < 2:
        untrained = f"; {len(rows) - len(trained)} are untrained" if len(trained) < len(rows) else ""
        return [
            f"there is no ranking: {len(complete)} of {len(rows)} candidates could be scored, and an order needs "
            f"two{untrained}."
        ]
    parts = get_metric(metric).parts
    same = [get_metric(name).label for name in parts if len({row.get(name) for row in complete}) == 1]
    why = " and ".join(same) or "what it is made of"
    reason = f"{why} {'are' if len(same) > 1 else 'is'} the same for all {len(complete)} candidates"
    return [f"there is no ranking: the pool cannot be ordered by {metric}, as {reason}."]


def repeated(names: Sequence[str], kept: Sequence[int]) -> list[str]:
    """Which of these were left out because an earlier one means the same."""
    others = [name for number, name in enumerate(names) if number not in kept]
    verb = "means" if len(others) == 1 else "mean"
    return [f"{few(others, 3)} {verb} what was named before, so each is ranked once."] if others else []


def few(names: Sequence[str], shown: int, separator: str = ", ", of: str = "") -> str:
    """The first so many, and how many more, of what if that is not clear."""
    more = f"{separator if of else ' '}and {len(names) - shown} more{of}"
    return separator.join(names[:shown]) + (more if len(names) > shown else "")


def disagreement(ordered: Sequence[Row], metrics: Sequence[str]) -> list[str]:
    """Which metrics put which candidate first, where they do not all put the same one there.

    A metric counts if it has a value for every ranked candidate, and not the same one for all. It agrees if one of those that
    it puts first shares rank 1.
    """
    rows = [row for row in ordered if row["score"] is not None and row["rank"] is not None]
    places = [-row["rank"] for row in rows]
    if len(set(places)) < 2:
        return []
    first = " and ".join(row["checkpoint"] for row in rows if row["rank"] == rows[0]["rank"])
    firsts = {first: [metrics[0]]}
    taus, lacking = [], []
    for name in metrics[1:]:
        values = [row[name] for row in rows]
        if None in values:
            lacking.append(name)
            continue
        if len(set(values)) < 2:
            continue
        best = rows[values.index(max(values))]  # of those that tie, the one that is listed first here
        firsts.setdefault(first if best["rank"] == rows[0]["rank"] else best["checkpoint"], []).append(name)
        taus.append(weighted_tau(values, places))
    if len(firsts) < 2:
        return []
    others = [
        f"{checkpoint} by {few(names, 1, of=' metrics' * (len(names) > 2))}"
        for checkpoint, names in firsts.items()
        if checkpoint != first
    ]
    agreement = f"mean agreement with {metrics[0]} {np.mean(taus):.2f}"
    notes = [f"compare what other metrics put first: {few(others, 2, '; ', ' checkpoints')} ({agreement})."]
    if lacking:
        notes.append(f"not compared, as they lack a value for some candidate: {', '.join(lacking)}.")
    return notes
