"""Masks that only their content tells, such as x_lesion.png of black and white beside the photograph x.png."""

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from hf_transferability.data.inner_paths import below_common_folder, parts_of
from hf_transferability.data.mask_pixels import size_and_colours
from hf_transferability.data.medical.signature import is_medical_name

Pair = tuple[int, int]  # positions of what may be a mask, and of its image
Read = Callable[[int], bytes]

_BOUNDARY = re.compile(r"[ _.()-]+|(?<=[0-9])(?=[A-Za-z])|(?<=[A-Za-z])(?=[0-9])")
LOOKED_AT = 8  # pairs of a kind, before all of them are
_MOST_KINDS = 100  # of names that are looked at, the most frequent first
_MOST_FOLDERS = 3  # with a file of one name; more are folders of patients
_NEARLY_ALL_OF_CLASS = 0.9


def masks_by_content(paths: Sequence[str], labels: Sequence[object], known: Collection[int], read: Read) -> dict[int, int]:
    """Position of each mask -> position of its image: one of the same label, of a name that the mask's begins or ends with.

    A mask has few colours and the size of its image, which has many colours. A kind of names, such as those that end in
    "_lesion", counts if the first of them are masks, not all of one colour; each file is looked at then.

    Args:
        paths: one for each row, "" for none.
        labels: of these rows.
        known: positions of masks that are known by their names, which are not looked at.
        read: the encoded image of a row.
    """
    found: dict[int, int] = {}
    kinds = _pairs_by_kind(paths, list(map(str, labels)), set(known))
    for pairs in sorted(kinds.values(), key=len, reverse=True)[:_MOST_KINDS]:
        if are_masks(pairs, read):
            found |= {mask: image for mask, image in pairs if mask not in found and _colours_of_mask(read, mask, image)}
    return {mask: found[mask] for mask in sorted(found) if found[mask] not in found}


def pairs_of_classes(paths: Sequence[str], labels: Sequence[object]) -> dict[tuple[object, object], list[Pair]]:
    """The pairs of files of one name, by the two classes that they are of, if nearly all of the first class have such a pair.

    Args:
        paths, labels: as in `masks_by_content`.
    """
    by_stem: dict[str, list[int]] = defaultdict(list)
    for i, path in enumerate(paths):
        if path and not is_medical_name(path):
            by_stem[parts_of(path)[-1]].append(i)
    pairs: dict[tuple[object, object], list[Pair]] = defaultdict(list)
    for a, b in _pairs(by_stem.values()):
        if labels[a] != labels[b]:
            pairs[(labels[a], labels[b])].append((a, b))
    sizes = Counter(labels)
    return {classes: found for classes, found in pairs.items() if len(found) >= _NEARLY_ALL_OF_CLASS * sizes[classes[0]]}


def are_masks(pairs: Sequence[Pair], read: Read) -> bool:
    """Whether the first of the pairs are masks and their images; some of the masks may be empty."""
    n_colours = []
    for pair in pairs[:LOOKED_AT]:
        n_colours.append(_colours_of_mask(read, *pair))
        if not n_colours[-1]:
            return False
    return max(n_colours) > 1


def _pairs(same: Iterable[Sequence[int]]) -> Iterator[Pair]:
    """Both orders of every two files of one name, where these are few."""
    for files in same:
        if 1 < len(files) <= _MOST_FOLDERS:
            yield from itertools.permutations(files, 2)


def _pairs_by_kind(paths: Sequence[str], labels: Sequence[str], known: set[int]) -> dict[tuple, list[Pair]]:
    """What may be masks, with their images, by what is before or behind the image's name, or by their folders."""
    parts = [parts_of(path) if path else () for path in below_common_folder(paths)]
    usable = [i for i, path in enumerate(paths) if path and i not in known and not is_medical_name(path)]
    kinds: dict[tuple, list[Pair]] = defaultdict(list)
    by_stem: dict[tuple[str, str], list[int]] = defaultdict(list)
    beside: dict[tuple, dict[str, int]] = defaultdict(dict)
    for i in usable:
        by_stem[(labels[i], parts[i][-1])].append(i)
        beside[(labels[i], parts[i][:-1])].setdefault(parts[i][-1], i)
    for (label, _), places in beside.items():
        for stem, i in places.items():
            for boundary in _BOUNDARY.finditer(stem):
                for cut in range(boundary.start(), boundary.end() + 1):  # also between ")" and "_" of "x (1)_lesion"
                    if cut < len(stem) and (image := places.get(stem[:cut])) is not None:
                        kinds[(label, re.sub("[0-9]+", "0", f"*{stem[cut:]}"))].append((i, image))
                    if cut and (image := places.get(stem[cut:])) is not None:
                        kinds[(label, re.sub("[0-9]+", "0", f"{stem[:cut]}*"))].append((i, image))
    for mask, image in _pairs(by_stem.values()):
        kinds[(labels[mask], parts[mask][:-1], parts[image][:-1])].append((mask, image))
    return kinds


def _colours_of_mask(read: Read, mask: int, image: int) -> int:
    """The number of colours of a mask; 0 where a file is none, has not its image's size, or cannot be read."""
    first = size_and_colours(read(mask))
    if first is None or first[1] < 1:
        return 0
    second = size_and_colours(read(image))
    return first[1] if second is not None and first[0] == second[0] and second[1] == 0 else 0
