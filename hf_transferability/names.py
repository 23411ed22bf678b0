"""Names: the values that options take, and what tables, folders and cards call a dataset or a checkpoint.

Nothing heavy is imported here, so that the command line can show its choices at once.
"""

import contextlib
import difflib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from hf_transferability.arguments import names_of, unknown_argument

SCENARIOS = ("source_dataset", "architecture")  # what differs between the candidates of a pool
VARIANTS = ("default", "published")  # of a metric: its correct form, or the one of the paper's tables
ORIENTATIONS = ("published", "natural")  # which way round a published variant counts as better
DRAWS = ("random", "stratified")  # how a sample of images is drawn
BATCHES = ("paper", "balanced")  # how a sample is divided into gradient batches
TASKS = ("single_label", "multi_label", "regression")  # kinds of labels
LEAK_IMAGES = 1000  # of a source dataset or a test split that are compared with the target by default
KEEP = 3  # candidates that a race takes to the whole sample at least
POOLINGS = ("auto", "native", "cls", "mean", "cls+mean")  # how tokens become one vector

_FOLDERS = re.compile(r"(?<![\w:/.~])~?/(?:[^/\s'\"]+/)+")  # the folders of an absolute path, but not of a URL
_COMMIT = re.compile(r"@([0-9a-f]{8})[0-9a-f]{32}$")
# What tables write where a patient or another group is not known; all such rows would be one group.
_UNKNOWN = {
    "na", "n/a", "n.a.", "#n/a", "<na>", "nan", "nat", "none", "null", "nil", "unknown", "unk", "missing", "?", "-", "--",
}  # fmt: skip


def expanded(name: str | Path) -> Path:
    """A path with ~ as a home; unchanged where that home does not exist, so that it leads nowhere."""
    with contextlib.suppress(RuntimeError):
        return Path(name).expanduser()
    return Path(name)


def plain_name(name: str | Path) -> str:
    """A Hub id unchanged; for a local folder its last part, as the path is private."""
    path = expanded(name)
    return path.resolve().name if os.path.isdir(path) or path.is_absolute() else str(name)


def to_paste(name: str | Path) -> str:
    """A name in a command that is passed on: of a folder elsewhere its last part, below a place that the reader fills in."""
    plain = plain_name(name)
    return plain if plain == str(name).rstrip("/") else f"PATH/TO/{plain}"


def similar_folder(name: str) -> str:
    """ " Did you mean NAME?" for a path that leads nowhere and a folder beside it that is called nearly so; else ""."""
    path = expanded(name)
    with contextlib.suppress(OSError, ValueError):
        folders = [entry.name for entry in os.scandir(path.parent) if entry.is_dir()]
        if found := difflib.get_close_matches(path.name, folders, n=1):
            return f" Did you mean {name.rstrip('/').removesuffix(path.name)}{found[0]}?"
    return ""


def first_of_each(names: Sequence[str | Path]) -> list[int]:
    """Which names are not the same as an earlier one; local paths are the same if they lead to one place, however written."""
    first: dict[str, int] = {}
    for number, name in enumerate(names):
        path = expanded(name)
        first.setdefault(os.path.realpath(path) if os.path.exists(path) else str(name), number)
    return list(first.values())


def without_folders(text: str, name: str | Path) -> str:
    """A text without private paths: every absolute path is reduced to its last part.

    Args:
        text: for example an error message.
        name: Hub id or folder; its path becomes its plain name.
    """
    path = expanded(name)
    for form in (path.resolve(), path.absolute()):
        text = text.replace(str(form), plain_name(name))
    return _FOLDERS.sub("", text)


def file_name(name: str) -> str:
    """A name as one part of a path."""
    return name.replace("/", "--")


def fold_id(name: str, width: int) -> str:
    """An id or path in lines of at most `width` characters, broken at slashes and before @ if possible.

    A full commit is shortened to 8 digits.
    """
    name = _COMMIT.sub(r"@\1", name)
    return "\n".join(_fold(name, width, (r"[^/@]*/|@?[^/@]+|@", r"[^ _-]*[ _-]|[^ _-]+", ".")))


def _fold(text: str, width: int, patterns: Sequence[str]) -> list[str]:
    """Lines from the pieces that the first pattern finds; pieces that are too long are folded by the further patterns."""
    lines = [""]
    for piece in re.findall(patterns[0], text):
        if lines[-1] and len(lines[-1]) + len(piece) > width:
            lines.append("")
        if len(piece) > width:
            lines[-1:] = _fold(piece, width, patterns[1:])
        else:
            lines[-1] += piece
    return lines


def without_shared_folder(names: Sequence[str]) -> tuple[list[str], str]:
    """Names without the folder that all of them share, and that folder; Hub ids stay whole, and the folder is then ""."""
    if len(names) < 2 or not all(name.count("/") > 1 or name.startswith("/") for name in names):
        return list(names), ""
    if len({name.startswith("/") for name in names}) > 1:
        return list(names), ""
    shared = os.path.commonpath([name.rpartition("/")[0] for name in names])
    return ([name.removeprefix(shared).lstrip("/") for name in names], shared) if shared else (list(names), "")


def shortened(names: Sequence[str], width: int) -> list[str]:
    """Names cut in the middle to `width` characters, so that no two different ones look alike.

    Where that needs more characters, all of them get more; a full commit is shortened to 8 digits.
    """
    names = [_COMMIT.sub(r"@\1", name) for name in names]
    different = list(dict.fromkeys(names))
    longest = max(map(len, different), default=0)
    for limit in range(max(width, 3), longest):
        cut = {name: _cut(name, limit, 2 * limit // 5) for name in different}
        for alike in _alike(cut):
            others = {text for name, text in cut.items() if name not in alike}
            for texts in _other_cuts(alike, limit):
                if len(set(texts)) == len(texts) and not others & set(texts):
                    cut |= dict(zip(alike, texts, strict=True))
                    break
        if len(set(cut.values())) == len(different):
            return [cut[name] for name in names]
    return names


def _alike(cut: Mapping[str, str]) -> list[list[str]]:
    """The names that look alike when they are cut."""
    groups: dict[str, list[str]] = {}
    for name, text in cut.items():
        groups.setdefault(text, []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def _other_cuts(names: Sequence[str], width: int) -> Iterator[list[str]]:
    """Cuts of names that the usual one makes alike: first one that shows where they begin to differ."""
    differ = next((place for place, letters in enumerate(zip(*names, strict=False)) if len(set(letters)) > 1), 0)
    start = max(differ - 2, width // 3)
    end = start + width - width // 3 - 2
    yield [f"{name[: width // 3]}…{name[start:end]}{'…' if len(name) > end else ''}" for name in names]
    for head in range(width):
        yield [_cut(name, width, head) for name in names]


def _cut(name: str, width: int, head: int) -> str:
    return name if len(name) <= width else f"{name[:head]}…{name[len(name) - (width - 1 - head) :]}"


def split_options(function: Callable[..., Any], options: Mapping[str, Any], *kinds: type) -> tuple[Any, ...]:
    """Keyword arguments divided among dataclasses by their fields; one instance of each.

    Args:
        function: the one that was called, for the error, which may mean one of its own arguments.
        options: the keyword arguments.
        *kinds: dataclasses without a field in common.

    Raises:
        UnknownArgument: an argument that is a field of none of them.
    """
    known = {kind: [field.name for field in fields(kind)] for kind in kinds}
    all_names = [name for names in known.values() for name in names]
    if unknown := [name for name in options if name not in all_names]:
        raise unknown_argument(function.__name__, unknown[0], [*names_of(function), *all_names])
    return tuple(kind(**{name: options[name] for name in names if name in options}) for kind, names in known.items())


def means_missing(value: object) -> bool:
    """Whether a text stands for a name that is not known, such as "NA", "None" or "unknown"; in any case."""
    return isinstance(value, str) and value.strip().lower() in _UNKNOWN
