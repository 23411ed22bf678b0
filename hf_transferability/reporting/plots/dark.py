"""A picture in colours for a dark page.

Colours say what they are for (see `style`), so a drawn figure is changed colour by colour and nothing is drawn again. What lies
on a coloured cell keeps its colour, as the cell does.
"""

from typing import TYPE_CHECKING, Any

from hf_transferability.reporting.plots.style import BLUE, GREY, INK, PALE, PAPER, SKY, VERMILLION

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DARK_PAPER = "#16181b"
_BLACK = "#000000"  # matplotlib's own, of letters
_IN_THE_DARK = {
    PAPER: DARK_PAPER, INK: "#e8e8e8", _BLACK: "#e8e8e8", GREY: "#a8a8a8", PALE: "#3a3d42", BLUE: SKY, SKY: BLUE,
    VERMILLION: "#ff9d66",
}  # fmt: skip
_BY_COLOUR = {light.lower(): dark.lower() for light, dark in _IN_THE_DARK.items()}
# Of an artist: pairs of what gives its colour, and what changes it.
_COLOURS = tuple(
    (f"get_{name}", f"set_{name}") for name in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor")
)
_TICKS = {"color": _BLACK, "labelcolor": _BLACK}  # what they are unless something else is given


def darkened(figure: "Figure") -> "Figure":
    """The same figure, its colours changed to those for a dark page.

    Args:
        figure: drawn by this package, in the colours of `style`; called once for each figure.
    """
    for axis in [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]:
        for which in ("major", "minor"):
            given = axis.get_tick_params(which=which)
            colours = _TICKS | {name: given[name] for name in (*_TICKS, "grid_color") if name in given}
            axis.set_tick_params(which=which, **{name: _dark(colour) for name, colour in colours.items()})
    ticks = {id(part) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for part in _parts_of_ticks(axis)}
    for artist in figure.findobj():
        if id(artist) in ticks:
            continue  # done, and a second change would turn them round
        _darken(artist)
        ground = getattr(artist, "get_bbox_patch", lambda: None)()
        if ground is not None:
            _darken(ground)
    return figure


def _parts_of_ticks(axis: Any) -> list[Any]:
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    return [part for tick in ticks for part in (tick, *tick.findobj())]


def _darken(artist: Any) -> None:
    present = [(getattr(artist, get, None), getattr(artist, change, None)) for get, change in _COLOURS]
    changes = [(change, get()) for get, change in present if get and change]  # all are read before one is set
    for change, colour in changes:
        if _dark(colour) is not colour:
            change(_dark(colour))


def _dark(colour: Any) -> Any:
    """The colour for a dark page, its opacity kept; of several colours one by one; what has no other is returned itself."""
    from matplotlib.colors import is_color_like, to_hex, to_rgba

    if is_color_like(colour):
        dark = _BY_COLOUR.get(to_hex(colour)) if to_rgba(colour)[3] else None
        return colour if dark is None else to_rgba(dark, to_rgba(colour)[3])
    if hasattr(colour, "__len__") and any(is_color_like(each) for each in colour):
        return [_dark(each) for each in colour]
    return colour
