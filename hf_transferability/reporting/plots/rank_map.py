"""The picture of where the metrics agree: the rank of every candidate by each metric of the table."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import rankdata

from hf_transferability.errors import UsageError
from hf_transferability.metrics import all_metrics
from hf_transferability.names import shortened, without_shared_folder
from hf_transferability.reporting.plots.style import FONT, GREY, INK, NARROW, ON_DARK, ON_PALE, as_cells, new_figure, plain
from hf_transferability.results import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Document = Mapping[str, Any]
_TITLE = "Where the metrics agree: rank of each candidate by each metric (1: first)"
_WIDTH = 10.0  # inches
_ROW = 0.27  # inches
_AROUND = {True: 1.55, False: 0.95}  # inches for the title and the names of the metrics, which are slanted or level
_MOST_LEVEL = 6  # metrics whose names fit beside each other
_NAME = {False: 40, True: 20}  # letters; True: of a narrow picture
_CELL, _NAMES = 0.34, 1.7  # inches of a cell and of the names beside it, at least, in a narrow picture


def metric_ranks(document: Document, narrow: bool = False) -> "Figure":
    """The rank of every candidate by each metric; a row of one colour is a candidate that the metrics agree on.

    The sorting metric is at the left. A candidate without a value, or that was never trained, has no rank.

    Args:
        document: what `Ranking.to_dict()` gives.
        narrow: for a phone, as far as the metrics' number allows it.

    Raises:
        UsageError: fewer than two metrics order two candidates, or matplotlib is not installed.
    """
    if not can_compare(document):
        raise UsageError("fewer than two metrics order these candidates. Rank with several, such as --metric all.")
    width = max(NARROW, _NAMES + _CELL * len(_ranks(document))) if narrow else _WIDTH
    figure = new_figure(width, ranks_height(document, narrow))
    draw_ranks(figure.add_subplot(), document, narrow)
    return figure


def can_compare(document: Document) -> bool:
    """Whether at least two metrics order at least two candidates."""
    return len(_ranks(document)) > 1


def ranks_height(document: Document, narrow: bool = False) -> float:
    """Height of the picture in inches."""
    return _ROW * len(_shown(document)) + _AROUND[narrow or len(_ranks(document)) > _MOST_LEVEL]


def draw_ranks(axes: "Axes", document: Document, narrow: bool = False) -> None:
    """Draw it into axes."""
    ranks, rows = _ranks(document), _shown(document)
    grid = np.array(list(ranks.values())).T
    axes.imshow(np.ma.masked_invalid(grid), cmap="cividis_r", vmin=1, vmax=max(len(rows), 2), aspect="auto")
    for (i, j), rank in np.ndenumerate(grid):
        dark = np.isfinite(rank) and rank > 0.55 * len(rows)
        text = f"{rank:.0f}" if np.isfinite(rank) else "–"
        colour = (ON_DARK if dark else ON_PALE) if np.isfinite(rank) else GREY
        axes.text(j, i, text, ha="center", va="center", fontsize=FONT, color=colour)
    labels = [all_metrics()[name].label for name in ranks]
    if narrow or len(labels) > _MOST_LEVEL:
        axes.set_xticks(range(len(labels)), labels, rotation=30, ha="right", rotation_mode="anchor")
    else:
        axes.set_xticks(range(len(labels)), labels)
    names = shortened(without_shared_folder([str(row["checkpoint"]) for row in rows])[0], _NAME[narrow])
    axes.set_yticks(range(len(rows)), [plain(name) for name in names])
    as_cells(axes, len(labels), len(rows))
    title = "Rank of each candidate by each metric" if narrow else _TITLE
    axes.set_title(title, fontsize=FONT + 2, loc="left", color=INK)


def _shown(document: Document) -> Sequence[Row]:
    return [row for row in document["rows"] if not row["error"]]


def _ranks(document: Document) -> dict[str, np.ndarray]:
    """Metric -> rank of each shown candidate, NaN for none; metrics with the same value for all have no order."""
    rows, metrics = _shown(document), all_metrics()
    names = [str(document["metric"]), *(rows[0] if rows else ())]
    ranks = {}
    for name in dict.fromkeys(name for name in names if name in metrics):
        values = np.array([np.nan if row.get("untrained") or row.get(name) is None else row[name] for row in rows], float)
        known = np.isfinite(values)
        if len(set(values[known])) > 1:
            ranks[name] = np.full(len(rows), np.nan)
            ranks[name][known] = rankdata(-values[known], method="min")
    return ranks
