"""A pool of candidates: scores that exist only over it, intervals, tie groups, the order of the rows, and what to say of it."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata
from scipy.stats import t as student

from hf_transferability.agreement import weighted_tau
from hf_transferability.metrics import collect_flags, describe, get_metric
from hf_transferability.metrics.transferability import combine
from hf_transferability.ranking.scoring import COMPONENTS, Scores, Value
from hf_transferability.results import Row, ranked_rows

_FLIPS = 0.1  # share of half-samples in which two candidates may change places and still be told apart

_SCENARIO_NOTES = {
    "source_dataset": "scenario source_dataset: the candidates share one architecture; score = m(FQ) * m(FU), with m(.) scaled "
    "over this pool, so that the lowest of either gets 0. Published agreement with fine-tuning 0.52 (mean weighted Kendall tau "
    "over 11 targets).",
    "architecture": "scenario architecture: the candidates differ in architecture; score = (1 - m(FQ)) * (1 - m(FU)). That the "
    "order turns round here is a hypothesis found on the data that it was published on, with weak agreement (0.26, against "
    "0.52 within one architecture); it can favour bad networks. A candidate whose feature quality does not exceed that of "
    "shuffled labels stands last.",
}


def choose_scenario(asked: str, rows: Sequence[Row]) -> tuple[str, list[str]]:
    """The scenario, and what the reader should know about it; `auto` looks whether all share one architecture."""
    signatures = {row["signature"] for row in rows if row.get("signature")}
    if not signatures:
        return ("source_dataset" if asked == "auto" else asked), []
    if asked == "auto":
        asked = "source_dataset" if len(signatures) == 1 else "architecture"
    elif asked == "architecture" and len(signatures) == 1:
        return asked, [
            _SCENARIO_NOTES[asked].replace("the candidates differ in architecture", "asked for")
            + " Here the candidates share one architecture, for which the other scenario was made."
        ]
    elif asked == "source_dataset" and len(signatures) > 1:
        return asked, [
            _SCENARIO_NOTES[asked].replace("the candidates share one architecture", "asked for")
            + f" But the candidates have {len(signatures)} architectures, between which the update ratio is not comparable."
        ]
    return asked, [_SCENARIO_NOTES[asked]]


def scenario_notes(scenario: str) -> list[str]:
    """What the reader should know about a scenario."""
    return [_SCENARIO_NOTES[scenario]]


def add_scores(
    rows: Sequence[Row], scores: Sequence[Scores | None], metrics: Sequence[str], scenario: str, variant: str = "default"
) -> list[str]:
    """Put every metric's score and 90 % interval into the rows; returns notes. Rows without scores have failed."""
    notes: list[str] = []
    alive = [(row, each) for row, each in zip(rows, scores, strict=True) if each is not None]
    if not alive:
        return notes
    for name in dict.fromkeys([*COMPONENTS, *metrics]):
        values = [_values(each, name) for _, each in alive]
        with collect_flags() as flags:
            pooled = pool_scores(name, values, scenario, variant)
        numbers = [value for value in pooled if value is not None]
        if len(numbers) > 1 and len(set(numbers)) == 1:
            flags.setdefault("constant_over_pool", f"{name} {numbers[0]:.4g}")
        for flag, detail in flags.items():
            notes.append(f"{name}: {describe(flag, detail)}.")
            for row, _ in alive:
                row["flags"].setdefault(flag, detail)
        with collect_flags():
            n_halves = max((len(halves) for _, each in alive for halves in each.halves.values()), default=0)
            columns = [[_values(each, name, k) for _, each in alive] for k in range(n_halves)]
            halves = [pool_scores(name, column, scenario, variant) for column in columns]
        if name == metrics[0]:
            _flag_unstable_ranks([row for row, _ in alive], halves)
        for i, (row, each) in enumerate(alive):
            row[name] = pooled[i]
            if isinstance(raw := each.values.get(name), dict):
                row |= {f"{name}_{part}": value for part, value in raw.items()}
            spread = [half[i] for half in halves if half[i] is not None]
            row["intervals"][name] = _interval(name, variant, pooled[i], spread)
            row["halves"][name] = [half[i] for half in halves]
            if name in each.floors:
                row[f"{name}_floor"] = each.floors[name]
    return notes


def pool_scores(name: str, values: Sequence[Value], scenario: str, variant: str = "default") -> list[float | None]:
    """One score per candidate from the values of a metric over the pool; they are the same unless it is pool-relative."""
    metric = get_metric(name)
    if name == "transferability":
        columns = [[(each or {}).get(part) for each in values] for part in COMPONENTS]  # type: ignore[union-attr]
        return combine(columns[0], columns[1], scenario)
    if metric.combine is not None:
        return metric.combine(values, variant=variant)
    return list(values)  # type: ignore[arg-type]


def order(rows: Sequence[Row], scenario: str, metric: str) -> list[Row]:
    """Rows in rank order, with rank and tie group: scored, then scored at the floor, then without score, then failed.

    Equal scores share a rank. Candidates that change places in more than a tenth of the half-samples share a tie group, and so
    do those between them.
    """
    floor_counts = scenario == "architecture" and metric == "transferability"

    def place(row: Row) -> tuple[int, float]:
        if row["score"] is not None:
            return (1 if floor_counts and "at_floor" in row["flags"] else 0), -row["score"]
        return (3 if row["error"] else 2), 0.0

    ordered = sorted(rows, key=place)
    scored = [row for row in ordered if row["score"] is not None]
    if len(scored) < 2:
        return ordered  # one alone has no rank
    for number, row in enumerate(scored, 1):
        before = scored[number - 2] if number > 1 else None
        row["rank"] = before["rank"] if before is not None and place(before) == place(row) else number
    if not any(row["halves"][metric] for row in scored):
        return ordered  # nothing was compared
    groups = 0
    for kind in (0, 1):  # a candidate at its floor is not tied with one above it, whatever their scores
        groups = _add_tie_groups([row for row in scored if place(row)[0] == kind], metric, groups)
    return ordered


def tie_notes(ordered: Sequence[Row]) -> list[str]:
    """What to do where no two candidates of a ranking can be told apart."""
    groups = [row["tie_group"] for row in ordered if row["tie_group"] is not None]
    if len(groups) < 2 or len(set(groups)) > 1:
        return []
    return [
        f"this sample cannot order the {len(groups)} candidates: they are one tie group, so the first is hardly a better "
        "choice than the next. Take more images (a larger sample size), or fine-tune several."
    ]


def no_ranking_notes(rows: Sequence[Row], metric: str) -> list[str]:
    """Why there is no ranking, where fewer than two candidates have a score by the metric that would sort them."""
    if ranked_rows(rows):
        return []
    whole = [row for row in rows if not row["error"]]
    if len(whole) < 2:
        return [f"there is no ranking: {len(whole)} of {len(rows)} candidates could be scored, and an order needs two."]
    parts = COMPONENTS if metric == "transferability" else ()
    same = [name.replace("_", " ") for name in parts if len({row[name] for row in whole}) == 1]
    why = " and ".join(same) or "what it is made of"
    reason = f"{why} {'are' if len(same) > 1 else 'is'} the same for all {len(whole)} candidates"
    return [f"there is no ranking: the pool cannot be ordered by {metric}, as {reason}."]


def disagreement_notes(ordered: Sequence[Row], metrics: Sequence[str]) -> list[str]:
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
        best = rows[values.index(max(values))]  # of those that tie, the one that stands first here
        firsts.setdefault(first if best["rank"] == rows[0]["rank"] else best["checkpoint"], []).append(name)
        taus.append(weighted_tau(values, places))
    if len(firsts) < 2:
        return []
    told = "; ".join(f"{checkpoint} by {', '.join(names)}" for checkpoint, names in firsts.items())
    left_out = f" Left out, without a value for every candidate: {', '.join(lacking)}." if lacking else ""
    return [
        f"the metrics do not agree on the first candidate: {told}. Agreement of the others with the order by {metrics[0]} "
        f"(weighted Kendall tau, 1 for the same order): {np.mean(taus):.2f} on average.{left_out}"
    ]


def _values(scores: Scores, name: str, half: int | None = None) -> Value:
    """A metric's value (or that on one half-sample); for transferability the dict of its components."""
    if name == "transferability":
        return {part: _values(scores, part, half) for part in COMPONENTS}  # type: ignore[misc]
    if half is None:
        return scores.values.get(name)
    halves = scores.halves.get(name)  # none where the metric is undefined for this candidate
    return halves[half] if halves else None


def _interval(name: str, variant: str, value: float | None, halves: Sequence[float | None]) -> list[float] | None:
    if value is None or len(halves) < 2:
        return None
    low, high = get_metric(name).range_of(variant)
    reach = float(student.ppf(0.95, len(halves) - 1) * np.std(np.array(halves, dtype=float), ddof=1))
    return [max(value - reach, min(low, value)), min(value + reach, max(high, value))]


def _flag_unstable_ranks(rows: Sequence[Row], halves: Sequence[Sequence[float | None]]) -> None:
    """Flag candidates whose rank moves over more than half of the pool between half-samples."""
    complete = [half for half in halves if None not in half]
    if len(rows) < 4 or not complete:
        return
    ranks = np.array([rankdata(-np.array(half, dtype=float)) for half in complete])
    for row, low, high in zip(rows, ranks.min(axis=0), ranks.max(axis=0), strict=True):
        if high - low > len(rows) / 2:
            row["flags"].setdefault("unstable", f"rank {low:g} to {high:g} of {len(rows)} on half-samples")


def _add_tie_groups(scored: Sequence[Row], metric: str, group: int) -> int:
    """Number the groups of candidates that cannot be told apart, in rank order, after `group`; returns the last number."""
    reach = -1
    last = [
        max(j for j in range(i, len(scored)) if j == i or _flips(scored[i], scored[j], metric) > _FLIPS)
        for i in range(len(scored))
    ]
    for i, row in enumerate(scored):
        if i > reach:
            group += 1
        row["tie_group"] = group
        reach = max(reach, last[i])
    return group


def _flips(better: Row, worse: Row, metric: str) -> float:
    """Share of half-samples in which the order of two candidates is turned round; equality counts half, equal scores always."""
    if better["score"] == worse["score"]:
        return 1.0
    pairs = [
        (a, b)
        for a, b in zip(better["halves"][metric], worse["halves"][metric], strict=True)
        if a is not None and b is not None
    ]
    return sum((a < b) + 0.5 * (a == b) for a, b in pairs) / len(pairs) if pairs else 0.0
