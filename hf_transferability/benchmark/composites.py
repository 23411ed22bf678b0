"""Scores that exist only over a pool of candidates, formed from the parts that a benchmark holds."""

from typing import TYPE_CHECKING

import numpy as np

from hf_transferability.metrics import Metric, all_metrics, collect_flags

if TYPE_CHECKING:
    import pandas as pd

# The two parts of the paper's score, which its tables and claims name.
PAPER_PARTS = ("feature_quality", "feature_update_ratio")


def with_composites(
    scores: "pd.DataFrame", candidates: "pd.Index", scenario: str, facts: "pd.DataFrame | None" = None
) -> "pd.DataFrame":
    """The candidates' scores, and those of every composite metric whose parts are there and that is not there itself.

    A composite that the paper's tables have is scaled over all sources that have its parts, as there: the target's own model
    counts, though it is no candidate. Any other is formed over the candidates alone.

    Args:
        scores: one column per (metric, variant), one row per source.
        candidates: the sources to keep.
        scenario: what differs between them.
        facts: one row per source, with the columns that formulas may use (parameters, without source head); None where
            unknown.
    """
    formed = scores.copy()
    for name, metric in all_metrics().items():
        for variant in scores.columns.unique("variant"):
            if (name, variant) not in formed and known_parts(metric, scores, variant):
                rows = scores if metric.published else scores.reindex(candidates)
                formed[name, variant] = _formed(metric, rows, variant, scenario, facts).reindex(formed.index)
    return formed.reindex(candidates)


def known_parts(metric: Metric, scores: "pd.DataFrame", variant: str) -> list[str]:
    """The parts of a composite metric that a table has in a variant; none where that is not enough to form it."""
    known = [part for part in metric.parts if (part, variant) in scores]
    return known if known and (len(known) == len(metric.parts) or not metric.needs_all_parts) else []


def part_arrays(metric: Metric, rows: "pd.DataFrame", variant: str, facts: "pd.DataFrame | None") -> dict[str, np.ndarray]:
    """What a composite's formula takes [n_sources]: the parts that the rows have in a variant, and the facts that are known."""
    arrays = {part: rows[part, variant].to_numpy(dtype=float) for part in known_parts(metric, rows, variant)}
    for fact in metric.facts:
        if facts is not None and fact in facts:
            arrays[fact] = facts[fact].reindex(rows.index).to_numpy(dtype=float, na_value=np.nan)
    return arrays


def _formed(metric: Metric, rows: "pd.DataFrame", variant: str, scenario: str, facts: "pd.DataFrame | None") -> "pd.Series":
    import pandas as pd

    arrays = part_arrays(metric, rows, variant, facts)
    lists = {name: [None if np.isnan(value) else float(value) for value in values] for name, values in arrays.items()}
    used_variant = variant if variant in metric.variants else "default"
    with collect_flags():  # a pool without a combination has no score, which the comparison says
        values = metric.combine(lists, variant=used_variant, scenario=scenario)
    return pd.Series([np.nan if value is None else value for value in values], index=rows.index, dtype=float)
