"""Image files in a local folder become a `datasets.DatasetDict`, with an account of every file that is left out."""

import os
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import datasets

from hf_transferability.data.account import Account
from hf_transferability.data.folders import Arrangement, arrange, refuse_doubt, refuse_parts_as_classes
from hf_transferability.data.labels import LABEL_NAMES
from hf_transferability.data.listing import Listing
from hf_transferability.data.metadata import Metadata, read_metadata
from hf_transferability.data.named_images import NOTE, tables_of_images
from hf_transferability.data.options import SampleOptions
from hf_transferability.data.path_remedies import same_image
from hf_transferability.data.unread import split_list_note
from hf_transferability.errors import TargetError, UsageError
from hf_transferability.escaping.terminal import printable

_FOLDERS_IN_ACCOUNT = 3


def read_image_folder(folder: Path, listing: Listing, options: SampleOptions) -> tuple[datasets.DatasetDict, Account] | None:
    """The images of class folders, or of metadata files, by split; None where only `datasets` can read the metadata.

    Raises:
        UsageError: a class that would be lost, or folders that do not tell splits or classes.
    """
    _refuse_undecodable([str(folder), *listing.images])
    suspects = listing.suspects()
    if listing.metadata:
        return _read_metadata_folder(folder, listing, options)
    try:
        arrangement = arrange([*listing.images, *suspects], options.class_level)
    except UsageError as error:
        if not listing.archived:
            raise
        archive = min(archive for archive, _ in listing.archived.values())
        raise UsageError(
            f"{error} An archive counts as a folder: move {printable(archive[-80:])} away if it is unpacked beside it."
        ) from error
    refuse_doubt(arrangement, options.split)
    refuse_vanishing(arrangement, set(listing.images), suspects)
    _refuse_empty_classes(arrangement, listing.empty)
    naming = tables_of_images(folder, listing) if arrangement.classes else []
    if naming and options.class_level is None:
        refuse_parts_as_classes(set(arrangement.classes.values()), arrangement.class_level)
    counts = left_out(listing, arrangement.class_level)
    images = set(listing.images)
    if stray := images.intersection(arrangement.shallow):
        counts["images outside the class folders"] = len(stray)
    splits = {
        split: split_files
        for split, files in arrangement.splits.items()
        if (split_files := [path for path in files if path in images])
    }
    features: dict[str, Any] = {"image": datasets.Image(decode=False)}
    names = sorted({arrangement.classes[path] for path in listing.images if path in arrangement.classes})
    if names:
        features["label"] = datasets.ClassLabel(names=names)
    code = {name: i for i, name in enumerate(names)}
    tables = {}
    for split, files in splits.items():
        columns: dict[str, list] = {"image": [listing.record(folder, path) for path in files]}
        if names:
            columns["label"] = [code[arrangement.classes[path]] for path in files]
        tables[split] = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
    note, name = split_list_note([*listing.others, *listing.tables])
    account = Account(
        {split: len(table) for split, table in tables.items()},
        found=len(listing.images),
        class_level=arrangement.class_level,
        left_out=counts,
        notes=((note,) if note and len(tables) == 1 else ()) + ((NOTE,) if naming else ()),
        examples=({note: name} if note else {}) | ({NOTE: printable(naming[0][-80:])} if naming else {}),
    )
    return datasets.DatasetDict(tables), account


def _read_metadata_folder(
    folder: Path, listing: Listing, options: SampleOptions
) -> tuple[datasets.DatasetDict, Account] | None:
    images = set(listing.images)
    metadata = read_metadata(folder, listing.metadata, images)
    if metadata is None:
        return None
    if not metadata.rows:
        raise _no_image_named(listing.metadata[0], metadata, images)
    rows, columns = metadata.rows, metadata.columns
    labelled = label_column = _label_column(columns, options)
    labels = {path: row.get(label_column) for path, row in rows.items()} if label_column else None
    placed = sorted(rows) if labelled else listing.images
    try:
        arrangement = arrange(placed, options.class_level, labels=labels)
    except UsageError:
        if options.class_level is not None:
            raise
        arrangement = arrange(placed, classes=False, labels=labels)
    refuse_doubt(arrangement, options.split)
    has_class_folders = len(set(arrangement.classes.values())) > 1
    notes = list(metadata.notes)
    if has_class_folders and labelled:
        notes.append("Labels come from a column of the metadata, not from the folders.")
    elif has_class_folders:
        _refuse_lost_folders(listing, options)
        refuse_vanishing(arrangement, set(rows), sorted(images - set(rows)), "files that metadata does not name")
        notes.append("Labels come from the folders, because the metadata have no label column; another needs --label-column.")
    classes = arrangement.classes if has_class_folders and not labelled else {}
    counts = left_out(listing, None)
    if unnamed := len(images - set(rows)):
        counts["images that metadata does not name"] = unnamed
    examples = {}
    if metadata.absent:
        counts["rows of metadata without an image file"] = metadata.absent
        examples["rows of metadata without an image file"] = printable(metadata.first_absent[-80:]) or "an empty cell"
    note, name = split_list_note([*listing.others, *listing.tables])
    if note and len(arrangement.splits) == 1:
        notes.append(note)
        examples[note] = name
    if metadata.repeated:
        counts["repeated rows of metadata"] = metadata.repeated
    names = sorted({classes[path] for path in rows if path in classes})
    code = {name: i for i, name in enumerate(names)}
    types = metadata.types()
    tables = {}
    for split, files in arrangement.splits.items():
        files = [path for path in files if path in rows]
        if not files:
            continue
        data: dict[str, list] = {"image": [listing.record(folder, path) for path in files]}
        features: dict[str, Any] = {"image": datasets.Image(decode=False)}
        if classes:
            data["label"] = [code[classes[path]] for path in files]
            features["label"] = datasets.ClassLabel(names=names)
        for column in columns:
            data[column] = [rows[path].get(column) for path in files]
            features[column] = types[column]
        tables[split] = datasets.Dataset.from_dict(data, features=datasets.Features(features))
    account = Account(
        {split: len(table) for split, table in tables.items()},
        found=len(listing.images),
        class_level=arrangement.class_level if classes else None,
        left_out=counts,
        notes=tuple(notes),
        examples=examples,
    )
    return datasets.DatasetDict(tables), account


def _no_image_named(table: str, metadata: Metadata, images: Collection[str]) -> TargetError:
    """What is wrong with metadata of which no row names an image of the folder."""
    if not metadata.absent:
        return TargetError(f"{printable(table[-80:])} holds no rows. Write a row for each image, or move it away.")
    slashes = ", and / between folders" if "\\" in metadata.first_absent else ""
    folder = os.path.dirname(table) or "."
    same = same_image(metadata.first_absent, {os.path.relpath(image, folder) for image in images})
    return TargetError(
        f"{printable(table[-80:])} names {metadata.absent} files, none of which is an image in the folder, for example "
        f"{printable(metadata.first_absent[-80:]) or 'an empty cell'}. Correct file_name, "
        f"relative to the metadata file{slashes}{f', such as {same}' if same else ''}."
    )


def _refuse_lost_folders(listing: Listing, options: SampleOptions) -> None:
    """Refuse class folders beside metadata whose files are all of a kind that is not read."""
    suspects = listing.suspects()
    if suspects:
        refuse_vanishing(arrange([*listing.images, *suspects], options.class_level), set(listing.images), suspects)


def _label_column(columns: Iterable[str], options: SampleOptions) -> str | None:
    """The column of the metadata that holds the labels; None where the folders do."""
    columns = set(columns)
    wanted = LABEL_NAMES if options.label_column is None else (options.label_column,)
    return next((name for name in wanted if name in columns), None)


def _refuse_undecodable(paths: Iterable[str]) -> None:
    """Refuse names of files that are no Unicode text, which Arrow cannot hold.

    Raises:
        TargetError: names the first.
    """
    for path in paths:
        try:
            path.encode("utf-8")
        except UnicodeEncodeError:
            raise TargetError(f"the name {printable(path[-120:])} must be Unicode text. Rename the file or folder.") from None


def refuse_vanishing(
    arrangement: Arrangement,
    used: set[str],
    unused: list[str],
    why: str = "hidden, or no images that can be read",
    remedy: str = "Convert or name them, or move the folder away.",
) -> None:
    """Refuse to lose every file of a class in a split.

    Args:
        arrangement: where each file belongs.
        used, unused: the files that are read, and those that are not.
        why, remedy: the end of the message.

    Raises:
        UsageError: names the class, its files and the remedy.
    """
    lost: Counter[tuple[str, str]] = Counter()
    endings: dict[tuple[str, str], set[str]] = {}
    unused_files = set(unused)
    for split, files in arrangement.splits.items():
        present = {arrangement.classes[path] for path in files if path in used and path in arrangement.classes}
        for path in files:
            name = arrangement.classes.get(path)
            if name is not None and name not in present and path in unused_files:
                lost[(split, name)] += 1
                endings.setdefault((split, name), set()).add(os.path.splitext(path)[1] or "no ending")
    if lost:
        (split, name), count = lost.most_common(1)[0]
        kinds = ", ".join(sorted(endings[(split, name)]))
        raise UsageError(f"class {name} of split {split} would be lost: its {count} files ({kinds}) are {why}. {remedy}")


def _refuse_empty_classes(arrangement: Arrangement, empty: Iterable[str]) -> None:
    """Refuse a class folder without any file in one split, of a class that another split has.

    Args:
        arrangement: where each file belongs.
        empty: folders without any entry.

    Raises:
        UsageError: names the class and the folder.
    """
    for folder in map(str, empty):
        parent, _, name = folder.rstrip("/").rpartition("/")
        beside = [files for files in arrangement.splits.values() if any(path.startswith(f"{parent}/") for path in files)]
        has_it = [any(arrangement.classes.get(path) == name for path in files) for files in arrangement.splits.values()]
        if parent and any(has_it) and not any(arrangement.classes.get(path) == name for files in beside for path in files):
            raise UsageError(
                f"class {printable(name[-40:])} would be lost: its folder {printable(folder[-80:])} is empty, but not that of "
                "another split. Fill it, or remove the class everywhere."
            )


def left_out(listing: Listing, class_level: int | None) -> dict[str, int]:
    """Reason -> number of files that are no images of the dataset; folders without any image are named."""
    counts: Counter[str] = Counter()
    level = class_level or 0
    parents = {path: path.split("/")[:-1] for path in (*listing.images, *listing.others, *listing.tables)}
    with_images = {tuple(parents[path][:n]) for path in listing.images for n in range(1, level + 1)}
    lost: dict[str, None] = {}
    for path in [*listing.others, *listing.tables]:
        counts[f"{os.path.splitext(path)[1].lower() or 'no-ending'} files"] += 1
        if (folder := parents[path][:level]) and tuple(folder) not in with_images:
            lost["/".join(folder)] = None
    if hidden := listing.hidden + len(listing.hidden_images):
        counts["hidden files"] = hidden
    if listing.empty:
        counts["empty folders"] = len(listing.empty)
    if lost:
        shown = ", ".join(printable(name[-40:]) for name in list(lost)[:_FOLDERS_IN_ACCOUNT])
        counts[f"folders without images ({shown}{', ...' if len(lost) > _FOLDERS_IN_ACCOUNT else ''})"] = len(lost)
    return dict(sorted(counts.items()))
