"""Scores against fine-tuned performance: agreement per target and on average, beside baselines that look at no target data.

A metric is worth its cost only where it beats what needs no look at the target: a source's mean rank on the other targets, its
number of parameters, its feature width, or chance. And no metric can be expected to beat the noise of the ground truth itself.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_transferability import agreement, results
from hf_transferability.agreement import STATISTICS
from hf_transferability.benchmark import ground_truth as truths
from hf_transferability.benchmark import pools as pooling
from hf_transferability.benchmark.baselines import all_targets, fact, mean_rank
from hf_transferability.benchmark.pools import COMPONENTS, TURNED_ROUND, Pool, methods
from hf_transferability.errors import UndefinedAgreement, UsageError

if TYPE_CHECKING:
    import pandas as pd

BASELINE, CEILING = "baseline", "ceiling"  # in the column "variant"
ELSEWHERE, PARAMETERS, WIDTH, RANDOM = "mean_rank_elsewhere", "parameter_count", "feature_width", "random"
SPLIT_HALF = "split_half"
MEAN = "mean"
RESAMPLES = 1000
RELIABLE = 0.5  # weighted tau of two halves of the runs, under which a target tells little

# Scores of a pool's sources for one method; raises UndefinedAgreement where there are none.
_Scorer = Callable[[Pool], "tuple[pd.Series, pd.Series]"]


@dataclass(frozen=True)
class Comparison:
    """Agreement of scores with fine-tuned performance.

    Attributes:
        benchmark: the ground truth's.
        selection: how the ground truth was taken from the fine-tuning runs.
        rows: a table of agreement, with three more columns: orientation (-1 where lower scores count as better), n_targets (in
            the rows of the mean) and undefined (the reason where there is no value).
        friedman: one dict per scenario and variant: methods, chi2 and p, or the reason why there is none.
        notes: what the reader should know.
        seed, resamples: of the intervals.
        compared: the two tables, by name and content.
        versions: of the packages that made it.
    """

    benchmark: str
    selection: str
    rows: "pd.DataFrame"
    friedman: list[dict[str, Any]]
    notes: list[str]
    seed: int
    resamples: int
    compared: dict[str, str]
    versions: dict[str, str] = field(default_factory=results.package_versions)

    def with_provenance(self) -> "pd.DataFrame":
        """The rows, each with where it comes from, as they are published."""
        return self.rows.assign(
            dataset=", ".join(name for name in self.compared if name != "sha256"),
            dataset_fingerprint=self.compared["sha256"],
            sample_seed=self.seed,
            versions="; ".join(f"{name} {number}" for name, number in sorted(self.versions.items())),
            date=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def to_dict(self, provenance: bool = False) -> dict[str, Any]:
        """Everything, ready for JSON; on request with the provenance in every row."""
        rows = self.with_provenance() if provenance else self.rows
        rows = rows.astype(object).where(rows.notna(), None)
        return {
            "benchmark": self.benchmark,
            "selection": self.selection,
            "seed": self.seed,
            "resamples": self.resamples,
            "interval_level": agreement.LEVEL,
            "compared": self.compared,
            "rows": rows.to_dict("records"),
            "friedman": self.friedman,
            "notes": self.notes,
            "versions": self.versions,
        }


def compare(
    ground_truth: "pd.DataFrame | None",
    scores: "pd.DataFrame",
    *,
    sources: "pd.DataFrame | None" = None,
    runs: "pd.DataFrame | None" = None,
    selection: str | None = None,
    scenarios: Sequence[str] = (),
    targets: Sequence[str] = (),
    metrics: Sequence[str] = (),
    statistics: Sequence[str] = tuple(STATISTICS),
    orientation: str = "published",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compare scores with ground truth.

    Args:
        ground_truth: a table of that name; None to take it from `runs`.
        scores: a table of that name; sources and targets are matched by name.
        sources: a table of that name, for the baselines that rest on the size of the network.
        runs: a table of that name, for selections that the ground truth does not have, and for the noise ceiling.
        selection: which ground truth; default the paper's (the run of lowest validation loss), or the only one that there is.
        scenarios, targets, metrics: only these; default all that have scores.
        statistics: only these of agreement.STATISTICS, weighted_tau among them, which the rows are sorted by.
        orientation: "published" turns the published variants round where the paper does (in the architecture scenario LEEP,
            NLEEP, PARC, NCTI and the two components; lower is better); "natural" never does.
        resamples: bootstrap samples of the sources, for the intervals.
        seed: of everything random.

    Returns:
        Per scenario, method and target, and for the mean over targets: every statistic with its 90 % interval. For methods and
        baselines the interval comes from resampled sources (the same ones for all targets), for "random" from random orders,
        for "split_half" from random divisions of the runs.

    Raises:
        UsageError: tables that do not go together, or a name that is not in them.
    """
    chosen, notes = truths.choose(ground_truth, runs, selection)
    scores, passed = pooling.latest(scores)
    notes += passed
    found = pooling.pools(_only(chosen, scenario=scenarios), scores)
    _check_overlap(found, chosen, scores, scenarios, targets, metrics)
    notes += _missing(found, chosen, scores)
    rows: list[dict[str, Any]] = []
    friedman = []
    for scenario in dict.fromkeys(pool.scenario for pool in found):
        own = [pool for pool in found if pool.scenario == scenario]
        kept = [_scored_only(pool) for pool in own if not targets or pool.target in targets]
        if not kept:
            continue
        table = _Table(kept, statistics, resamples, seed)
        for metric, variant in methods(kept):
            if not metrics or metric in metrics:
                sign = pooling.orientation(metric, variant, scenario, orientation)
                table.add(metric, variant, partial(_of_metric, metric=metric, variant=variant, sign=sign), sign)
        friedman += _friedman(table, scenario)
        elsewhere = own if len(own) > 1 else all_targets(chosen, scenario)
        table.add(ELSEWHERE, BASELINE, partial(mean_rank, others=elsewhere))
        for name, column in ((PARAMETERS, "parameters"), (WIDTH, "feature_width")):
            table.add(name, BASELINE, partial(fact, sources=sources, column=column))
        table.add_random()
        if runs is not None:
            notes += table.add_ceiling(runs, str(chosen.selection.iloc[0]))
        rows += table.rows
    benchmark = str(chosen.benchmark.iloc[0])
    whole = _frame(rows).assign(benchmark=benchmark, selection=str(chosen.selection.iloc[0]))
    notes += _remarks(whole) + _uninformative(whole)
    return Comparison(
        benchmark, str(chosen.selection.iloc[0]), _ordered(whole), friedman, notes, seed, resamples, _compared(chosen, scores)
    )


class _Table:
    """The rows of one scenario, as they grow; all methods are resampled with the same draws of sources."""

    def __init__(self, kept: Sequence[Pool], statistics: Sequence[str], resamples: int, seed: int):
        self.pools = kept
        self.scenario = kept[0].scenario
        self.rows: list[dict[str, Any]] = []
        self._statistics = {name: STATISTICS[name] for name in statistics}
        self._seed = seed
        self._sources = list(dict.fromkeys(source for pool in kept for source in pool.aucs.index))
        self._counts = agreement.draws(len(self._sources), resamples, seed)
        self._place = {source: i for i, source in enumerate(self._sources)}

    def add(self, metric: str, variant: str, scorer: _Scorer, orientation: int = 1) -> None:
        """Every statistic of a method, per target and on average."""
        found: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray] | str] = {}
        for pool in self.pools:
            try:
                values, aucs = scorer(pool)
            except UndefinedAgreement as error:
                found[pool.target] = str(error)
            else:
                counts = self._counts[:, [self._place[source] for source in values.index]]
                found[pool.target] = values.to_numpy(dtype=float), aucs.to_numpy(dtype=float), counts
        for statistic, function in self._statistics.items():
            outcomes: list[_Outcome] = []
            for target, given in found.items():
                if isinstance(given, str):
                    outcomes.append(_Outcome(target, reason=given))
                    continue
                x, y, counts = given
                try:
                    value = function(x, y)
                except UndefinedAgreement as error:
                    outcomes.append(_Outcome(target, n_sources=len(x), reason=str(error)))
                    continue
                spread = agreement.resampled(statistic, x, y, counts, self._seed) if len(x) >= agreement.FEWEST else None
                outcomes.append(_Outcome(target, value, spread, len(x)))
            self._record(metric, variant, statistic, outcomes, orientation)

    def add_random(self) -> None:
        """What a random order is expected to reach, and the middle 90 % of what it does."""
        for statistic, function in self._statistics.items():
            outcomes = []
            for number, pool in enumerate(self.pools):
                y = pool.aucs.to_numpy()
                try:
                    # Every correlation is 0 on average; the regret of a random choice is that of a constant score.
                    value = function(np.zeros(len(y)), y) if statistic.startswith("regret_at_") else 0.0
                    function(np.arange(len(y)), y)
                except UndefinedAgreement as error:
                    outcomes.append(_Outcome(pool.target, n_sources=len(y), reason=str(error)))
                    continue
                spread = agreement.random_orders(statistic, y, orders=len(self._counts), seed=self._seed + number)
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
            own = runs[runs.source.isin(pool.aucs.index)]
            divided.append(truths.halves(own, pool.scenario, pool.target, selection, seed=self._seed))
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
            {s for pool, (sources, *_) in zip(self.pools, divided, strict=True) for s in pool.aucs.index if s not in sources}
        )
        return [f"{SPLIT_HALF}, {self.scenario}: without {', '.join(missing)}, of too few runs."] if missing else []

    def _record(self, metric: str, variant: str, statistic: str, outcomes: "Sequence[_Outcome]", orientation: int = 1) -> None:
        defined = [each for each in outcomes if each.value is not None]
        sizes = {each.n_sources for each in defined}
        spreads = [each.spread for each in defined if each.spread is not None]
        values = [each.value for each in defined if each.value is not None]
        spread = agreement.means(spreads) if spreads and len(spreads) == len(defined) else None
        if statistic.startswith("regret_at_") and variant != CEILING and metric != RANDOM:
            # A resample without the best source cannot show what missing it costs. So targets are resampled instead.
            outcomes = [replace(each, spread=None) for each in outcomes]
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
        for each in (*outcomes, mean):
            low, high = (agreement.interval(each.spread) if each.spread is not None else None) or (None, None)
            self.rows.append(
                {
                    "scenario": self.scenario, "metric": metric, "variant": variant, "target": each.target,
                    "statistic": statistic, "value": each.value, "low": low, "high": high, "n_sources": each.n_sources,
                    "orientation": orientation, "n_targets": each.n_targets, "undefined": each.reason,
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


def _scored_only(pool: Pool) -> Pool:
    """The pool without sources that no metric has scored, so that baselines and chance are judged on the same candidates."""
    names = pool.scores.index[pool.scores.notna().any(axis=1)]
    return Pool(pool.scenario, pool.target, pool.aucs[names], pool.scores.loc[names])


def _reasons(outcomes: Iterable[_Outcome]) -> str | None:
    """Why there is no value -> the targets without one."""
    targets: dict[str, list[str]] = {}
    for each in outcomes:
        if each.reason:
            targets.setdefault(each.reason, []).append(each.target)
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in targets.items()) or None


def _of_metric(pool: Pool, metric: str, variant: str, sign: int) -> "tuple[pd.Series, pd.Series]":
    if (metric, variant) not in pool.scores:
        raise UndefinedAgreement("no scores")
    values, aucs = pool.scored(metric, variant)
    if values.empty:
        raise UndefinedAgreement("no source has a score")
    return sign * values, aucs


def _friedman(table: _Table, scenario: str) -> list[dict[str, Any]]:
    """Friedman's test over the methods of each variant: whole scores only, not the two components of one of them."""
    taken: dict[str, dict[str, list[float]]] = {}
    for row in table.rows:
        if row["statistic"] == "weighted_tau" and row["target"] != MEAN and row["metric"] not in COMPONENTS:
            value = np.nan if row["value"] is None else row["value"]
            taken.setdefault(row["variant"], {}).setdefault(row["metric"], []).append(value)
    found = []
    for variant, taus in taken.items():
        one: dict[str, Any] = {
            "scenario": scenario, "variant": variant, "methods": list(taus), "n_targets": len(table.pools),
            "chi2": None, "p": None, "undefined": None,
        }  # fmt: skip
        try:
            one["chi2"], one["p"] = agreement.friedman(list(taus.values()))
        except UndefinedAgreement as error:
            one["undefined"] = str(error)
        found.append(one)
    return found


def _compared(truth: "pd.DataFrame", scores: "pd.DataFrame") -> dict[str, str]:
    """The names of the compared tables, and a checksum over their content, whatever the order of their rows."""
    content = hashlib.sha256()
    names = {}
    for name, frame, columns in (
        ("ground_truth", truth, ["scenario", "source", "target", "selection", "test_auc"]),
        ("scores", scores, ["scenario", "source", "target", "metric", "variant", "score"]),
    ):
        content.update(frame[columns].sort_values(columns[:-1]).to_csv(index=False).encode())
        names[f"{name} of {', '.join(sorted(frame.benchmark.unique()))}"] = f"{len(frame)} rows"
    return {**names, "sha256": content.hexdigest()}


def _only(frame: "pd.DataFrame", **wanted: Sequence[str]) -> "pd.DataFrame":
    for column, values in wanted.items():
        if values:
            if unknown := [value for value in values if value not in set(frame[column])]:
                there = ", ".join(sorted(frame[column].unique()))
                raise UsageError(f"there is no {column} {', '.join(unknown)} in the ground truth. There are: {there}.")
            frame = frame[frame[column].isin(values)]
    return frame


def _check_overlap(
    found: Sequence[Pool],
    truth: "pd.DataFrame",
    scores: "pd.DataFrame",
    scenarios: Sequence[str],
    targets: Sequence[str],
    metrics: Sequence[str],
) -> None:
    if not found:
        raise UsageError(
            f"no scenario and target has both ground truth ({', '.join(sorted(truth.target.unique()))}) and scores "
            f"({', '.join(sorted(scores.target.unique()))}). Use the same names of scenarios and targets in both."
        )
    _only(truth, target=targets)
    if lacking := [target for target in targets if target not in {pool.target for pool in found}]:
        there = ", ".join(dict.fromkeys(pool.target for pool in found))
        raise UsageError(f"there are no scores for target {', '.join(lacking)}. There are for: {there}.")
    known = list(dict.fromkeys(metric for metric, _ in methods(found)))
    if unknown := [metric for metric in metrics if metric not in known]:
        raise UsageError(f"there are no scores of {', '.join(unknown)}. There are of: {', '.join(known)}.")
    if not known:
        both = ", ".join(sorted(truth.source.unique()))
        raise UsageError(f"no source has both ground truth and a score. Name the sources as the ground truth does: {both}.")


def _missing(found: Sequence[Pool], truth: "pd.DataFrame", scores: "pd.DataFrame") -> list[str]:
    """What stands in one of the tables only, in words."""
    notes = []
    for scenario in dict.fromkeys(pool.scenario for pool in found):
        own = [pool for pool in found if pool.scenario == scenario]
        targets = {pool.target for pool in own}
        rest = sorted(set(truth[truth.scenario == scenario].target) - targets)
        if rest and len(targets) > 1:
            notes.append(f"{scenario}: {', '.join(rest)} has ground truth but no scores, and is left out.")
        judged = {source for pool in own for source in pool.aucs.index}
        given = scores[(scores.scenario == scenario) & scores.target.isin(targets)]
        if extra := sorted(set(given.source) - judged - targets):
            notes.append(f"{scenario}: {', '.join(extra)} has scores but no ground truth, and is left out.")
        unscored = {source for pool in own for source in pool.scores.index[pool.scores.isna().all(axis=1)]}
        if unscored:
            names = ", ".join(sorted(unscored))
            notes.append(f"{scenario}: {names} has ground truth but no score on some targets, and is left out there.")
        for metric, variant in methods(own):
            lacking = {
                source: pool.target
                for pool in own
                if (metric, variant) in pool.scores
                for source in pool.scores.index[pool.scores[metric, variant].isna() & pool.scores.notna().any(axis=1)]
            }
            if lacking:
                notes.append(
                    f"{scenario}: {metric} lacks a score for {', '.join(lacking)} on some targets; each is compared over the "
                    "sources that have one, so that its figures rest on fewer sources."
                )
    return notes


def _remarks(rows: "pd.DataFrame") -> list[str]:
    notes = []
    if (rows.orientation == -1).any():
        turned = ", ".join(sorted(set(rows[rows.orientation == -1].metric) & TURNED_ROUND))
        notes.append(
            f"architecture: lower counts as better for {turned}, as in the paper, which found this on the same data; "
            "--orientation natural never turns round."
        )
    means = rows[(rows.target == MEAN) & (rows.statistic == "weighted_tau") & rows.undefined.notna()]
    for row in means.to_dict("records"):
        reason, every = row["undefined"], row["n_targets"] == 0
        if every and ";" not in reason:
            reason = reason.rpartition(": ")[2]
        label = f"{row['scenario']}: {row['metric']}"
        notes.append(f"{label} has no agreement: {reason}." if every else f"{label} is undefined for {reason}.")
    return notes


def _uninformative(rows: "pd.DataFrame") -> list[str]:
    """The targets whose ground truth hardly agrees with itself."""
    halves = rows[(rows.metric == SPLIT_HALF) & (rows.statistic == "weighted_tau") & (rows.target != MEAN)]
    return [
        f"{scenario}: uninformative, because two halves of their runs agree at less than {RELIABLE:g}: "
        f"{', '.join(f'{row.target} ({row.value:.2f})' for row in own.itertuples())}."
        for scenario, own in halves[halves.value < RELIABLE].groupby("scenario", sort=False)
    ]


def _frame(rows: Sequence[dict[str, Any]]) -> "pd.DataFrame":
    import pandas as pd

    from hf_transferability.benchmark import tables

    frame = pd.DataFrame(rows).assign(benchmark="", selection="")
    frame["n_targets"] = frame.n_targets.astype("Int64")
    return tables.check(frame, "agreement", "the comparison")


def _ordered(rows: "pd.DataFrame") -> "pd.DataFrame":
    """Metrics by their mean weighted tau, best first; then baselines, then the noise ceiling."""
    means = rows[(rows.target == MEAN) & (rows.statistic == "weighted_tau")]
    kind = means.variant.map({BASELINE: 1, CEILING: 2}).fillna(0).astype(int)
    last = (means.metric == RANDOM).astype(int)
    scenarios = {scenario: i for i, scenario in enumerate(rows.scenario.unique())}
    order = means.assign(
        place=means.scenario.map(scenarios), kind=kind, last=last, lowest=-means.value.fillna(-np.inf)
    ).sort_values(["place", "kind", "last", "lowest"], kind="stable")
    place = {key: i for i, key in enumerate(order[["scenario", "metric", "variant"]].itertuples(index=False, name=None))}
    keys = [place[key] for key in rows[["scenario", "metric", "variant"]].itertuples(index=False, name=None)]
    return rows.iloc[np.argsort(keys, kind="stable")].reset_index(drop=True)
