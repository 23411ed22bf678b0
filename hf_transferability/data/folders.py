"""Folders of images: which folder level names the split and which the class, decided from relative paths alone."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from hf_transferability.data.file_names import named_splits
from hf_transferability.data.folder_parts import labelled_levels, listed, partly_splits, refuse_parts
from hf_transferability.data.split_words import (
    KIND_OF,
    is_cohort,
    is_numbered_part,
    kinds_within,
    says_nothing,
    split_kind,
    words_of,
)
from hf_transferability.errors import UsageError
from hf_transferability.escaping.terminal import one_line


@dataclass(frozen=True)
class Arrangement:
    """Where each file belongs.

    Attributes:
        splits: split -> files, sorted.
        classes: file -> class name; empty where the folders name no classes.
        class_level: folder level of the classes, 1 for the folders directly below the root; None without classes.
        shallow: files that lie above the class level, and so have no class.
        doubt: why the splits are not sure, and what to do, where names of files tell them only partly; else "".
    """

    splits: dict[str, list[str]]
    classes: dict[str, str]
    class_level: int | None
    shallow: list[str]
    doubt: str = ""


def arrange(
    files: Sequence[str],
    class_level: int | None = None,
    *,
    classes: bool = True,
    labels: Mapping[str, object] | None = None,
) -> Arrangement:
    """Assign files to splits and classes.

    Args:
        files: paths relative to the dataset's root, separated by "/".
        class_level: folder level that names the classes; None to decide, which fails where several levels could.
        classes: False to look for splits only.
        labels: file -> its label, where these come from elsewhere; the folders are then no classes.

    Raises:
        UsageError: folders that look only partly like splits, several levels that could name classes, or no such level.
    """
    folders = {file: tuple(file.split("/")[:-1]) for file in files}
    nested = [parts for parts in folders.values() if parts or labels is not None]
    split_level = _split_level(nested, class_level)
    if class_level is not None:
        _check_class_level(class_level, split_level, nested)
    elif classes:
        class_level = _find_class_level(nested, split_level)
        if labels is None:
            _refuse_no_classes(nested, class_level)
            _refuse_split_classes(nested, class_level)
    needed = max(class_level or 0, split_level or 0)
    shallow = [file for file in sorted(files) if len(folders[file]) < needed]
    placed = [file for file in sorted(files) if len(folders[file]) >= needed]
    class_of = {file: folders[file][class_level - 1] for file in placed} if class_level else {}
    taken = {split_level, class_level}
    if labels is not None:
        taken = {split_level, *labelled_levels([folders[file] for file in placed], [labels[file] for file in placed])}
    refuse_parts([folders[file] for file in placed], taken, may_be_classes=labels is None)
    splits: dict[str, list[str]] = {}
    doubt = ""
    if split_level is not None:
        names = _split_names({folders[file][split_level - 1] for file in placed})
        for file in placed:
            splits.setdefault(names[folders[file][split_level - 1]], []).append(file)
    else:
        by_name = named_splits(placed, class_of if labels is None else labels)
        doubt = by_name.doubt
        for file in placed:
            splits.setdefault(by_name.splits.get(file, "train"), []).append(file)
    return Arrangement(splits, class_of, class_level, shallow, doubt)


def refuse_doubt(arrangement: Arrangement, split: str | None) -> None:
    """Refuse splits that names of files tell only partly, unless the user names one.

    Raises:
        UsageError: names two files, and the ways to go on.
    """
    if arrangement.doubt and split is None:
        raise UsageError(arrangement.doubt)


def _split_level(folders: list[tuple[str, ...]], class_level: int | None) -> int | None:
    """The folder level that names the splits; None where none does."""
    doubt = None
    for level in range(1, max(map(len, folders), default=0) + 1):
        names = {parts[level - 1] for parts in folders if len(parts) >= level}
        complete = all(len(parts) >= level for parts in folders)
        split_names = {name: kind for name in names if (kind := split_kind(name))}
        if complete and len(split_names) == len(names):
            return (len(names) == 1 and _splits_below(folders, level)) or level
        with_folders = {parts[level - 1] for parts in folders if len(parts) > level}
        partly = {name: kinds for name in names if (kinds := kinds_within(name))}
        partial_kinds = set().union(*partly.values())
        if complete and len(partly) == len(names) and len(partial_kinds) > 1 and _share_a_folder(folders, level, names):
            return level
        several = "train" in partial_kinds and len(partial_kinds) > 1
        # With a named class level, no other level holds classes: its "external test" is a split.
        apart = with_folders or class_level is not None
        parts = any(is_cohort(name) for name in with_folders) and len(with_folders) > 1
        mixed = len(set(split_names.values())) > 1 or (apart and (several or "test" in partial_kinds or split_names or parts))
        if level != class_level and mixed:
            error = partly_splits(names, level, beside=not complete)
            if not complete or len(names) > 1:
                raise error
            doubt = doubt or error  # one folder of all images, as "train_test_split"; those below may be the splits
    if doubt is not None:
        raise doubt
    return None


def _splits_below(folders: list[tuple[str, ...]], level: int) -> int | None:
    """A deeper level of folders train, test and so on, where one folder such as "Training data" holds all images."""
    for below in range(level + 1, min(map(len, folders)) + 1):
        kinds = {split_kind(parts[below - 1]) for parts in folders}
        if None not in kinds and len(kinds) > 1:
            return below
    return None


def _share_a_folder(folders: list[tuple[str, ...]], level: int, names: Collection[str]) -> bool:
    """Whether folders of this level have a sub-folder of one name in common, as the classes of several splits have."""
    below = Counter(
        name for parent in names for name in {p[level] for p in folders if len(p) > level and p[level - 1] == parent}
    )
    return max(below.values(), default=0) > 1


def _split_names(names: Collection[str]) -> dict[str, str]:
    """Folder -> split name: its kind, or its own name where two folders are of one kind."""
    kinds = {name: split_kind(name) or "+".join(sorted(kinds_within(name))) for name in names}
    counts = Counter(kinds.values())
    return {name: kind if counts[kind] == 1 else name for name, kind in kinds.items()}


def _find_class_level(folders: list[tuple[str, ...]], split_level: int | None) -> int | None:
    """The only level beside the split level with several names.

    Raises:
        UsageError: several levels have several names.
    """
    several = {}
    for level in range(1, max(map(len, folders), default=0) + 1):
        names = {parts[level - 1] for parts in folders if len(parts) >= level}
        if level != split_level and len(names) > 1:
            several[level] = names
    if len(several) > 1:
        levels = "; ".join(f"level {level} has {listed(names)}" for level, names in several.items())
        raise UsageError(f"`class_level` must be named, because folders are nested: {levels}. Pass --class-level N.")
    return next(iter(several), None)


def _refuse_no_classes(folders: list[tuple[str, ...]], class_level: int | None) -> None:
    """Refuse folders such as images and test_images, which are no classes."""
    names = {parts[class_level - 1] for parts in folders if len(parts) >= class_level} if class_level else set()
    parts = {name for name in names if split_kind(name) or is_cohort(name)}
    if parts and all(name in parts or says_nothing(name) for name in names):
        raise _no_classes(names, class_level)


def refuse_parts_as_classes(names: Collection[str], class_level: int | None) -> None:
    """Refuse numbered parts of one set of images, such as images_001 and images_002, as classes.

    Args:
        names: of the classes.
        class_level: their level.

    Raises:
        UsageError: all names are such.
    """
    if all(map(is_numbered_part, names)):
        raise _no_classes(names, class_level)


def _no_classes(names: Collection[str], class_level: int | None) -> UsageError:
    return UsageError(
        f"the folders {listed(names)} do not look like classes. Name the column of a table's paths by --image-column; "
        f"if these are classes, pass --class-level {class_level}."
    )


def _refuse_split_classes(folders: list[tuple[str, ...]], class_level: int | None) -> None:
    """Refuse folders such as a_train and a_test, which are one class in two splits."""
    names = {parts[class_level - 1] for parts in folders if len(parts) >= class_level} if class_level else set()
    by_rest: dict[tuple[str, ...], list[str]] = {}
    for name in sorted(names):
        if kinds_within(name) and (rest := tuple(word for word in words_of(name) if word not in KIND_OF)):
            by_rest.setdefault(rest, []).append(name)
    for rest, same in by_rest.items():
        if len(set().union(*map(kinds_within, same))) > 1 and all(len(kinds_within(name)) == 1 for name in same):
            shown = one_line(" ".join(rest)[:40])
            raise UsageError(
                f"the folders {listed(same)} differ only in words of splits. Make folders such as train/{shown} and "
                f"test/{shown} of them; if they are classes, pass --class-level {class_level}."
            )


def _check_class_level(class_level: int, split_level: int | None, folders: list[tuple[str, ...]]) -> None:
    deepest = max(map(len, folders), default=0)
    if isinstance(class_level, bool) or not isinstance(class_level, int) or not 1 <= class_level <= deepest:
        raise UsageError(
            f"`class_level` must be a folder level from 1 to {deepest}; got {class_level!r}. Level 1 is right below the root."
        )
    if class_level == split_level:
        raise UsageError(f"`class_level` must not be {class_level}: the folders of that level are splits. Pass another level.")
