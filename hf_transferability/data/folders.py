"""Folders of images: which folder level names the split and which the class, decided from relative paths alone."""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from hf_transferability.errors import UsageError

_WORDS = {
    "train": ("train", "training", "trn", "tr"),
    "validation": ("validation", "validate", "valid", "val", "dev"),
    "test": ("test", "testing", "tst", "ts", "evaluation", "eval", "holdout", "heldout"),
}
_TWO_WORDS = re.compile(r"(hold|held)[^a-z0-9]*(out)", re.IGNORECASE)  # hold_out, Held-out
# Words for parts of a study, of which some authors train on one and others on another: "development" data are for validation
# in machine learning, and for training in medicine.
_COHORTS = ("development", "derivation", "discovery", "internal")
_UNSEEN = ("external", "unseen", "blind", "blinded", "independent", "replication")  # of these, never for training
_KIND_OF = {word: kind for kind, words in _WORDS.items() for word in words}
_FILLER = r"(?:images?|imgs?|data|dataset|sets?|split|samples?|folder)*"
_WHOLE = {kind: re.compile(f"{_FILLER}(?:{'|'.join(words)}){_FILLER}[0-9]*") for kind, words in _WORDS.items()}
_COHORT = re.compile(f"{_FILLER}(?:{'|'.join((*_COHORTS, *_UNSEEN))})(?:cohort|{_FILLER})[0-9]*")
_NAMES_IN_MESSAGE = 5


@dataclass(frozen=True)
class Arrangement:
    """Where each file belongs.

    Attributes:
        splits: split -> files, sorted.
        classes: file -> class name; empty where the folders name no classes.
        class_level: folder level of the classes, 1 for the folders directly below the root; None without classes.
        shallow: files that lie above the class level, and so have no class.
    """

    splits: dict[str, list[str]]
    classes: dict[str, str]
    class_level: int | None
    shallow: list[str]


def split_kind(name: str) -> str | None:
    """Which split a whole name stands for, in any case: "Train_Data" -> "train", "valset" -> "validation", "bus" -> None."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return next((kind for kind, pattern in _WHOLE.items() if pattern.fullmatch(plain)), None)


def arrange(files: Sequence[str], class_level: int | None = None, *, classes: bool = True) -> Arrangement:
    """Assign files to splits and classes.

    Args:
        files: paths relative to the dataset's root, separated by "/".
        class_level: folder level that names the classes; None to decide, which fails where several levels could.
        classes: False to look for splits only.

    Raises:
        UsageError: folders that look only partly like splits, several levels that could name classes, or no such level.
    """
    folders = {file: tuple(file.split("/")[:-1]) for file in files}
    nested = [parts for parts in folders.values() if parts]
    split_level = _split_level(nested, class_level)
    if class_level is not None:
        _check_class_level(class_level, split_level, nested)
    elif classes:
        class_level = _find_class_level(nested, split_level)
    needed = max(class_level or 0, split_level or 0)
    shallow = [file for file in sorted(files) if len(folders[file]) < needed]
    placed = [file for file in sorted(files) if len(folders[file]) >= needed]
    splits: dict[str, list[str]] = {}
    if split_level is not None:
        names = _split_names({folders[file][split_level - 1] for file in placed})
        for file in placed:
            splits.setdefault(names[folders[file][split_level - 1]], []).append(file)
    else:
        by_name = _splits_by_file_name(placed)
        for file in placed:
            splits.setdefault(by_name.get(file, "train"), []).append(file)
    class_of = {file: folders[file][class_level - 1] for file in placed} if class_level else {}
    return Arrangement(splits, class_of, class_level, shallow)


def _split_level(folders: list[tuple[str, ...]], class_level: int | None) -> int | None:
    """The folder level that names the splits; None where none does."""
    for level in range(1, max(map(len, folders), default=0) + 1):
        names = {parts[level - 1] for parts in folders if len(parts) >= level}
        complete = all(len(parts) >= level for parts in folders)
        split_names = {name: kind for name in names if (kind := split_kind(name))}
        if complete and len(split_names) == len(names):
            return level
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
            raise UsageError(
                f"the folders {_listed(names)} look only partly like splits. "
                f"Name all split folders train, validation or test; if these are classes, pass --class-level {level}."
            )
    return None


def _share_a_folder(folders: list[tuple[str, ...]], level: int, names: Collection[str]) -> bool:
    """Whether folders of this level have a sub-folder of one name in common, as the classes of several splits have."""
    below = Counter(
        name for parent in names for name in {p[level] for p in folders if len(p) > level and p[level - 1] == parent}
    )
    return max(below.values(), default=0) > 1


def kinds_within(name: str) -> set[str]:
    """The kinds of split whose word is a part of a name: "brain_train" -> {"train"}."""
    return {_KIND_OF[word] for word in _words(name) if word in _KIND_OF}


def is_cohort(name: str) -> bool:
    """Whether a whole name stands for a part of a study that may be a split, but does not tell which: "External_set"."""
    return _COHORT.fullmatch(re.sub(r"[^a-z0-9]", "", name.lower())) is not None


def may_be_unseen(name: str) -> bool:
    """Whether a name has a word for data that are not for training, such as "unseen_labels"."""
    return not set(_UNSEEN).isdisjoint(_words(name))


def has_cohort_word(name: str) -> bool:
    """Whether a name has a word for a part of a study; see `is_cohort`."""
    return not {*_COHORTS, *_UNSEEN}.isdisjoint(_words(name))


def _words(name: str) -> list[str]:
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+", _TWO_WORDS.sub(r"\1\2", name))
    return [word.lower() for word in words]


def _split_names(names: Collection[str]) -> dict[str, str]:
    """Folder -> split name: its kind, or its own name where two folders are of one kind."""
    kinds = {name: split_kind(name) or "+".join(sorted(kinds_within(name))) for name in names}
    counts = Counter(kinds.values())
    return {name: kind if counts[kind] == 1 else name for name, kind in kinds.items()}


def _splits_by_file_name(files: Sequence[str]) -> dict[str, str]:
    """File -> split, where every file's name begins with a split's word and there are several splits; else nothing."""
    kinds = {}
    for file in files:
        word = re.match(r"[A-Za-z]+", file.rsplit("/", 1)[-1])
        kinds[file] = _KIND_OF.get(word.group().lower(), "") if word else ""
    return kinds if all(kinds.values()) and len(set(kinds.values())) > 1 else {}


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
        levels = "; ".join(f"level {level} has {_listed(names)}" for level, names in several.items())
        raise UsageError(f"`class_level` must be named, because folders are nested: {levels}. Pass --class-level N.")
    return next(iter(several), None)


def _check_class_level(class_level: int, split_level: int | None, folders: list[tuple[str, ...]]) -> None:
    deepest = max(map(len, folders), default=0)
    if isinstance(class_level, bool) or not isinstance(class_level, int) or not 1 <= class_level <= deepest:
        raise UsageError(
            f"`class_level` must be a folder level from 1 to {deepest}; got {class_level!r}. Level 1 is right below the root."
        )
    if class_level == split_level:
        raise UsageError(f"`class_level` must not be {class_level}: the folders of that level are splits. Pass another level.")


def _listed(names: Collection[str]) -> str:
    shown = sorted(names)[:_NAMES_IN_MESSAGE]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")
