"""Pictures of a benchmark: fine-tuned performance, a metric against it, and the agreement of all metrics with it.

The tables are those of `benchmark.tables`; a target that is its own source is never drawn as a comparison.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_transferability.errors import UsageError
from hf_transferability.plots.style import (
    BLUE,
    FONT,
    GREY,
    INK,
    ORANGE,
    VERMILLION,
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

# Comparisons that look at no target image; drawn apart from the metrics.
BASELINES = ("mean_rank_elsewhere", "parameters", "feature_width", "train_images", "classes", "random")
CEILING = "noise_ceiling"
SCENARIO_NAMES = {"source_dataset": "candidates differ in source dataset", "architecture": "candidates differ in architecture"}


def ground_truth_heatmap(ground_truth: "pd.DataFrame") -> "Figure":
    """Fine-tuned performance of every source on every target, one map per scenario.

    The colour is scaled within each target, from its worst source to its best, because targets differ more than sources do; the
    number is the test AUC in hundredths. Sources and targets stand in the order of their mean.

    Args:
        ground_truth: a table of that name. Of several selections the first is drawn.

    Raises:
        UsageError: an empty table, or matplotlib is not installed.
    """
    if ground_truth.empty:
        raise UsageError("a ground truth without rows cannot be drawn. Give one with rows.")
    panels = []
    for scenario, part in ground_truth.groupby("scenario", sort=False):
        first = part[part["selection"] == part["selection"].iloc[0]]
        grid = first.pivot_table(index="source", columns="target", values="test_auc")
        within = (grid - grid.min()) / (grid.max() - grid.min())
        grid = grid.loc[within.mean(axis=1).sort_values(ascending=False).index]
        panels.append((str(scenario), str(first["selection"].iloc[0]), grid[grid.mean().sort_values(ascending=False).index]))
    heights = [0.27 * len(grid) + 1.7 for _, _, grid in panels]
    figure = new_figure(max(2.6 + 0.62 * max(len(grid.columns) for _, _, grid in panels), 6), sum(heights))
    for axes, (scenario, selection, grid) in zip(_stacked(figure, heights), panels, strict=True):
        _draw_map(axes, grid)
        title = (
            f"Fine-tuned performance: {SCENARIO_NAMES.get(scenario, scenario)}\ntest AUC x 100, {selection.replace('_', ' ')}"
        )
        axes.set_title(plain(f"{title}; colour: worst to best of each target"), fontsize=FONT + 1, loc="left", color=INK)
    return figure


def score_against_auc(
    scores: "pd.DataFrame", ground_truth: "pd.DataFrame", scenario: str, metric: str, variant: str | None = None
) -> "Figure":
    """A metric's scores against fine-tuned performance, one small picture per target, with the weighted Kendall tau.

    Args:
        scores, ground_truth: tables of these names. Of several selections of the ground truth the first is drawn.
        scenario: "source_dataset" or "architecture".
        metric: which of the scores; "transferability" is combined from its components where the table lacks it.
        variant: "default" or "published"; by default the first that the table has.

    Raises:
        UsageError: no rows of such a scenario, metric and variant, or matplotlib is not installed.
    """
    pairs = scored_pairs(scores, ground_truth, scenario, metric, variant)
    targets = list(dict.fromkeys(pairs["target"]))
    columns = min(len(targets), 4)
    lines = math.ceil(len(targets) / columns)
    figure = new_figure(max(2.9 * columns, 4.5), 2.5 * lines + 0.6)
    cells = figure.subplots(lines, columns, squeeze=False).ravel()
    ends = []
    for axes, target in zip(cells, targets, strict=False):
        part = pairs[pairs["target"] == target].sort_values("test_auc", ascending=False)
        axes.plot(part["score"], part["test_auc"], "o", color=BLUE, markersize=5, markeredgecolor="white", markeredgewidth=0.5)
        axes.margins(0.2)
        tidy(axes, "both")
        axes.tick_params(labelsize=FONT - 2)
        axes.locator_params(nbins=4)
        axes.xaxis.get_offset_text().set_size(FONT - 2)
        tau = weighted_tau(part["score"], part["test_auc"])
        corner = "τ undefined" if tau is None else f"τ = {_hundredths(tau)}"
        axes.set_title(plain(target), fontsize=FONT, loc="left", color=INK)
        axes.set_title(corner, fontsize=FONT, loc="right", color=VERMILLION if tau is None or tau <= 0 else BLUE)
        ends.append((axes, part))
    for axes in cells[len(targets) :]:
        axes.set_visible(False)
    figure.supxlabel(plain(f"{metric}, {SCENARIO_NAMES.get(scenario, scenario)}"), fontsize=FONT + 1)
    figure.supylabel("fine-tuned performance (test AUC)", fontsize=FONT + 1)
    settle(figure)
    for axes, part in ends:
        points = list(zip(part["score"], part["test_auc"], strict=True))
        order = [0, len(points) - 1, *range(1, len(points) - 1)]  # the best and the worst first
        place_labels(axes, [points[i] for i in order], [(str(part["source"].iloc[i]),) for i in order], reaches=(5,))
    return figure


def agreement_chart(agreement: "pd.DataFrame", scenario: str | None = None) -> "Figure":
    """Weighted Kendall tau of every metric with fine-tuned performance: per target at the right, its mean at the left.

    Baselines, which look at no target image, are orange. The dashed line is the noise ceiling: how well the ground truth agrees
    with itself when it is measured twice.

    Args:
        agreement: a table of that name; its statistic `weighted_tau` is drawn, the first of several selections and variants.
        scenario: one of the table's; by default its first.

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
    part = part.drop_duplicates(["metric", "target"])
    means = part[part["target"] == "mean"].set_index("metric")
    grid = part[part["target"] != "mean"].pivot(index="metric", columns="target", values="value")
    order = grid.index.union(means.index)
    average = means["value"].reindex(order).fillna(grid.mean(axis=1))
    order = average.sort_values(ascending=False, na_position="last").index
    names = [name for name in order if name != CEILING]
    figure = new_figure(5.2 + 0.62 * len(grid.columns), 0.3 * len(order) + 2.0)
    left, right = figure.subplots(1, 2, width_ratios=[4.4, 0.6 * len(grid.columns) + 0.4])
    for place, name in enumerate(names):
        colour = ORANGE if name in BASELINES else BLUE
        if name in grid.index:
            values = grid.loc[name].dropna()
            left.plot(values, [-place] * len(values), "o", color=GREY, markersize=3, alpha=0.55, zorder=2)
        if name in means.index and np.isfinite(means.loc[name, ["low", "high"]].astype(float)).all():
            left.plot(means.loc[name, ["low", "high"]].astype(float), [-place] * 2, color=colour, linewidth=2.5, alpha=0.5)
        left.plot([average[name]], [-place], "o", color=colour, markersize=8, zorder=3)
    if CEILING in average.index and np.isfinite(average[CEILING]):
        left.axvline(average[CEILING], color=VERMILLION, linestyle="--", linewidth=1.4)
    left.axvline(0, color=GREY, linewidth=0.8)
    left.set_yticks([-place for place in range(len(names))], [plain(_spaced(name)) for name in names])
    left.set_ylim(-len(names) + 0.4, 0.6)
    left.set_xlabel("weighted Kendall tau with fine-tuned performance")
    tidy(left)
    left.tick_params(axis="y", length=0)
    left.set_title("mean over targets", fontsize=FONT + 1, loc="left", color=INK)
    _draw_agreement_map(right, grid.reindex([*names, *([CEILING] if CEILING in grid.index else [])]))
    _agreement_legend(figure, CEILING in average.index, any(name in BASELINES for name in names))
    return figure


def scored_pairs(
    scores: "pd.DataFrame", ground_truth: "pd.DataFrame", scenario: str, metric: str, variant: str | None = None
) -> "pd.DataFrame":
    """Score and fine-tuned performance of every pair of source and target that has both, self-sources left out.

    Args, Raises: see `score_against_auc`.
    """
    own = scores[scores["scenario"] == scenario]
    truth = ground_truth[ground_truth["scenario"] == scenario]
    found = own[own["metric"] == metric]
    if found.empty and metric == "transferability":
        found = _combined(own, scenario)
    if variant is None and len(found):
        variant = str(found["variant"].iloc[0])
    found = found[(found["variant"] == variant) & found["score"].notna()]
    if len(truth):
        truth = truth[truth["selection"] == truth["selection"].iloc[0]]
    pairs = found.merge(truth[["benchmark", "source", "target", "test_auc"]], on=["benchmark", "source", "target"])
    pairs = pairs[pairs["source"] != pairs["target"]]
    if pairs.empty:
        raise UsageError(
            f"there are no scores of {metric} ({variant}) with ground truth in scenario {scenario}. Choose another."
        )
    return pairs


def weighted_tau(scores: Any, aucs: Any) -> float | None:
    """Weighted Kendall tau as in the paper (scipy's defaults); None where it is undefined, as for constant scores."""
    from scipy.stats import weightedtau

    values = np.asarray(scores, dtype=float)
    if len(values) < 2 or len(np.unique(values)) < 2:
        return None
    tau = float(weightedtau(values, np.asarray(aucs, dtype=float)).statistic)
    return tau if np.isfinite(tau) else None


def _combined(scores: "pd.DataFrame", scenario: str) -> "pd.DataFrame":
    """The transferability score of every target from the two components in a table."""
    import pandas as pd

    from hf_transferability.metrics.transferability import combine

    parts = [scores.iloc[:0]]
    for _, part in scores[scores["source"] != scores["target"]].groupby(["variant", "target"], sort=False):
        keys = ["benchmark", "source", "target", "variant"]
        wide = part.pivot_table(index=keys, columns="metric", values="score", sort=False).reset_index()
        if {"feature_quality", "feature_update_ratio"} <= set(wide.columns):
            quality, ratio = (wide[name].tolist() for name in ("feature_quality", "feature_update_ratio"))
            parts.append(wide[keys].assign(score=np.array(combine(quality, ratio, scenario), dtype=float)))
    return pd.concat(parts)


def _stacked(figure: "Figure", heights: list[float]) -> list["Axes"]:
    return list(figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0])


def _draw_map(axes: "Axes", grid: "pd.DataFrame") -> None:
    """AUCs in cells, coloured within each column; a missing one is left blank."""
    values = grid.to_numpy(dtype=float)
    low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
    shares = (values - low) / np.where(high > low, high - low, 1)
    axes.imshow(np.ma.masked_invalid(shares), cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "white" if shares[i, j] < 0.55 else INK
            axes.text(j, i, f"{100 * value:.1f}", ha="center", va="center", fontsize=FONT - 1, color=colour)
    _cell_axes(axes, list(grid.index), list(grid.columns))


def _draw_agreement_map(axes: "Axes", grid: "pd.DataFrame") -> None:
    values = grid.to_numpy(dtype=float)
    axes.imshow(np.ma.masked_invalid(values), cmap="PuOr_r", vmin=-1, vmax=1, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        text = _hundredths(value) if np.isfinite(value) else "–"
        axes.text(j, i, text, ha="center", va="center", fontsize=FONT - 1, color="white" if abs(value) > 0.7 else INK)
    _cell_axes(axes, [_spaced(str(name)) for name in grid.index], list(grid.columns))
    axes.set_title("per target", fontsize=FONT + 1, loc="left", color=INK)


def _cell_axes(axes: "Axes", rows: list[str], columns: list[str]) -> None:
    axes.set_xticks(
        range(len(columns)), [plain(str(name)) for name in columns], rotation=40, ha="right", rotation_mode="anchor"
    )
    axes.set_yticks(range(len(rows)), [plain(str(name)) for name in rows])
    axes.tick_params(length=0, labelsize=FONT, labelcolor=INK)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="minor", length=0)


def _agreement_legend(figure: "Figure", ceiling: bool, baselines: bool) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=BLUE, marker="o", linewidth=2.5, label="metric, mean with interval"),
        Line2D([], [], color=GREY, marker="o", markersize=3, linestyle="none", label="one target"),
    ]
    if baselines:
        handles.insert(1, Line2D([], [], color=ORANGE, marker="o", linewidth=2.5, label="baseline without target images"))
    if ceiling:
        handles.append(Line2D([], [], color=VERMILLION, linestyle="--", label="noise ceiling of the ground truth"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=FONT - 1, frameon=False)


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _hundredths(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"  # adding zero takes the sign from -0.00
