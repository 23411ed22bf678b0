"""The list of metrics, as data and as Markdown tables: those of the documents, which tools/refresh_tables.py writes."""

import math
import re
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

from hf_transferability.metrics import Metric, all_metrics

COLUMNS = ("name", "needs", "range", "unit", "direction", "targets", "comparable", "paper")


def metric_rows() -> list[dict[str, Any]]:
    """One dict per metric with COLUMNS; "needs" and "targets" are lists, an infinite end of "range" is None."""
    return [metric_row(metric) for metric in all_metrics().values()]


def to_markdown() -> str:
    """The metrics as a Markdown table."""
    return _table(COLUMNS, [as_text(row) for row in metric_rows()])


def to_card() -> str:
    """The metrics as the Markdown table of the metric card, in the words of `evaluate`."""
    called = {"features": "predictions", "labels": "references"}
    rows = []
    for row in metric_rows():
        needs = ", ".join(called.get(name, name) for name in row["needs"])
        targets = _text(row["targets"]) if "labels" in row["needs"] else "any"
        rows.append([row["name"], needs, _text(row["range"]), row["unit"], targets])
    return _table(("configuration", "needs", "range", "unit", "targets"), rows)


# The line before a table of metrics in a document -> what makes it; the table ends before the line END.
TABLES: MappingProxyType[str, Callable[[], str]] = MappingProxyType(
    {"<!-- metrics -->": to_markdown, "<!-- metrics of the card -->": to_card}
)
END = "<!-- end of metrics -->"


def refreshed(document: str) -> str:
    """A Markdown document with its tables of metrics as they are now."""
    for start, table in TABLES.items():
        pattern = re.compile(f"{re.escape(start)}\n.*?{re.escape(END)}", re.DOTALL)
        document = pattern.sub(lambda _, start=start, table=table: f"{start}\n{table()}\n{END}", document)  # type: ignore[misc]
    return document


def as_text(row: dict[str, Any]) -> list[str]:
    """A row's cells as plain text, in the order of COLUMNS."""
    return [_text(row[column]) for column in COLUMNS]


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    return "\n".join([f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}", *lines])


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
