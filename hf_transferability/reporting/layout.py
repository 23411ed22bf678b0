"""How a ranking's columns fit a terminal: full or short titles, names cut in the middle, or blocks below each other."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

from rich.cells import cell_len

from hf_transferability.names import shortened, without_shared_folder
from hf_transferability.reporting.columns import NAME, Column

_GAPS = (2, 1)  # characters between columns
_SHORTEST_NAME = 14  # characters; names are not cut to less, as they would say nothing
_FLAGS = "flags"


@dataclass
class Layout:
    """Columns that fit a terminal.

    Attributes:
        blocks: one or more lists of columns; each begins with rank and checkpoint.
        short: whether they have their short titles.
        gap: characters between columns.
        folder: what the names leave out, as all of them share it; "" for nothing.
        cut: whether names are cut in the middle.
        left_out: titles of columns without room.
    """

    blocks: list[list[Column]]
    short: bool
    gap: int
    folder: str = ""
    cut: bool = False
    left_out: Sequence[str] = ()

    def title(self, column: Column) -> str:
        return column.short_title if self.short else column.title


def fitted(columns: Sequence[Column], width: int | None) -> Layout:
    """The most readable layout of a ranking's columns for a terminal of that many characters; all in full for None.

    Short titles come before less room between columns, both before columns that may be left out, these before names that are
    cut, and these before flags on several lines and blocks.
    """
    if width is None:
        return Layout([list(columns)], short=False, gap=_GAPS[0])
    names = next(column for column in columns if column.title == NAME)
    full, folder = without_shared_folder(names.cells)
    columns = [replace(column, cells=full) if column is names else column for column in columns]
    needed = [column for column in columns if not column.if_room]
    optional = [column.title for column in columns if column.if_room]
    modes = ((False, _GAPS[0]), (True, _GAPS[0]), (True, _GAPS[1]))
    for (chosen, left_out), (short, gap) in product(((columns, []), (needed, optional)), modes):
        layout = Layout([list(chosen)], short, gap, folder, left_out=left_out)
        if _width(layout) <= width:
            return layout
    for flags_folded, (short, gap) in product((False, True), modes[1:]):
        layout = Layout([needed], short, gap, folder, cut=True, left_out=optional)
        room = width - _width(layout, flags_folded) + _name_width(full)
        cut = shortened(full, room) if room >= _SHORTEST_NAME else full
        if _name_width(cut) <= room:
            layout.blocks = [[replace(column, cells=cut) if column.title == NAME else column for column in needed]]
            return layout
    return _in_blocks(columns, full, folder, width)


def _in_blocks(columns: Sequence[Column], full: list[str], folder: str, width: int) -> Layout:
    """As few blocks as fit the width."""
    cut = shortened(full, max(width // 4, _SHORTEST_NAME))
    rank, name, *others = [replace(column, cells=cut) if column.title == NAME else column for column in columns]
    layout = Layout([], True, _GAPS[1], folder, cut=cut != full)
    for column in others:
        if layout.blocks:
            longer = replace(layout, blocks=[[*layout.blocks[-1], column]])
            if _width(longer, flags_folded=True) <= width:
                layout.blocks[-1].append(column)
                continue
        layout.blocks.append([rank, name, column])
    return layout


def _width(layout: Layout, flags_folded: bool = False) -> int:
    """Characters of the first block's lines."""
    (block,) = layout.blocks
    return sum(_column_width(column, layout, flags_folded) for column in block) + layout.gap * (len(block) - 1)


def _column_width(column: Column, layout: Layout, flags_folded: bool) -> int:
    cells = column.cells
    if flags_folded and column.title == _FLAGS:
        cells = [word for cell in cells for word in cell.split(" ")]
    return max(cell_len(layout.title(column)), *map(cell_len, cells))


def _name_width(names: Sequence[str]) -> int:
    return max(len(NAME), *map(cell_len, names))
