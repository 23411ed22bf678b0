"""Scores that exist only over a pool of candidates, formed from the parts that a benchmark holds."""

from typing import TYPE_CHECKING

import numpy as np

from hf_transferability.metrics import collect_flags
from hf_transferability.metrics.transferability import combine

if TYPE_CHECKING:
    import pandas as pd

COMPONENTS = ("feature_quality", "feature_update_ratio")
CONSENSUS = "consensus"
_MEMBERS = ("feature_quality", "logme")
_DIGITS = 12  # what differs by less differs by rounding, and ties
_SAME_SIZE = 1.05  # ratio of parameters up to which networks count as equally large


def with_composites(
    scores: "pd.DataFrame", candidates: "pd.Index", scenario: str, parameters: "pd.Series | None"
) -> "pd.DataFrame":
    """The candidates' scores, and those that can be formed from them.

    The transferability score is scaled over all sources that have its parts, as in the paper: the target's own model counts,
    though it is no candidate. Consensus is formed over the candidates alone.

    Args:
        scores: one column per (metric, variant), one row per source.
        candidates: the sources to keep.
        scenario: of the transferability score.
        parameters: by source, without head; None where unknown.
    """
    import pandas as pd

    whole = scores.copy()
    for variant in scores.columns.unique("variant"):
        parts = [(name, variant) for name in COMPONENTS]
        if all(part in whole for part in parts) and ("transferability", variant) not in whole:
            quality, ratio = ([None if np.isnan(value) else value for value in whole[part]] for part in parts)
            with collect_flags():  # a pool without a combination has no score, which the comparison says
                combined = combine(quality, ratio, scenario)
            whole["transferability", variant] = [np.nan if value is None else value for value in combined]
    kept = whole.reindex(candidates)
    for variant in scores.columns.unique("variant"):
        members = [kept[name, variant] for name in _MEMBERS if (name, variant) in kept]
        if members and (CONSENSUS, variant) not in kept:
            kept[CONSENSUS, variant] = _consensus(pd.concat(members, axis=1), parameters)
    return kept


def _consensus(members: "pd.DataFrame", parameters: "pd.Series | None") -> "pd.Series":
    """Mean of the members' ranks in the pool, and where networks differ in size, of that and the rank of the size."""
    evidence = members.apply(_shares).mean(axis=1).round(_DIGITS)
    if parameters is None:
        return evidence
    sizes = parameters.reindex(evidence.index[evidence.notna()]).astype(float)
    if not sizes.max() > _SAME_SIZE * sizes.min():
        return evidence
    return (evidence / 2 + _shares(sizes).reindex(evidence.index) / 2).round(_DIGITS)


def _shares(values: "pd.Series") -> "pd.Series":
    """Average ranks from 0 to 1, over those that have a value."""
    return (values.rank() - 0.5) / values.notna().sum()
