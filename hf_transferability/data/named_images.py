"""Whether tables beside images name these: such a table may have the labels, and its paths must lead to the images."""

import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from hf_transferability.data.image_files import Place, is_inside
from hf_transferability.data.listing import TABLES, Listing
from hf_transferability.data.path_remedies import cutting, is_of_a_machine, same_image
from hf_transferability.errors import TargetError
from hf_transferability.escaping.terminal import printable

NOTE = "Labels come from the folders; --image-column takes them from a table that also names the images."
_LINES = 3  # that are looked at: the names of columns, and two rows
_LONGEST_LINE = 100_000  # characters
_LONGEST_NUMBER = 3  # digits of an age, which also may be the name of an image without its ending
_BETWEEN_CELLS = re.compile(r"[,;|\t\"'{}\[\]\r\n]|: ")


def tables_of_images(folder: Path, files: Listing) -> list[str]:
    """The tables in text files whose first rows name some of the images, by path, by name or without its ending.

    Args:
        folder: the dataset's folder.
        files: all that it holds.
    """
    texts = [table for table in files.tables if TABLES[os.path.splitext(table)[1].lower()] in ("csv", "tsv", "json")]
    if not texts:
        return []
    names = {os.path.basename(path) for path in files.images}
    stems = {os.path.splitext(name)[0] for name in names}
    names |= {stem for stem in stems if len(stem) > _LONGEST_NUMBER or not stem.isdigit()}
    return [table for table in texts if table not in files.archived and _names_any(folder / table, names)]


def _names_any(table: Path, names: Collection[str]) -> bool:
    try:
        with table.open(encoding="utf-8-sig", errors="replace") as file:
            lines = [file.readline(_LONGEST_LINE) for _ in range(_LINES)]
    except OSError:
        return False
    cells = [cell.strip().replace("\\", "/") for line in lines for cell in _BETWEEN_CELLS.split(line)]
    return any(os.path.basename(cell) in names for cell in cells if cell)


def refuse_absent(named: Sequence[str] | None, place: Place | None, folder: Path, images: Sequence[str]) -> None:
    """Refuse rows none of which leads to an image, as those that hold its name only, or its path from another folder.

    Args:
        named: the file of each row, "" for an embedded image; see `repeated_rows.named_files`. None where unknown.
        place: where the images may lie; rows that name others are refused when they are read. None for anywhere.
        folder: the dataset's folder.
        images: paths of its images, relative to it.

    Raises:
        TargetError: with an example, and the path that it should be, where it can be told.
    """
    if named is None or place is None:
        return
    _refuse_foreign(named, place, folder, images)
    paths = [path for path in named if path and "::" not in path and is_inside(path, place)]
    if not paths or len(paths) < len(named) or any(map(os.path.exists, paths)):
        return
    shown = printable(os.path.relpath(paths[0], folder)[-80:])
    same = same_image(paths[0], images)
    remedy = f"such as {same}" if same else "with their folders and endings"
    raise TargetError(
        f"the table names {len(paths)} files, none of which is in the folder, for example {shown}. "
        f"Write their paths relative to {printable(folder.name)}, {remedy}."
    )


def _refuse_foreign(named: Sequence[str], place: Place, folder: Path, images: Sequence[str]) -> None:
    """Refuse rows of which all name files by the folders of another machine; see `refuse_absent`."""
    above = f"{folder.parent}{os.sep}"  # where relative paths with ".." lead
    if not named or not all(
        is_of_a_machine(path) and not path.startswith(above) and not is_inside(path, place) for path in named
    ):
        return
    start, own = cutting(named, set(images))
    relative = f"relative to {printable(folder.name)}"
    if own:
        remedy = f"Cut {start} from each, so that it is {relative}, such as {own}."
    else:
        same = same_image(named[0], images)
        remedy = f"Write their paths {relative}{f', such as {same}' if same else ''}."
    raise TargetError(
        f"the table names {len(named)} files by paths outside the folder, for example {printable(named[0][-80:])}. {remedy}"
    )
