"""What to do with a ranking: which candidates to consider, how likely the best is among them, what to type next.

How likely: in every bundled benchmark that holds the metric, pools as large as the user's are taken from each target's sources,
the metric orders them, and the place of the source with the best fine-tuned performance is looked up. A pool that is larger
than those of the benchmarks gets the share of candidates that the largest pools there need.
"""

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np

from hf_transferability import agreement
from hf_transferability.benchmark.leaderboard import COLUMNS
from hf_transferability.benchmark.scored_targets import ScoredTarget, bundled_targets
from hf_transferability.metrics import get_metric
from hf_transferability.results import Row

FIRST = "first: "  # how the line with the first candidates begins
NEXT = "next: "  # how the line with the command begins
MAKE_TEST_SPLIT = "make a test split (folders train/CLASS and test/CLASS), then "  # what the command needs first
CHANCE = 0.8  # of having the best candidate among those that are fine-tuned
_FEWEST_TARGETS = 10  # distinct ones that must have enough sources for a size of pool
_MOST_POOLS = 300  # of one target; a seeded draw where more can be made
_SEED = 0
SETTINGS, SEEDS = 6, 2  # of fine-tuning for each candidate, as `finetune` does it
RUNS = SETTINGS * SEEDS


def advise(
    ordered: Sequence[Row],
    metric: str,
    variant: str,
    scenario: str,
    dataset: str | None = None,
    task: str = "single_label",
    words: Sequence[str] = (),
    has_test_split: bool = True,
    pool_size: int | None = None,
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
        pool_size: candidates that were compared, where a race has dropped some of them; default those that are ranked.

    Returns:
        None for fewer than two ranked candidates. Else a dict: "text" (lines for people), "first" and "not_told_apart" (names
        of candidates), "fine_tune" (how many of the first to fine-tune, None where there is no evidence), "command" (None
        without dataset, and for a target of numbers; without evidence it names those that cannot be told from the first) and
        "evidence" (see `chances`; None where no benchmark holds the metric in this form).
    """
    ranked = [row for row in ordered if row["score"] is not None and row["rank"] is not None]
    if len(ranked) < 2:
        return None
    first = ranked[0]["checkpoint"]
    group = ranked[0]["tie_group"]
    equal = [row["checkpoint"] for row in ranked[1:] if row["rank"] == ranked[0]["rank"]]
    tied = equal + [row["checkpoint"] for row in ranked[1 + len(equal) :] if group is not None and row["tie_group"] == group]
    facts = not any("size_unknown" in row.get("flags", ()) for row in ranked)
    total = pool_size or len(ranked)
    evidence = chances(metric, variant, scenario, total, facts=facts) if task == "single_label" else None
    count = None if evidence is None else _with_equals(ranked, min(_enough(evidence, total), len(ranked)))
    one_score, one_group = len(equal) + 1 == len(ranked), len(tied) + 1 == len(ranked)
    if one_group:  # what other targets say of an order does not hold where these images give none
        evidence, count = None, len(ranked)
    command = None
    if dataset is not None and task != "regression":
        taken = ranked[: count or 1 + len(tied)]
        of_use = [row for row in taken if row is ranked[0] or not _has_no_relation(row)]
        chosen = " ".join(f"--checkpoint {shlex.quote(row['checkpoint'])}" for row in of_use)
        more = "".join(f" {shlex.quote(word)}" for word in words)
        command = f"hf-transferability finetune --dataset {shlex.quote(dataset)} {chosen}{more} --output runs"
    if not one_group:
        lines = [_first_line(first, equal, tied[len(equal) :])]
        lines.append(_chance_line(evidence, count, total, metric, variant, task))
        lines += _cut_group(ranked, count) if evidence is not None and count is not None else []
    elif not one_score:
        lines = [
            f"{FIRST}{first}, but these images cannot order the {len(ranked)} candidates: take more images, or fine-tune all."
        ]
    else:
        lines = [
            f"all {len(ranked)} candidates have one score, so {metric} does not order them: fine-tune all, or sort by another."
        ]
    if command:
        if skipped := [row["checkpoint"] for row in taken if row not in of_use]:
            lines.append(f"left out of the command, as flagged no_relation: {_shortened(skipped)}.")
        needed = "" if has_test_split else MAKE_TEST_SPLIT
        each = f" ({RUNS} for each: {SETTINGS} settings with {SEEDS} seeds)"
        runs = f"fine-tune in {RUNS * len(of_use)} runs{each}, or let `choose` keep to a budget of minutes: "
        lines.append(f"{NEXT}{needed}{runs}{command}")
    return {
        "text": lines, "first": first, "not_told_apart": tied, "fine_tune": count, "command": command, "evidence": evidence,
    }  # fmt: skip


def without_conclusions(advice: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The advice as far as it follows from the order alone, without words and chances that would sound sure of wrong labels."""
    return None if advice is None else {**advice, "text": [], "evidence": None}


@lru_cache
def chances(metric: str, variant: str, scenario: str, n_candidates: int, *, facts: bool = True) -> dict[str, Any] | None:
    """How often the best of a pool is among the first by a metric, over all bundled benchmarks that hold it.

    Args:
        metric, variant, scenario: as for `advise`.
        n_candidates: size of the pools. If too few targets have so many sources, the largest size for which enough have.
        facts: whether what the formula uses of the candidates, such as their size, is known; without, it is not used.

    Returns:
        None where no benchmark has the metric, or the raw numbers it is made of, in this form. Else a dict: "benchmarks",
        "n_targets" (different ones; one that several benchmarks have counts once), "pool_size", "chance_of_best" (for the
        first 1, 2, ... of a pool, mean over targets) and "regret" (what the first loses against the best, mean over targets,
        in the benchmarks' measures of 0 to 1) beside "random_regret".
    """
    columns = [column for column in COLUMNS if not get_metric(metric).uses_scenario or column.scenario == scenario]
    targets = [(column, target) for column in columns for target in bundled_targets(column.name)]
    available = {(column.name, one.target): _complete(one, metric, variant)[1].size for column, one in targets}
    size = _largest_size(available, n_candidates)
    if size is None:
        return None
    tables: dict[str, list[np.ndarray]] = {}
    benchmarks: list[str] = []
    for column, target in targets:
        if available[column.name, target.target] < size:
            continue
        scores, performance = _pools_of_size(target if facts else replace(target, parameters=None), metric, variant, size)
        if not len(scores):
            continue
        first = agreement.regret_of_first(scores, performance).mean()
        random = agreement.regret_of_first(np.zeros(scores.shape), performance).mean()
        chance = agreement.chance_of_best(scores, performance).mean(axis=0)
        tables.setdefault(target.target, []).append(np.array([first, random, *chance]))
        benchmarks += [name for name in column.benchmarks if name not in benchmarks]
    if not tables:
        return None
    regret, random_regret, *chance_of_best = np.mean([np.mean(rows, axis=0) for rows in tables.values()], axis=0)
    return {
        "benchmarks": benchmarks,
        "n_targets": len(tables),
        "pool_size": size,
        "chance_of_best": [round(float(value), 4) for value in chance_of_best],
        "regret": round(float(regret), 4),
        "random_regret": round(float(random_regret), 4),
    }


def _largest_size(available: Mapping[tuple[str, str], int], wanted: int) -> int | None:
    """The largest size of pool, at most the wanted one, for which enough different targets have sources; None without any."""
    largest: dict[str, int] = {}
    for (_, target), count in available.items():
        largest[target] = max(largest.get(target, 0), count)
    counts = sorted((count for count in largest.values() if count >= 2), reverse=True)
    if not counts:
        return None
    return min(wanted, counts[min(_FEWEST_TARGETS, len(counts)) - 1])


def _with_equals(ranked: Sequence[Row], count: int) -> int:
    """So many of the first, and those that share the rank of the last of them."""
    return sum(row["rank"] <= ranked[count - 1]["rank"] for row in ranked)


def _first_line(first: str, equal: Sequence[str], tied: Sequence[str]) -> str:
    """The first, those with the same score, and those that the images cannot tell from these."""
    line = f"{FIRST}{first}" + (f", with an equal score {_shortened(equal)}" if equal else "")
    return f"{line}; these images cannot tell {'them' if equal else 'it'} from {_shortened(tied)}." if tied else f"{line}."


def _cut_group(ranked: Sequence[Row], count: int) -> list[str]:
    """What is left out although these images cannot tell it from what is taken."""
    group = ranked[count - 1]["tie_group"]
    rest = [row for row in ranked[count:] if not _has_no_relation(row)]
    more = [row["checkpoint"] for row in rest if group is not None and row["tie_group"] == group]
    last = ranked[count - 1]["checkpoint"]
    return [f"perhaps as good as {last}, as they share tie group {group}: {_shortened(more)}."] if more else []


def _has_no_relation(row: Row) -> bool:
    """Whether its features look as if they said nothing of the labels, so that it is not worth a fine-tuning."""
    return "no_relation" in row.get("flags", ())


def _shortened(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _chance_line(
    evidence: Mapping[str, Any] | None, count: int | None, n_candidates: int, metric: str, variant: str, task: str
) -> str:
    if evidence is None or count is None:
        reason = f"the {variant} form of {metric}" if task == "single_label" else f"a {task.replace('_', '-')} target"
        return f"how far to trust this order is unknown: no bundled benchmark holds {reason}."
    chances_of_best, size, targets = evidence["chance_of_best"], evidence["pool_size"], evidence["n_targets"]
    benchmarks = len(evidence["benchmarks"])
    if size < n_candidates:
        enough, share = _first_above(chances_of_best), _enough(evidence, n_candidates)
        fewer = f"of {n_candidates} that is {share}, and {count} are ranked."  # a race has dropped the others
        return (
            f"in benchmark pools of {size} the best is among the first {enough} in {chances_of_best[enough - 1]:.0%} of cases; "
            + (f"the same share of {n_candidates} is {share}." if share <= count else fewer)
        )
    if count == len(chances_of_best):
        return f"the benchmarks do not say which of these {count} could be left out: fine-tune all of them."
    return (
        f"chance that the best is among the first {count}: {chances_of_best[count - 1]:.0%} "
        f"(in random order {count / size:.0%}; {targets} targets of {benchmarks} benchmark{'s' * (benchmarks > 1)})."
    )


def _enough(evidence: Mapping[str, Any], n_candidates: int) -> int:
    """The fewest first candidates with the wanted chance; of a pool larger than the benchmarks', the same share."""
    return math.ceil(_first_above(evidence["chance_of_best"]) * n_candidates / evidence["pool_size"])


def _first_above(chance_of_best: Sequence[float]) -> int:
    return next(count for count, chance in enumerate(chance_of_best, 1) if chance >= CHANCE - 1e-9)


def _form_of(target: ScoredTarget, name: str, variant: str, alternatives: bool) -> str | None:
    """The form in which a target has a metric's values; another one than asked for where both are the same, or if allowed."""
    same = not get_metric(name).variants_differ
    forms = (variant, "default", "published") if same or alternatives else (variant,)
    return next((form for form in forms if (name, form) in target.scores), None)


def _complete(target: ScoredTarget, metric: str, variant: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The raw values that a metric is made of, and positions of the sources that have them; none where a part is missing."""
    declared = get_metric(metric)
    variant = variant if variant in declared.variants else "default"
    names = declared.parts or (metric,)
    # Where a benchmark holds a part in its published form alone, that is the best evidence on the composite that there is.
    forms = {name: _form_of(target, name, variant, alternatives=declared.is_composite) for name in names}
    if not any(forms.values()) or (declared.needs_all_parts and not all(forms.values())):
        return {}, np.empty(0, dtype=int)
    raw = {name: target.scores[name, form] for name, form in forms.items() if form is not None}
    present = ~np.isnan(np.array([*raw.values()]))
    return raw, np.flatnonzero(present.all(axis=0) if declared.needs_all_parts else present.any(axis=0))


def _pools_of_size(target: ScoredTarget, metric: str, variant: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores and fine-tuned performance in pools of so many of a target's sources, [n_pools, size] each.

    A composite score is formed in each of them, as `rank` would: that changes the order. Other scores that exist only over a
    pool stay as they were scaled over all sources, since the benchmarks do not hold what they are made of.
    """
    declared = get_metric(metric)
    variant = variant if variant in declared.variants else "default"
    raw, complete = _complete(target, metric, variant)
    if not raw:
        return np.empty((0, 0)), np.empty((0, 0))
    chosen = _subsets(len(complete), size)
    performance = target.performance[complete][chosen]
    parts = {name: values[complete][chosen] for name, values in raw.items()}
    if not declared.is_composite:
        return parts[metric], performance
    if "parameters" in declared.facts and target.parameters is not None:
        parts["parameters"] = target.parameters[complete][chosen]
    scores = declared.combine_pools(parts, variant=variant, scenario=target.scenario)
    ordered = np.isfinite(scores).all(axis=1)
    return scores[ordered], performance[ordered]


def _subsets(n: int, size: int) -> np.ndarray:
    """Positions [n_pools, size] of all subsets of that size of n, or a seeded draw of them where there are many."""
    size = min(size, n)
    if math.comb(n, size) <= _MOST_POOLS:
        return np.array(list(combinations(range(n), size)), dtype=int).reshape(-1, size)
    rng = np.random.default_rng(_SEED)
    return np.array([rng.permutation(n)[:size] for _ in range(_MOST_POOLS)])
