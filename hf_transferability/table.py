"""A ranking as a table for people, with the reasons of failed candidates and the meaning of its flags below it."""

from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console
from rich.table import Table

from hf_transferability.metrics import FLAGS

if TYPE_CHECKING:
    from hf_transferability.ranking import Ranking

_NOTHING = "-"


def print_table(ranking: "Ranking", stream: TextIO) -> None:
    """Print a ranking; as wide as it must be where the stream is not a terminal."""
    console = Console(file=stream, width=None if stream.isatty() else 10_000, highlight=False)
    rows = ranking.rows
    extra = [name for name in rows[0] if name in _metric_columns(ranking)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("rank", justify="right")
    table.add_column("checkpoint", overflow="fold")
    table.add_column(f"score ({ranking.metric})", justify="right")
    for title in ("feature quality", "update ratio", *extra, "features", "parameters"):
        table.add_column(title, justify="right")
    table.add_column("licence")
    table.add_column("commit")
    table.add_column("seconds", justify="right")
    table.add_column("flags", overflow="fold")
    for row in rows:
        table.add_row(
            _text(row["rank"]),
            row["checkpoint"],
            "failed" if row["error"] else _text(row["score"]),
            _text(row["feature_quality"]),
            _text(row["feature_update_ratio"]),
            *(_text(row.get(name)) for name in extra),
            _text(row["n_features"]),
            _count(row["parameters"]),
            str(row["licence"] or _NOTHING),
            (row["revision"] or _NOTHING).removeprefix("sha256:")[:8],
            _NOTHING if row["seconds"] is None else f"{row['seconds']:.1f}",
            ", ".join(row["flags"]),
        )
    console.print(table)
    for row in rows:
        if row["error"]:
            console.print(f"\nfailed: {row['checkpoint']}: {row['error']}", markup=False, soft_wrap=True)
    if flags := list(dict.fromkeys(flag for row in rows for flag in row["flags"])):
        console.print("\nflags:", markup=False)
        for flag in flags:
            console.print(f"  {flag}: {FLAGS[flag]}", markup=False, soft_wrap=True)


def _metric_columns(ranking: "Ranking") -> set[str]:
    from hf_transferability.metrics import all_metrics

    return set(all_metrics()) - {ranking.metric, "feature_quality", "feature_update_ratio"}


def _text(value: Any) -> str:
    if value is None:
        return _NOTHING
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _count(value: int | None) -> str:
    if value is None:
        return _NOTHING
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.1f}{unit}"
    return str(value)
