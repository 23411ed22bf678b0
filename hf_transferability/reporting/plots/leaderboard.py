"""Picture of the table over all benchmarks: every metric and baseline against every benchmark."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_transferability.reporting import benchmark_words
from hf_transferability.reporting.plots.style import FONT, GREY, INK, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TAU = "weighted_tau"
_LOWEST, _HIGHEST = -0.4, 0.8  # ends of the colours; the numbers say what lies beyond


def leaderboard(document: Mapping[str, Any]) -> "Figure":
    """A map of agreement: a row per metric and baseline, a column per benchmark that has scores, and the worst column.

    The number is the mean weighted Kendall tau, the worst of a row in bold; a dash where a benchmark lacks the metric.
    Metrics come first, by their worst column, then the baselines that look at no data of the target.

    Args:
        document: what `benchmark.leaderboard.Leaderboard.to_dict()` makes.

    Raises:
        UsageError: matplotlib is not installed.
    """
    columns = [column["name"] for column in document["columns"] if column["scored"]]
    cells: dict[str, dict[str, float]] = {}
    kinds: dict[str, str] = {}
    for row in document["rows"]:
        if row["column"] in columns and row["kind"] != "ceiling" and row["metric"] in document["worst"]:
            cells.setdefault(row["metric"], {})[row["column"]] = row[_TAU]
            kinds[row["metric"]] = row["kind"]
    names = list(cells)
    values = np.array([[cells[name].get(column, np.nan) for column in columns] for name in names])
    figure = new_figure(1.9 + 0.78 * (len(columns) + 1), 1.1 + 0.27 * len(names))
    axes = figure.add_subplot()
    with_worst = np.column_stack([values, np.nanmin(values, axis=1)])
    axes.imshow(with_worst, cmap="cividis", vmin=_LOWEST, vmax=_HIGHEST, aspect="auto", alpha=0.85)
    for (line, place), value in np.ndenumerate(with_worst):
        if np.isnan(value):
            axes.text(place, line, "-", ha="center", va="center", fontsize=FONT, color=GREY)
            continue
        dark = value < (_LOWEST + _HIGHEST) / 2
        worst = place == len(columns) or value == np.nanmin(values[line])
        style: dict[str, Any] = {
            "color": "white" if dark else INK,
            "fontweight": "bold" if worst else "normal",
            "fontsize": FONT,
        }
        axes.text(place, line, f"{round(value, 2) + 0:.2f}", ha="center", va="center", **style)
    titles = [benchmark_words.column(name).replace(" ", "\n") for name in columns]
    axes.set_xticks(range(len(columns) + 1), [*titles, "worst"], fontsize=FONT)
    labels = [benchmark_words.method(name) + " (baseline)" * (kinds[name] == "baseline") for name in names]
    axes.set_yticks(range(len(names)), labels, fontsize=FONT)
    axes.axvline(len(columns) - 0.5, color="white", linewidth=3)
    axes.tick_params(length=0, labelcolor=INK, top=True, labeltop=True, bottom=False, labelbottom=False)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_title("Agreement with fine-tuning in all benchmarks (mean weighted Kendall tau)", fontsize=FONT + 1, pad=10)
    return figure
