"""The picture of where the metrics agree."""

import itertools

import pytest
from helpers.rankings import ranking_of

from hf_transferability import UsageError
from hf_transferability.reporting import plots


def ranks(document) -> dict[tuple[str, str], str]:
    """Candidate and metric -> what its cell says."""
    (axes,) = plots.metric_ranks(document).axes
    rows = [tick.get_text() for tick in axes.get_yticklabels()]
    columns = [tick.get_text() for tick in axes.get_xticklabels()]
    return {
        (rows[round(text.get_position()[1])], columns[round(text.get_position()[0])]): text.get_text() for text in axes.texts
    }


@pytest.fixture
def document():
    document = ranking_of(4, 1)
    for row, name, logme, ratio in zip(document["rows"], "abcd", (0.1, 0.4, 0.4, None), (1.0, 2.0, 3.0, 4.0), strict=False):
        row |= {"checkpoint": f"owner/{name}", "logme": logme, "feature_update_ratio": ratio, "feature_quality": 0.5}
    return document


def test_each_cell_is_the_rank_of_a_candidate_by_a_metric(document):
    found = ranks(document)
    metrics = ("transferability", "logme", "update ratio")
    assert set(found) == {(f"owner/{name}", metric) for name in "abcd" for metric in metrics}  # one is constant, one failed
    assert [found[f"owner/{name}", "transferability"] for name in "abcd"] == ["1", "2", "3", "4"]
    assert [found[f"owner/{name}", "logme"] for name in "abcd"] == ["3", "1", "1", "–"]
    assert [found[f"owner/{name}", "update ratio"] for name in "abcd"] == ["4", "3", "2", "1"]


def test_an_untrained_network_has_no_rank_and_takes_none(document):
    document["rows"][1] |= {"untrained": True, "score": None, "transferability": None, "rank": None}
    assert [ranks(document)[f"owner/{name}", "logme"] for name in "abcd"] == ["2", "–", "1", "–"]


def test_one_metric_agrees_with_itself_and_is_not_drawn(document):
    for row in document["rows"]:
        row |= {"logme": None, "feature_update_ratio": None}
    with pytest.raises(UsageError, match="fewer than two metrics order these candidates"):
        plots.metric_ranks(document)


@pytest.mark.parametrize("n", [2, 7, 60])
def test_no_name_covers_another(n):
    figure = plots.metric_ranks(ranking_of(n))
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    boxes = [tick.get_window_extent(renderer) for tick in figure.axes[0].get_yticklabels()]
    assert not any(one.overlaps(two) for one, two in itertools.pairwise(boxes))
    across = [tick.get_window_extent(renderer) for tick in figure.axes[0].get_xticklabels()]
    assert not any(one.overlaps(two) for one, two in itertools.pairwise(across))
    assert all(box.x0 >= 0 and box.y0 >= 0 for box in (*boxes, *across))
