"""Masks beside the images that they belong to, such as x_mask.png beside x.png, which are no images of the class."""

import os
import re
from collections.abc import Iterator, Sequence

import datasets
import pyarrow as pa
import pyarrow.compute as pc

from hf_transferability.data.image_files import LONGEST_PATH

KEPT_OUT = "masks beside their images"
NOTE = "Masks beside their images are left out; pass --keep-masks to take them as images."
_WORDS = r"(?:masks?|seg|segm|segmentations?|gt|ground[ _.-]?truth|labels?|annotations?|superpixels)"
_NAME = re.compile(rf"(.*[^ _.-])[ _.-]+{_WORDS}(?:[ _.-]?[0-9]+)?", re.IGNORECASE | re.DOTALL)  # x_mask, x_mask_1
_FOLDER = re.compile(_WORDS, re.IGNORECASE)
_IMAGES = re.compile(r"(?:images?|imgs?|scans?|photos?|originals?|inputs?|raw|data|x)", re.IGNORECASE)
_WORD = re.compile(_WORDS, re.IGNORECASE)
_DOUBLE_ENDING = ".nii.gz"
_ROWS = 1000  # read at once


def stored_paths(table: datasets.Dataset, column: str) -> list[str] | None:
    """The path in each row of an image column, also of embedded images; "" for none, None where the column has no paths."""
    paths: list[str] = []
    for rows in table.select_columns([column]).with_format("arrow").iter(_ROWS):
        cells = rows[column]
        if pa.types.is_struct(cells.type) and cells.type.get_field_index("path") >= 0:
            cells = pc.struct_field(cells, "path")
        if not (pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type)):
            return None
        if (pc.max(pc.binary_length(cells)).as_py() or 0) > LONGEST_PATH:  # the images themselves, as texts
            return None
        paths += [path or "" for path in cells.to_pylist()]
    return paths


def masks_of(paths: Sequence[str], labels: Sequence[object]) -> dict[int, int]:
    """Position of each mask -> position of its image: one of the same label, and of the same path but for a word for masks.

    A name alone tells nothing: in a dataset of faces with masks, all may be called so.

    Args:
        paths: one for each row, "" for none.
        labels: of these rows.
    """
    wanted = {i: names for i, path in enumerate(paths) if _WORD.search(path) and (names := list(_names_of_image(_parts(path))))}
    if not wanted:
        return {}
    starred = {(len(name), name.index("*")) for names in wanted.values() for name in names if "*" in name}
    images: dict[tuple[str, ...], int] = {}
    for i, path in enumerate(paths):
        parts = _parts(path)
        images.setdefault((str(labels[i]), *parts), i)
        for length, level in starred:
            if len(parts) == length and _IMAGES.fullmatch(parts[level]):
                images.setdefault((str(labels[i]), *_with_star(parts, level)), i)
    found = {
        i: next((images[key] for name in names if (key := (str(labels[i]), *name)) in images), i) for i, names in wanted.items()
    }
    return {mask: image for mask, image in found.items() if mask != image}


def _parts(path: str) -> tuple[str, ...]:
    """Folders and the name without its ending; the archive of a member comes first."""
    inner, _, archive = path.partition("::")
    *folders, name = inner.split("/")
    stem = name[: -len(_DOUBLE_ENDING)] if name.lower().endswith(_DOUBLE_ENDING) else os.path.splitext(name)[0]
    return (archive, *folders, stem)


def _names_of_image(mask: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """What the image of a mask may be called; "*" stands for any folder of images."""
    *folders, stem = mask
    stems = [stem]
    if found := _NAME.fullmatch(stem):
        stems.append(found[1])
        yield (*folders, found[1])
    for level, folder in enumerate(folders):
        if _FOLDER.fullmatch(folder):
            for name in stems:
                yield _with_star((*folders, name), level)
                yield (*folders[:level], *folders[level + 1 :], name)


def _with_star(parts: tuple[str, ...], level: int) -> tuple[str, ...]:
    return (*parts[:level], "*", *parts[level + 1 :])
