"""Folders that are neither classes nor splits: those that may be a test part are refused, others are joined and told."""

from collections.abc import Collection, Mapping, Sequence

from hf_transferability.data.split_words import is_cohort, kinds_within, split_kind
from hf_transferability.errors import UsageError
from hf_transferability.escaping.terminal import one_line

_NAMES_IN_MESSAGE = 5


def levels_of(folders: Collection[Sequence[str]], taken: Collection[int | None] = ()) -> dict[int, tuple[set[str], bool]]:
    """Level -> names of its folders, and whether images lie beside them; levels of one folder that holds all are left out.

    Args:
        folders: those above each image, from the dataset's root on.
        taken: levels of classes and splits, counted from 1.
    """
    distinct = {tuple(parts) for parts in folders}
    found = {}
    for level in range(1, max(map(len, distinct), default=0) + 1):
        names = {parts[level - 1] for parts in distinct if len(parts) >= level}
        beside = any(len(parts) < level for parts in distinct)
        if level not in taken and len(names) + beside > 1:
            found[level] = (names, beside)
    return found


def may_be_test(names: Collection[str]) -> bool:
    """Whether some of the folders beside each other, or beside images, may be for testing or not for training."""
    kinds = set().union(*map(kinds_within, names))
    several = "test" in kinds or ("train" in kinds and len(kinds) > 1)
    return several or any(split_kind(name) or is_cohort(name) for name in names)


def partly_splits(names: Collection[str], level: int | None, *, beside: bool = False) -> UsageError:
    """The error for folders of a level, None for one of no classes, that look only partly like splits.

    Args:
        names: of the folders.
        level: of the folders; None where they cannot be the classes.
        beside: images lie beside them.
    """
    return UsageError(
        f"the folders {listed(names)}{' and the images beside them' * beside} look only partly like splits. Name all split "
        "folders train, validation or test, or rename them to use all images"
        + (f"; if these are classes, pass --class-level {level}." if level and len(names) > 1 else ".")
    )


def refuse_parts(folders: Collection[Sequence[str]], taken: Collection[int | None], *, may_be_classes: bool = True) -> None:
    """Refuse folders, of which some may be for testing, whose images would be joined.

    Args:
        folders, taken: as in `levels_of`.
        may_be_classes: the user may name a level of classes.

    Raises:
        UsageError: names the folders.
    """
    for level, (names, beside) in levels_of(folders, taken).items():
        if may_be_test(names):
            raise partly_splits(names, level if may_be_classes else None, beside=beside)


def labelled_levels(folders: Sequence[Sequence[str]], labels: Sequence[object]) -> set[int]:
    """Levels whose folders are the labels: each folder has images of one label, and each label images of one folder.

    Args:
        folders: those above each image.
        labels: of these images.
    """
    found = set()
    for level in range(1, min(map(len, folders), default=0) + 1):
        pairs = {(parts[level - 1], str(label)) for parts, label in zip(folders, labels, strict=True)}
        if len(pairs) == len({name for name, _ in pairs}) == len({label for _, label in pairs}):
            found.add(level)
    return found


def joined(levels: Mapping[int, tuple[set[str], bool]]) -> tuple[str, str]:
    """A note on folders whose images are used together, and the names of some; both "" without any.

    Args:
        levels: as from `levels_of`.
    """
    if not levels:
        return "", ""
    names = {name for found, _ in levels.values() for name in found}
    n, beside = len(names), any(found for _, found in levels.values())
    if beside:
        which = f"{n} further folders" if n > 1 else "a further folder"
        return f"Images of classes are used together with those of {which} below them.", listed(names)
    return f"Images of {n} folders that are no classes are used together.", listed(names)


def listed(names: Collection[str]) -> str:
    """Some of the names, and how many more there are."""
    shown = ", ".join(one_line(name[:60]) for name in sorted(names)[:_NAMES_IN_MESSAGE])
    return shown + (f" and {len(names) - _NAMES_IN_MESSAGE} more" if len(names) > _NAMES_IN_MESSAGE else "")
