"""Tables on a terminal: a ranking with its failures and flags, and the rows, figures and notes of other commands."""

import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from hf_transferability.escaping.terminal import one_line, printable
from hf_transferability.metrics import FLAGS, all_metrics
from hf_transferability.names import SCENARIOS
from hf_transferability.reporting.columns import SHORT, Column, columns, common_flags
from hf_transferability.reporting.explanations import FLAG_WORDS
from hf_transferability.reporting.layout import Layout, fitted
from hf_transferability.results import label_alarm, ranked_rows

TIE_NOTE = (
    "This sample cannot order candidates of one tie group: fine-tune each, or take more images "
    "(`hf-transferability explain tie_group`)."
)
_GAP = 2
_UNLIMITED = 10_000  # characters; a file has no width

_SCENARIOS = dict(
    zip(SCENARIOS, ("one architecture with other source datasets", "different architectures"), strict=True)
)  # as the page calls them


def print_table(
    ranking: Mapping[str, Any],
    stream: TextIO,
    failures_shown: bool = False,
    wide: bool = False,
    width: int | None = None,
    brief: bool = False,
) -> None:
    """Print a ranking as a table that fits the terminal, and below it what its words mean.

    Args:
        ranking: the document that `Ranking.to_dict()` returns.
        stream: the file or terminal to print to.
        failures_shown: the reader has already seen why checkpoints could not be read, and what is wrong with the labels, so it
            is not printed again.
        wide: also the columns that the default table leaves out.
        width: characters; default those of the terminal, and no limit in a file, where names and titles stay whole.
        brief: only the names of flags, without their meanings.
    """
    console = _console(stream, width)
    rows = ranking["rows"]
    if ranked_rows(rows):
        console.print(f"ranked by {ranking['metric']}{scenario_in_words(ranking)}\n")
    for alarm in label_alarm(ranking) if not failures_shown else ():
        _print_wrapped(alarm, console)
        console.print()
    unlimited = width is None and not stream.isatty()
    layout = fitted(columns(rows, ranking["metric"], wide), None if unlimited else console.width)
    for number, block in enumerate(layout.blocks):
        if number:
            console.print()
        titles = [layout.title(column) for column in block]
        console.print(_table(block, titles, layout.gap, console.width))
    below = [_legend(layout), _zero(rows), TIE_NOTE if _tied(rows) else ""]
    below += [f"{', '.join(names)}: {reason}" for reason, names in undefined_reasons(rows).items()]
    if any(below):
        console.print()
    for text in filter(None, below):
        _print_wrapped(text, console)
    for row in rows:
        if row["error"] and not (failures_shown and row["n_features"] is None):
            console.print()
            _print_wrapped(f"failed: {row['checkpoint']}: {row['error']}", console)
    flags = list(dict.fromkeys(flag for row in rows for flag in row["flags"]))
    if not brief:
        _print_flags(rows, console)
    elif flags:
        console.print()
        _print_wrapped(f"flags: {', '.join(flags)} (`hf-transferability explain FLAG` says what to do about one).", console)


def table_text(ranking: Mapping[str, Any], width: int = 100) -> str:
    """A ranking as text: table, failures, and what to do; no meanings of flags.

    Args:
        ranking: the document that `Ranking.to_dict()` returns.
        width: characters of a line, but for a command, which stays in one piece.
    """
    if not ranking["rows"]:
        return "a ranking of no candidates"
    stream = io.StringIO()
    print_table(ranking, stream, width=width, brief=True)
    lines = [printable(line) for line in (ranking.get("advice") or {}).get("text") or ()]
    return "\n".join([stream.getvalue(), *lines]).rstrip("\n")


def _legend(layout: Layout) -> str:
    """What short titles stand for, and what was left out to make the table fit."""
    shown = dict.fromkeys(column.title for block in layout.blocks for column in block)
    pairs = [f"{SHORT[title]}: {title}" for title in shown if title in SHORT] if layout.short else []
    lines = ["; ".join(pairs) + "."] if pairs else []
    if layout.folder:
        lines.append(f"The checkpoints are in {layout.folder}.")
    if layout.cut:
        lines.append("Long names are cut; --format json has them whole.")
    if layout.left_out:
        lines.append(f"No room for: {', '.join(layout.left_out)}; add --wide.")
    return " ".join(lines)


def _zero(rows: Sequence[dict[str, Any]]) -> str:
    """What a paper's score of 0 means, where one is in the table."""
    if all(row.get("transferability") != 0 for row in rows):
        return ""
    return "transferability 0: last of this pool in one of its two parts, which are multiplied."


def _print_flags(rows: Sequence[dict[str, Any]], console: Console) -> None:
    """The meaning of each flag in the table, and of those that all candidates have."""
    common = common_flags(rows)
    if meanings := flag_meanings(rows):
        console.print("\nflags:")
        for flag, meaning in meanings:
            _print_wrapped(f"  {flag_in_words(flag)}{', all candidates' if flag in common else ''}: {meaning}", console, "    ")
        _print_wrapped("Run `hf-transferability explain FLAG` to see what to do about a flag.", console)


def flag_in_words(flag: str) -> str:
    """A flag as tables call it, with its full name where that is another."""
    word = FLAG_WORDS.get(flag, flag)
    return word if word == flag else f"{word} ({flag})"


def scenario_in_words(ranking: Mapping[str, Any]) -> str:
    """The scenario, for whatever of a ranking depends on it, as the end of a sentence; nothing where nothing does."""
    metrics = all_metrics()
    names = [name for name in ranking["rows"][0] if name in metrics and metrics[name].uses_scenario]
    if ranking["metric"] in names:
        return f", scenario {ranking['scenario']}"
    return f" ({', '.join(names)}: scenario {ranking['scenario']})" if names else ""


def scenario_sentence(ranking: Mapping[str, Any]) -> str:
    """The scenario as a sentence, for whatever of a ranking depends on it; nothing where nothing does."""
    metrics = all_metrics()
    names = [name for name in ranking["rows"][0] if name in metrics and metrics[name].uses_scenario]
    if not names or ranking["scenario"] not in _SCENARIOS:
        return ""
    labels = " and ".join(metrics[name].label for name in names)
    return f"For {labels} they are taken as {_SCENARIOS[ranking['scenario']]}."


def flag_meanings(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """The flags of a ranking's rows, each with its meaning and, where they are few, the numbers behind it."""
    flags = dict.fromkeys(flag for row in rows for flag in row["flags"])
    return [(flag, f"{FLAGS.get(flag, 'see flag_details in the JSON output')}{_details(rows, flag)}") for flag in flags]


def _details(rows: Sequence[dict[str, Any]], flag: str) -> str:
    """The numbers behind a flag, with their checkpoints where they differ, if there are at most three; JSON has all of them.

    Of more, the metrics that they are about.
    """
    flagged = [(row["checkpoint"], row.get("flag_details", {}).get(flag)) for row in rows if flag in row["flags"]]
    shown = list(dict.fromkeys(detail for _, detail in flagged if detail))
    if len(shown) > 1:
        shown = [f"{checkpoint}: {detail}" for checkpoint, detail in flagged if detail]
    if len(shown) > 3:
        parts = [part.partition(":")[0] for _, detail in flagged for part in (detail or "").split("; ")]
        shown = [", ".join(dict.fromkeys(part for part in parts if part in all_metrics()))]
    return f" ({'; '.join(shown)})" if any(shown) else ""


def print_rows(titles: Sequence[str], rows: Sequence[Sequence[str]], stream: TextIO) -> None:
    """Print rows of text as a table, or as one block of lines per row where the terminal is too narrow for it."""
    console = _console(stream)
    rows = [[printable(cell) for cell in row] for row in rows]
    columns = [Column(title, [row[i] for row in rows], right=False) for i, title in enumerate(titles)]
    if sum(_full_width(column) + _GAP for column in columns) <= console.width:
        console.print(_table(columns, titles, _GAP, console.width))
        return
    for row in rows:
        console.print(row[0], style="bold")
        for title, cell in zip(titles[1:], row[1:], strict=True):
            console.print(f"  {title}: {cell}", soft_wrap=True)


def print_figures(titles: Sequence[str], rows: Sequence[Sequence[str]], stream: TextIO) -> None:
    """Print rows of a name and numbers. A narrow terminal gets blocks of columns that fit it, each with the names."""
    console = _console(stream)
    columns = [Column(one_line(title), [one_line(row[i]) for row in rows], right=i > 0) for i, title in enumerate(titles)]
    name, blocks = columns[0], [[columns[0]]]
    for column in columns[1:]:
        used = sum(_full_width(figure) + _GAP for figure in blocks[-1])
        if len(blocks[-1]) > 1 and used + _full_width(column) > console.width:
            blocks.append([name])
        blocks[-1].append(column)
    for number, block in enumerate(blocks):
        if number:
            console.print()
        console.print(_table(block, [figure.title for figure in block], _GAP, console.width))


def print_notes(notes: Sequence[str], stream: TextIO) -> None:
    """Print notes below a table, each as a paragraph that starts with a dash."""
    console = _console(stream)
    for note in notes:
        _print_wrapped(f"- {note}", console, "  ")


def _console(stream: TextIO, width: int | None = None) -> Console:
    """A console as wide as the terminal, or without limit in a file."""
    if width is None and not stream.isatty():
        width = _UNLIMITED
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def _print_wrapped(text: str, console: Console, indent: str = "") -> None:
    """A paragraph whose further lines are indented; its own start stays as it is."""
    lines = textwrap.wrap(
        printable(text), console.width, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )
    console.print("\n".join(lines), soft_wrap=True)


def _tied(rows: Sequence[dict[str, Any]]) -> bool:
    """Whether two candidates share a tie group."""
    groups = [row["tie_group"] for row in rows if row.get("tie_group") is not None]
    return len(set(groups)) < len(groups)


def _full_width(column: Column) -> int:
    return max(map(len, (column.title, *column.cells)))


def _table(columns: Sequence[Column], titles: Sequence[str], gap: int, width: int) -> Table:
    """The columns side by side; only the last one, if it holds flags, may need several lines."""
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
    widths = [max(map(cell_len, (title, *column.cells))) for title, column in zip(titles, columns, strict=True)]
    spare = width - sum(widths) - gap * (len(widths) - 1)
    for column, title, room in zip(columns, titles, widths, strict=True):
        folded = column.title == "flags" and spare < 0
        table.add_column(
            title, justify="right" if column.right else "left", overflow="fold", width=max(room + spare, 1) if folded else room
        )
    for cells in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*cells)
    return table


def undefined_reasons(rows: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """Why further metrics have no value, one text for each reason -> the checkpoints that it is about.

    A reason that a checkpoint's error gives already is left out.
    """
    reasons: dict[str, list[str]] = {}
    for row in rows:
        metrics: dict[str, list[str]] = {}
        for metric, text in row.get("undefined", {}).items():
            cause = text.removeprefix(f"{metric} is undefined: ")
            if cause not in (row["error"] or ""):
                metrics.setdefault(cause, []).append(text if cause == text else metric)
        for cause, names in metrics.items():
            undefined = f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} undefined: {cause}"
            reasons.setdefault(cause if names[0] == cause else undefined, []).append(row["checkpoint"])
    return reasons
