"""What all pictures share: colours, fonts that hold any name, labels that do not overlap, and files."""

import io
import os
import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_transferability.errors import UsageError, shown
from hf_transferability.files import check_output, write_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito 2008, https://jfly.uni-koeln.de/color/
BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
PAPER, INK, GREY, PALE = "#ffffff", "#222222", "#6b6b6b", "#d9d9d9"
# Letters on coloured cells. No other part has these colours, so that `dark`, which goes by the colour, leaves them as they are.
ON_DARK, ON_PALE = "#fefefe", "#212121"
FONT = 9  # points, of names and numbers
DPI = 150
NARROW = 4.9  # inches, of a picture that fits a phone with letters of the same size
_PAD = 0.09  # inches around each part of a picture
FORMATS = (".png", ".svg")


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure of so many inches.

    Raises:
        UsageError: matplotlib is not installed, or MPLBACKEND keeps it from starting.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise UsageError(
            "pictures need matplotlib, which is not installed. Install it: pip install 'hf-transferability[plots]'."
        ) from error
    except ValueError as error:
        raise UsageError(
            f"matplotlib has no backend {shown(os.environ.get('MPLBACKEND'))}, as MPLBACKEND asks. Unset MPLBACKEND."
        ) from error
    figure = Figure(figsize=(width, height), dpi=DPI, layout=ConstrainedLayoutEngine(w_pad=_PAD, h_pad=_PAD), facecolor=PAPER)
    FigureCanvasAgg(figure)
    return figure


def plain(text: str) -> str:
    """Text as matplotlib should draw it: no mathematics between dollars, and a box for what the font lacks."""
    known = _characters()
    return "".join(letter if ord(letter) in known or letter == "\n" else "\u25a1" for letter in text).replace("$", r"\$")


def tidy(axes: "Axes", grid: str = "x") -> None:
    """The common look of axes: no box, a pale grid behind the data along "x", "y", "both" or neither ("")."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)
    axes.tick_params(labelsize=FONT, color=GREY, labelcolor=INK)
    axes.xaxis.label.set_fontsize(FONT + 1)
    axes.yaxis.label.set_fontsize(FONT + 1)
    if grid:
        axes.grid(axis=grid, color=PALE, linewidth=0.6)  # type: ignore[arg-type]
    axes.set_axisbelow(True)


def as_cells(axes: "Axes", n_columns: int, n_rows: int) -> None:
    """White lines between the cells of a map, and no frame around it."""
    axes.tick_params(length=0, labelsize=FONT, labelcolor=INK)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xticks(np.arange(n_columns + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n_rows + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=PAPER, linewidth=1.5)
    axes.tick_params(which="minor", length=0)


def log_if_wide(axes: "Axes", values: Sequence[float], axis: str) -> None:
    """A logarithmic axis where positive values span more than a factor of 20."""
    if values and min(values) > 0 and max(values) / min(values) > 20:
        axes.set_xscale("log") if axis == "x" else axes.set_yscale("log")


def settle(figure: "Figure") -> None:
    """Fix where everything lies, so that labels can be placed around it."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def place_labels(
    axes: "Axes",
    points: Sequence[tuple[float, float]],
    texts: Sequence[tuple[str, ...]],
    reaches: Sequence[int] = (6, 16, 30, 46),
) -> int:
    """Label points so that no label covers another or a point; returns how many found no room.

    The figure must be settled (see `settle`). Points come in order of importance. Each has one or more texts, the best first: a
    shorter one is tried where the longer has no room, and then further away, with a line; `reaches` are these distances in
    points.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    scale = figure.dpi / 72
    centres = axes.transData.transform(np.asarray(points, dtype=float).reshape(-1, 2))
    frame = axes.get_window_extent(renderer)
    inside = np.array([frame.x0, frame.y0, frame.x1, frame.y1])
    taken = [np.array([*(centre - 4 * scale), *(centre + 4 * scale)]) for centre in centres]
    missing = 0
    ground = {"facecolor": PAPER, "edgecolor": "none", "alpha": 0.85, "pad": 0.6}  # so that no line runs through a name
    for centre, choices in zip(centres, texts, strict=True):
        sizes = {text: _size(axes, text, renderer) for text in choices}
        for text, distance in [(text, reach) for reach in reaches for text in choices]:
            spot = _free_spot(centre, *sizes[text], distance * scale, taken, inside)
            if spot is None:
                continue
            taken.append(spot)
            axes.annotate(
                plain(text), tuple(axes.transData.inverted().transform(centre)), tuple((spot[:2] - centre) / scale),
                textcoords="offset points", fontsize=FONT - 1, color=INK, ha="left", va="bottom", zorder=5,
                annotation_clip=False, bbox=ground,
            )  # fmt: skip
            if distance > 6:
                _leader(axes, centre, spot, scale)
            break
        else:
            missing += 1
    return missing


def check_picture(path: str | Path) -> Path:
    """The path, if a picture can be written there.

    Raises:
        UsageError: an ending other than .png or .svg, not a place to write to, or no matplotlib.
    """
    path = check_output(path, "plot", FORMATS)
    new_figure(1, 1)
    return path


def save(figure: "Figure", path: str | Path) -> None:
    """Write a figure to .png or .svg, whole or not at all.

    Raises:
        UsageError: see `check_picture`.
        TransferabilityError: the file cannot be written.
    """
    path = check_picture(path)
    write_file(path, to_svg(figure).encode() if path.suffix.lower() == ".svg" else to_png(figure))


def to_png(figure: "Figure") -> bytes:
    """A figure as PNG."""
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def to_svg(figure: "Figure") -> str:
    """A figure as SVG, its letters as outlines so that it looks the same everywhere."""
    content = io.StringIO()
    figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    return content.getvalue()


@lru_cache
def _characters() -> frozenset[int]:
    from matplotlib.font_manager import findfont
    from matplotlib.ft2font import FT2Font

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return frozenset(FT2Font(findfont("DejaVu Sans")).get_charmap())


def _size(axes: "Axes", text: str, renderer: Any) -> tuple[float, float]:
    """Width and height of a label in pixels."""
    label = axes.text(0, 0, plain(text), fontsize=FONT - 1, transform=None)
    size = label.get_window_extent(renderer)
    label.remove()
    return size.width, size.height


def _free_spot(centre: Any, width: float, height: float, reach: float, taken: list[Any], inside: Any) -> Any:
    """A box for a label around a point, at a distance in pixels, as x0, y0, x1, y1; None if all are taken."""
    x, y = centre
    sides = [
        (x + reach, y - height / 2), (x - reach - width, y - height / 2), (x - width / 2, y + reach),
        (x - width / 2, y - reach - height), (x + reach * 0.7, y + reach * 0.7), (x + reach * 0.7, y - reach * 0.7 - height),
        (x - reach * 0.7 - width, y + reach * 0.7), (x - reach * 0.7 - width, y - reach * 0.7 - height),
    ]  # fmt: skip
    others = np.array(taken)
    for left, bottom in sides:
        box = np.array([left, bottom, left + width, bottom + height])
        if (box[:2] < inside[:2]).any() or (box[2:] > inside[2:]).any():
            continue
        if not ((box[:2] < others[:, 2:]) & (box[2:] > others[:, :2])).all(axis=1).any():
            return box
    return None


def _leader(axes: "Axes", centre: Any, spot: Any, scale: float) -> None:
    """A thin line from a point to the nearest edge of its label."""
    end = np.clip(centre, spot[:2], spot[2:])
    start = centre + (end - centre) * min(1.0, 4 * scale / max(float(np.hypot(*(end - centre))), 1e-9))
    line = axes.transData.inverted().transform([start, end])
    axes.plot(line[:, 0], line[:, 1], color=GREY, linewidth=0.5, zorder=4, scalex=False, scaley=False)
