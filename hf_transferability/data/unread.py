"""What lies in a local folder beside the files that `datasets` reads: data files that no configuration and no row names."""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import datasets
from datasets.download.download_config import DownloadConfig

from hf_transferability.data.image_files import Place
from hf_transferability.data.listing import TABLES, Listing, is_hidden, is_image_name, may_be_data
from hf_transferability.data.repeated_rows import named_files
from hf_transferability.data.split_words import kinds_within, split_kind, words_of
from hf_transferability.escaping.terminal import printable

_MOST_CONFIGURATIONS = 50  # each is a search through all names of a repository
_LISTS = (".txt", ".lst", ".csv", ".tsv", ".json", ".jsonl", ".xls", ".xlsx", ".pkl", ".mat", ".yaml", ".yml", ".npy")
_SPLIT_WORDS = {"split", "splits", "fold", "folds", "partition", "partitions", "kfold"}
_LIST_NOTE = "Move images for testing away if they are named by a file that is not read."
_DOUBLE_ENDINGS = (".nii.gz", ".tar.gz")


def may_hold_rows(table: str) -> bool:
    """Whether `datasets` takes a table for data, by its name."""
    return os.path.basename(table) not in datasets.data_files.FILES_TO_IGNORE


def configured_files(builder: Any, token: str | None = None) -> list[str]:
    """The files, as paths or URLs, that any configuration of a dataset names; none where these are too many, or unknown.

    Args:
        builder: of one of the configurations.
        token: Hub token.
    """
    found: list[str] = []
    if len(builder.builder_configs) > _MOST_CONFIGURATIONS:
        return found
    for config in (builder.config, *builder.builder_configs.values()):
        files = config.data_files
        if hasattr(files, "resolve"):  # patterns, of a configuration that is not chosen
            try:
                files = files.resolve(base_path=builder.base_path, download_config=DownloadConfig(token=token))
            except FileNotFoundError:  # a pattern without any file, which does not concern the chosen configuration
                continue
            except Exception:  # the Hub does not answer: counting without these files would call them left out
                return []
        found += [str(path) for paths in (files or {}).values() for path in paths]
    return found


def named_images(builder: Any, column: str | None, place: Place, splits: Sequence[str]) -> list[str] | None:
    """The image files that the rows of all prepared splits name; None where that cannot be told.

    Args:
        builder: its splits are prepared.
        column: the column of images or paths; None where it is not known.
        place: where relative paths start.
        splits: names of the splits.
    """
    if column is None or len(builder.builder_configs) > 1:  # other configurations may name other images
        return None
    sizes = builder.info.splits or {}
    full = [
        split for split in splits if split not in sizes or sizes[split].num_examples
    ]  # `datasets` refuses to open empty ones
    return [file for split in full for file in named_files(builder.as_dataset(split=split), column, place) or []]


def split_lists(files: Iterable[str]) -> list[str]:
    """Those of the files, which are not read, whose names say that they tell images for training and testing, as test_list.txt.

    Args:
        files: their paths.
    """
    found = []
    for path in files:
        stem, ending = os.path.splitext(os.path.basename(path))
        words = set(words_of(stem))
        if ending.lower() in _LISTS and (kinds_within(stem) or split_kind(stem) or not words.isdisjoint(_SPLIT_WORDS)):
            found.append(path)
    return sorted(found)


def split_list_note(files: Iterable[str]) -> tuple[str, str]:
    """A note on the first of `split_lists`, and its name; both "" without any."""
    lists = split_lists(files)
    return (_LIST_NOTE, printable(lists[0][-80:])) if lists else ("", "")


def unread_files(
    folder: Path, files: Listing, chosen: Collection[str], named: Collection[str] | None
) -> tuple[dict[str, int], dict[str, str]]:
    """The data files that are not read: tables, archives, images, DICOM files and NIfTI volumes.

    Args:
        folder: the dataset's folder.
        files: all that it holds.
        chosen: the files that `datasets` reads for any configuration.
        named: the image files that the rows name; None where that is not known, and no image is counted.

    Returns:
        Reason -> number of files, and reason -> one of them.
    """
    read = {os.path.realpath(path) for path in chosen}
    if not read:
        return {}, {}
    tables = [path for path in (*files.tables, *files.metadata) if may_hold_rows(path)]
    candidates = {*tables, *filter(may_be_data, files.others), *(files.images if named is not None else ())}
    by_rows = {os.path.normpath(path) for path in named or ()}
    inside = {files.archived.get(path, (path,))[0] for path in candidates}
    counts, examples = _counted(
        path
        for path in inside
        if os.path.realpath(folder / path) not in read and os.path.normpath(folder / path) not in by_rows
    )
    if hidden := files.hidden + len(files.hidden_images):
        counts["hidden files"] = hidden
    return counts, examples


def unread_names(files: Collection[str], read: Collection[str], *, images: bool) -> tuple[dict[str, int], dict[str, str]]:
    """As `unread_files`, for the files of a repository by their names.

    Args:
        files: all of its files.
        read: those that `datasets` reads for any configuration, or that rows name.
        images: also count images.
    """
    read = set(read)
    if not read:
        return {}, {}
    names = [path for path in files if not any(map(is_hidden, path.split("/"))) and path not in read]
    tables = [path for path in names if os.path.splitext(path)[1].lower() in TABLES and may_hold_rows(path)]
    return _counted({*tables, *(path for path in names if may_be_data(path) and (images or not is_image_name(path)))})


def _counted(paths: Iterable[str]) -> tuple[dict[str, int], dict[str, str]]:
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for path in sorted(paths):
        reason = f"{_ending(path)} files that are not read"
        counts[reason] += 1
        examples.setdefault(reason, printable(path[-80:]))
    return dict(sorted(counts.items())), examples


def _ending(path: str) -> str:
    lower = path.lower()
    double = next((ending for ending in _DOUBLE_ENDINGS if lower.endswith(ending)), None)
    return double or os.path.splitext(lower)[1] or "no-ending"
