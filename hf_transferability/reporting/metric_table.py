"""The list of metrics, as data and as a Markdown table (that of docs/metrics.md is this output)."""

import math
from typing import Any

from hf_transferability.metrics import Metric, all_metrics

COLUMNS = ("name", "needs", "range", "unit", "direction", "targets", "comparable", "paper")


def metric_rows() -> list[dict[str, Any]]:
    """One dict per metric with COLUMNS; "needs" and "targets" are lists, an infinite end of "range" is None."""
    return [metric_row(metric) for metric in all_metrics().values()]


def to_markdown() -> str:
    """The metrics as a Markdown table."""
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    lines += [f"| {' | '.join(_text(row[column]) for column in COLUMNS)} |" for row in metric_rows()]
    return "\n".join(lines)


def as_text(row: dict[str, Any]) -> list[str]:
    """A row's cells as plain text, in the order of COLUMNS."""
    return [_text(row[column]) for column in COLUMNS]


def metric_row(metric: Metric) -> dict[str, Any]:
    """A metric as one dict with COLUMNS."""
    return {
        "name": metric.name,
        "needs": list(metric.inputs),
        "range": [None if math.isinf(end) else end for end in metric.range],
        "unit": metric.unit,
        "direction": "higher is better",
        "targets": list(metric.tasks),
        "comparable": "between candidates on one sample" if metric.comparable else "within one pool",
        "paper": metric.paper,
    }


def _text(value: Any) -> str:
    if isinstance(value, list) and len(value) == 2 and not any(isinstance(end, str) for end in value):
        low, high = value
        return f"{'-inf' if low is None else f'{low:g}'} to {'inf' if high is None else f'{high:g}'}"
    return ", ".join(value) if isinstance(value, list) else str(value)
