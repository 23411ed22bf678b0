"""What the reader of a comparison should know, in words: what was left out, turned round, undefined or uninformative."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hf_transferability.benchmark.comparison_rows import MEAN, SPLIT_HALF
from hf_transferability.benchmark.ground_truth import reliability_over_seeds
from hf_transferability.benchmark.pools import TURNED_ROUND, Pool, methods
from hf_transferability.benchmark.tables import MEASURES

if TYPE_CHECKING:
    import pandas as pd

# Weighted tau of two halves of the runs, or share of the variance that is not noise, under which a target tells little.
RELIABLE = 0.5
MOSTLY_TIED = 0.5  # share of the sources with one and the same performance, over which a target tells nothing
NEARLY_EQUAL = 0.002  # performance between best and worst source, under which no choice matters


def left_out(all_pools: Sequence[Pool], truth: "pd.DataFrame", scores: "pd.DataFrame") -> list[str]:
    """What stands in one of the tables only, in words."""
    notes = []
    for scenario in dict.fromkeys(pool.scenario for pool in all_pools):
        scenario_pools = [pool for pool in all_pools if pool.scenario == scenario]
        targets = {pool.target for pool in scenario_pools}
        rest = sorted(set(truth[truth.scenario == scenario].target) - targets)
        if rest and len(targets) > 1:
            notes.append(f"{scenario}: {', '.join(rest)} has ground truth but no scores, and is left out.")
        judged = {source for pool in scenario_pools for source in pool.performance.index}
        given = scores[(scores.scenario == scenario) & scores.target.isin(targets)]
        if extra := sorted(set(given.source) - judged - targets):
            notes.append(f"{scenario}: {', '.join(extra)} has scores but no ground truth, and is left out.")
        unscored = {source for pool in scenario_pools for source in pool.scores.index[pool.scores.isna().all(axis=1)]}
        if unscored:
            names = ", ".join(sorted(unscored))
            notes.append(f"{scenario}: {names} has ground truth but no score on some targets, and is left out there.")
        for metric, variant in methods(scenario_pools):
            lacking = {
                source: pool.target
                for pool in scenario_pools
                if (metric, variant) in pool.scores
                for source in pool.scores.index[pool.scores[metric, variant].isna() & pool.scores.notna().any(axis=1)]
            }
            if lacking:
                notes.append(
                    f"{scenario}: {metric} lacks a score for {', '.join(lacking)} on some targets, and is compared there over "
                    "the other sources."
                )
    return notes


def remarks(rows: "pd.DataFrame") -> list[str]:
    """Metrics that were turned round, and those without agreement."""
    notes = []
    if (rows.orientation == -1).any():
        turned = ", ".join(sorted(set(rows[rows.orientation == -1].metric) & TURNED_ROUND))
        notes.append(
            f"architecture: lower counts as better for {turned}, as in the paper, which found this on the same data; "
            "--orientation natural never reverses."
        )
    means = rows[(rows.target == MEAN) & (rows.statistic == "weighted_tau") & rows.undefined.notna()]
    for row in means.to_dict("records"):
        reason, every = row["undefined"], row["n_targets"] == 0
        if every and ";" not in reason:
            reason = reason.rpartition(": ")[2]
        label = f"{row['scenario']}: {row['metric']}"
        notes.append(f"{label} has no agreement: {reason}." if every else f"{label} is undefined for {reason}.")
    return notes


def uninformative(rows: "pd.DataFrame", truth: "pd.DataFrame") -> list[str]:
    """The targets whose ground truth hardly agrees with itself: between two halves of the runs, or between seeds."""
    return _halves_differ(rows) + _seeds_differ(rows, truth) + _nearly_equal(rows, truth)


def _nearly_equal(rows: "pd.DataFrame", truth: "pd.DataFrame") -> list[str]:
    notes = []
    judged = truth[truth.target.isin(set(rows.target)) & (truth.source != truth.target)]
    for (scenario, measure), group in judged.groupby(["scenario", "measure"], sort=False):
        spans = group.groupby("target", sort=False).performance.agg(lambda values: values.max() - values.min())
        ties = group.groupby("target", sort=False).performance.agg(lambda values: values.value_counts().iloc[0] / len(values))
        if (tied := ties[ties > MOSTLY_TIED]).size:
            notes.append(f"{scenario}: uninformative, because most sources have the same performance: {', '.join(tied.index)}.")
        if (equal := spans[spans < NEARLY_EQUAL]).size:
            names = ", ".join(f"{target} ({span:.4f})" for target, span in equal.items())
            notes.append(
                f"{scenario}: hardly anything to choose, because the best and the worst source differ by less than "
                f"{NEARLY_EQUAL:g} in {MEASURES[str(measure)]}: {names}."
            )
    return notes


def _seeds_differ(rows: "pd.DataFrame", truth: "pd.DataFrame") -> list[str]:
    unreliable = reliability_over_seeds(truth)
    unreliable = unreliable[(unreliable.value < RELIABLE) & unreliable.target.isin(set(rows.target))]
    return [
        f"{scenario}: uninformative, because noise of the fine-tuning seeds is more than half of what the sources differ by: "
        f"{', '.join(f'{row.target} (reliability {row.value:.2f})' for row in group.itertuples())}."
        for scenario, group in unreliable.groupby("scenario", sort=False)
    ]


def _halves_differ(rows: "pd.DataFrame") -> list[str]:
    halves = rows[(rows.metric == SPLIT_HALF) & (rows.statistic == "weighted_tau") & (rows.target != MEAN)]
    return [
        f"{scenario}: uninformative, because two halves of their runs agree at less than {RELIABLE:g}: "
        f"{', '.join(f'{row.target} ({row.value:.2f})' for row in group.itertuples())}."
        for scenario, group in halves[halves.value < RELIABLE].groupby("scenario", sort=False)
    ]
