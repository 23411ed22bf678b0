"""Pictures of a benchmark, drawn from the bundled results of the paper."""

import numpy as np
import pandas as pd
import pytest

from hf_transferability import UsageError
from hf_transferability.benchmark import bundled
from hf_transferability.reporting.plots import agreement_chart, ground_truth_heatmap, score_against_auc


@pytest.fixture(scope="module")
def truth():
    return bundled.load("ground_truth")


@pytest.fixture(scope="module")
def scores():
    return bundled.load("scores")


def cells(axes):
    """Row and column of each number in a map -> the number."""
    rows = [tick.get_text() for tick in axes.get_yticklabels()]
    columns = [tick.get_text() for tick in axes.get_xticklabels()]
    return {(rows[round(t.get_position()[1])], columns[round(t.get_position()[0])]): t.get_text() for t in axes.texts}


def test_the_map_holds_every_fine_tuned_performance(truth):
    figure = ground_truth_heatmap(truth)
    assert len(figure.axes) == 2
    for axes, (_, part) in zip(figure.axes, truth.groupby("scenario", sort=False), strict=True):
        found = cells(axes)
        expected = {(row.source, row.target): f"{row.performance:.3f}" for row in part.itertuples()}
        assert found == expected
        shades = axes.images[0].get_array()
        assert np.ma.allclose(shades.min(axis=0), 0)  # each target has its own worst
        assert np.ma.allclose(shades.max(axis=0), 1)


def test_benchmarks_are_not_mixed(truth):
    """Each has its maps, its name in their titles, and its own figures, none of them averaged."""
    other = truth.assign(benchmark="other", performance=truth.performance / 2)
    figure = ground_truth_heatmap(pd.concat([truth, other]))
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [title.split(",")[0].rpartition(" ")[2] for title in titles] == ["paper", "paper", "other", "other"]
    for axes, frame in zip(figure.axes, (truth, truth, other, other), strict=True):
        found = cells(axes)
        scenario = "architecture" if "architecture" in axes.get_title(loc="left") else "source_dataset"
        own = frame[frame.scenario == scenario]
        assert found == {(row.source, row.target): f"{row.performance:.3f}" for row in own.itertuples()}


def test_of_several_figures_of_one_pair_the_papers_selection_and_the_newest_are_drawn(truth):
    own = truth[truth.scenario == "architecture"]
    mean = own.assign(selection="mean_of_best_5", performance=0.1)
    older, newer = own.assign(performance=0.2, date="2024"), own.assign(date="2025", checkpoint_revision="sha256:1")
    (axes,) = ground_truth_heatmap(pd.concat([mean, newer, older])).axes
    assert cells(axes) == {(row.source, row.target): f"{row.performance:.3f}" for row in own.itertuples()}


@pytest.mark.parametrize("name", ["open", "paper", "medmnistplus"])
def test_titles_of_the_map_are_whole_and_names_are_words(name):
    figure = ground_truth_heatmap(bundled.load("ground_truth", name))
    figure.draw_without_rendering()
    width = figure.get_size_inches()[0] * figure.dpi
    for axes in figure.axes:
        title = axes.title if axes.get_title() else axes._left_title
        extent = title.get_window_extent()
        assert extent.width > 100
        assert extent.x0 >= 0 and extent.x1 <= width
        assert "_" not in title.get_text() + "".join(tick.get_text() for tick in axes.get_xticklabels())


@pytest.mark.parametrize(
    ("scenario", "metric", "mean", "n"),
    [
        ("source_dataset", "nleep", 0.411, 11),
        ("source_dataset", "transferability", 0.523, 11),
    ],
)
def test_small_pictures_have_the_published_agreement_in_their_corner(truth, scores, scenario, metric, mean, n):
    figure = score_against_auc(scores, truth, scenario, metric)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert len(shown) == n
    taus = [float(axes.get_title(loc="right").removeprefix("τ = ")) for axes in shown]
    assert all(-1 <= tau <= 1 for tau in taus)
    assert np.mean(taus) == pytest.approx(mean, abs=0.005)


def test_constant_scores_have_no_agreement_and_say_so(truth, scores):
    figure = score_against_auc(scores, truth, "source_dataset", "sfda")
    corners = {axes.get_title(loc="left"): axes.get_title(loc="right") for axes in figure.axes}
    assert [name for name, corner in corners.items() if corner == "τ undefined"] == ["breastmnist", "pneumoniamnist"]


def test_where_the_paper_turns_a_metric_round_its_agreement_is_too(truth, scores):
    figure = score_against_auc(scores, truth, "architecture", "leep")
    taus = [float(axes.get_title(loc="right").removeprefix("τ = ")) for axes in figure.axes if axes.get_visible()]
    assert np.mean(taus) == pytest.approx(0.280, abs=0.005)
    assert "lower counts as better" in figure.get_supxlabel()


def test_no_source_is_compared_on_itself(truth, scores):
    figure = score_against_auc(scores, truth, "source_dataset", "logme")
    for axes in figure.axes:
        if axes.get_visible():
            assert len(axes.lines[0].get_xdata()) == 14
            assert axes.get_title(loc="left") not in {text.get_text() for text in axes.texts}


def table(**values):
    """A table of agreement: metric -> one value per target; the mean comes from them."""
    rows = []
    for metric, taus in values.items():
        for target, tau in [*zip("abc", taus, strict=True), ("mean", float(np.nanmean(taus)))]:
            kind = {"random": "baseline", "mean_rank_elsewhere": "baseline", "split_half": "ceiling"}.get(metric, "default")
            rows.append({"metric": metric, "variant": kind, "target": target, "value": tau, "low": np.nan, "high": np.nan})
    same = {"benchmark": "x", "scenario": "architecture", "selection": "s", "statistic": "weighted_tau"}
    return pd.DataFrame(rows).assign(**same)


def test_the_chart_orders_metrics_and_draws_baselines_and_ceiling_apart():
    agreement = table(
        random=[0.0, 0.0, 0.0], logme=[0.3, np.nan, -0.004], transferability=[0.5, 0.6, 0.7],
        mean_rank_elsewhere=[0.4, 0.4, 0.4], split_half=[0.8, 0.8, 0.9],
    )  # fmt: skip
    left, right = agreement_chart(agreement).axes
    assert [tick.get_text() for tick in left.get_yticklabels()] == [
        "transferability",
        "mean rank elsewhere",
        "logme",
        "random order",
    ]
    assert [tick.get_text() for tick in right.get_yticklabels()][-1] == "noise ceiling"
    assert cells(right)["logme", "b"] == "–"
    assert cells(right)["logme", "c"] == "0.00"
    dashed = [line.get_xdata()[0] for line in left.lines if line.get_linestyle() == "--"]
    assert dashed == pytest.approx([2.5 / 3])
    colours = {line.get_color() for line in left.lines if line.get_markersize() == 8}
    assert len(colours) == 2


def test_tables_without_what_is_asked_for_are_refused(truth, scores):
    with pytest.raises(UsageError, match="without rows cannot be drawn"):
        ground_truth_heatmap(truth.iloc[:0])
    with pytest.raises(UsageError, match="no scores of knn"):
        score_against_auc(scores, truth, "architecture", "knn")
    with pytest.raises(UsageError, match="no weighted_tau of scenario source_dataset"):
        agreement_chart(table(logme=[0.1, 0.2, 0.3]), "source_dataset")
