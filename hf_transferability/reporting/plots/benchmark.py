"""Pictures of a benchmark: fine-tuned performance, a metric against it, and the agreement of all metrics with it.

The tables are those of `benchmark.tables`; a target that is its own source is never drawn as a comparison.
"""

import math
import textwrap
from typing import TYPE_CHECKING

import numpy as np

from hf_transferability.agreement import weighted_tau
from hf_transferability.benchmark.comparison_rows import BASELINE, CEILING, MEAN
from hf_transferability.benchmark.ground_truth import PUBLISHED, in_words, one_measure, unit
from hf_transferability.benchmark.newest import newest
from hf_transferability.benchmark.pools import Pool, methods, pools
from hf_transferability.errors import UndefinedAgreement, UsageError
from hf_transferability.reporting import benchmark_words
from hf_transferability.reporting.plots.style import (
    BLUE,
    FONT,
    GREY,
    INK,
    NARROW,
    ON_DARK,
    ON_PALE,
    ORANGE,
    PAPER,
    VERMILLION,
    as_cells,
    new_figure,
    place_labels,
    plain,
    settle,
    tidy,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOUR = "colour: worst to best of each target"
_LETTERS, _NAMES = 12.5, 2.3  # letters of a title in an inch, and inches of the names beside a map
_CELL = {False: 0.62, True: 0.46}  # inches of a cell's width; True: of a narrow picture
_MOST_NUMBERS = 1000  # cells of a map; more would take a minute to write and could not be read
SCENARIO_NAMES = {"source_dataset": "candidates differ in source dataset", "architecture": "candidates differ in architecture"}


def ground_truth_heatmap(ground_truth: "pd.DataFrame", narrow: bool = False) -> "Figure":
    """Fine-tuned performance of every source on every target, one map per benchmark and scenario.

    The colour is scaled within each target, from its worst source to its best, because targets differ more than sources do; the
    number is the performance, AUC where a pair has several measures; a map of very many pairs has no numbers.
    Sources and targets stand in the order of their mean.

    Args:
        ground_truth: a table of that name. Of several selections of a benchmark and scenario the paper's is drawn, or else the
            first; of several figures of one source and target (of other checkpoints or samples) the newest.
        narrow: for a phone, as far as the number of targets allows it.

    Raises:
        UsageError: an empty table, or matplotlib is not installed.
    """
    if ground_truth.empty:
        raise UsageError("a ground truth without rows cannot be drawn. Give one with rows.")
    panels = []
    several = ground_truth["benchmark"].nunique() > 1
    for (benchmark, scenario), part in ground_truth.groupby(["benchmark", "scenario"], sort=False):
        selection = PUBLISHED if (part["selection"] == PUBLISHED).any() else str(part["selection"].iloc[0])
        drawn = newest(one_measure(part[part["selection"] == selection]), ["source", "target"])
        grid = drawn.pivot(index="source", columns="target", values="performance")
        within = (grid - grid.min()) / (grid.max() - grid.min())
        grid = grid.loc[within.mean(axis=1).sort_values(ascending=False).index]
        name = SCENARIO_NAMES.get(str(scenario), str(scenario))
        name = f"{benchmark}, {name}" if several else name
        grid = grid[grid.mean().sort_values(ascending=False).index]
        grid.index = [benchmark_words.source(str(each), str(scenario)) for each in grid.index]
        grid.columns = [benchmark_words.target(str(each)) for each in grid.columns]
        panels.append(([f"Fine-tuned performance: {name}", in_words(selection, measures=drawn["measure"]), _COLOUR], grid))
    most = max(len(grid.columns) for _, grid in panels)
    width = max(2.1 + _CELL[True] * most, NARROW) if narrow else max(2.6 + _CELL[False] * most, 6)
    alone = narrow and len(panels) == 1  # its title begins at the edge of the picture
    titles = ["\n".join(_folded(text, width + (_NAMES - 0.4) * alone) for text in texts) for texts, _ in panels]
    heights = [0.27 * len(grid) + 1.3 + 0.19 * title.count("\n") for title, (_, grid) in zip(titles, panels, strict=True)]
    figure = new_figure(width, sum(heights))
    for axes, title, (_, grid) in zip(_stacked(figure, heights), titles, panels, strict=True):
        _draw_map(axes, grid)
        if alone:
            figure.suptitle(plain(title), fontsize=FONT + 1, color=INK, x=0.02, horizontalalignment="left")
        else:
            axes.set_title(plain(title), fontsize=FONT + 1, loc="left", color=INK)
    return figure


def score_against_auc(
    scores: "pd.DataFrame",
    ground_truth: "pd.DataFrame",
    scenario: str,
    metric: str,
    variant: str | None = None,
    sources: "pd.DataFrame | None" = None,
    narrow: bool = False,
) -> "Figure":
    """A metric's scores against fine-tuned performance, one small picture per target, with the weighted Kendall tau.

    Args:
        scores, ground_truth: tables of these names. Of several selections of the ground truth the first is drawn.
        scenario: "source_dataset" or "architecture".
        metric: which of the scores; one that is formed from others over the pool may be missing in the table.
        variant: "default" or "published"; by default the first that the table has.
        sources: a table of that name, for a metric that takes the networks' sizes into account.
        narrow: for a phone.

    Raises:
        UsageError: no rows of such a scenario, metric and variant, or matplotlib is not installed.
    """
    drawn_pools = _pools_with(scores, ground_truth, scenario, metric, variant, sources)
    columns = min(len(drawn_pools), 2 if narrow else 4)
    lines = math.ceil(len(drawn_pools) / columns)
    figure = new_figure(NARROW if narrow else max(2.9 * columns, 4.5), 2.5 * lines + 0.6)
    cells = figure.subplots(lines, columns, squeeze=False).ravel()
    points, sign = [], 1
    for axes, (pool, used) in zip(cells, drawn_pools, strict=False):
        values, performance = pool.scored(metric, used)
        sign = pool.orientation(metric, used)
        axes.plot(values, performance, "o", color=BLUE, markersize=5, markeredgecolor=PAPER, markeredgewidth=0.5)
        axes.margins(0.2)
        tidy(axes, "both")
        axes.tick_params(labelsize=FONT - 2)
        axes.locator_params(nbins=4)
        axes.xaxis.get_offset_text().set_size(FONT - 2)
        axes.set_title(plain(benchmark_words.target(pool.target)), fontsize=FONT, loc="left", color=INK)
        try:
            tau = weighted_tau(sign * values, performance)
        except UndefinedAgreement:
            axes.set_title("τ undefined", fontsize=FONT, loc="right", color=VERMILLION)
        else:
            axes.set_title(f"τ = {_hundredths(tau)}", fontsize=FONT, loc="right", color=BLUE if tau > 0 else VERMILLION)
        names = performance.sort_values(ascending=False).index
        order = [names[0], names[-1], *names[1:-1]] if len(names) > 1 else names  # the best and the worst first
        texts = [(benchmark_words.source(str(name), scenario),) for name in order]
        points.append((axes, [(values[name], performance[name]) for name in order], texts))
    for axes in cells[len(drawn_pools) :]:
        axes.set_visible(False)
    lower = " (lower counts as better, as in the paper)" if sign < 0 else ""
    shown = f"{benchmark_words.method(metric)}{lower}; {SCENARIO_NAMES.get(scenario, scenario)}"
    figure.supxlabel(plain(shown.replace("; ", ";\n") if narrow else shown), fontsize=FONT + 1)
    figure.supylabel(f"fine-tuned performance (test {unit(pool.measure for pool, _ in drawn_pools)})", fontsize=FONT + 1)
    settle(figure)
    for axes, places, texts in points:
        place_labels(axes, places, texts, reaches=(5,))
    return figure


def agreement_chart(agreement: "pd.DataFrame", scenario: str | None = None, narrow: bool = False) -> "Figure":
    """Weighted Kendall tau of every metric with fine-tuned performance: per target at the right, its mean at the left.

    Baselines, which look at no target image, are orange. The dashed line is the noise ceiling: how well one half of the
    fine-tuning runs predicts the ground truth from the other half. What is undefined everywhere is left out.

    Args:
        agreement: a table of that name, as `benchmark.compare` makes it; its weighted tau is drawn, the first of several
            selections.
        scenario: one of the table's; by default its first.
        narrow: for a phone, with the targets below the mean.

    Raises:
        UsageError: no such rows, or matplotlib is not installed.
    """
    part = agreement[agreement["statistic"] == "weighted_tau"]
    if scenario is None and len(part):
        scenario = str(part["scenario"].iloc[0])
    part = part[part["scenario"] == scenario]
    if part.empty:
        raise UsageError(f"the table of agreement has no weighted_tau of scenario {scenario}. Choose another.")
    part = part[part["selection"] == part["selection"].iloc[0]]
    variants = part.groupby("metric")["variant"].nunique()
    names = [benchmark_words.method(name, form, variants[name] > 1) for name, form in part[["metric", "variant"]].to_numpy()]
    part = part.assign(name=names)
    kinds = part.drop_duplicates("name").set_index("name")["variant"]
    means = part[part["target"] == MEAN].set_index("name")
    grid = part[part["target"] != MEAN].pivot(index="name", columns="target", values="value")
    average = means["value"].reindex(kinds.index).fillna(grid.mean(axis=1)).dropna().sort_values(ascending=False)
    names = [name for name in average.index if kinds[name] != CEILING]
    ceilings = [name for name in average.index if kinds[name] == CEILING]
    if narrow:
        figure = new_figure(max(2.1 + _CELL[True] * len(grid.columns), NARROW), 0.57 * len(average) + 4.2)
        left, right = figure.subplots(2, 1)
    else:
        figure = new_figure(5.2 + _CELL[False] * len(grid.columns), 0.3 * len(average) + 2.0)
        left, right = figure.subplots(1, 2, width_ratios=[4.4, 0.6 * len(grid.columns) + 0.4])
    for place, name in enumerate(names):
        colour = ORANGE if kinds[name] == BASELINE else BLUE
        if name in grid.index:
            values = grid.loc[name].dropna()
            left.plot(values, [-place] * len(values), "o", color=GREY, markersize=3, alpha=0.55, zorder=2)
        if name in means.index and np.isfinite(means.loc[name, ["low", "high"]].astype(float)).all():
            left.plot(means.loc[name, ["low", "high"]].astype(float), [-place] * 2, color=colour, linewidth=2.5, alpha=0.5)
        left.plot([average[name]], [-place], "o", color=colour, markersize=8, zorder=3)
    for name in ceilings:
        left.axvline(average[name], color=VERMILLION, linestyle="--", linewidth=1.4)
    left.axvline(0, color=GREY, linewidth=0.8)
    left.set_yticks([-place for place in range(len(names))], [plain(name) for name in names])
    left.set_ylim(-len(names) + 0.4, 0.6)
    left.set_xlabel("weighted Kendall tau" + " with fine-tuned performance" * (not narrow))
    tidy(left)
    left.tick_params(axis="y", length=0)
    left.set_title("mean over targets", fontsize=FONT + 1, loc="left", color=INK)
    _draw_agreement_map(right, grid.reindex([name for name in (*names, *ceilings) if name in grid.index]))
    _agreement_legend(figure, bool(ceilings), any(kinds[name] == BASELINE for name in names), narrow)
    return figure


def _pools_with(
    scores: "pd.DataFrame",
    ground_truth: "pd.DataFrame",
    scenario: str,
    metric: str,
    variant: str | None,
    sources: "pd.DataFrame | None",
) -> list[tuple[Pool, str]]:
    """The pools of a scenario that have such scores, each with the variant that is drawn."""
    truth = ground_truth[ground_truth["scenario"] == scenario]
    truth = truth[truth["selection"] == truth["selection"].iloc[0]] if len(truth) else truth
    scenario_pools = pools(truth, scores[scores["scenario"] == scenario], sources)
    used = variant or next((form for name, form in methods(scenario_pools) if name == metric), None)
    drawn_pools = [
        (pool, used)
        for pool in scenario_pools
        if used and (metric, used) in pool.scores and pool.scores[metric, used].notna().sum() > 0
    ]
    if not drawn_pools:
        raise UsageError(f"there are no scores of {metric} with ground truth in scenario {scenario}. Choose another metric.")
    return drawn_pools


def _stacked(figure: "Figure", heights: list[float]) -> list["Axes"]:
    return list(figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0])


def _draw_map(axes: "Axes", grid: "pd.DataFrame") -> None:
    """Performances in cells, coloured within each column; a missing one is left blank."""
    values = grid.to_numpy(dtype=float)
    low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
    shares = (values - low) / np.where(high > low, high - low, 1)
    axes.imshow(np.ma.masked_invalid(shares), cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for (i, j), value in np.ndenumerate(values) if values.size <= _MOST_NUMBERS else ():
        if np.isfinite(value):
            colour = ON_DARK if shares[i, j] < 0.55 else ON_PALE
            axes.text(j, i, f"{value:.3f}", ha="center", va="center", fontsize=FONT - 1, color=colour)
    _cell_axes(axes, list(grid.index), list(grid.columns))


def _draw_agreement_map(axes: "Axes", grid: "pd.DataFrame") -> None:
    values = grid.to_numpy(dtype=float)
    axes.imshow(np.ma.masked_invalid(values), cmap="PuOr_r", vmin=-1, vmax=1, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        text = _hundredths(value) if np.isfinite(value) else "–"
        colour = (ON_DARK if abs(value) > 0.7 else ON_PALE) if np.isfinite(value) else GREY
        axes.text(j, i, text, ha="center", va="center", fontsize=FONT - 1, color=colour)
    _cell_axes(axes, list(grid.index), list(grid.columns))
    axes.set_title("per target", fontsize=FONT + 1, loc="left", color=INK)


def _cell_axes(axes: "Axes", rows: list[str], columns: list[str]) -> None:
    titles = [plain(benchmark_words.target(str(name))) for name in columns]
    axes.set_xticks(range(len(columns)), titles, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), [plain(str(name)) for name in rows])
    as_cells(axes, len(columns), len(rows))


def _agreement_legend(figure: "Figure", ceiling: bool, baselines: bool, narrow: bool) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=BLUE, marker="o", linewidth=2.5, label="metric, mean with interval"),
        Line2D([], [], color=GREY, marker="o", markersize=3, linestyle="none", label="one target"),
    ]
    if baselines:
        handles.insert(1, Line2D([], [], color=ORANGE, marker="o", linewidth=2.5, label="baseline without target images"))
    if ceiling:
        handles.append(Line2D([], [], color=VERMILLION, linestyle="--", label="noise ceiling of the ground truth"))
    columns = 1 if narrow else len(handles)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=FONT - 1, frameon=False)


def _folded(text: str, width: float) -> str:
    """A title that begins above the map, so that it ends within a figure of so many inches."""
    return "\n".join(textwrap.wrap(text, int(_LETTERS * (width - _NAMES)), break_on_hyphens=False))


def _hundredths(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"  # adding zero takes the sign from -0.00
