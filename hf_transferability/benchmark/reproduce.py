"""The paper's comparison, recomputed from its own published figures and checked value by value.

Juodelyte et al. 2024, arXiv 2412.20172: 18 rows of weighted Kendall tau (seven metrics, and the two components of one of them,
in two scenarios) over 11 targets, with the means, Friedman's test, and the ground truth itself from the fine-tuning runs.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_transferability import agreement
from hf_transferability.benchmark import bundled
from hf_transferability.benchmark import ground_truth as truths
from hf_transferability.benchmark.compare import compare
from hf_transferability.benchmark.comparison_rows import MEAN
from hf_transferability.benchmark.composites import PAPER_PARTS
from hf_transferability.benchmark.pools import methods, pools
from hf_transferability.errors import UndefinedAgreement, UsageError

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE = 1e-6  # of a value that is known with all its digits

# Means over the 11 targets, as published, to three decimals: (source_dataset, architecture).
MEANS = {
    "transferability": (0.523, 0.261),
    "nleep": (0.411, 0.140),
    "leep": (0.351, 0.280),
    "logme": (0.335, 0.036),
    "parc": (0.297, 0.113),
    "sfda": (0.267, 0.187),
    "ncti": (0.183, 0.099),
    "feature_quality": (0.440, 0.219),
    "feature_update_ratio": (0.410, 0.209),
}
# Of the seven metrics' ranks per target: chi2 to three decimals, and p.
FRIEDMAN = {"source_dataset": (20.766, 0.0020), "architecture": (10.286, 0.113)}
_FRIEDMAN_INSTEAD = {"architecture": (9.584, 0.1433)}
ELSEWHERE = {"source_dataset": 0.549, "architecture": 0.500}
SPLIT_HALF = {"source_dataset": 0.66, "architecture": 0.55}
_DIVISIONS = 0.02  # two sets of random divisions of the runs differ by less

_FRIEDMAN_NOTE = (
    "the quoted value does not follow from the 198 published values; they give the one found (also when rounded to three "
    "decimals)"
)


@dataclass(frozen=True)
class Check:
    """One value of the paper and what is found for it.

    Attributes:
        group: what kind of value, and of which scenario.
        name: what it is.
        expected: the paper's value, None where it is undefined.
        found: the recomputed value, None where it is undefined or cannot be computed.
        tolerance: the largest difference that still counts as a match.
        remark: why there is no value, or another one.
        instead: a value that is known to be found in place of the expected one.
    """

    group: str
    name: str
    expected: float | None
    found: float | None
    tolerance: float
    remark: str = ""
    instead: float | None = None

    @property
    def outcome(self) -> str:
        """Either "match" (equal or both undefined), "known difference" (found is what was known instead) or "differs"."""
        if self._is(self.expected):
            return "match"
        return "known difference" if self.instead is not None and self._is(self.instead) else "differs"

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {**asdict(self), "outcome": self.outcome}

    def _is(self, value: float | None) -> bool:
        if value is None or self.found is None:
            return value is self.found
        return math.isfinite(self.found) and abs(self.found - value) <= self.tolerance


def reproduce(scores: "pd.DataFrame | None" = None) -> list[Check]:
    """Recompute the paper's comparison.

    Args:
        scores: a table of that name, in place of the published one: what follows from it is held against the paper.

    Returns:
        Every check: the published scores themselves, the 198 values, their means, Friedman's test, the ground truth from the
        runs, the baseline and the noise ceiling.

    Raises:
        UsageError: the scores have nothing of the published variant.
    """
    given = bundled.load("scores") if scores is None else scores
    given = given[given.variant == "published"]
    if given.empty:
        raise UsageError("the scores must have rows of variant published, which the paper's are; got none. Set the variant.")
    taus = _taus(given)
    return [
        *_scores(given),
        *_ground_truth(),
        *_values(taus),
        *_means(taus),
        *_friedman(taus),
        *_mean_rank(),
        *_split_half(),
    ]


def _scores(given: "pd.DataFrame") -> Iterator[Check]:
    """One check of their number, and one for each that differs: an order, and so an agreement, may not show it."""
    key = ["scenario", "metric", "source", "target"]
    both = bundled.load("scores").set_index(key)[["score"]].join(given.set_index(key).score.rename("given"))
    same = np.isclose(both.score, both.given, rtol=1e-9, atol=1e-12)
    yield Check("figures", "published scores that are as published", len(both), int(same.sum()), 0)
    for row in both[~same].reset_index().to_dict("records"):
        score = None if np.isnan(row["given"]) else float(row["given"])
        name = f"{row['metric']} {row['source']} on {row['target']}"
        yield Check(f"scores, {row['scenario']}", name, float(row["score"]), score, 1e-9 * abs(row["score"]))


def _taus(given: "pd.DataFrame") -> dict[tuple[str, str, str], float | str]:
    """(scenario, metric, target) -> weighted tau, or why it is undefined."""
    taus: dict[tuple[str, str, str], float | str] = {}
    for pool in pools(bundled.load("ground_truth"), given):
        for metric, variant in methods([pool]):
            sign = pool.orientation(metric, variant)
            values, performance = pool.scored(metric, variant)
            try:
                taus[pool.scenario, metric, pool.target] = agreement.weighted_tau(sign * values, performance)
            except UndefinedAgreement as error:
                taus[pool.scenario, metric, pool.target] = str(error)
    return taus


def _values(taus: dict[tuple[str, str, str], float | str]) -> Iterator[Check]:
    for row in bundled.load("agreement").to_dict("records"):
        expected = None if np.isnan(row["value"]) else float(row["value"])
        key = (row["scenario"], row["metric"], row["target"])
        tau = taus.get(key, "no scores")
        group, name = f"weighted tau, {key[0]}", " ".join(key[1:])
        if isinstance(tau, str):
            # A value that is missing because its scores are is no match, not even of an undefined one.
            missing = tau == "no scores" and expected is None
            yield Check(group, name, expected, math.inf if missing else None, TOLERANCE, f"undefined: {tau}")
        else:
            yield Check(group, name, expected, tau, TOLERANCE)


def _means(taus: dict[tuple[str, str, str], float | str]) -> Iterator[Check]:
    for i, scenario in enumerate(("source_dataset", "architecture")):
        for metric, pair in MEANS.items():
            values = _of(taus, scenario, metric)
            defined = [value for value in values if not math.isnan(value)]
            remark = (
                f"over {len(defined)} targets; undefined on {len(values) - len(defined)}" if len(defined) < len(values) else ""
            )
            mean = float(np.mean(defined)) if defined else None
            yield Check(f"mean weighted tau, {scenario}", metric, pair[i], mean, 0.5e-3, remark)


def _friedman(taus: dict[tuple[str, str, str], float | str]) -> Iterator[Check]:
    for scenario, expected in FRIEDMAN.items():
        table = [_of(taus, scenario, metric) for metric in MEANS if metric not in PAPER_PARTS]
        test: tuple[float | None, float | None] = (None, None)
        remark = ""
        try:
            if len({len(row) for row in table}) > 1:
                raise UndefinedAgreement("the metrics have scores for different targets")
            test = agreement.friedman(table)
        except UndefinedAgreement as error:
            remark = str(error)
        instead = _FRIEDMAN_INSTEAD.get(scenario, (None, None))
        for k, (name, tolerance) in enumerate((("chi2", 0.5e-3), ("p", 0.5e-4))):
            check = Check("Friedman's test", f"{name}, {scenario}", expected[k], test[k], tolerance, remark, instead[k])
            yield replace(check, remark=_FRIEDMAN_NOTE) if check.outcome == "known difference" else check


def _ground_truth() -> Iterator[Check]:
    """One check of their number, and one for each that differs."""
    key = ["scenario", "source", "target"]
    recomputed = truths.from_runs(truths.with_shared_runs(bundled.load("runs"))).set_index(key).performance
    both = bundled.load("ground_truth").set_index(key)[["performance"]].join(recomputed.rename("found"))
    same = np.isclose(both.performance, both.found, rtol=0, atol=TOLERANCE)
    yield Check("figures", "ground truth that follows from the runs", len(both), int(same.sum()), 0)
    for row in both[~same].reset_index().to_dict("records"):
        value = None if np.isnan(row["found"]) else float(row["found"])
        name = f"{row['source']} on {row['target']}"
        yield Check(f"ground truth, {row['scenario']}", name, float(row["performance"]), value, TOLERANCE)


def _mean_rank() -> Iterator[Check]:
    comparison = compare(bundled.load("ground_truth"), bundled.load("scores"), metrics=["leep"], resamples=1)
    rows = comparison.rows[(comparison.rows.metric == "mean_rank_elsewhere") & (comparison.rows.target == MEAN)]
    by_scenario = rows[rows.statistic == "weighted_tau"].set_index("scenario").value
    for scenario, expected in ELSEWHERE.items():
        yield Check("mean rank on the other targets", scenario, expected, float(by_scenario[scenario]), 0.5e-3)


def _split_half() -> Iterator[Check]:
    rows = truths.reliability(bundled.load("runs"))
    judged = set(bundled.load("scores").target)
    for scenario, expected in SPLIT_HALF.items():
        of_scenario = rows[(rows.scenario == scenario) & rows.target.isin(judged)]
        yield Check("agreement of two halves of the runs", scenario, expected, float(of_scenario.value.mean()), _DIVISIONS)


def _of(taus: dict[tuple[str, str, str], float | str], scenario: str, metric: str) -> list[float]:
    """The values of a metric over its targets, in the targets' order; NaN where undefined."""
    values = sorted((target, tau) for (where, name, target), tau in taus.items() if (where, name) == (scenario, metric))
    return [math.nan if isinstance(tau, str) else tau for _, tau in values]
