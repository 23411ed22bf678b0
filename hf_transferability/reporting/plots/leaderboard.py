"""Picture of the table over all benchmarks: every metric and baseline against every benchmark."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_transferability.reporting import benchmark_words
from hf_transferability.reporting.plots.style import FONT, GREY, INK, ON_DARK, ON_PALE, PAPER, new_figure

if TYPE_CHECKING:
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

_TAU = "weighted_tau"
_STRENGTH = 0.85  # of colours
_LOWEST, _HIGHEST = -0.4, 0.8  # ends of the colours; the numbers say what lies beyond


def leaderboard(document: Mapping[str, Any], narrow: bool = False) -> "Figure":
    """A map of agreement: a row per metric and baseline, a column per benchmark that has scores, and the worst column.

    The number is the mean weighted Kendall tau, the worst of a row in bold; a dash where a benchmark lacks the metric.
    Metrics come first, by their worst column, then the baselines that look at no data of the target.

    Args:
        document: what `benchmark.leaderboard.Leaderboard.to_dict()` makes.
        narrow: for a phone, as far as the number of columns allows it.

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
    font, cell = (FONT - 1, 0.41) if narrow else (FONT, 0.78)
    figure = new_figure(1.9 + cell * (len(columns) + 1), 1.1 + 0.27 * len(names) + (0.4 if narrow else 0))
    axes = figure.add_subplot()
    with_worst = np.column_stack([values, np.nanmin(values, axis=1)])
    axes.imshow(with_worst, cmap=_paler("cividis"), vmin=_LOWEST, vmax=_HIGHEST, aspect="auto")
    for (line, place), value in np.ndenumerate(with_worst):
        if np.isnan(value):
            axes.text(place, line, "-", ha="center", va="center", fontsize=font, color=GREY)
            continue
        dark = value < (_LOWEST + _HIGHEST) / 2
        worst = place == len(columns) or value == np.nanmin(values[line])
        style: dict[str, Any] = {
            "color": ON_DARK if dark else ON_PALE,
            "fontweight": "bold" if worst else "normal",
            "fontsize": font,
        }
        axes.text(place, line, f"{round(value, 2) + 0:.2f}", ha="center", va="center", **style)
    titles = [benchmark_words.column(name).replace(" ", " " if narrow else "\n") for name in columns]
    slanted: dict[str, Any] = {"rotation": 45, "ha": "left", "rotation_mode": "anchor"} if narrow else {}
    axes.set_xticks(range(len(columns) + 1), [*titles, "worst"], fontsize=font, **slanted)
    labels = [benchmark_words.method(name) + " (baseline)" * (kinds[name] == "baseline") for name in names]
    axes.set_yticks(range(len(names)), labels, fontsize=font)
    axes.axvline(len(columns) - 0.5, color=PAPER, linewidth=3)
    axes.tick_params(length=0, labelcolor=INK, top=True, labeltop=True, bottom=False, labelbottom=False)
    for side in axes.spines.values():
        side.set_visible(False)
    title = "Agreement with fine-tuning in all benchmarks (mean weighted Kendall tau)"
    if narrow:
        figure.suptitle(title.replace(" (", "\n("), fontsize=FONT + 1, x=0.02, horizontalalignment="left")
    else:
        axes.set_title(title, fontsize=FONT + 1, pad=10)
    return figure


def _paler(name: str) -> "Colormap":
    """A colour map mixed with white, so that letters on its middle can be read; the same on a dark page."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    return ListedColormap(_STRENGTH * colormaps[name](np.linspace(0, 1, 256))[:, :3] + 1 - _STRENGTH)
