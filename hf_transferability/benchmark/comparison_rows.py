"""The rows of a comparison: every statistic of a method against fine-tuned performance, per target and on average."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_transferability import agreement
from hf_transferability.agreement import STATISTICS
from hf_transferability.benchmark import ground_truth as truths
from hf_transferability.benchmark import tables
from hf_transferability.benchmark.pools import Pool
from hf_transferability.errors import UndefinedAgreement, UsageError

if TYPE_CHECKING:
    import pandas as pd

BASELINE, CEILING = "baseline", "ceiling"  # in the column "variant"
RANDOM = "random"
SPLIT_HALF = "split_half"
MEAN = "mean"
_REGRET = "regret_at_"
_PAIRS = 10_000_000  # of candidates, over all random orders of one target

# Scores of a pool's sources for one method; raises UndefinedAgreement where there are none.
Scorer = Callable[[Pool], "tuple[pd.Series, pd.Series]"]


class ScenarioRows:
    """The rows of one scenario, as they grow; all methods are resampled with the same draws of sources."""

    def __init__(self, compared: Sequence[Pool], statistics: Sequence[str], resamples: int, seed: int):
        self.pools = compared
        self.scenario = compared[0].scenario
        self.rows: list[dict[str, Any]] = []
        self._statistics = {name: STATISTICS[name] for name in statistics}
        self._seed = seed
        self._sources = list(dict.fromkeys(source for pool in compared for source in pool.performance.index))
        self._counts = agreement.draws(len(self._sources), resamples, seed)
        self._place = {source: i for i, source in enumerate(self._sources)}

    def add(self, metric: str, variant: str, scorer: Scorer, orientation: int = 1) -> None:
        """Every statistic of a method, per target and on average."""
        scored: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray] | str] = {}
        for pool in self.pools:
            try:
                values, performance = scorer(pool)
            except UndefinedAgreement as error:
                scored[pool.target] = str(error)
            else:
                counts = self._counts[:, [self._place[source] for source in values.index]]
                scored[pool.target] = values.to_numpy(dtype=float), performance.to_numpy(dtype=float), counts
        for statistic, function in self._statistics.items():
            outcomes: list[_Outcome] = []
            for target, given in scored.items():
                if isinstance(given, str):
                    outcomes.append(_Outcome(target, reason=given))
                    continue
                x, y, counts = given
                try:
                    value = function(x, y)
                except UndefinedAgreement as error:
                    outcomes.append(_Outcome(target, n_sources=len(x), reason=str(error)))
                    continue
                resample = len(x) >= agreement.FEWEST and not statistic.startswith(_REGRET)
                spread = agreement.resampled(statistic, x, y, counts, self._seed) if resample else None
                outcomes.append(_Outcome(target, value, spread, len(x)))
            self._record(metric, variant, statistic, outcomes, orientation)

    def add_random(self) -> None:
        """What a random order is expected to reach, and the middle 90% of what it does."""
        # Every order takes room and time for all pairs of sources; of many sources the spread is narrow and needs fewer orders.
        largest = max(len(pool.performance) for pool in self.pools)
        orders = min(len(self._counts), max(_PAIRS // largest**2, 100))
        for statistic, function in self._statistics.items():
            outcomes = []
            for number, pool in enumerate(self.pools):
                y = pool.performance.to_numpy()
                try:
                    # Every correlation is 0 on average; the regret of a random choice is that of a constant score.
                    value = function(np.zeros(len(y)), y) if statistic.startswith(_REGRET) else 0.0
                    function(np.arange(len(y)), y)
                except UndefinedAgreement as error:
                    outcomes.append(_Outcome(pool.target, n_sources=len(y), reason=str(error)))
                    continue
                spread = agreement.random_orders(statistic, y, orders=orders, seed=self._seed + number)
                outcomes.append(_Outcome(pool.target, value, spread, len(y)))
            self._record(RANDOM, BASELINE, statistic, outcomes)

    def add_ceiling(self, runs: "pd.DataFrame", selection: str) -> list[str]:
        """How well two halves of the fine-tuning runs agree; returns notes."""
        try:
            truths.runs_of(selection)
        except UsageError:
            return [f"no noise ceiling: it is unknown how {selection} comes from the runs."]
        divided = []
        for pool in self.pools:
            pool_runs = runs[runs.source.isin(pool.performance.index)]
            divided.append(truths.halves(pool_runs, pool.scenario, pool.target, selection, seed=self._seed))
        for statistic in self._statistics:
            outcomes = []
            for pool, (sources, first, second) in zip(self.pools, divided, strict=True):
                values = truths.ceiling(statistic, first, second)
                if np.isnan(values).all():
                    reason = (
                        "fewer than two sources with two finished runs"
                        if len(sources) < 2
                        else "one setting cannot be divided, or too few sources"
                    )
                    outcomes.append(_Outcome(pool.target, n_sources=len(sources), reason=reason))
                else:
                    outcomes.append(_Outcome(pool.target, float(np.nanmean(values)), values, len(sources)))
            self._record(SPLIT_HALF, CEILING, statistic, outcomes)
        missing = sorted(
            {
                s
                for pool, (sources, *_) in zip(self.pools, divided, strict=True)
                for s in pool.performance.index
                if s not in sources
            }
        )
        return [f"{SPLIT_HALF}, {self.scenario}: without {', '.join(missing)}, of too few runs."] if missing else []

    def _measure(self, target: str) -> str:
        """What was compared on a target, or on all of them."""
        measures = {pool.measure for pool in self.pools if target in (pool.target, MEAN)}
        return measures.pop() if len(measures) == 1 else tables.MIXED

    def _record(self, metric: str, variant: str, statistic: str, outcomes: "Sequence[_Outcome]", orientation: int = 1) -> None:
        defined = [outcome for outcome in outcomes if outcome.value is not None]
        sizes = {outcome.n_sources for outcome in defined}
        spreads = [outcome.spread for outcome in defined if outcome.spread is not None]
        values = [outcome.value for outcome in defined if outcome.value is not None]
        spread = agreement.means(spreads) if spreads and len(spreads) == len(defined) else None
        if statistic.startswith(_REGRET) and variant != CEILING and metric != RANDOM:
            # A resample without the best source cannot show what missing it costs. So targets are resampled instead.
            drawn = np.random.default_rng(self._seed).integers(len(values) or 1, size=(len(self._counts), len(values)))
            spread = np.array(values)[drawn].mean(axis=1) if len(values) > 1 else None
        mean = _Outcome(
            MEAN,
            float(np.mean(values)) if defined else None,
            spread,
            sizes.pop() if len(sizes) == 1 else None,
            _reasons(outcomes),
            len(defined),
        )
        for outcome in (*outcomes, mean):
            low, high = (agreement.interval(outcome.spread) if outcome.spread is not None else None) or (None, None)
            self.rows.append(
                {
                    "scenario": self.scenario, "metric": metric, "variant": variant, "target": outcome.target,
                    "statistic": statistic, "value": outcome.value, "low": low, "high": high, "n_sources": outcome.n_sources,
                    "measure": self._measure(outcome.target), "orientation": orientation, "n_targets": outcome.n_targets,
                    "undefined": outcome.reason,
                }
            )  # fmt: skip


@dataclass(frozen=True)
class _Outcome:
    target: str
    value: float | None = None
    spread: np.ndarray | None = None  # the statistic on resamples
    n_sources: int | None = None
    reason: str | None = None
    n_targets: int | None = None


def _reasons(outcomes: Iterable[_Outcome]) -> str | None:
    """Why there is no value -> the targets without one."""
    targets: dict[str, list[str]] = {}
    for outcome in outcomes:
        if outcome.reason:
            targets.setdefault(outcome.reason, []).append(outcome.target)
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in targets.items()) or None
