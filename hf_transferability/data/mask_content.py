"""Masks that only their content tells, such as x_lesion.png of black and white beside the photograph x.png."""

import io
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

import numpy as np
from PIL import Image

from hf_transferability.data.inner_paths import below_common_folder, parts_of
from hf_transferability.data.medical.signature import is_medical_name
from hf_transferability.quiet import without_warnings

Pair = tuple[int, int]  # positions of what may be a mask, and of its image
Read = Callable[[int], bytes]

_BOUNDARY = re.compile(r"[ _.()-]+|(?<=[0-9])(?=[A-Za-z])|(?<=[A-Za-z])(?=[0-9])")
_LOOKED_AT = 8  # pairs of a kind, before all of them are
_MOST_KINDS = 100  # of names that are looked at, the most frequent first
_MOST_FOLDERS = 3  # with a file of one name; more are folders of patients
_FEW_COLOURS = 8  # of a mask
_MANY_COLOURS = 32  # of an image
_NEAR = 32  # grey levels, of a mask that was stored as JPEG
_APART = 4  # times so many, between the two colours of such a mask
_NEARLY_ALL = 0.95  # of its pixels have one of the two
_ONE_COLOUR = 0.995  # more of one is no mask, but nearly blank
_NEARLY_ALL_OF_CLASS = 0.9
_MOST_PIXELS = 50_000_000
_MOST_COUNTED = 1_000_000  # of these


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
    for pair in pairs[:_LOOKED_AT]:
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
    first = _colours(read(mask))
    if first is None or first[1] < 1:
        return 0
    second = _colours(read(image))
    return first[1] if second is not None and first[0] == second[0] and second[1] == 0 else 0


def _colours(encoded: bytes) -> tuple[tuple[int, int], int] | None:
    """The size of an image and the number of its colours: 0 for many, -1 for neither few nor many; None if it is not read."""
    try:
        with without_warnings(), Image.open(io.BytesIO(encoded)) as file:
            if file.width * file.height > _MOST_PIXELS:
                return None
            deep = file.mode[:1] in ("I", "F")  # more than 8 bits, which conversion would cut
            pixels = np.asarray(file if deep else file.convert("RGB"))
            size = file.size
    except Exception:  # an image that cannot be decoded is named when it is used
        return None
    pixels = pixels.reshape(size[0] * size[1], -1)
    pixels = pixels[:: len(pixels) // _MOST_COUNTED + 1]
    n_colours = len(np.unique(pixels if deep else pixels @ np.array([65536, 256, 1])))
    if n_colours <= _FEW_COLOURS:
        return size, n_colours
    if deep:
        return size, 0 if n_colours > _MANY_COLOURS else -1
    pixels = pixels.astype(np.int16)
    near, counts = np.unique((pixels + _NEAR // 2) // _NEAR, axis=0, return_counts=True)
    first, second = np.argsort(counts, kind="stable")[-1:-3:-1] if len(near) > 1 else (0, 0)
    apart = np.abs(near[first] - near[second]).max() >= _APART
    if apart and counts[[first, second]].sum() >= _NEARLY_ALL * len(pixels) and counts[first] < _ONE_COLOUR * len(pixels):
        return size, 2
    return size, 0 if n_colours > _MANY_COLOURS else -1
