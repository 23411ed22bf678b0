"""Masks beside the images that they belong to, such as x_mask.png beside x.png, which are no images of the class."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import datasets
import pyarrow as pa
import pyarrow.compute as pc

from hf_transferability.data.image_files import LONGEST_PATH, file_and_folder
from hf_transferability.data.inner_paths import below_common_folder, parts_of
from hf_transferability.data.mask_content import LOOKED_AT, Pair, Read, are_masks, masks_by_content, pairs_of_classes
from hf_transferability.data.mask_pixels import IMAGE, MASK, UNCLEAR, looks_like
from hf_transferability.data.sampling import SMALLEST_SAMPLE
from hf_transferability.errors import UsageError
from hf_transferability.escaping.terminal import printable

KEPT_OUT = "masks beside their images"
NOTE = "Masks beside their images are left out; pass --keep-masks to take them as images."
_WORDS = r"(?:masks?|seg|segm|segmentations?|gt|ground[ _.-]?truths?|labels?|annotations?|superpixels)"
_IMAGE = r"(?:images?|imgs?)"
_SUFFIX = re.compile(rf"(.*[^ _.-])[ _.-]+{_WORDS}(?:[ _.-]?[0-9]+|[ _.-]*\([0-9]+\))?", re.IGNORECASE | re.DOTALL)  # x_mask_1
_PREFIX = re.compile(rf"{_WORDS}[ _.-]+([^ _.-].*)", re.IGNORECASE | re.DOTALL)  # mask_x
_IMAGE_STEM = re.compile(rf"{_IMAGE}[ _.-]+([^ _.-].*)|(.*[^ _.-])[ _.-]+{_IMAGE}", re.IGNORECASE | re.DOTALL)  # img_x, x_image
_FOLDER = re.compile(rf"(?:{_IMAGE}[ _.-]?)?{_WORDS}(?:[ _.-]?(?:{_WORDS}|{_IMAGE}))?", re.IGNORECASE)  # segmentation_masks
_ALSO_A_CLASS = re.compile(r"mask|labels?", re.IGNORECASE)  # such as faces with a mask
_IMAGES = re.compile(rf"(?:{_IMAGE}|scans?|photos?|originals?|inputs?|raw|data|x)", re.IGNORECASE)
_WORD = re.compile(_WORDS, re.IGNORECASE)
_BESIDE, _ONE_BESIDE = "*", "?"  # a folder of images, and the only other folder, beside one of masks
_ROWS = 1000  # read at once
_MOST_MASKS = 3  # of one image on average; more may be numbered images
_NEARLY_ALL = 0.9  # of a class


@dataclass(frozen=True)
class Masks:
    """The masks among the files of a dataset.

    Attributes:
        found: position of each mask -> position of its image.
        images: positions of files that are called masks, but look like images.
        unclear: position of each file that is called a mask, of which the content tells neither -> position of its image.
    """

    found: dict[int, int]
    images: list[int] = field(default_factory=list)
    unclear: dict[int, int] = field(default_factory=dict)

    def notes(self, paths: Sequence[str]) -> dict[str, str]:
        """Note on files that are called masks and are used -> one of them; empty without any."""
        if not self.images:
            return {}
        n = len(self.images)
        note = f"Files that are called masks but look like images are used ({n}); move them away if they are masks."
        return {note: shown(paths[self.images[0]])}


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
    return _found(paths, list(map(str, labels)))


def find_masks(paths: Sequence[str], labels: Sequence[object], read: Read) -> Masks:
    """The masks that both names and content tell, and those that content tells alone; see `masks_by_content`.

    Files that are called masks are judged by kinds, such as those that end in "_mask": by some of each kind, and by all where
    these differ. Files that look like images are used where few images have one; where most have, nothing is told, as they may
    be soft masks.

    Args:
        paths, labels: as in `masks_of`.
        read: the encoded image of a row.
    """
    named = masks_of(paths, labels)
    n_images = Counter(str(labels[i]) for i in range(len(paths)) if i not in named)
    by_kind: dict[str, dict[int, int]] = {MASK: {}, IMAGE: {}, UNCLEAR: {}}
    for pairs in _kinds_of_names(paths, named).values():
        looks = _looks(pairs, read)
        several = 2 * len(pairs) >= sum(n_images[label] for label in {str(labels[mask]) for mask, _ in pairs})
        for mask, image in pairs:
            kind = UNCLEAR if looks[mask] == IMAGE and (several or MASK in looks.values()) else looks[mask]
            by_kind[kind][mask] = image
    found = by_kind[MASK] | masks_by_content(paths, labels, named, read)
    return Masks(found, sorted(by_kind[IMAGE]), by_kind[UNCLEAR])


def _kinds_of_names(paths: Sequence[str], named: Mapping[int, int]) -> dict[tuple[str, str], list[Pair]]:
    """The masks by name, with their images, by what their names have beside those of the images."""
    kinds: dict[tuple[str, str], list[Pair]] = {}
    for mask, image in named.items():
        *folders, stem = parts_of(paths[mask])
        rest = re.sub(r"[0-9]+", "", stem.replace(parts_of(paths[image])[-1], "", 1))
        kinds.setdefault((rest, "" if rest or not folders else folders[-1]), []).append((mask, image))
    return kinds


def _looks(pairs: Sequence[Pair], read: Read) -> dict[int, str]:
    """What each of the masks of one kind looks like. What tells nothing, such as a damaged file, is taken as the others are."""
    some = pairs[:: -(-len(pairs) // LOOKED_AT)]
    looks = {mask: looks_like(read(mask), read(image)) for mask, image in some}
    if len(set(looks.values()) - {UNCLEAR}) > 1:
        looks = {mask: looks_like(read(mask), read(image)) for mask, image in pairs}
    sure = set(looks.values()) - {UNCLEAR}
    others = sure.pop() if len(sure) == 1 else UNCLEAR
    return {mask: others if looks.get(mask, UNCLEAR) == UNCLEAR else looks[mask] for mask, _ in pairs}


def refuse_doubtful(paths: Sequence[str], labels: Sequence[object], masks: Masks) -> None:
    """Refuse masks that may be images: content tells neither, they are many for their images, or too few images would remain.

    Args:
        paths, labels: as in `masks_of`.
        masks: among these files.

    Raises:
        UsageError: names --keep-masks and the other remedy.
    """
    if masks.unclear:
        mask, image = next(iter(masks.unclear.items()))
        raise UsageError(
            f"{len(masks.unclear)} of {len(paths)} files are called masks, such as {shown(paths[mask])} of "
            f"{shown(paths[image])}, and their content does not tell. Pass --keep-masks to take them as images; if they are "
            "masks, move them away."
        )
    found = masks.found
    n_masks = Counter(str(labels[mask]) for mask in found)
    n_images = Counter(str(labels[image]) for image in set(found.values()))
    n_left = len(paths) - len(found)
    if label := next((name for name, n in n_masks.items() if n > _MOST_MASKS * n_images[name]), None):
        mask = next(mask for mask in found if str(labels[mask]) == label)
        why, remedy = f"{n_masks[label] / n_images[label]:.0f} for each image of one class", "move them away"
    elif found and n_left < SMALLEST_SAMPLE <= len(paths):
        mask, why, remedy = next(iter(found)), f"only {n_left} images remain", "take more images"
    else:
        return
    example = f"{shown(paths[mask])} of {shown(paths[found[mask]])}"
    raise UsageError(
        f"{len(found)} of {len(paths)} files look like masks, such as {example}: {why}. "
        f"Pass --keep-masks to take them as images; if they are masks, {remedy}."
    )


def refuse_class_of_masks(
    paths: Sequence[str], labels: Sequence[object], names: Sequence[str] | None, read: Read = lambda row: b""
) -> None:
    """Refuse a class whose files are the masks of another class, as in img/ and mask/, which would tell photo from mask.

    Args:
        paths: one for each row, "" for none.
        labels: the class of each row.
        names: of the classes that `labels` holds codes of; None where it holds names.
        read: the encoded image of a row.

    Raises:
        UsageError: names both classes.
    """
    for classes, same in pairs_of_classes(paths, labels).items():
        if are_masks(same, read):
            raise _of_masks(classes, len(same), Counter(labels)[classes[0]], names)
    if not any(map(_WORD.search, {"/".join(parts_of(path)[:-1]) for path in below_common_folder(paths)})):
        return
    named: dict[tuple[object, object], list[Pair]] = {}
    for mask, image in _found(paths, [""] * len(paths)).items():
        if labels[mask] != labels[image] and parts_of(paths[mask])[:-1] != parts_of(paths[image])[:-1]:
            named.setdefault((labels[mask], labels[image]), []).append((mask, image))
    sizes = Counter(labels) if named else {}
    for classes, same in named.items():
        if len(same) >= _NEARLY_ALL * sizes[classes[0]] and _may_be_masks(same, paths, read):
            raise _of_masks(classes, len(same), sizes[classes[0]], names)


def _may_be_masks(pairs: Sequence[Pair], paths: Sequence[str], read: Read) -> bool:
    """Whether files that are called masks are such by content, too; "seg" and "band", or "masks" and "gloves", may be classes.

    Args:
        pairs: what may be a mask, and its image.
        paths, read: as in `refuse_class_of_masks`.
    """
    some = pairs[:: -(-len(pairs) // LOOKED_AT)]
    kinds = [looks_like(read(mask)) for mask, _ in some]
    if 2 * kinds.count(IMAGE) > len(kinds):
        return False
    if MASK not in kinds or any(map(_IMAGES.fullmatch, parts_of(paths[pairs[0][1]])[:-1])):
        return True
    # Drawings of two classes may be both of few colours.
    return any(looks_like(read(image)) != MASK for _, image in some)


def _of_masks(pair: tuple[object, object], n: int, n_files: int, names: Sequence[str] | None) -> UsageError:
    masks, images = (printable(str(names[int(str(label))] if names else label)[:60]) for label in pair)
    return UsageError(
        f"the class {masks} holds masks of the class {images}: {n} of {n_files} files have the same names. Move the "
        "masks away, pass --image-column if a table has the labels, or --keep-masks if both are classes."
    )


def shown(path: str) -> str:
    """The file and its folder, for a message."""
    return printable(file_and_folder(path)[-80:])


def _found(paths: Sequence[str], keys: Sequence[str]) -> dict[int, int]:
    """Position of each mask -> position of its image, which has the same key."""
    paths = below_common_folder(paths)
    wanted = {
        i: names for i, path in enumerate(paths) if _WORD.search(path) and (names := list(_names_of_image(parts_of(path))))
    }
    if not wanted:
        return {}
    stars = (_BESIDE, _ONE_BESIDE)
    levels = {(len(name), name.index(star)) for names in wanted.values() for name in names for star in stars if star in name}
    named: list[tuple[int, tuple[str, ...]]] = [(i, parts_of(path)) for i, path in enumerate(paths)]
    # "img_1" may also be called "1", unless there is a "1".
    named += [(i, (*parts[:-1], found[1] or found[2])) for i, parts in named if (found := _IMAGE_STEM.fullmatch(parts[-1]))]
    images: dict[tuple[str, ...], int] = {}
    folders: dict[tuple[str, ...], str] = {}
    several = set()
    for i, parts in named:
        images.setdefault((keys[i], *parts), i)
        for level in (level for length, level in levels if length == len(parts)):
            folder = parts[level]
            if _IMAGES.fullmatch(folder):
                images.setdefault((keys[i], *_replaced(parts, level, _BESIDE)), i)
            elif not _WORD.search(folder):
                key = (keys[i], *_replaced(parts, level, _ONE_BESIDE))
                images.setdefault(key, i)
                if folders.setdefault(key, folder) != folder:
                    several.add(key)
    found_images = {}
    for mask, names in wanted.items():
        matches = (images[key] for name in names if (key := (keys[mask], *name)) in images and key not in several)
        found_images[mask] = next(matches, mask)
    return {mask: image for mask, image in found_images.items() if mask != image}


def _names_of_image(mask: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """What the image of a mask may be called, with _BESIDE or _ONE_BESIDE in place of some folders."""
    *folders, stem = mask
    stems = [stem, *_without_word(stem)]
    for name in stems[1:]:
        yield (*folders, name)
    for level, folder in enumerate(folders):
        if _FOLDER.fullmatch(folder):
            for name in stems:
                parts = (*folders, name)
                yield _replaced(parts, level, _BESIDE)
                yield (*parts[:level], *parts[level + 1 :])
                if name != stem or not _ALSO_A_CLASS.fullmatch(folder):
                    yield _replaced(parts, level, _ONE_BESIDE)
        for other in _without_word(folder):
            for name in stems:
                yield _replaced((*folders, name), level, other)


def _without_word(name: str) -> list[str]:
    """What remains of a name without a word for masks at its end or start; nothing where it has none."""
    return [found[1] for pattern in (_SUFFIX, _PREFIX) if (found := pattern.fullmatch(name))]


def _replaced(parts: tuple[str, ...], level: int, name: str) -> tuple[str, ...]:
    return (*parts[:level], name, *parts[level + 1 :])
