"""How far a ranking can be trusted: what following the same metric would have cost where fine-tuned performance is known.

The benchmark is small, so the advice says how small. Its unit is the target: the next one is yours.
"""

from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np

from hf_transferability import agreement
from hf_transferability.benchmark import bundled
from hf_transferability.benchmark.ground_truth import PUBLISHED
from hf_transferability.benchmark.pools import COMPONENTS, Pool, pools
from hf_transferability.metrics import get_metric

BENCHMARK = "paper"
CHANCE = 0.9  # of having the best among those that are fine-tuned
_RESAMPLES = 1000


def advise(metric: str, variant: str, scenario: str, n_candidates: int, task: str = "single_label") -> dict[str, Any] | None:
    """What the bundled benchmark says about trusting a ranking.

    Args:
        metric: that the ranking is sorted by.
        variant: of the metric.
        scenario: of the ranking.
        n_candidates: in its pool.
        task: of its target; the benchmark has single-label targets only.

    Returns:
        None for a pool of one. Else a dict: "text" for people, and "evidence", None where the benchmark does not have this
        metric in this form and scenario, else a dict: the benchmark, its selection of ground truth, n_targets, n_sources,
        pool_size (n_candidates, if the benchmark has so many sources), rescaled (whether a score that exists only over a pool
        was formed anew in every pool), random_regret (AUC that a random choice loses), and as [value, low, high], with 90 %
        intervals over the targets, expected_regret (AUC that is lost on average by fine-tuning only the first) and fine_tune
        (how many of the first to fine-tune for a 90 % chance of having the best: of fewer candidates a larger share). All are
        means over the pools of that size that can be made of a target's sources.
    """
    if n_candidates < 2:
        return None
    form = f"{metric} in its {variant} form" if get_metric(metric).variants_differ else metric
    evidence = _evidence(metric, variant, scenario, n_candidates) if task == "single_label" else None
    if evidence is None:
        kind = "" if task == "single_label" else f" for {task} targets"
        text = (
            f"how far to trust this order: unknown. The {BENCHMARK} benchmark has no evidence for {form} in scenario "
            f"{scenario}{kind}."
        )
        return {"text": text, "evidence": None}
    regret, low, high = evidence["expected_regret"]
    targets, sources, size, random = (evidence[key] for key in ("n_targets", "n_sources", "pool_size", "random_regret"))
    if size < sources:
        drawn = f", going by all pools of {size} of its {sources} sources"
        if not evidence["rescaled"]:
            drawn += f" (scores as scaled over all {sources}: their components are not published)"
    else:
        drawn = f", {sources} sources each" + (f" (your pool has {n_candidates})" if n_candidates > sources else "")
    text = (
        f"how far to trust this order: on {targets} targets of the {BENCHMARK} benchmark, scenario {scenario}{drawn}, "
        f"fine-tuning only the first by {form} lost {regret:.3f} AUC on average ({low:.3f} to {high:.3f}; a random choice "
        f"{random:.3f}). For a {CHANCE * 100:.0f} % chance of having the best, {_count_in_words(evidence, n_candidates)}."
    )
    return {"text": text, "evidence": evidence}


def _count_in_words(evidence: dict[str, Any], n_candidates: int) -> str:
    """How many of the first to fine-tune, for the user's own number of candidates."""
    count, fewest, most = evidence["fine_tune"]
    size = evidence["pool_size"]
    if n_candidates > size:
        share = -(-count * n_candidates // size)  # rounded up
        return (
            f"fine-tune the first {count} of {size} ({fewest} to {most}) there; carried over to your {n_candidates} as a "
            f"proportion, which is an extrapolation, the first {share}"
        )
    first = f"all {size}" if count == size else f"the first {count} of {size}"
    return f"fine-tune {first}" + (f" ({fewest} to {most})" if fewest < most else "")


@lru_cache
def _evidence(metric: str, variant: str, scenario: str, n_candidates: int) -> dict[str, Any] | None:
    """From the bundled tables, in the order in which `rank` would have put the sources: higher is better."""
    truth = bundled.load("ground_truth", BENCHMARK)
    scores = bundled.load("scores", BENCHMARK)
    parts = COMPONENTS if metric == "transferability" else (metric,)
    truth = truth[(truth.scenario == scenario) & (truth.selection == PUBLISHED)]
    scores = scores[(scores.scenario == scenario) & scores.metric.isin(parts)]
    # Of a metric without forms there is one in the benchmark, whatever its name.
    forms = (variant,) if get_metric(metric).variants_differ else ("default", "published")
    regrets, chances, randoms, sizes = [], [], [], []
    for pool in pools(truth, scores):
        own = next(((metric, form) for form in forms if (metric, form) in pool.scores), None)
        if own is None or len(pool.scored(*own)[0]) < 2:
            continue
        values, performance = _smaller_pools(pool, *own, n_candidates)
        regrets.append(agreement.regret_of_first(values, performance).mean())
        randoms.append(agreement.regret_of_first(np.zeros(values.shape), performance).mean())
        chances.append(agreement.chance_of_best(values, performance).mean(axis=0))
        sizes.append(len(pool.scored(*own)[0]))
    if len(regrets) < 2:
        return None
    width = max(len(row) for row in chances)
    table = np.array([np.pad(row, (0, width - len(row)), constant_values=1) for row in chances])
    drawn = np.random.default_rng(0).integers(len(regrets), size=(_RESAMPLES, len(regrets)))
    spread = agreement.interval(np.array(regrets)[drawn].mean(axis=1)) or (np.nan, np.nan)
    counts = _enough(table[drawn].mean(axis=1))
    fewest, most = np.quantile(counts, [(1 - agreement.LEVEL) / 2, (1 + agreement.LEVEL) / 2], method="inverted_cdf")
    return {
        "benchmark": BENCHMARK,
        "selection": PUBLISHED,
        "n_targets": len(regrets),
        "n_sources": max(sizes),
        "pool_size": width,
        "rescaled": metric == "transferability" or get_metric(metric).combine is None,
        "expected_regret": [float(np.mean(regrets)), *spread],
        "random_regret": float(np.mean(randoms)),
        "fine_tune": [int(_enough(table.mean(axis=0)[None])[0]), int(fewest), int(most)],
    }


def _smaller_pools(pool: Pool, metric: str, variant: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores and AUC in all pools of so many of a target's sources (at most 3,432), [n_pools, size]; of fewer sources, in the
    pool of all.

    The transferability score is scaled over each of these pools, as `rank` would scale it: that changes the order.
    """
    values, performance = pool.scored(metric, variant)
    chosen = np.array(list(combinations(range(len(values)), min(size, len(values)))))
    performance = performance.to_numpy(dtype=float)[chosen]
    if metric != "transferability":
        return values.to_numpy(dtype=float)[chosen], performance
    scores = np.ones(chosen.shape)
    for part in COMPONENTS:
        raw = pool.scores.loc[values.index, (part, variant)].to_numpy(dtype=float)[chosen]
        low, span = raw.min(axis=1, keepdims=True), np.ptp(raw, axis=1, keepdims=True)
        with np.errstate(invalid="ignore"):
            scaled = (raw - low) / span  # NaN where a component is the same for all: `rank` does not order such a pool
        scores *= 1 - scaled if pool.scenario == "architecture" else scaled
    ordered = np.isfinite(scores).all(axis=1)
    return scores[ordered], performance[ordered]


def _enough(chances: np.ndarray) -> np.ndarray:
    """The fewest first candidates with the wanted chance, in each row of chances for 1, 2, ... of them."""
    return (chances < CHANCE - 1e-9).sum(axis=1) + 1
