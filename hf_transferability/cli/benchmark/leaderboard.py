"""`hf-transferability benchmark compare --benchmark all`: one table over all bundled benchmarks."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from hf_transferability.cli.output import print_result, working
from hf_transferability.errors import UsageError
from hf_transferability.escaping import markdown

if TYPE_CHECKING:
    from hf_transferability.benchmark.leaderboard import Leaderboard

ALL = "all"
_NOT_FOR_ALL = ("ground_truth", "scores", "runs", "sources", "selection", "measure", "scenario", "target")
_NOTHING = "-"


def compare_all(options: argparse.Namespace) -> int:
    """Run the command."""
    from hf_transferability.benchmark.leaderboard import leaderboard

    if given := [name for name in _NOT_FOR_ALL if getattr(options, name)]:
        raise UsageError(
            f"`--benchmark all` cannot be limited by --{given[0].replace('_', '-')}. Leave it out, or name a benchmark."
        )
    with working("comparing scores with fine-tuning in all benchmarks"):
        board = leaderboard(metrics=options.metric or (), orientation=options.orientation or "natural", seed=options.seed)
    print_result(options, board.to_dict(), lambda: _print_table(board), lambda: _print_markdown(board))
    return 0


def _print_table(board: "Leaderboard") -> None:
    from hf_transferability.reporting.terminal import print_figures, print_notes, print_rows

    print("agreement with fine-tuning over all benchmarks: weighted Kendall tau, mean over targets")
    for title, cell, last in _BLOCKS:
        print(f"\n{title}\n")
        titles, lines = _block(board, True, cell, last)
        print_figures(titles, _marked(board, titles, lines) if last else lines, sys.stdout)
    if len(_block(board, False, _tau)[0]) > 1:
        print("\nFine-tuned performance without scores: the baselines alone (tau, interval, regret of the first)\n")
        print_figures(*_block(board, False, _whole), sys.stdout)
    print("\ncolumns\n")
    print_rows(_DESCRIPTION, _descriptions(board), sys.stdout)
    print()
    print_notes([*board.notes, *_reading(board)], sys.stdout)


def _print_markdown(board: "Leaderboard") -> None:
    print("Agreement with fine-tuning over all benchmarks: weighted Kendall tau, mean over targets.")
    for scored in (True, False):
        titles, lines = _block(board, scored, _whole, _worst if scored else None)
        _print_markdown_table(titles, lines)
    _print_markdown_table(_DESCRIPTION, _descriptions(board))
    print()
    for text in (*board.notes, *_reading(board)):
        print(f"- {markdown.line(text)}")


def _print_markdown_table(titles: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    print(f"\n{markdown.table(titles, lines)}")


def _block(
    board: "Leaderboard",
    scored: bool,
    cell: Callable[[dict[str, Any]], str],
    last: Callable[["Leaderboard", str], str] | None = None,
) -> tuple[list[str], list[list[str]]]:
    """Titles and lines of a table: one line per method that has a value in one of its columns."""
    columns = [column["name"] for column in board.columns if column["scored"] == scored]
    lines = []
    for metric in board.metrics():
        cells = board.cells(metric)
        if any(name in cells for name in columns):
            line = [metric, *(cell(cells[name]) if name in cells else _NOTHING for name in columns)]
            lines.append([*line, last(board, metric)] if last else line)
    return ["metric", *columns, *(["worst"] if last else [])], lines


def _marked(board: "Leaderboard", titles: Sequence[str], lines: Sequence[Sequence[str]]) -> list[list[str]]:
    """The lines with an asterisk at each one's worst column."""
    from hf_transferability.benchmark.comparison_rows import RANDOM

    worst = {metric: column for metric, (column, _) in board.worst.items() if metric != RANDOM}
    return [
        [
            metric,
            *(f"{cell}{'*' if title == worst.get(metric) else ' '}" for title, cell in zip(titles[1:], cells, strict=True)),
        ]
        for metric, *cells in lines
    ]


def _tau(cell: dict[str, Any]) -> str:
    return _short(cell["weighted_tau"])


def _interval(cell: dict[str, Any]) -> str:
    return _NOTHING if cell["low"] is None else f"{_short(cell['low'])} {_short(cell['high'])}"


def _regret(cell: dict[str, Any]) -> str:
    return f"{cell['regret']:.3f}"


def _whole(cell: dict[str, Any]) -> str:
    """Agreement with its interval, and regret."""
    return f"{_tau(cell)} ({_interval(cell)}) {_regret(cell)}"


def _worst(board: "Leaderboard", metric: str) -> str:
    return _short(board.worst[metric][1]) if metric in board.worst else _NOTHING


_BLOCKS = (
    ("weighted tau", _tau, _worst),
    ("90% interval of it, low and high", _interval, None),
    ("regret: what fine-tuning only the first loses, in the column's measure", _regret, None),
)
_DESCRIPTION = ("column", "targets", "candidates", "regret in", "candidates differ in")


def _descriptions(board: "Leaderboard") -> list[list[str]]:
    return [
        [column["name"], str(column["n_targets"]), str(column["n_sources"]), _unit(column), column["about"]]
        for column in board.columns
    ]


def _unit(column: dict[str, Any]) -> str:
    from hf_transferability.benchmark.tables import MIXED

    return column["unit"] if column["measure"] != MIXED else MIXED


def _short(value: float) -> str:
    """Two digits without the leading zero, so that a table of many columns fits a terminal."""
    text = f"{round(value, 2) + 0:.2f}"
    return text.replace("0.", ".", 1) if abs(value) < 0.995 else text


def _reading(board: "Leaderboard") -> list[str]:
    from hf_transferability.benchmark.tables import MIXED

    orientation = (
        "Higher scores always count as better, as in `rank`."
        if board.orientation == "natural"
        else "Some published scores are turned round across architectures, as in the paper."
    )
    mixed = [column for column in board.columns if _unit(column) != column["unit"]]
    return [
        *(f"{MIXED}: {column['unit']}, as the target has it." for column in mixed[:1]),
        f"{orientation} A metric's default form counts where a benchmark has it, otherwise the published one (--format json).",
        "worst: the lowest agreement among the columns with scores, marked by an asterisk.",
        "Metrics that fewer than half of these columns have come after the others.",
        "Intervals come from resampled sources, the same for all targets; a dash says that the benchmark lacks it.",
        "mean_rank_elsewhere, parameter_count, imagenet_top1 and feature_width look at no target data; random is a random "
        "order.",
        "split_half is the noise ceiling: how well one half of the fine-tuning runs predicts the other.",
    ]
