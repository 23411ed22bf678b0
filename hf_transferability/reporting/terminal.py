"""Tables on a terminal: a ranking with its failures and flags, and the rows, figures and notes of other commands."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

from hf_transferability.escaping.terminal import one_line, printable
from hf_transferability.metrics import FLAGS, all_metrics
from hf_transferability.names import fold_id
from hf_transferability.results import ranked_rows

TIE_NOTE = (
    "This sample cannot order candidates of one tie group: fine-tune each, or take more images "
    "(`hf-transferability explain tie_group`)."
)
_NOTHING = "-"
_GAP = 2


@dataclass
class Column:
    """One column: its title and one text per row; numbers are aligned at the right."""

    title: str
    cells: list[str]
    right: bool = True

    @property
    def width(self) -> int:
        """The smallest width at which no word of it is cut."""
        return max(len(word) for cell in (self.title, *self.cells) for word in cell.split(" ") or [""])

    @property
    def full_width(self) -> int:
        return max(len(cell) for cell in (self.title, *self.cells))


def print_table(
    ranking: Mapping[str, Any], stream: TextIO, failures_shown: bool = False, leave_out: Sequence[str] = ()
) -> None:
    """Print a ranking as a table. A terminal that is too narrow gets it in blocks of columns, a file gets it in one piece.

    Args:
        ranking: the document that `Ranking.to_dict()` returns.
        stream: the file or terminal to print to.
        failures_shown: the reader has already seen why checkpoints could not be read, so it is not printed again.
        leave_out: titles of columns that are not printed.
    """
    terminal = stream.isatty()
    console = Console(file=stream, width=None if terminal else 10_000, highlight=False, markup=False, emoji=False)
    rows = ranking["rows"]
    if ranked_rows(rows):
        console.print(f"ranked by {ranking['metric']}{scenario_in_words(ranking)}\n")
    rank, name, *others = (column for column in columns(rows, ranking["metric"]) if column.title not in leave_out)
    for block in _blocks(rank, name, others, console.width) if terminal else [[rank, name, *others]]:
        console.print(_table(block, console.width if terminal else None))
        if terminal:
            console.print()
    if "tie group" not in leave_out and _tied(rows):
        console.print(TIE_NOTE)
    for reason, names in _undefined(rows).items():
        console.print(printable(f"{reason}: {', '.join(names)}"))
    for row in rows:
        if row["error"] and not (failures_shown and row["n_features"] is None):
            console.print(printable(f"\nfailed: {row['checkpoint']}: {row['error']}"))
    if meanings := flag_meanings(rows):
        console.print("\nflags:")
        for flag, meaning in meanings:
            console.print(printable(f"  {flag}: {meaning}"))
        console.print("Run `hf-transferability explain FLAG` to see what to do about a flag.")


def scenario_in_words(ranking: Mapping[str, Any]) -> str:
    """The scenario, for whatever of a ranking depends on it, as the end of a sentence; nothing where nothing does."""
    metrics = all_metrics()
    names = [name for name in ranking["rows"][0] if name in metrics and metrics[name].uses_scenario]
    if ranking["metric"] in names:
        return f", scenario {ranking['scenario']}"
    return f" ({', '.join(names)}: scenario {ranking['scenario']})" if names else ""


def flag_meanings(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """The flags of a ranking's rows, each with its meaning and, where they are few, the numbers behind it."""
    flags = dict.fromkeys(flag for row in rows for flag in row["flags"])
    return [(flag, f"{FLAGS.get(flag, 'see flag_details in the JSON output')}{_details(rows, flag)}") for flag in flags]


def _details(rows: Sequence[dict[str, Any]], flag: str) -> str:
    """The numbers behind a flag, with their checkpoints where they differ, if there are at most three; JSON has all of them."""
    flagged = [(row["checkpoint"], row.get("flag_details", {}).get(flag)) for row in rows if flag in row["flags"]]
    shown = list(dict.fromkeys(detail for _, detail in flagged if detail))
    if len(shown) > 1:
        shown = [f"{checkpoint}: {detail}" for checkpoint, detail in flagged if detail]
    return f" ({'; '.join(shown)})" if 0 < len(shown) <= 3 else ""


def print_rows(titles: Sequence[str], rows: Sequence[Sequence[str]], stream: TextIO) -> None:
    """Print rows of text as a table, or as one block of lines per row where the terminal is too narrow for it."""
    terminal = stream.isatty()
    console = Console(file=stream, width=None if terminal else 10_000, highlight=False, markup=False, emoji=False)
    rows = [[printable(cell) for cell in row] for row in rows]
    columns = [Column(title, [row[i] for row in rows], right=False) for i, title in enumerate(titles)]
    if sum(column.full_width + _GAP for column in columns) <= console.width:
        console.print(_table(columns, None))
        return
    for row in rows:
        console.print(row[0], style="bold")
        for title, cell in zip(titles[1:], row[1:], strict=True):
            console.print(f"  {title}: {cell}", soft_wrap=True)


def print_figures(titles: Sequence[str], rows: Sequence[Sequence[str]], stream: TextIO) -> None:
    """Print rows of a name and numbers. A narrow terminal gets blocks of columns that fit it, each with the names."""
    terminal = stream.isatty()
    console = Console(file=stream, width=None if terminal else 10_000, highlight=False, markup=False, emoji=False)
    columns = [Column(one_line(title), [one_line(row[i]) for row in rows], right=i > 0) for i, title in enumerate(titles)]
    name, blocks = columns[0], [[columns[0]]]
    for column in columns[1:]:
        used = sum(figure.full_width + _GAP for figure in blocks[-1])
        if terminal and len(blocks[-1]) > 1 and used + column.full_width > console.width:
            blocks.append([name])
        blocks[-1].append(column)
    for number, block in enumerate(blocks):
        if number:
            console.print()
        console.print(_table(block, None))


def print_notes(notes: Sequence[str], stream: TextIO) -> None:
    """Print notes below a table, each as a paragraph that starts with a dash."""
    terminal = stream.isatty()
    width = Console(file=stream).width if terminal else 10_000
    for note in notes:
        print(
            "\n".join(textwrap.wrap(f"- {printable(note)}", width, subsequent_indent="  ", break_on_hyphens=False)), file=stream
        )


def columns(rows: Sequence[dict[str, Any]], metric: str) -> list[Column]:
    """The columns that people see of a ranking sorted by `metric`; empty columns are left out."""
    metrics = all_metrics()
    beside = [name for name in rows[0] if name in metrics and name != metric]
    floors = list(dict.fromkeys(name for row in rows for name in row if name.endswith("_floor")))
    flags = [", ".join(row["flags"]) for row in rows]
    always = [
        Column("rank", [_text(row["rank"]) for row in rows]),
        Column("checkpoint", [one_line(row["checkpoint"]) for row in rows], right=False),
        Column("score", [_score(row) for row in rows]),
    ]
    others = [
        *_uncertainty(rows),
        *(Column(metrics[name].label, [_text(row.get(name)) for row in rows]) for name in beside),
        *(Column(name.replace("_", " "), [_text(row.get(name)) for row in rows]) for name in floors),
        Column("known elsewhere (targets)", [_known(row) for row in rows]),
        Column("flags", flags, right=False),
        Column("features", [_text(row["n_features"]) for row in rows]),
        Column("parameters", [_count(row["parameters"]) for row in rows]),
        Column("licence", [one_line(str(row["licence"] or _NOTHING)) for row in rows], right=False),
        Column("commit", [(row["revision"] or _NOTHING).removeprefix("sha256:")[:8] for row in rows], right=False),
        Column("seconds", [_NOTHING if row["seconds"] is None else f"{row['seconds']:.1f}" for row in rows]),
    ]
    return [*always, *(column for column in others if set(column.cells) - {_NOTHING, ""})]


def _known(row: dict[str, Any]) -> str:
    """The mean percentile where others have fine-tuned the checkpoint, and on how many targets."""
    value = row.get("known_elsewhere")
    return _NOTHING if value is None else f"{value:.2f} ({row['known_targets']})"


def _score(row: dict[str, Any]) -> str:
    if row["error"]:
        return "failed"
    return "untrained" if row.get("untrained") else _text(row["score"])


def _uncertainty(rows: Sequence[dict[str, Any]]) -> list[Column]:
    """The columns of intervals and tie groups, where there are any."""
    intervals = [row.get("interval") for row in rows]
    groups = [row.get("tie_group") for row in rows]
    uncertainty = []
    if any(intervals):
        cells = [f"{interval[0]:.3g}..{interval[1]:.3g}" if interval else _NOTHING for interval in intervals]
        uncertainty.append(Column("90% interval", cells))
    if _tied(rows):
        uncertainty.append(Column("tie group", [_text(group) for group in groups]))
    return uncertainty


def _tied(rows: Sequence[dict[str, Any]]) -> bool:
    """Whether two candidates share a tie group."""
    groups = [row["tie_group"] for row in rows if row.get("tie_group") is not None]
    return len(set(groups)) < len(groups)


def _blocks(rank: Column, name: Column, others: Sequence[Column], width: int) -> list[list[Column]]:
    """The columns in as few blocks as fit the width, each with rank and checkpoint; long ids are folded at slashes."""
    fitting = max(min(name.full_width, max(width // 3, 24)), len(name.title))
    name = Column(name.title, [fold_id(cell, fitting) for cell in name.cells], right=False)
    start = rank.width + _GAP + fitting
    blocks: list[list[Column]] = []
    used = width
    for column in others:
        if used + _GAP + column.width > width or not blocks:
            blocks.append([rank, name])
            used = start
        blocks[-1].append(column)
        used += _GAP + column.width
    return blocks


def _table(columns: Sequence[Column], width: int | None) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    spare = width - sum(column.width + _GAP for column in columns) + _GAP if width else 0
    for column in columns:
        # A folded id contains line breaks; the column of flags can use the room that is left.
        longest = max(len(line) for cell in (column.title, *column.cells) for line in cell.split("\n"))
        room = None
        if width:
            room = longest if column.title == "checkpoint" else column.width
            if column.title == "flags":
                room = min(longest, column.width + max(spare, 0))
        table.add_column(column.title, justify="right" if column.right else "left", overflow="fold", width=room)
    for cells in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*cells)
    return table


def _undefined(rows: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """Why a further metric has no value -> the checkpoints without it."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        for reason in row.get("undefined", {}).values():
            reasons.setdefault(reason, []).append(row["checkpoint"])
    return reasons


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
