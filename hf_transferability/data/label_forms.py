"""Which of several forms a list of label values has: several labels in a text, 0/1 vectors, names that are nearly alike."""

import itertools
import re
import unicodedata
from collections.abc import Mapping, Sequence

from hf_transferability.data.split_words import is_cohort, split_kind
from hf_transferability.errors import UsageError

_COPY = re.compile(r"^(?:copy|kopie|backup) (?:of|von) |[ _-]+(?:copy|kopie|old|backup|bak|orig)$| ?\([0-9]+\)$", re.IGNORECASE)
_MISSING = ("nan", "na", "n/a", "#n/a", "<na>", "null")  # but not "none" and "unknown", which are classes, too
_NOT = ("no", "not", "non", "un", "in")  # begin the opposite of a word
_SEPARATORS = ("|", ";", ",", "+")


def parted(values: Sequence[str], separator: str) -> list[list[str]]:
    """The labels of each text, without white space around them and without empty ones."""
    return [[part.strip() for part in value.split(separator) if part.strip()] for value in values]


def common_separator(values: Sequence[str]) -> str | None:
    """The character that seems to separate several labels in one text; None where the texts look like single labels.

    It is one where every part of a text with several parts also stands alone or in another combination.
    """
    distinct = sorted(set(values))
    for separator in _SEPARATORS:
        lists = [[part.strip() for part in value.split(separator)] for value in distinct]
        several = [parts for parts in lists if len(parts) > 1]
        if not several or any(not part for parts in several for part in parts):
            continue
        found_in: dict[str, int] = {}
        for part in itertools.chain.from_iterable(map(set, lists)):
            found_in[part] = found_in.get(part, 0) + 1
        if any(all(found_in[part] > 1 for part in parts) for parts in several):
            return separator
    return None


def alike(counts: Mapping[str, int]) -> str:
    """Up to three sets of classes whose names differ only in case, white space or how accents are written; "" without any.

    Args:
        counts: class -> number of images.
    """
    names: dict[str, list[str]] = {}
    for name in sorted(counts):
        names.setdefault(unicodedata.normalize("NFC", " ".join(name.split())).casefold(), []).append(name)
    several = [" and ".join(f"{name!r} ({counts[name]})" for name in same) for same in names.values() if len(same) > 1]
    return ", ".join(several[:3])


def missing_names(counts: Mapping[str, int]) -> str:
    """Classes whose names stand for missing labels, such as "nan"; "" without any."""
    return ", ".join(f"{name!r} ({n})" for name, n in counts.items() if name.strip().lower() in _MISSING)


def may_be_parts(counts: Mapping[str, int]) -> str:
    """Classes called as images for validation or testing, or as a part of a study; "" without any.

    Not one called for training, whose images nothing speaks against, nor one whose opposite is a class, such as valid beside
    invalid, independent beside dependent, or test beside no_test.

    Args:
        counts: class -> number of images.
    """
    plain = {re.sub(r"[^a-z0-9]", "", name.lower()) for name in counts}
    found = []
    for name in counts:
        if split_kind(name) not in (None, "train") or is_cohort(name):
            word = re.sub(r"[^a-z0-9]", "", name.lower())
            opposites = {f"{prefix}{word}" for prefix in _NOT} | {word.removeprefix(prefix) for prefix in _NOT}
            if not (opposites - {word}) & plain:
                found.append(name)
    return ", ".join(found)


def copies(counts: Mapping[str, int]) -> str:
    """Up to three classes called as another with a word for copies, such as "b - Copy" beside "b"; "" without any.

    Args:
        counts: class -> number of images.
    """
    pairs = [(name, _COPY.sub("", name)) for name in sorted(counts)]
    return ", ".join([f"{name!r} of {other!r}" for name, other in pairs if other != name and other in counts][:3])


def vector_width(values: Sequence[Sequence], names: Sequence[str] | None, column: str) -> int | None:
    """The width of 0/1 vectors, one entry a label; None where the values are lists of label ids.

    Raises:
        UsageError: lists of ids that repeat an id, which are probably vectors of several lengths.
    """
    lengths = {len(value) for value in values}
    flat = {item for value in values for item in value}
    # Ids of two classes say nothing in lists of one length, where vectors of 0 and 1 do; ids never repeat in a list.
    binary = len(lengths) == 1 and min(lengths) > 1 and flat <= {0, 1}
    if binary and (names is None or len(names) == 2 or len(names) in lengths):
        return min(lengths)
    if names is not None and any(len(set(value)) < len(value) for value in values):
        raise UsageError(
            f"`{column}` must hold ids of its {len(names)} classes or 0/1 vectors of one length; got lists that repeat ids. "
            "Cast 0/1 vectors to integers of one length."
        )
    return None
