"""Scores against fine-tuned performance: agreement per target and on average, beside baselines that look at no target data.

A metric is worth its cost only where it beats what needs no look at the target: a source's mean rank on the other targets, its
number of parameters, its feature width, or chance. And no metric can be expected to beat the noise of the ground truth itself.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_transferability import agreement, provenance
from hf_transferability.agreement import STATISTICS
from hf_transferability.benchmark import ground_truth as truths
from hf_transferability.benchmark import pools as pooling
from hf_transferability.benchmark.baselines import add_baselines, all_targets
from hf_transferability.benchmark.comparison_notes import left_out, remarks, uninformative
from hf_transferability.benchmark.comparison_rows import BASELINE, CEILING, MEAN, RANDOM, SPLIT_HALF, ScenarioRows
from hf_transferability.benchmark.composites import PAPER_PARTS
from hf_transferability.benchmark.pools import Pool, methods
from hf_transferability.errors import UndefinedAgreement, UsageError
from hf_transferability.metrics import all_metrics

if TYPE_CHECKING:
    import pandas as pd

RESAMPLES = 1000


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
        versions: the packages that made it.
    """

    benchmark: str
    selection: str
    rows: "pd.DataFrame"
    friedman: list[dict[str, Any]]
    notes: list[str]
    seed: int
    resamples: int
    compared: dict[str, str]
    versions: dict[str, str] = field(default_factory=provenance.package_versions)

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
    measure: str | None = None,
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
        sources: a table of that name, for the baselines that rest on facts of the networks, and for consensus on their size.
        runs: a table of that name, for selections that the ground truth does not have, and for the noise ceiling.
        selection: which ground truth; default the paper's (the run of lowest validation loss), or the only one that there is.
        measure: which fine-tuned performance, where pairs have several; default AUC.
        scenarios, targets, metrics: only these; default all that have scores.
        statistics: only these of agreement.STATISTICS, weighted_tau among them, which the rows are sorted by.
        orientation: "published" turns the published variants round where the paper does (in the architecture scenario LEEP,
            NLEEP, PARC, NCTI and the two components; lower is better); "natural" never does.
        resamples: bootstrap samples of the sources, for the intervals.
        seed: decides everything random.

    Returns:
        Per scenario, method and target, and for the mean over targets: every statistic with its 90% interval. For methods and
        baselines the interval comes from resampled sources (the same ones for all targets), for "random" from random orders,
        for "split_half" from random divisions of the runs.

    Raises:
        UsageError: tables that do not go together, or a name that is not in them.
    """
    chosen, notes = truths.choose(ground_truth, runs, selection, measure)
    scores, passed = pooling.latest(scores)
    notes += passed
    all_pools = pooling.pools(_only(chosen, scenario=scenarios), scores, sources)
    _check_overlap(all_pools, chosen, scores, scenarios, targets, metrics)
    notes += left_out(all_pools, chosen, scores)
    rows: list[dict[str, Any]] = []
    friedman = []
    for scenario in dict.fromkeys(pool.scenario for pool in all_pools):
        scenario_pools = [pool for pool in all_pools if pool.scenario == scenario]
        compared = [scored_only(pool) for pool in scenario_pools if not targets or pool.target in targets]
        if not compared:
            continue
        table = ScenarioRows(compared, statistics, resamples, seed)
        add_metrics(table, metrics, orientation)
        friedman += _friedman(table, scenario)
        elsewhere = scenario_pools if len(scenario_pools) > 1 else all_targets(chosen, scenario)
        add_baselines(table, elsewhere, sources)
        if runs is not None:
            notes += table.add_ceiling(runs, str(chosen.selection.iloc[0]))
        rows += table.rows
    benchmark = str(chosen.benchmark.iloc[0])
    table_rows = _frame(rows).assign(benchmark=benchmark, selection=str(chosen.selection.iloc[0]))
    if runs is not None and table_rows[table_rows.variant == CEILING].value.notna().any() and truths.one_draw(runs):
        notes.append(
            f"{SPLIT_HALF}: all runs share one draw of training images, so it holds the noise of settings and seeds only."
        )
    notes += remarks(table_rows) + uninformative(table_rows, chosen)
    return Comparison(
        benchmark,
        str(chosen.selection.iloc[0]),
        _ordered(table_rows),
        friedman,
        notes,
        seed,
        resamples,
        _compared(chosen, scores),
    )


def add_metrics(table: ScenarioRows, metrics: Sequence[str] = (), orientation: str = "published") -> None:
    """Add the rows of every metric and variant that the pools have scores of, or only of some metrics."""
    for metric, variant in methods(table.pools):
        if not metrics or metric in metrics:
            sign = table.pools[0].orientation(metric, variant, orientation)
            table.add(metric, variant, partial(_of_metric, metric=metric, variant=variant, sign=sign), sign)


def scored_only(pool: Pool) -> Pool:
    """The pool without sources that no metric has scored, so that baselines and chance are judged on the same candidates."""
    names = pool.scores.index[pool.scores.notna().any(axis=1)]
    return replace(pool, performance=pool.performance[names], scores=pool.scores.loc[names])


def _of_metric(pool: Pool, metric: str, variant: str, sign: int) -> "tuple[pd.Series, pd.Series]":
    if (metric, variant) not in pool.scores:
        raise UndefinedAgreement("no scores")
    values, performance = pool.scored(metric, variant)
    if values.empty:
        raise UndefinedAgreement("no source has a score")
    return sign * values, performance


def _is_method(metric: str) -> bool:
    """Whether a metric is a method of its own: neither half of the paper's score, nor a mixture of methods beside it."""
    known = all_metrics().get(metric)
    return metric not in PAPER_PARTS and not (known is not None and known.is_composite and not known.published)


def _friedman(table: ScenarioRows, scenario: str) -> list[dict[str, Any]]:
    """Friedman's test over the methods of each variant."""
    taken: dict[str, dict[str, list[float]]] = {}
    for row in table.rows:
        if row["statistic"] == "weighted_tau" and row["target"] != MEAN and _is_method(row["metric"]):
            value = np.nan if row["value"] is None else row["value"]
            taken.setdefault(row["variant"], {}).setdefault(row["metric"], []).append(value)
    tests = []
    for variant, taus in taken.items():
        test: dict[str, Any] = {
            "scenario": scenario, "variant": variant, "methods": list(taus), "n_targets": len(table.pools),
            "chi2": None, "p": None, "undefined": None,
        }  # fmt: skip
        try:
            test["chi2"], test["p"] = agreement.friedman(list(taus.values()))
        except UndefinedAgreement as error:
            test["undefined"] = str(error)
        tests.append(test)
    return tests


def _compared(truth: "pd.DataFrame", scores: "pd.DataFrame") -> dict[str, str]:
    """The names of the compared tables, and a checksum over their content, whatever the order of their rows."""
    content = hashlib.sha256()
    names = {}
    for name, frame, columns in (
        ("ground_truth", truth, ["scenario", "source", "target", "selection", "measure", "performance"]),
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
    all_pools: Sequence[Pool],
    truth: "pd.DataFrame",
    scores: "pd.DataFrame",
    scenarios: Sequence[str],
    targets: Sequence[str],
    metrics: Sequence[str],
) -> None:
    if not all_pools:
        raise UsageError(
            f"no scenario and target has both ground truth ({', '.join(sorted(truth.target.unique()))}) and scores "
            f"({', '.join(sorted(scores.target.unique()))}). Use the same names of scenarios and targets in both."
        )
    _only(truth, target=targets)
    if lacking := [target for target in targets if target not in {pool.target for pool in all_pools}]:
        there = ", ".join(dict.fromkeys(pool.target for pool in all_pools))
        raise UsageError(f"there are no scores for target {', '.join(lacking)}. There are for: {there}.")
    known = list(dict.fromkeys(metric for metric, _ in methods(all_pools)))
    if unknown := [metric for metric in metrics if metric not in known]:
        raise UsageError(f"there are no scores of {', '.join(unknown)}. Scores exist of: {', '.join(known)}.")
    if not known:
        both = ", ".join(sorted(truth.source.unique()))
        raise UsageError(f"no source has both ground truth and a score. Name the sources as the ground truth does: {both}.")


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
