"""Pictures for a dark page: the same picture, of which everything can be seen on a dark ground."""

import io

import numpy as np
import pytest
from helpers.rankings import ranking_of
from matplotlib.colors import to_rgb
from PIL import Image

from hf_transferability.benchmark import bundled
from hf_transferability.benchmark.leaderboard import bundled_leaderboard
from hf_transferability.reporting import plots

PAPER = "#16181b"


def light(colour):
    """The relative luminance of WCAG 2.2."""
    parts = np.array(to_rgb(colour))
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


def contrast(one, other):
    darker, lighter = sorted((light(one), light(other)))
    return (lighter + 0.05) / (darker + 0.05)


def pixels(figure):
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=50)
    return np.asarray(Image.open(content).convert("RGB")).astype(int)


def benchmark(draw):
    def drawn(narrow):
        tables = bundled.load("scores", "paper"), bundled.load("ground_truth", "paper")
        if draw is plots.agreement_chart:
            return draw(bundled.load("agreement", "paper"), narrow=narrow)
        if draw is plots.ground_truth_heatmap:
            return draw(tables[1], narrow=narrow)
        return draw(*tables, "source_dataset", "logme", narrow=narrow)

    return drawn


def failed(narrow):
    document = ranking_of(6, 2)
    document["rows"][1]["flags"] = ["no_relation"]  # a hollow mark
    return plots.scores(document, narrow=narrow)


FIGURES = {
    "scores": failed,
    "components": lambda narrow: plots.components(ranking_of(6), narrow=narrow),
    "cost": lambda narrow: plots.cost(ranking_of(6), narrow=narrow),
    "metric_ranks": lambda narrow: plots.metric_ranks(ranking_of(6), narrow=narrow),
    "leaderboard": lambda narrow: plots.leaderboard(bundled_leaderboard(), narrow=narrow),
    "ground_truth_heatmap": benchmark(plots.ground_truth_heatmap),
    "agreement_chart": benchmark(plots.agreement_chart),
    "score_against_auc": benchmark(plots.score_against_auc),
}


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("name", FIGURES)
def test_all_letters_can_be_read_on_the_dark_paper_or_on_their_cell(name, narrow):
    from matplotlib.text import Text

    figure = FIGURES[name](narrow)
    before = pixels(figure)
    figure.set_layout_engine("none")
    after = pixels(plots.darkened(figure))
    assert after.shape == before.shape
    paper = np.array(to_rgb(PAPER)) * 255
    assert (np.abs(after[:2] - paper) < 2).all() and (before[:2] == 255).all()
    assert not (after.min(axis=2) > 250).mean() > 0.01  # no white ground is left
    for text in figure.findobj(Text):
        on_cell = text.axes is not None and text.axes.images and text in text.axes.texts
        if text.get_text().strip() and text.get_visible() and not (on_cell and text.get_text() not in "-\u2013"):
            assert contrast(text.get_color(), PAPER) >= 4.5, text


def test_letters_on_coloured_cells_keep_their_colour():
    figure = FIGURES["metric_ranks"](False)
    numbers = [text for text in figure.axes[0].texts if text.get_text() != "\u2013"]
    before = [text.get_color() for text in numbers]
    plots.darkened(figure)
    assert [text.get_color() for text in numbers] == before and len(set(before)) == 2


@pytest.mark.parametrize("name", FIGURES)
def test_narrow_pictures_are_narrower_and_hold_the_same(name):
    from matplotlib.text import Text

    wide, narrow = (FIGURES[name](each) for each in (False, True))
    assert narrow.get_figwidth() < wide.get_figwidth()
    assert narrow.get_figwidth() <= (4.9 if name not in ("ground_truth_heatmap", "leaderboard", "agreement_chart") else 8)
    narrow.draw_without_rendering()
    box = narrow.get_tightbbox()
    assert box.x0 >= -0.02 and box.x1 <= narrow.get_figwidth() + 0.02  # nothing is cut

    def numbers(figure):
        return sorted(text.get_text() for axes in figure.axes if axes.images for text in axes.texts)

    assert numbers(wide) == numbers(narrow)
    assert len(narrow.findobj(Text)) > 10
