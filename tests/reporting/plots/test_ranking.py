"""Pictures of a ranking: every candidate is in them, and no label covers another."""

import itertools
import re
import sys

import pytest
from helpers.rankings import ranking_of
from matplotlib.text import Annotation

from hf_transferability import UsageError
from hf_transferability.ranking.result import Ranking
from hf_transferability.reporting import plots
from hf_transferability.reporting.plots.ranking import short_names


def labels(axes):
    """The texts beside points, with the boxes that they cover in pixels."""
    renderer = axes.figure.canvas.get_renderer()
    found = [child for child in axes.get_children() if isinstance(child, Annotation) and child.get_text()]
    return [(child.get_text(), child.get_window_extent(renderer)) for child in found]


def overlapping(boxes):
    return [(a, b) for (a, one), (b, two) in itertools.combinations(boxes, 2) if one.overlaps(two)]


@pytest.mark.parametrize("n", [1, 2, 7, 60])
@pytest.mark.parametrize("draw", [plots.components, plots.cost])
def test_every_point_is_labelled_and_no_label_covers_another(n, draw):
    document = ranking_of(n)
    axes = draw(document).axes[0]
    found = labels(axes)
    assert sorted(int(re.match(r"\d+", text)[0]) for text, _ in found) == list(range(1, n + 1))
    assert overlapping(found) == []
    frame = axes.get_window_extent()
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1 for _, box in found)
    if n <= 7:
        assert sum("resnet" in text for text, _ in found) >= n // 2


@pytest.mark.parametrize(("n", "failed"), [(2, 0), (60, 2), (0, 2)])
def test_scores_name_every_candidate_in_order_without_overlap(n, failed):
    figure = plots.scores(ranking_of(n, failed))
    figure.draw_without_rendering()
    axes = figure.axes[0]
    ticks = axes.get_yticklabels()
    names = [tick.get_text().replace("\n", "") for tick in ticks]
    rows = ranking_of(n, failed)["rows"]
    assert names == [f"{row['rank']}  {row['checkpoint']}" if row["rank"] else row["checkpoint"] for row in rows]
    renderer = figure.canvas.get_renderer()
    assert overlapping([(tick.get_text(), tick.get_window_extent(renderer)) for tick in ticks]) == []
    heights = [tick.get_position()[1] for tick in ticks]
    assert heights == sorted(heights, reverse=True)
    reasons = [text for text, _ in labels(axes) if text.startswith("failed: ")]
    assert len(reasons) == failed
    assert all(r"\$access\$" in text for text in reasons)  # no mathematics between the dollars


def test_groups_that_cannot_be_told_apart_are_joined():
    document = ranking_of(7)  # groups of 3, 3 and 1
    axes = plots.scores(document).axes[0]
    bars = [line for line in axes.lines if line.get_transform() == axes.get_yaxis_transform()]
    dots = [line.get_ydata()[0] for line in axes.lines if line.get_marker() == "o"]
    assert len(bars) == 2
    for bar, members in zip(bars, (dots[:3], dots[3:6]), strict=True):
        top, bottom = bar.get_ydata()
        assert [bottom < dot < top for dot in dots] == [dot in members for dot in dots]


def test_the_whole_picture_leaves_out_what_is_not_there():
    document = ranking_of(3)
    assert Ranking(**document).plot().get_size_inches().tolist() == plots.ranking(document).get_size_inches().tolist()
    titles = [axes.get_title(loc="left") for axes in plots.ranking(document).axes]
    assert {"3 candidates for the dataset x-rays", "What the score is made of"} < {
        title.replace("owner/", "") for title in titles
    }
    assert any(title.startswith("Score against cost") for title in titles)
    for row in document["rows"]:
        row["parameters"] = 1000
    assert not any(axes.get_title(loc="left").startswith("Score against") for axes in plots.ranking(document).axes)
    for row in document["rows"]:
        row["feature_update_ratio"] = None
    titles = [axes.get_title(loc="left") for axes in plots.ranking(document).axes]
    assert len(titles) == 2
    assert titles[1].startswith("Where the metrics agree")
    for row in document["rows"]:
        row["feature_quality"] = None
    assert len(plots.ranking(document).axes) == 1
    with pytest.raises(UsageError, match="no candidate has two parts of a score to draw"):
        plots.components(document)


@pytest.mark.parametrize(("factor", "drawn"), [(1.04, False), (1.06, True)])
def test_sizes_that_differ_by_less_than_5_percent_are_one_size(factor, drawn):
    document = ranking_of(3)
    for number, row in enumerate(document["rows"]):
        row["parameters"] = round(1_000_000 * (factor if number else 1))
    titles = [axes.get_title(loc="left") for axes in plots.ranking(document).axes]
    assert any(title.startswith("Score against cost") for title in titles) == drawn


def test_costs_that_are_not_there_are_refused():
    document = ranking_of(2)
    for row in document["rows"]:
        row["seconds"] = None
    with pytest.raises(UsageError, match="its seconds"):
        plots.cost(document, "seconds")
    with pytest.raises(UsageError, match="must be one of parameters, seconds; got 'euros'"):
        plots.cost(document, "euros")


def test_names_lose_the_folder_that_all_share_but_hub_ids_stay_whole():
    rows = [{"checkpoint": name} for name in ("/data/pool/a/one", "/data/pool/b/two")]
    assert short_names(rows) == ["a/one", "b/two"]
    ids = ["timm/resnet18", "timm/resnet34"]
    assert short_names([{"checkpoint": name} for name in ids]) == ids


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_pictures_are_written_whole(tmp_path, ending, start):
    document = ranking_of(2, 1)
    document["rows"][0]["checkpoint"] = "owner/放射線-$x$"  # letters that the font lacks must not warn
    path = tmp_path / f"a.{ending}"
    plots.save(plots.scores(document), path)
    assert path.read_bytes().startswith(start)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.pdf", "`plot` must end in .png or .svg; got"),
        ("no/a.png", "must lie in an existing folder"),
        (".", "must end in"),
    ],
)
def test_files_that_are_no_place_for_a_picture_are_refused(tmp_path, name, text):
    with pytest.raises(UsageError, match=text):
        plots.check_picture(tmp_path / name)


def test_without_matplotlib_the_text_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UsageError, match=r"Install it: pip install 'hf-transferability\[plots\]'"):
        plots.scores(ranking_of(2))
