"""Words of splits in the names of image files, such as train_0001.png and test_0001.png in one folder."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hf_transferability.data.image_files import file_and_folder
from hf_transferability.data.split_words import KIND_OF, cohort_words, may_be_unseen, may_have_words, words_of
from hf_transferability.escaping.terminal import printable

_SHORT = ("tr", "ts", "dev", "valid")  # also mean something else, where not every name has such a word


@dataclass(frozen=True)
class NamedSplits:
    """What the names of files say of splits.

    Attributes:
        splits: file -> split; empty where the names do not tell several.
        doubt: why this is not sure, and what to do; "" if it is, or if there are no such splits.
    """

    splits: dict[str, str]
    doubt: str = ""


def named_splits(files: Sequence[str], classes: Mapping[str, object]) -> NamedSplits:
    """The splits that the names of files tell, in which a word of the file's class counts for nothing.

    They are sure if every name has the word of one split, not all of them short, and some class has several. If only some names
    have one, and both train and test are among them, those for testing are a split, and all others another.

    Args:
        files: their paths.
        classes: file -> its class; files may be missing.
    """
    words = {file: _words(file, classes.get(file, "")) for file in files}
    kinds = {file: {KIND_OF[word] for word in found if word in KIND_OF} for file, found in words.items()}
    clear = {file: {KIND_OF[word] for word in found if word in KIND_OF and word not in _SHORT} for file, found in words.items()}
    if all(len(found) == 1 for found in kinds.values()):
        return _all_named({file: next(iter(found)) for file, found in kinds.items()}, classes, short=not any(clear.values()))
    tests = [file for file, found in clear.items() if found == {"test"}]
    trains = [file for file, found in clear.items() if found == {"train"}]
    if not (tests and trains):
        return NamedSplits({})
    doubt = (
        f"the names of {len(trains)} files say train and of {len(tests)} test, such as {_shown(trains[0])} and "
        f"{_shown(tests[0])}, but not those of all {len(files)}. Move the files into folders train and test, or pass "
        "--split train (all others) or --split train+test (all)."
    )
    return NamedSplits({file: "test" if clear[file] == {"test"} else "train" for file in files}, doubt)


def _all_named(splits: dict[str, str], classes: Mapping[str, object], *, short: bool) -> NamedSplits:
    """The splits of files that all have the word of one.

    Args:
        splits: file -> split.
        classes: as in `named_splits`.
        short: all words are short.
    """
    kinds = sorted(set(splits.values()), key=tuple(KIND_OF.values()).index)
    if len(kinds) < 2:
        return NamedSplits({})
    of_class: dict[str, set[str]] = {}
    for file, kind in splits.items():
        if file in classes:
            of_class.setdefault(str(classes[file]), set()).add(kind)
    # Numbers to predict are of one file each, which tells nothing.
    apart = 1 < len(of_class) <= len(splits) / 2 and all(len(found) == 1 for found in of_class.values())
    if apart and short:  # TS_1 of the class Tuberous_Sclerosis, TR_1 of Trauma
        return NamedSplits({})
    if not (apart or short):
        return NamedSplits(splits)
    first, other = (next(file for file, kind in splits.items() if kind == wanted) for wanted in kinds[:2])
    joined = "+".join(kinds)
    why = "no class has several" if apart else "such short words may mean something else"
    alone = "" if apart else f"--split {kinds[0]}, or "
    doubt = (
        f"the names of all {len(splits)} files may tell splits, such as {_shown(first)} and {_shown(other)}, but {why}. "
        f"Move the files into folders {' and '.join(kinds)}, or pass {alone}--split {joined} to use all."
    )
    return NamedSplits(splits, doubt)


def name_notes(files: Sequence[str], labels: Sequence[object]) -> list[str]:
    """Notes on files that are used together although their names have words for testing or for parts of a study.

    Args:
        files: their paths, "" for none.
        labels: of these files; a word of its label counts for nothing in a name.
    """
    distinct = [_words(file, label) for file, label in zip(files, labels, strict=True)]
    tests = sum(any(KIND_OF.get(word) == "test" and word not in _SHORT for word in words) for words in distinct)
    trains = sum(any(KIND_OF.get(word) == "train" and word not in _SHORT for word in words) for words in distinct)
    notes = []
    if tests:
        which = f" and {trains} the word train" if trains else ""
        notes.append(
            f"Of {len(files)} file names {tests} have the word test{which}; move test images away if they are not to count."
        )
    cohorts = Counter(" and ".join(sorted(cohort_words(" ".join(words)))) for words in distinct)
    several = len(cohorts) > 1 and (not cohorts[""] or any(map(may_be_unseen, cohorts)))
    if several:
        shown = ", ".join(f"{word or 'none of these'} ({n})" for word, n in sorted(cohorts.items(), reverse=True))
        notes.append(f"Names of files say {shown}; move those away that are not for training.")
    return notes


def _words(file: str, label: object) -> set[str]:
    """The words of a file's name without those of its class."""
    name = os.path.splitext(os.path.basename(file.partition("::")[0]))[0]
    return set(words_of(name)) - set(words_of(str(label))) if may_have_words(name) else set()


def _shown(file: str) -> str:
    return printable(file_and_folder(file)[-80:])
