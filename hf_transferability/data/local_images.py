"""Image files in a local folder become a `datasets.DatasetDict`, with an account of every file that is left out."""

import os
from collections import Counter, deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
from PIL import Image

from hf_transferability.data.account import Account
from hf_transferability.data.folders import Arrangement, arrange
from hf_transferability.data.image_files import is_below
from hf_transferability.data.labels import LABEL_NAMES
from hf_transferability.data.medical.signature import is_dicom_file, is_medical_name
from hf_transferability.data.metadata import NAMES, read_metadata
from hf_transferability.data.options import SampleOptions
from hf_transferability.errors import TargetError, UsageError
from hf_transferability.escaping.terminal import printable

TABLES = {".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet", ".arrow": "arrow"}
ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".7z", ".rar", ".zst", ".bz2", ".xz")
_NO_DATA = (".txt", ".md", ".html", ".htm", ".xml", ".yaml", ".yml", ".log", ".py", ".ipynb", ".pdf", ".xls", ".xlsx", ".docx",
            ".db", ".ini", ".lock", ".sh", ".m", ".bib", "")  # fmt: skip
# Formats that Pillow opens by other programs, or only names.
_NOT_OPENED = {"EPS", "PS", "PDF", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"}
_MOST_ENTRIES_WITHOUT_IMAGE = 20_000


@dataclass(frozen=True)
class Listing:
    """The files of a folder, as paths relative to it.

    Attributes:
        images: files whose ending Pillow reads, DICOM files (also by their first bytes) and NIfTI volumes.
        tables: files that `datasets` reads as tables, without metadata files.
        metadata: metadata.csv, metadata.jsonl and metadata.parquet.
        others: all other files that are not hidden.
        hidden: number of hidden files and folders.
        linked_out: links that lead out of the folder, or in a circle, and are not followed.
        empty: folders without any entry.
    """

    images: list[str]
    tables: list[str]
    metadata: list[str]
    others: list[str]
    hidden: int
    linked_out: list[str]
    empty: list[str]


def image_endings() -> set[str]:
    """The file endings of the formats that this Pillow reads, such as ".png"."""
    Image.init()
    return {ending for ending, name in Image.EXTENSION.items() if name in Image.OPEN and name not in _NOT_OPENED}


def is_image_name(path: str) -> bool:
    """Whether a file's name has an ending that Pillow reads, or one of DICOM or NIfTI."""
    return os.path.splitext(path)[1].lower() in image_endings() or is_medical_name(path)


def list_files(folder: Path, follow_links: bool, allowed: Collection[Path]) -> Listing:
    """All files of a folder, sorted.

    Args:
        folder: the dataset's folder.
        follow_links: follow links that lead out of the `allowed` folders.
        allowed: folders that links may lead to in any case.

    Raises:
        UsageError: a home folder or the root of the disk, or very many files and no image among the first of them.
    """
    resolved = folder.resolve()
    if resolved in (Path.home().resolve(), Path(resolved.anchor)):
        raise UsageError(
            f"`dataset` must be the folder of one dataset; got {folder}, a home folder or the root. Pass a sub-folder."
        )
    endings = image_endings()
    by_kind: dict[str, list[str]] = {"images": [], "tables": [], "metadata": [], "others": []}
    hidden, linked_out, empty, entries = 0, [], [], 0
    waiting, visited = deque([(folder, "")]), {resolved}
    while waiting:
        here, prefix = waiting.popleft()
        inside = sorted(os.scandir(here), key=lambda entry: entry.name)
        if not inside:
            empty.append(prefix)
        for entry in inside:
            entries += 1
            path = prefix + entry.name
            if entry.name.startswith((".", "__")):
                hidden += 1
                continue
            if entry.is_symlink() and not follow_links and not is_below(entry.path, allowed):
                linked_out.append(path)
                continue
            if entry.is_dir():
                target = Path(entry.path).resolve()
                if target not in visited:  # a circle of links would never end
                    visited.add(target)
                    waiting.append((Path(entry.path), path + "/"))
                continue
            ending = os.path.splitext(entry.name)[1].lower()
            by_kind[_kind(entry.path, ending, endings)].append(path)
        if entries > _MOST_ENTRIES_WITHOUT_IMAGE and not (by_kind["images"] or by_kind["tables"] or by_kind["metadata"]):
            raise UsageError(
                f"`dataset` must be a folder of images or tables; {folder} has none among {entries} entries. Pass a sub-folder."
            )
    images, tables, metadata, others = (sorted(by_kind[kind]) for kind in ("images", "tables", "metadata", "others"))
    return Listing(images, tables, metadata, others, hidden, linked_out, empty)


def _kind(path: str, ending: str, image_endings: set[str]) -> str:
    """The field of `Listing` that a file belongs to."""
    name = os.path.basename(path)
    if name in NAMES:
        return "metadata"
    if ending in image_endings or is_medical_name(name):
        return "images"
    if ending in TABLES:
        return "tables"
    known = ending in ARCHIVES or (ending in _NO_DATA and ending)
    return "images" if not known and is_dicom_file(path) else "others"


def refuse_links(listing: Listing, folder: Path) -> None:
    """Refuse a folder whose links lead elsewhere.

    Raises:
        TargetError: names the first link.
    """
    if listing.linked_out:
        raise TargetError(
            f"{len(listing.linked_out)} links in {folder.name} lead out of it, for example {listing.linked_out[0]}. "
            "Pass --follow-links to read what they lead to."
        )


def unreadable_kind(listing: Listing) -> str | None:
    """A sentence on files that are no images and what to do, for a folder without any image; None where nothing is known."""
    names = [name.lower() for name in listing.others]
    if names and not any(name.endswith(ARCHIVES) for name in names):  # `datasets` reads archives that hold metadata
        endings = ", ".join(sorted({os.path.splitext(name)[1] or "no ending" for name in names})[:5])
        return f"holds no images that can be read, only files with {endings}. Convert them to PNG."
    return None


def read_image_folder(folder: Path, listing: Listing, options: SampleOptions) -> tuple[datasets.DatasetDict, Account] | None:
    """The images of class folders, or of metadata files, by split; None where only `datasets` can read the metadata.

    Raises:
        UsageError: a class that would vanish, or folders that do not tell splits or classes.
    """
    _refuse_undecodable([str(folder), *listing.images])
    suspects = [path for path in listing.others if os.path.splitext(path)[1].lower() not in (*_NO_DATA, *ARCHIVES)]
    if listing.metadata:
        return _read_metadata_folder(folder, listing, suspects, options)
    arrangement = arrange([*listing.images, *suspects], options.class_level)
    _refuse_vanishing(arrangement, set(listing.images), suspects)
    left_out = _left_out(listing, suspects)
    images = set(listing.images)
    if stray := images.intersection(arrangement.shallow):
        left_out["images outside the class folders"] = len(stray)
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
        columns: dict[str, list] = {"image": [_record(folder, path) for path in files]}
        if names:
            columns["label"] = [code[arrangement.classes[path]] for path in files]
        tables[split] = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
    account = Account(
        {split: len(table) for split, table in tables.items()},
        found=len(listing.images),
        class_level=arrangement.class_level,
        left_out=left_out,
    )
    return datasets.DatasetDict(tables), account


def _read_metadata_folder(
    folder: Path, listing: Listing, suspects: list[str], options: SampleOptions
) -> tuple[datasets.DatasetDict, Account] | None:
    images = set(listing.images)
    metadata = read_metadata(folder, listing.metadata, images)
    if metadata is None or not metadata.rows:
        return None
    rows, columns = metadata.rows, metadata.columns
    labelled = _has_labels(columns, options)
    try:
        arrangement = arrange(listing.images, options.class_level)
    except UsageError:
        if options.class_level is not None:
            raise
        arrangement = arrange(listing.images, classes=False)
    has_class_folders = len(set(arrangement.classes.values())) > 1
    notes = []
    if has_class_folders and labelled:
        notes.append("Labels come from a column of the metadata, not from the folders.")
    elif has_class_folders:
        _refuse_vanishing(arrangement, set(rows), sorted(images - set(rows)), "files that metadata does not name")
        notes.append("Labels come from the folders, because the metadata have no label column; another needs --label-column.")
    classes = arrangement.classes if has_class_folders and not labelled else {}
    left_out = _left_out(listing, suspects)
    if unnamed := len(images - set(rows)):
        left_out["images that metadata does not name"] = unnamed
    if metadata.absent:
        left_out["rows of metadata without an image file"] = metadata.absent
    if metadata.repeated:
        left_out["repeated rows of metadata"] = metadata.repeated
    names = sorted({classes[path] for path in rows if path in classes})
    code = {name: i for i, name in enumerate(names)}
    types = metadata.types()
    tables = {}
    for split, files in arrangement.splits.items():
        files = [path for path in files if path in rows]
        if not files:
            continue
        data: dict[str, list] = {"image": [_record(folder, path) for path in files]}
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
        left_out=left_out,
        notes=tuple(notes),
    )
    return datasets.DatasetDict(tables), account


def _has_labels(columns: Iterable[str], options: SampleOptions) -> bool:
    columns = set(columns)
    if options.label_column is not None:
        return options.label_column in columns
    return bool(columns & set(LABEL_NAMES))


def _record(folder: Path, path: str) -> dict[str, Any]:
    return {"bytes": None, "path": str(folder / path)}


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


def _refuse_vanishing(
    arrangement: Arrangement, used: set[str], unused: list[str], why: str = "no images that can be read"
) -> None:
    """Refuse to lose every file of a class in a split.

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
        raise UsageError(
            f"class {name} of split {split} would vanish: its {count} files ({kinds}) are {why}. "
            "Convert or name them, or move the folder away."
        )


def _left_out(listing: Listing, suspects: list[str]) -> dict[str, int]:
    """Reason -> number of files that are no images of the dataset."""
    counts = Counter(f"{os.path.splitext(path)[1].lower() or 'no-ending'} files" for path in [*listing.others, *listing.tables])
    if listing.hidden:
        counts["hidden files"] = listing.hidden
    if listing.empty:
        counts["empty folders"] = len(listing.empty)
    return dict(sorted(counts.items()))
