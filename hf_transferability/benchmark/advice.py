"""What to do with a ranking: which candidates to consider, how likely the best is among them, what to type next.

How likely: in every bundled benchmark that holds the metric, pools as large as the user's are taken from each target's sources,
the metric orders them, and the place of the source with the best fine-tuned performance is looked up.
"""

import math
import shlex
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np

from hf_transferability import agreement
from hf_transferability.benchmark.leaderboard import COLUMNS, pools_with_parameters
from hf_transferability.benchmark.pools import Pool
from hf_transferability.metrics import get_metric
from hf_transferability.results import Row

NEXT = "next: "  # how the line with the command begins
CHANCE = 0.8  # of having the best candidate among those that are fine-tuned
_MOST_POOLS = 300  # of one target; a seeded draw where more can be made
_SEED = 0


def advise(
    ordered: Sequence[Row],
    metric: str,
    variant: str,
    scenario: str,
    dataset: str | None = None,
    task: str = "single_label",
    words: Sequence[str] = (),
    has_test_split: bool = True,
) -> dict[str, Any] | None:
    """What to do with a ranking.

    Args:
        ordered: rows in rank order.
        metric: the metric that sorts them.
        variant: the form of the metric.
        scenario: what differs between the candidates; it matters for metrics whose formula depends on it.
        dataset: the target as the user named it, for the command; None where it has no name.
        task: the target's task; the benchmarks have single-label targets only.
        words: further words of the command, for how the dataset and the checkpoints are read.
        has_test_split: without one `finetune` cannot run, so the line says what is needed first.

    Returns:
        None for fewer than two ranked candidates. Else a dict: "text" (lines for people), "first" and "not_told_apart" (names
        of candidates), "fine_tune" (how many of the first to fine-tune, None where there is no evidence), "command" (None
        without dataset or evidence) and "evidence" (see `chances`; None where no benchmark holds the metric in this form).
    """
    ranked = [row for row in ordered if row["score"] is not None and row["rank"] is not None]
    if len(ranked) < 2:
        return None
    first = ranked[0]["checkpoint"]
    group = ranked[0]["tie_group"]
    tied = [row["checkpoint"] for row in ranked[1:] if row["rank"] == 1 or (group is not None and row["tie_group"] == group)]
    evidence = chances(metric, variant, scenario, len(ranked)) if task == "single_label" else None
    count = None if evidence is None else _with_equals(ranked, _enough(evidence["chance_of_best"]))
    command = None
    if dataset is not None and count is not None:
        chosen = " ".join(f"--checkpoint {shlex.quote(row['checkpoint'])}" for row in ranked[:count])
        more = "".join(f" {shlex.quote(word)}" for word in words)
        command = f"hf-transferability finetune --dataset {shlex.quote(dataset)} {chosen}{more} --output runs"
    lines = [_first_line(first, tied), _chance_line(evidence, count, metric)]
    if command:
        needed = "" if has_test_split else "make a split called test, then "
        lines.append(f"{NEXT}{needed}{command}")
    return {
        "text": lines, "first": first, "not_told_apart": tied, "fine_tune": count, "command": command, "evidence": evidence,
    }  # fmt: skip


@lru_cache
def chances(metric: str, variant: str, scenario: str, n_candidates: int) -> dict[str, Any] | None:
    """How often the best of a pool is among the first by a metric, over all bundled benchmarks that hold it.

    Args:
        metric, variant, scenario: as for `advise`.
        n_candidates: size of the pools; of targets with fewer sources all are taken.

    Returns:
        None where no benchmark has the metric, or the raw numbers it is made of, in this form. Else a dict: "benchmarks",
        "n_targets", "pool_size", "chance_of_best" (for the first 1, 2, ... candidates, mean over targets) and "regret" (what
        the first loses against the best, mean over targets, in the benchmarks' measures of 0 to 1) beside "random_regret".
    """
    declared = get_metric(metric)
    tables, regrets, randoms, names, sizes = [], [], [], [], []
    for column in COLUMNS:
        if declared.uses_scenario and column.scenario != scenario:
            continue
        for pool, parameters in _pools(column):
            scores, performance = _pools_of_size(pool, parameters, metric, variant, n_candidates)
            if not len(scores) or scores.shape[1] < 2:
                continue
            row = agreement.chance_of_best(scores, performance).mean(axis=0)
            tables.append(np.pad(row, (0, n_candidates - len(row)), constant_values=1.0))
            regrets.append(agreement.regret_of_first(scores, performance).mean())
            randoms.append(agreement.regret_of_first(np.zeros(scores.shape), performance).mean())
            names += [name for name in column.benchmarks if name not in names]
            sizes.append(scores.shape[1])
    if not tables:
        return None
    return {
        "benchmarks": names,
        "n_targets": len(tables),
        "pool_size": max(sizes),
        "chance_of_best": [round(float(value), 4) for value in np.mean(tables, axis=0)],
        "regret": round(float(np.mean(regrets)), 4),
        "random_regret": round(float(np.mean(randoms)), 4),
    }


def _with_equals(ranked: Sequence[Row], count: int) -> int:
    """So many of the first, and those that share the rank of the last of them."""
    return sum(row["rank"] <= ranked[count - 1]["rank"] for row in ranked)


def _first_line(first: str, tied: Sequence[str]) -> str:
    if not tied:
        return f"first: {first}."
    shown = ", ".join(tied[:4]) + (f" and {len(tied) - 4} more" if len(tied) > 4 else "")
    return f"first: {first}; these images cannot tell it from {shown}."


def _chance_line(evidence: Mapping[str, Any] | None, count: int | None, metric: str) -> str:
    if evidence is None or count is None:
        return f"how far to trust this order is unknown: no bundled benchmark holds {metric} for such a target."
    chance = evidence["chance_of_best"][count - 1]
    if count == len(evidence["chance_of_best"]):
        return f"the benchmarks do not say which of these {count} could be left out: fine-tune all of them."
    return (
        f"chance that the best is among the first {count}: {chance:.0%} "
        f"({evidence['n_targets']} targets of {len(evidence['benchmarks'])} benchmarks, each target counted once)."
    )


def _enough(chance_of_best: Sequence[float]) -> int:
    """The fewest first candidates with the wanted chance."""
    return next(count for count, chance in enumerate(chance_of_best, 1) if chance >= CHANCE - 1e-9)


@lru_cache
def _pools(column: Any) -> tuple[tuple[Pool, Any], ...]:
    return tuple(pools_with_parameters(column))


def _form_of(pool: Pool, name: str, variant: str, alternatives: bool) -> str | None:
    """The form in which a pool holds a metric's values; another one than asked for where both are the same, or if allowed."""
    same = not get_metric(name).variants_differ
    forms = (variant, "default", "published") if same or alternatives else (variant,)
    return next((form for form in forms if (name, form) in pool.scores and pool.scores[name, form].notna().any()), None)


def _pools_of_size(pool: Pool, parameters: Any, metric: str, variant: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores and fine-tuned performance in pools of so many of a target's sources, [n_pools, size] each.

    A composite score is formed in each of them, as `rank` would: that changes the order. Other scores that exist only over a
    pool stay as they were scaled over all sources, since the benchmarks do not hold what they are made of.
    """
    declared = get_metric(metric)
    variant = variant if variant in declared.variants else "default"
    names = declared.parts or (metric,)
    # Where a benchmark holds a part in its published form alone, that is the best evidence on the composite that there is.
    forms = {name: _form_of(pool, name, variant, alternatives=declared.is_composite) for name in names}
    if not any(forms.values()) or (declared.needs_all_parts and not all(forms.values())):
        return np.empty((0, 0)), np.empty((0, 0))
    raw = {name: pool.scores[name, form] for name, form in forms.items() if form is not None}
    present = np.array([values.notna() for values in raw.values()])
    complete = np.flatnonzero(present.all(axis=0) if declared.needs_all_parts else present.any(axis=0))
    chosen = _subsets(len(complete), size)
    performance = pool.performance.to_numpy(dtype=float)[complete][chosen]
    parts = {name: values.to_numpy(dtype=float)[complete][chosen] for name, values in raw.items()}
    if not declared.is_composite:
        return parts[metric], performance
    if "parameters" in declared.facts and parameters is not None:
        parts["parameters"] = parameters.reindex(pool.performance.index[complete]).to_numpy(dtype=float)[chosen]
    scores = declared.combine_pools(parts, variant=variant, scenario=pool.scenario)
    ordered = np.isfinite(scores).all(axis=1)
    return scores[ordered], performance[ordered]


def _subsets(n: int, size: int) -> np.ndarray:
    """Positions [n_pools, size] of all subsets of that size of n, or a seeded draw of them where there are many."""
    size = min(size, n)
    if math.comb(n, size) <= _MOST_POOLS:
        return np.array(list(combinations(range(n), size)), dtype=int).reshape(-1, size)
    rng = np.random.default_rng(_SEED)
    return np.array([rng.permutation(n)[:size] for _ in range(_MOST_POOLS)])
