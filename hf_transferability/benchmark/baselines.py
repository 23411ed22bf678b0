"""Baselines that look at no data of the target: a metric is worth its cost only where it beats them."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from hf_transferability.benchmark.comparison_rows import BASELINE, ScenarioRows
from hf_transferability.benchmark.pools import Pool
from hf_transferability.errors import UndefinedAgreement

if TYPE_CHECKING:
    import pandas as pd

ELSEWHERE = "mean_rank_elsewhere"
# Baseline -> the column of the table of sources that it takes; more counts as better.
FACTS = {"parameter_count": "parameters", "imagenet_top1": "imagenet_top1", "feature_width": "feature_width"}


def add_baselines(table: ScenarioRows, others: Sequence[Pool], sources: "pd.DataFrame | None") -> None:
    """Add the rows of every baseline, and of a random order, to those of a scenario.

    Args:
        table: the rows.
        others: pools of the study's targets, for the mean rank on the other ones.
        sources: a table of that name.
    """
    table.add(ELSEWHERE, BASELINE, partial(mean_rank, others=others))
    for name, column in FACTS.items():
        table.add(name, BASELINE, partial(fact, sources=sources, column=column))
    table.add_random()


def mean_rank(pool: Pool, others: Sequence[Pool]) -> "tuple[pd.Series, pd.Series]":
    """Minus the mean rank on the other targets, for every source that was fine-tuned there; and its performance here.

    Raises:
        UndefinedAgreement: there is no other target.
    """
    import pandas as pd

    ranks = [-other.performance.rank(ascending=False) for other in others if other.target != pool.target]
    if not ranks:
        raise UndefinedAgreement("there is no other target")
    values = pd.concat(ranks, axis=1).mean(axis=1).reindex(pool.performance.index).dropna()
    return values, pool.performance[values.index]


def fact(pool: Pool, sources: "pd.DataFrame | None", column: str) -> "tuple[pd.Series, pd.Series]":
    """A number out of the table of sources (more counts as better), for every source that it is known for; and its performance.

    Raises:
        UndefinedAgreement: it is unknown, or the same for all.
    """
    if sources is None:
        raise UndefinedAgreement("no table of sources")
    if column not in sources:
        raise UndefinedAgreement("unknown for these sources")
    values = (
        sources.drop_duplicates("source").set_index("source")[column].reindex(pool.performance.index).dropna().astype(float)
    )
    if values.empty:
        raise UndefinedAgreement("unknown for these sources")
    if values.nunique() == 1:
        raise UndefinedAgreement("the same for all sources")
    return values, pool.performance[values.index]


def all_targets(ground_truth: "pd.DataFrame", scenario: str) -> list[Pool]:
    """A pool for every target of the scenario, with or without scores."""
    import pandas as pd

    of_scenario = ground_truth[(ground_truth.scenario == scenario) & (ground_truth.source != ground_truth.target)]
    return [
        Pool(scenario, str(target), rows.set_index("source").performance, pd.DataFrame(), str(rows.measure.iloc[0]))
        for target, rows in of_scenario.groupby("target", sort=False)
    ]
