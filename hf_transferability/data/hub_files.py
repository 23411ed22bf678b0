"""A Hub dataset of image files: what `datasets` reads is compared with the files of its repository."""

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from huggingface_hub import HfApi

from hf_transferability import hub
from hf_transferability.data.account import Account
from hf_transferability.data.folders import Arrangement, arrange, refuse_doubt
from hf_transferability.data.labels import LABEL_NAMES
from hf_transferability.data.listing import (
    ARCHIVES,
    TABLES,
    Listing,
    is_hidden,
    is_image_name,
    refuse_hidden_folders,
)
from hf_transferability.data.local_images import left_out, refuse_vanishing
from hf_transferability.data.medical.signature import DICOM_ENDINGS
from hf_transferability.data.metadata import NAMES
from hf_transferability.data.options import SampleOptions
from hf_transferability.data.split_words import is_numbered_part, split_kind
from hf_transferability.data.table_splits import refuse_merged
from hf_transferability.data.unread import configured_files, may_hold_rows, split_list_note, unread_names
from hf_transferability.data.zip_archives import ENDING
from hf_transferability.errors import UsageError
from hf_transferability.escaping.terminal import printable

DOWNLOAD = "Download it (`hf download {} --repo-type dataset`) and pass the local folder."
FOLDERS = ("imagefolder", "niftifolder")  # builders of `datasets` that read image files


def compared(
    account: Account,
    builder: Any,
    name: str,
    commit: str | None,
    token: str | None,
    options: SampleOptions,
    named: Sequence[str] | None,
) -> Account:
    """The account of a Hub dataset, compared with the files of its repository.

    Args:
        account: what `datasets` reads.
        builder: of `datasets`.
        name, commit: the dataset.
        token: Hub token.
        options: how it is read.
        named: the image files that rows name; None where that cannot be told.

    Raises:
        UsageError: splits or classes that `datasets` reads otherwise than the folders are named, or a class that would be lost.
    """
    data_files = builder.config.data_files or {}
    used = {split: _relative(paths) for split, paths in data_files.items()}
    every = [path for paths in used.values() for path in paths]
    if builder.name not in FOLDERS or commit is None or not any(map(is_image_name, every)):
        if builder.name in FOLDERS and any(path.endswith(ENDING) for path in every):
            _refuse_lost_labels(builder, options, ["archives"], name)
        elif builder.name in (*FOLDERS, "text") and any(
            map(is_image_name, listed(name, commit, token) or [] if commit else [])
        ):
            raise _other_splits(name)  # a file such as test_list.txt has been taken for the test split
        return _with_unread(account, builder, name, commit, token, named)
    files = listed(name, commit, token)
    if files is None:
        return replace(account, found=len(every))
    refuse_dicom(files, name)
    _refuse_tables_beside_images(builder, files, name, options)
    listing = _listing(files)
    images = {split: [path for path in paths if is_image_name(path)] for split, paths in used.items()}
    level, described = None, any(os.path.basename(path) in NAMES for path in files)
    if described:
        _refuse_lost_folders(builder, options, listing, name)
    else:
        refuse_hidden_folders(listing)
        arrangement = arrange([*listing.images, *listing.suspects()], options.class_level)
        refuse_vanishing(
            arrangement, set(listing.images), listing.suspects(), "files that `datasets` does not read", DOWNLOAD.format(name)
        )
        refuse_doubt(arrangement, options.split)
        _refuse_other_places(arrange(listing.images, options.class_level), images, name)
        _refuse_lost_labels(builder, options, sorted(set(arrangement.classes.values())), name)
        level = arrangement.class_level
    counts = left_out(listing, level)
    held = {path for paths in images.values() for path in paths}
    if unused := len(set(listing.images) - held):
        counts["image files that no split holds"] = unused
    if described and min(account.rows.values(), default=-1) >= 0 and (unnamed := len(held) - sum(account.rows.values())) > 0:
        counts["images that metadata does not name"] = unnamed
    account = replace(account, class_level=level, found=len(listing.images), left_out=counts)
    return _with_list_note(account, [path for path in files if os.path.basename(path) not in NAMES])


def _with_unread(
    account: Account, builder: Any, name: str, commit: str | None, token: str | None, named: Sequence[str] | None
) -> Account:
    """The account with the data files of the repository that no configuration and no row names."""
    files = listed(name, commit, token) if commit is not None else None
    if files is None:
        return account
    read = _relative([*configured_files(builder, token), *(named or ())])
    left_out, examples = unread_names(files, read, images=named is not None)
    account = replace(account, left_out=left_out, examples=examples)
    return _with_list_note(account, [path for path in files if os.path.splitext(path)[1].lower() not in TABLES])


def _with_list_note(account: Account, files: Sequence[str]) -> Account:
    """The account with a note on files that may tell images for training and testing, where there is one split."""
    note, name = split_list_note(files)
    if not note or len(account.rows) > 1:
        return account
    return replace(account, notes=(*account.notes, note), examples={**account.examples, note: name})


def listed(name: str, commit: str | None, token: str | None) -> list[str] | None:
    """All files of a Hub dataset; None where the Hub does not say, as offline, when the cached files are all there is."""
    try:
        return list(hub.call(HfApi(token=token).list_repo_files, name, repo_type="dataset", revision=commit))
    except Exception:
        return None


def refuse_dicom(files: Sequence[str], name: str) -> None:
    """Refuse a Hub dataset with DICOM files, which `datasets` leaves out.

    Raises:
        UsageError: names their number and the remedy.
    """
    if dicom := [path for path in files if path.lower().endswith(DICOM_ENDINGS)]:
        raise UsageError(
            f"dataset {name} holds {len(dicom)} DICOM files, which `datasets` does not read. {DOWNLOAD.format(name)}"
        )


def _listing(files: Sequence[str]) -> Listing:
    """The files of a repository by kind, by their names; without those at its top that describe it."""
    listing = Listing()
    for path in files:
        if any(map(is_hidden, path.split("/"))):
            if is_image_name(path):
                listing.hidden_images.append(path)
        elif is_image_name(path):
            listing.images.append(path)
        elif os.path.basename(path) not in NAMES:
            if os.path.splitext(path)[1].lower() in TABLES:
                listing.tables += [path] if may_hold_rows(path) else []
            elif "/" in path:
                listing.others.append(path)
    return listing


def _refuse_other_places(arrangement: Arrangement, used: dict[str, list[str]], name: str) -> None:
    placed = {split: set(paths) for split, paths in arrangement.splits.items()}
    endings = {os.path.splitext(path)[1].lower() for paths in used.values() for path in paths}
    every = (path for paths in placed.values() for path in sorted(paths))
    if unread := [path for path in every if os.path.splitext(path)[1].lower() not in endings]:  # such as .avif
        raise UsageError(
            f"`datasets` does not read {len(unread)} image files of {name}, such as {printable(unread[0][-80:])}. "
            f"{DOWNLOAD.format(name)}"
        )
    if {split: set(paths) for split, paths in used.items() if paths} != placed:
        raise _other_splits(name)
    if any(of_class != path.split("/")[-2] for path, of_class in arrangement.classes.items()):
        raise UsageError(
            f"`datasets` reads other classes from {name} than folder level {arrangement.class_level}. {DOWNLOAD.format(name)}"
        )


def _other_splits(name: str) -> UsageError:
    return UsageError(f"`datasets` reads other splits from {name} than its folders name. {DOWNLOAD.format(name)}")


def _refuse_lost_labels(builder: Any, options: SampleOptions, classes: Sequence[str], name: str) -> None:
    """Refuse folders of which `datasets` reads the images without their classes."""
    if classes and options.label_column is None and len(builder.info.features or ()) == 1:
        raise UsageError(f"`datasets` reads no classes from {name}, though its folders name them. {DOWNLOAD.format(name)}")


def _refuse_lost_folders(builder: Any, options: SampleOptions, listing: Listing, name: str) -> None:
    """Refuse class folders with metadata that have no label column, of which `datasets` drops the classes."""
    if options.label_column is not None or set(LABEL_NAMES).intersection(builder.info.features or ()):
        return
    try:
        classes = set(arrange(listing.images, options.class_level).classes.values())
    except UsageError:  # the folders do not tell classes
        return
    if len(classes) > 1:
        raise UsageError(
            f"`datasets` reads no classes from {name}, though its folders name them. {DOWNLOAD.format(name)} "
            "If a column of the metadata has the labels, pass --label-column."
        )


def _refuse_tables_beside_images(builder: Any, files: Sequence[str], name: str, options: SampleOptions) -> None:
    """Refuse images without labels, or in numbered parts, beside tables, which `datasets` reads only if called metadata.

    Raises:
        UsageError: names one of the tables.
    """
    tables = [path for path in files if os.path.splitext(path)[1].lower() in TABLES and may_hold_rows(path)]
    folders = {os.path.dirname(path) for path in files if is_image_name(path)}
    unlabelled = len(builder.info.features or ()) == 1 and len(folders) == 1
    parts = options.class_level is None and all(is_numbered_part(os.path.basename(folder)) for folder in folders)
    if tables and (unlabelled or parts):
        raise UsageError(
            f"`datasets` reads the images of {name}, but not {printable(tables[0][-80:])} beside them. {DOWNLOAD.format(name)} "
            "Name its column of paths by --image-column."
        )


def refuse_merged_tables(builder: Any, name: str, described: bool) -> None:
    """Refuse tables and archives that `datasets` puts into another split than their names say.

    Args:
        builder: of the dataset.
        name: its Hub id.
        described: whether its card names the files; splits of other names, such as "full", may then join any.

    Raises:
        UsageError: names one of them and the remedy.
    """
    for split, paths in (builder.config.data_files or {}).items():
        if described and split_kind(str(split)) is None:
            continue
        named = [path for path in _relative(paths) if path.lower().endswith((*TABLES, *ARCHIVES))]
        remedy = f"{DOWNLOAD.format(name)} Then name each table by one split."
        refuse_merged(str(split), named, remedy)


def _relative(paths: Sequence[Any]) -> list[str]:
    """Paths in the repository of hf:// URLs."""
    return [re.sub(r"^hf:/+datasets/[^@]+@[^/]+/", "", str(path)) for path in paths]
