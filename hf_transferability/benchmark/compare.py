"""Scores against fine-tuned performance: agreement per target and on average, beside baselines that look at no target data.

A metric is worth its cost only where it beats what needs no look at the target: a source's mean rank on the other targets, its
number of parameters, its feature width, or chance. And no metric can be expected to beat the noise of the ground truth itself.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_transferability import agreement, results
from hf_transferability.agreement import STATISTICS
from hf_transferability.benchmark import ground_truth as truths
from hf_transferability.benchmark import pools as pooling
from hf_transferability.benchmark.pools import COMPONENTS, TURNED_ROUND, Pool, methods
from hf_transferability.errors import UndefinedAgreement, UsageError

if TYPE_CHECKING:
    import pandas as pd

BASELINE, CEILING = "baseline", "ceiling"  # in the column "variant"
ELSEWHERE, PARAMETERS, WIDTH, RANDOM = "mean_rank_elsewhere", "parameter_count", "feature_width", "random"
SPLIT_HALF = "split_half"
MEAN = "mean"
RESAMPLES = 1000

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
    """

    benchmark: str
    selection: str
    rows: "pd.DataFrame"
    friedman: list[dict[str, Any]]
    notes: list[str]
    seed: int
    resamples: int
    versions: dict[str, str] = field(default_factory=results.package_versions)

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        rows = self.rows.astype(object).where(self.rows.notna(), None)
        return {
            "benchmark": self.benchmark,
            "selection": self.selection,
            "seed": self.seed,
            "resamples": self.resamples,
            "interval_level": agreement.LEVEL,
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
        orientation: "published" turns the published variants round where the paper does (in the architecture scenario LEEP,
            NLEEP, PARC, NCTI and the two components; lower is better); "natural" never does.
        resamples: bootstrap samples of the sources, for the intervals.
        seed: of everything random.

    Returns:
        Per scenario, method and target, and for the mean over targets: every statistic of agreement.STATISTICS with its 90 %
        interval. For methods and baselines the interval comes from resampled sources (the same ones for all targets), for
        "random" from random orders, for "split_half" from random divisions of the runs.

    Raises:
        UsageError: tables that do not go together, or a name that is not in them.
    """
    chosen, notes = choose_truth(ground_truth, runs, selection)
    found = pooling.pools(_only(chosen, scenario=scenarios), scores)
    _check_overlap(found, chosen, scores, scenarios, targets, metrics)
    notes += _missing(found, chosen, scores)
    rows: list[dict[str, Any]] = []
    friedman = []
    for scenario in dict.fromkeys(pool.scenario for pool in found):
        own = [pool for pool in found if pool.scenario == scenario]
        kept = [pool for pool in own if not targets or pool.target in targets]
        if not kept:
            continue
        table = _Table(kept, resamples, seed)
        for metric, variant in methods(kept):
            if not metrics or metric in metrics:
                sign = pooling.orientation(metric, variant, scenario, orientation)
                table.add(metric, variant, partial(_of_metric, metric=metric, variant=variant, sign=sign), sign)
        friedman += _friedman(table, scenario)
        elsewhere = own if len(own) > 1 else _all_targets(chosen, scenario)
        table.add(ELSEWHERE, BASELINE, partial(_mean_rank, others=elsewhere))
        for name, column in ((PARAMETERS, "parameters"), (WIDTH, "feature_width")):
            table.add(name, BASELINE, partial(_fact, sources=sources, column=column))
        table.add_random()
        if runs is not None:
            notes += table.add_ceiling(runs, str(chosen.selection.iloc[0]))
        rows += table.rows
    benchmark = str(chosen.benchmark.iloc[0])
    whole = _frame(rows).assign(benchmark=benchmark, selection=str(chosen.selection.iloc[0]))
    notes += _remarks(whole)
    return Comparison(benchmark, str(chosen.selection.iloc[0]), _ordered(whole), friedman, notes, seed, resamples)


def choose_truth(
    ground_truth: "pd.DataFrame | None", runs: "pd.DataFrame | None", selection: str | None
) -> tuple["pd.DataFrame", list[str]]:
    """The ground truth of one benchmark and one selection, from the table or else from the runs; and what it is, in words.

    Raises:
        UsageError: neither has it, or there are several and none is named.
    """
    there = [] if ground_truth is None else sorted(ground_truth.selection.unique())
    if selection is None:
        if len(there) > 1 and truths.PUBLISHED not in there:
            raise UsageError(f"the ground truth has the selections {', '.join(there)}. Choose one with --selection.")
        selection = there[0] if len(there) == 1 else truths.PUBLISHED
    missing: set[tuple[str, str, str]] = set()
    if ground_truth is not None and selection in there:
        chosen = ground_truth[ground_truth.selection == selection]
    elif runs is not None:
        chosen = truths.from_runs(runs, selection)
        names = ["scenario", "source", "target"]
        if ground_truth is not None:
            missing = set(ground_truth[names].itertuples(index=False, name=None))
            missing -= set(chosen[names].itertuples(index=False, name=None))
    else:
        raise UsageError(
            f"there is no ground truth of selection {selection}; got {', '.join(there) or 'none'}. Choose one of these with "
            "--selection, or give the fine-tuning runs with --runs."
        )
    benchmarks = sorted(chosen.benchmark.unique())
    if len(benchmarks) != 1:
        raise UsageError(f"the ground truth must be of one benchmark; got {', '.join(benchmarks) or 'no rows'}. Keep one.")
    notes = [f"ground truth: {selection_text(selection)}."]
    if missing:
        listed = ", ".join(f"{source} on {target}" for _, source, target in sorted(missing))
        notes.append(f"left out, because none of their runs finished: {listed}.")
    return chosen, notes


def selection_text(selection: str) -> str:
    """What a selection means, in words."""
    if selection == truths.PUBLISHED:
        return "test AUC of the fine-tuning run with the lowest validation loss, as the paper takes it"
    try:
        return f"mean test AUC of the {truths.runs_of(selection)} fine-tuning runs with the lowest validation loss (de-noised)"
    except UsageError:
        return selection


class _Table:
    """The rows of one scenario, as they grow; all methods are resampled with the same draws of sources."""

    def __init__(self, kept: Sequence[Pool], resamples: int, seed: int):
        self.pools = kept
        self.scenario = kept[0].scenario
        self.rows: list[dict[str, Any]] = []
        self._seed = seed
        self._sources = list(dict.fromkeys(source for pool in kept for source in pool.aucs.index))
        self._counts = agreement.draws(len(self._sources), resamples, seed)
        self._place = {source: i for i, source in enumerate(self._sources)}

    def add(self, metric: str, variant: str, scorer: _Scorer, orientation: int = 1) -> None:
        """Every statistic of a method, per target and on average."""
        found: dict[str, tuple[pd.Series, pd.Series] | str] = {}
        for pool in self.pools:
            try:
                found[pool.target] = scorer(pool)
            except UndefinedAgreement as error:
                found[pool.target] = str(error)
        for statistic, function in STATISTICS.items():
            outcomes: list[_Outcome] = []
            for target, given in found.items():
                if isinstance(given, str):
                    outcomes.append(_Outcome(target, reason=given))
                    continue
                x, y = given
                try:
                    value = function(x, y)
                except UndefinedAgreement as error:
                    outcomes.append(_Outcome(target, n_sources=len(x), reason=str(error)))
                    continue
                counts = self._counts[:, [self._place[source] for source in x.index]]
                spread = agreement.resampled(statistic, x, y, counts, self._seed)
                outcomes.append(_Outcome(target, value, spread, len(x)))
            self._record(metric, variant, statistic, outcomes, orientation)

    def add_random(self) -> None:
        """What a random order is expected to reach, and the middle 90 % of what it does."""
        for statistic, function in STATISTICS.items():
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
        divided = [truths.halves(runs, pool.scenario, pool.target, selection, seed=self._seed) for pool in self.pools]
        for statistic in STATISTICS:
            outcomes = []
            for pool, (sources, first, second) in zip(self.pools, divided, strict=True):
                values = truths.ceiling(statistic, first, second)
                if np.isnan(values).all():
                    reason = "fewer than two sources with two finished runs" if len(sources) < 2 else "too few sources"
                    outcomes.append(_Outcome(pool.target, n_sources=len(sources), reason=reason))
                else:
                    outcomes.append(_Outcome(pool.target, float(np.nanmean(values)), values, len(sources)))
            self._record(SPLIT_HALF, CEILING, statistic, outcomes)
        missing = sorted(
            {s for pool, (sources, *_) in zip(self.pools, divided, strict=True) for s in pool.aucs.index if s not in sources}
        )
        return [f"{SPLIT_HALF}, {self.scenario}: without {', '.join(missing)}, of too few runs."] if missing else []

    def _record(
        self, metric: str, variant: str, statistic: str, outcomes: "Sequence[_Outcome]", orientation: int = 1
    ) -> None:
        defined = [each for each in outcomes if each.value is not None]
        sizes = {each.n_sources for each in defined}
        mean = _Outcome(
            MEAN,
            float(np.mean([each.value for each in defined])) if defined else None,
            agreement.means([each.spread for each in defined]) if defined else None,
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


def _mean_rank(pool: Pool, others: Sequence[Pool]) -> "tuple[pd.Series, pd.Series]":
    """Less its mean rank by AUC on the other targets, for every source that has fine-tuned performance there."""
    import pandas as pd

    ranks = [-other.aucs.rank(ascending=False) for other in others if other.target != pool.target]
    if not ranks:
        raise UndefinedAgreement("there is no other target")
    values = pd.concat(ranks, axis=1).mean(axis=1).reindex(pool.aucs.index).dropna()
    return values, pool.aucs[values.index]


def _fact(pool: Pool, sources: "pd.DataFrame | None", column: str) -> "tuple[pd.Series, pd.Series]":
    if sources is None:
        raise UndefinedAgreement("no table of sources")
    values = sources.drop_duplicates("source").set_index("source")[column].reindex(pool.aucs.index).dropna().astype(float)
    if values.empty:
        raise UndefinedAgreement("unknown for these sources")
    if values.nunique() == 1:
        raise UndefinedAgreement("the same for all sources")
    return values, pool.aucs[values.index]


def _all_targets(ground_truth: "pd.DataFrame", scenario: str) -> list[Pool]:
    import pandas as pd

    own = ground_truth[(ground_truth.scenario == scenario) & (ground_truth.source != ground_truth.target)]
    return [
        Pool(scenario, str(target), rows.set_index("source").test_auc, pd.DataFrame())
        for target, rows in own.groupby("target", sort=False)
    ]


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
        for metric, variant in methods(own):
            lacking = {
                source: pool.target
                for pool in own
                if (metric, variant) in pool.scores
                for source in pool.scores.index[pool.scores[metric, variant].isna()]
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
    for row in means.itertuples():
        every = row.n_targets == 0
        reason = row.undefined.rpartition(": ")[2] if every and ";" not in row.undefined else row.undefined
        label = f"{row.scenario}: {row.metric}"
        notes.append(f"{label} has no agreement: {reason}." if every else f"{label} is undefined for {reason}.")
    return notes


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
