"""Pictures of a ranking: scores with their intervals, two parts that a score is made of, score against cost, and all in one."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hf_transferability.errors import UsageError, unknown_name
from hf_transferability.names import fold_id, plain_name, without_shared_folder
from hf_transferability.reporting.plots.rank_map import can_compare, draw_ranks, ranks_height
from hf_transferability.reporting.plots.style import (
    BLUE,
    FONT,
    GREY,
    INK,
    NARROW,
    ORANGE,
    PALE,
    PAPER,
    SKY,
    VERMILLION,
    log_if_wide,
    new_figure,
    place_labels,
    plain,
    settle,
    tidy,
)
from hf_transferability.results import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hf_transferability.metrics import Metric

Document = Mapping[str, Any]
COSTS = {"parameters": "parameters", "seconds": "seconds of this run"}
_WIDTH = 10.0  # inches
_NAME = {False: 52, True: 22}  # letters of a name's line; True: of a narrow picture, here and below
_REASON = {False: 84, True: 34}  # letters of why a candidate has no score
_SIZE = {False: (7.0, 5.2), True: (NARROW, 4.4)}  # inches of a picture of points
_LINE = 0.17  # inches
_PAIR = 4.6  # inches, height of the two pictures side by side
_SAME_SIZE = 1.05  # networks whose sizes differ by less than this factor have one size
_DOUBTS = ("at_floor", "metric_at_floor", "no_relation", "trained_on_target")  # flags that say: this score may mean nothing


def ranking(document: Document) -> "Figure":
    """All pictures of a ranking in one, as far as they say something.

    Scores are above; below are two parts of a score, score against parameters where these differ, and the candidates' ranks by
    each metric.

    Args:
        document: what `Ranking.to_dict()` gives.

    Raises:
        UsageError: matplotlib is not installed, or there are no rows.
    """
    rows = _rows(document)
    wanted = ((_draw_components, bool(_with_parts(document))), (_draw_cost, costs_differ(rows)))
    pairs = [draw for draw, possible in wanted if possible]
    compared = can_compare(document)
    heights = [_height(rows), *([_PAIR] if pairs else []), *([ranks_height(document)] if compared else [])]
    if len(heights) == 1:
        return scores(document)
    figure = new_figure(_WIDTH, sum(heights))
    parts = list(figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0])
    _draw_scores(parts[0].add_subplot(), document)
    if compared:
        draw_ranks(parts[-1].add_subplot(), document)
    later = list(zip(pairs, parts[1].subplots(1, len(pairs), squeeze=False)[0], strict=True)) if pairs else []
    labels = [draw(axes, document) for draw, axes in later]
    settle(figure)
    for (_, axes), (points, texts) in zip(later, labels, strict=True):
        place_labels(axes, points, texts)
    return figure


def scores(document: Document, narrow: bool = False) -> "Figure":
    """Every candidate's score and 90 % interval, best first; candidates that cannot be told apart are joined at the right.

    Args:
        document: see `ranking`.
        narrow: for a phone.

    Raises: see `ranking`.
    """
    rows = _rows(document)
    figure = new_figure(NARROW if narrow else _WIDTH, _height(rows, narrow) + (0.6 if narrow else 0))
    _draw_scores(figure.add_subplot(), document, narrow)
    return figure


def components(document: Document, narrow: bool = False) -> "Figure":
    """Two parts that a score is made of, one named point per candidate, coloured by the score of the ranking.

    They are those of the metric that the rows are sorted by; where it is not made of two others, of one in the table that is.

    Args, Raises: see `scores`; also a UsageError where no candidate has both.
    """
    if not _with_parts(document):
        raise UsageError("no candidate has two parts of a score to draw. Rank by consensus or transferability.")
    figure = new_figure(*_SIZE[narrow])
    axes = figure.add_subplot()
    points, texts = _draw_components(axes, document)
    settle(figure)
    place_labels(axes, points, texts)
    return figure


def cost(document: Document, by: str = "parameters", narrow: bool = False) -> "Figure":
    """Score against cost, one named point per candidate; a line joins those that no cheaper candidate beats.

    Args:
        document: see `ranking`.
        by: "parameters" or "seconds".
        narrow: for a phone.

    Raises:
        UsageError: see `ranking`; also where no candidate has both, or for another cost.
    """
    if by not in COSTS:
        raise UsageError(unknown_name("by", by, COSTS))
    if not _costs(_rows(document), by):
        raise UsageError(f"no candidate has both a score and its {by}. Rank checkpoints instead of files.")
    figure = new_figure(*_SIZE[narrow])
    axes = figure.add_subplot()
    points, texts = _draw_cost(axes, document, by)
    settle(figure)
    place_labels(axes, points, texts)
    return figure


def short_names(rows: Sequence[Row]) -> list[str]:
    """The candidates' names without the folders that all of them share; Hub ids stay whole."""
    return without_shared_folder([str(row["checkpoint"]) for row in rows])[0]


def _rows(document: Document) -> list[Row]:
    rows = list(document["rows"])
    if not rows:
        raise UsageError("a ranking without candidates cannot be drawn. Rank at least one.")
    return rows


def _scored(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["score"] is not None]


def _parts(document: Document) -> tuple[str, str] | None:
    """The two metrics of the picture of parts: of the sorting metric, else of one in the table, else of any other."""
    from hf_transferability.metrics import all_metrics

    metrics = all_metrics()
    rows = _rows(document)
    for name in dict.fromkeys([str(document["metric"]), *rows[0], *metrics]):
        parts = metrics[name].parts if name in metrics else ()
        if len(parts) == 2 and any(row.get(parts[0]) is not None and row.get(parts[1]) is not None for row in rows):
            return parts[0], parts[1]
    return None


def _with_parts(document: Document) -> list[Row]:
    parts = _parts(document)
    return [row for row in _rows(document) if parts and None not in (row.get(parts[0]), row.get(parts[1]))]


def _costs(rows: Sequence[Row], by: str = "parameters") -> list[Row]:
    return [row for row in _scored(rows) if row.get(by)]


def costs_differ(rows: Sequence[Row]) -> bool:
    """Whether the candidates' sizes differ by so much that score against size says something."""
    values = [row["parameters"] for row in _costs(rows)]
    return bool(values) and max(values) > _SAME_SIZE * min(values)


def _folded(rows: Sequence[Row], narrow: bool) -> list[str]:
    return [fold_id(name, _NAME[narrow]) for name in short_names(rows)]


def _slots(rows: Sequence[Row], narrow: bool) -> list[float]:
    """Height of each row of the picture of scores, in inches: that of its name."""
    return [_LINE * (name.count("\n") + 1) + 0.08 for name in _folded(rows, narrow)]


def _height(rows: Sequence[Row], narrow: bool = False) -> float:
    return sum(_slots(rows, narrow)) + 1.25


def _draw_scores(axes: "Axes", document: Document, narrow: bool = False) -> None:
    rows = _rows(document)
    slots = _slots(rows, narrow)
    places = [-(sum(slots[:i]) + slots[i] / 2) for i in range(len(rows))]
    for row, place in zip(rows, places, strict=True):
        if row["score"] is None:
            continue
        if row.get("interval"):
            axes.plot(row["interval"], [place, place], color=BLUE, linewidth=2, alpha=0.45, solid_capstyle="butt")
        axes.plot([row["score"]], [place], **_marker(row))
    axes.set_ylim(-sum(slots) - 0.05, 0.05)
    if not _scored(rows):
        axes.set_xlim(0, 1)
        axes.set_xticks([])
    most = _REASON[narrow]
    for row, place in zip(rows, places, strict=True):
        if row["score"] is None:
            why = "failed: " + " ".join(str(row["error"]).split()) if row["error"] else "no score"
            why = "untrained" if row.get("untrained") and not row["error"] else why
            axes.annotate(
                plain(why if len(why) <= most else f"{why[: most - 1]}…"), (0.01, place), xycoords=("axes fraction", "data"),
                fontsize=FONT, color=VERMILLION if row["error"] else GREY, va="center",
            )  # fmt: skip
    ranks = ["" if row["rank"] is None else f"{row['rank']}  " for row in rows]
    axes.set_yticks(places, [f"{rank}{plain(name)}" for rank, name in zip(ranks, _folded(rows, narrow), strict=True)])
    tidy(axes)
    axes.tick_params(axis="y", length=0)
    _draw_ties(axes, rows, places, slots)
    axes.set_xlabel(_metric_label(document))
    title = plain(_title(document, rows, narrow))
    if narrow:  # from the left edge of the picture
        axes.figure.suptitle(title, fontsize=FONT + 2, color=INK, x=0.02, horizontalalignment="left")
    else:
        axes.set_title(title, fontsize=FONT + 2, loc="left", color=INK)
    _legend(axes, rows, narrow)


def _draw_ties(axes: "Axes", rows: Sequence[Row], places: Sequence[float], slots: Sequence[float]) -> None:
    """A bar at the right of each group of candidates that cannot be told apart."""
    groups: dict[int, list[int]] = {}
    for number, row in enumerate(rows):
        if row.get("tie_group") is not None:
            groups.setdefault(row["tie_group"], []).append(number)
    for members in groups.values():
        if len(members) > 1:
            top, bottom = places[members[0]] + 0.3 * slots[members[0]], places[members[-1]] - 0.3 * slots[members[-1]]
            axes.plot(
                [1.015, 1.015], [top, bottom], transform=axes.get_yaxis_transform(), color=ORANGE, linewidth=4,
                clip_on=False, solid_capstyle="round",
            )  # fmt: skip


def _draw_components(axes: "Axes", document: Document) -> tuple[list[tuple[float, float]], list[tuple[str, ...]]]:
    from hf_transferability.metrics import all_metrics

    first, second = _parts(document) or ("", "")
    rows = _with_parts(document)
    for row in rows:
        x, y = row[first], row[second]
        intervals = row.get("intervals", {})
        if len(rows) <= 20:  # more of them would hide the points
            if across := intervals.get(first):
                axes.plot(across, [y, y], color=PALE, linewidth=1.2, zorder=1)
            if up := intervals.get(second):
                axes.plot([x, x], up, color=PALE, linewidth=1.2, zorder=1)
    known = [row for row in rows if row["score"] is not None]
    dots = axes.scatter(
        [row[first] for row in known], [row[second] for row in known],
        c=[row["score"] for row in known], cmap="cividis", s=34, edgecolors=GREY, linewidths=0.5, zorder=3,
    )  # fmt: skip
    axes.plot(
        [row[first] for row in rows if row["score"] is None], [row[second] for row in rows if row["score"] is None],
        "x", color=VERMILLION, markersize=6, zorder=3,
    )  # fmt: skip
    log_if_wide(axes, [row[second] for row in rows], "y")
    axes.margins(0.12)
    axes.set_xlabel(plain(_with_unit(all_metrics()[first])))
    axes.set_ylabel(plain(_with_unit(all_metrics()[second])))
    tidy(axes, "both")
    has_parts = first in all_metrics()[str(document["metric"])].parts
    axes.set_title(
        "What the score is made of" if has_parts else "Two parts of a score", fontsize=FONT + 2, loc="left", color=INK
    )
    if len({row["score"] for row in known}) > 1:
        bar = axes.figure.colorbar(dots, ax=axes, pad=0.02, shrink=0.85)
        bar.set_label(plain(str(document["metric"])), size=FONT)
        bar.ax.tick_params(labelsize=FONT - 1)
        bar.outline.set_visible(False)
    return [(row[first], row[second]) for row in rows], _texts(document, rows)


def _draw_cost(
    axes: "Axes", document: Document, by: str = "parameters"
) -> tuple[list[tuple[float, float]], list[tuple[str, ...]]]:
    rows = _costs(_rows(document), by)
    best: list[Row] = []
    for row in sorted(rows, key=lambda row: (row[by], -row["score"])):
        if not best or row["score"] > best[-1]["score"]:
            best.append(row)
    if len(best) > 1:
        axes.step([row[by] for row in best], [row["score"] for row in best], where="post", color=SKY, linewidth=1.2, zorder=1)
    for row in rows:
        axes.plot([row[by]], [row["score"]], **_marker(row))
    log_if_wide(axes, [row[by] for row in rows], "x")
    axes.margins(0.14)
    _count_ticks(axes)
    axes.set_xlabel(COSTS[by])
    axes.set_ylabel(plain(f"{document['metric']} score"))
    tidy(axes, "both")
    axes.set_title("Score against cost (line: best up to that cost)", fontsize=FONT + 2, loc="left", color=INK)
    return [(row[by], row["score"]) for row in rows], _texts(document, rows)


def _texts(document: Document, rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Labels of points: the last part of the name, or only the rank, which the picture of scores explains."""
    names = dict(zip([row["checkpoint"] for row in document["rows"]], short_names(document["rows"]), strict=True))
    texts = []
    for row in rows:
        name = fold_id(names[row["checkpoint"]].rpartition("/")[2], 26)
        number = "" if row["rank"] is None else str(row["rank"])
        texts.append(tuple(filter(None, (f"{number} {name}".strip() if name.count("\n") < 3 else "", number))))
    return texts


def _marker(row: Row) -> dict[str, Any]:
    doubtful = any(flag in row.get("flags", ()) for flag in _DOUBTS)
    return {
        "marker": "o", "markersize": 6, "linestyle": "none", "color": BLUE,
        "markerfacecolor": PAPER if doubtful else BLUE, "markeredgecolor": BLUE, "zorder": 3,
    }  # fmt: skip


def _legend(axes: "Axes", rows: Sequence[Row], narrow: bool) -> None:
    from matplotlib.lines import Line2D

    if not _scored(rows):
        return
    handles = [Line2D([], [], color=BLUE, marker="o", linewidth=2, alpha=0.8, label="score with 90% interval")]
    groups = [row["tie_group"] for row in rows if row.get("tie_group") is not None]
    if len(set(groups)) < len(groups):
        handles.append(Line2D([], [], color=ORANGE, linewidth=4, label="cannot be told apart"))
    if any(flag in row.get("flags", ()) for row in rows for flag in _DOUBTS):
        handles.append(
            Line2D([], [], linestyle="none", marker="o", markerfacecolor=PAPER, markeredgecolor=BLUE,
                   label="at the level of shuffled labels, or trained on the target")
        )  # fmt: skip
    columns = 1 if narrow else len(handles)
    axes.figure.legend(handles=handles, loc="outside lower right", ncols=columns, fontsize=FONT - 1, frameon=False)


def _metric_label(document: Document) -> str:
    from hf_transferability.metrics import all_metrics

    known = all_metrics().get(str(document["metric"]))
    if known is None:
        return plain(str(document["metric"]))
    if known.is_pool_relative:
        low, high = known.range
        return plain(f"{known.label} score, {low:g} to {high:g} within this pool")
    return plain(_with_unit(known))


def _with_unit(metric: "Metric") -> str:
    return metric.label if metric.unit == "none" else f"{metric.label}, {metric.unit}"


def _title(document: Document, rows: Sequence[Row], narrow: bool) -> str:
    dataset = plain_name(document["dataset"].get("id") or "(files)")
    name = "\n" + fold_id(dataset, 42) if narrow else " " + fold_id(dataset, 50).splitlines()[-1]
    where = f" for the dataset{name}" if dataset and dataset != "(files)" else ""
    return f"{len(rows)} candidate{'s' * (len(rows) > 1)}{where}"


def _count_ticks(axes: "Axes") -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    def text(value: float, _: int) -> str:
        for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
            if value >= size:
                return f"{value / size:g}{unit}"
        return f"{value:g}"

    axes.xaxis.set_major_formatter(FuncFormatter(text))
    axes.xaxis.set_minor_formatter(NullFormatter())
