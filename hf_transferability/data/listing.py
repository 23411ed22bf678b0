"""The files of a local folder by kind: images, tables, metadata and others, also inside of ZIP archives."""

import itertools
import os
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from PIL import Image

from hf_transferability.data import zip_archives
from hf_transferability.data.content import is_image_file
from hf_transferability.data.image_files import is_below
from hf_transferability.data.medical.signature import is_medical_name
from hf_transferability.data.metadata import NAMES
from hf_transferability.errors import TargetError, UsageError
from hf_transferability.escaping.terminal import printable

TABLES = {".csv": "csv", ".tsv": "tsv", ".json": "json", ".jsonl": "json", ".parquet": "parquet", ".arrow": "arrow"}
ARCHIVES = (zip_archives.ENDING, ".tar", ".tgz", ".gz", ".7z", ".rar", ".zst", ".bz2", ".xz")
_NO_DATA = (".txt", ".md", ".html", ".htm", ".xml", ".yaml", ".yml", ".log", ".py", ".ipynb", ".pdf", ".xls", ".xlsx", ".docx",
            ".db", ".ini", ".lock", ".sh", ".m", ".bib", ".toml", ".cfg", ".rst", ".tex", ".js", ".css", ".c", ".cpp", ".h",
            ".java", ".r", ".sql", ".doc", ".ppt", ".pptx", ".bat")  # fmt: skip
_NO_DATA_NAMES = ("readme", "license", "licence", "copying", "notice", "authors", "changelog", "contributors", "makefile",
                  "dockerfile", "version", "citation", "md5sums", "sha256sums", "checksums", "dicomdir")  # fmt: skip
# Formats that Pillow opens by other programs, or only names.
_NOT_OPENED = {"EPS", "PS", "PDF", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"}
# Folders that programs leave behind; other hidden folders may be classes.
_NO_CLASSES = ("__macosx", "__pycache__", ".git", ".ipynb_checkpoints", ".thumbnails", ".svn", ".hg", ".venv",
               ".idea", ".vscode", ".dvc", ".spotlight-v100", ".fseventsd", ".appledouble", ".huggingface")  # fmt: skip
_APPLE_DOUBLE = "._"  # begins the names of files that macOS adds to every file
_MOST_ENTRIES_WITHOUT_IMAGE = 20_000


@dataclass
class Listing:
    """The files of a folder, as paths relative to it; those in archives as if these were unpacked.

    Attributes:
        images: files whose ending Pillow reads, DICOM files and NIfTI volumes; without a known ending by their first bytes.
        tables: files that `datasets` reads as tables, without metadata files.
        metadata: metadata.csv, metadata.jsonl and metadata.parquet.
        others: all other files that are not hidden.
        hidden: number of hidden files and folders, without `hidden_images`.
        hidden_images: image files that begin with "." or "__", or that lie in such a folder.
        linked_out: links that lead out of the folder, or in a circle, and are not followed.
        empty: folders without any entry.
        archived: path -> (archive, name in it), for what lies in archives.
    """

    images: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    metadata: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    hidden: int = 0
    hidden_images: list[str] = field(default_factory=list)
    linked_out: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    archived: dict[str, tuple[str, str]] = field(default_factory=dict)

    def suspects(self) -> list[str]:
        """Files that may have been meant as images of a class."""
        return [path for path in self.others if may_be_data(path)] + self.hidden_images

    def record(self, folder: Path, path: str) -> dict[str, str | None]:
        """The cell of an Image column for one of the images."""
        if path in self.archived:
            archive, member = self.archived[path]
            return {"bytes": None, "path": zip_archives.url(folder / archive, member)}
        return {"bytes": None, "path": str(folder / path)}


def image_endings() -> set[str]:
    """The file endings of the formats that this Pillow reads, such as ".png"."""
    Image.init()
    return {ending for ending, name in Image.EXTENSION.items() if name in Image.OPEN and name not in _NOT_OPENED}


def is_image_name(path: str) -> bool:
    """Whether a file's name has an ending that Pillow reads, or one of DICOM or NIfTI."""
    return os.path.splitext(path)[1].lower() in image_endings() or is_medical_name(path)


def may_be_data(path: str) -> bool:
    """Whether a file that is no image may have been meant as one, or as an archive of images, by its name."""
    stem, ending = os.path.splitext(os.path.basename(path).lower())
    return ending not in _NO_DATA and ending not in TABLES and not (not ending and stem in _NO_DATA_NAMES)


def list_files(folder: Path, follow_links: bool, allowed: Collection[Path]) -> Listing:
    """All files of a folder, sorted.

    Args:
        folder: the dataset's folder.
        follow_links: follow links that lead out of the `allowed` folders.
        allowed: folders that links may lead to in any case.

    Raises:
        UsageError: a home folder or the root of the disk, or very many files and no image among the first of them.
        TargetError: an archive that is damaged, or that is not safe to read.
    """
    resolved = folder.resolve()
    if resolved in (Path.home().resolve(), Path(resolved.anchor)):
        raise UsageError(
            f"`dataset` must be the folder of one dataset; got {folder}, a home folder or the root. Pass a sub-folder."
        )
    listing, endings, entries = Listing(), image_endings(), 0
    waiting, visited = deque([(folder, "", False)]), {resolved}
    while waiting:
        here, prefix, hidden = waiting.popleft()
        inside = sorted(os.scandir(here), key=lambda entry: entry.name)
        if not inside and not hidden:
            listing.empty.append(prefix)
        for entry in inside:
            entries += 1
            path, concealed = prefix + entry.name, hidden or is_hidden(entry.name)
            if concealed and (entry.is_symlink() or entry.name.lower() in _NO_CLASSES):
                listing.hidden += not hidden
            elif entry.is_symlink() and not follow_links and not is_below(entry.path, allowed):
                listing.linked_out.append(path)
            elif entry.is_dir():
                listing.hidden += concealed and not hidden
                target = Path(entry.path).resolve()
                if target not in visited:  # a circle of links would never end
                    visited.add(target)
                    waiting.append((Path(entry.path), path + "/", concealed))
            elif concealed:
                _add_hidden(listing, path, endings, count=not hidden)
            else:
                _add(listing, folder, path, endings)
        if entries > _MOST_ENTRIES_WITHOUT_IMAGE and not (listing.images or listing.tables or listing.metadata):
            raise UsageError(
                f"`dataset` must be a folder of images or tables; {folder} has none among {entries} entries. Pass a sub-folder."
            )
    for files in (listing.images, listing.tables, listing.metadata, listing.others, listing.hidden_images):
        files.sort()
    _refuse_doubles(listing)
    return listing


def _refuse_doubles(listing: Listing) -> None:
    """Refuse an archive beside what was unpacked from it: every image would be there twice."""
    for first, second in itertools.pairwise(sorted(listing.images + listing.others)):
        if first == second:
            archive = listing.archived[first][0]
            raise TargetError(
                f"{printable(archive[-80:])} holds files that are also beside it, such as {printable(first[-80:])}. "
                "Move one of them away."
            )


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden by its name, as `datasets` sees it."""
    return name.startswith((".", "__"))


def _add_hidden(listing: Listing, path: str, endings: set[str], count: bool) -> None:
    name = os.path.basename(path)
    if _ending(name) in endings and not name.startswith(_APPLE_DOUBLE):
        listing.hidden_images.append(path)
    else:
        listing.hidden += count


def _add(listing: Listing, folder: Path, path: str, endings: set[str]) -> None:
    """Put a file, or the files of an archive that holds images, into the list of their kind."""
    files = {}
    if _ending(path) == zip_archives.ENDING:
        files = zip_archives.members(folder / path, path)
    if not files:
        _list_of(listing, path, endings, partial(is_image_file, folder / path)).append(path)
        return
    inside = Listing()
    for name, member in files.items():
        parts = name[len(os.path.dirname(path)) :].strip("/").split("/")
        if not any(is_hidden(part) for part in parts):
            is_image = partial(zip_archives.is_image_member, folder / path, member)
            _list_of(inside, name, endings, is_image).append(name)
        elif any(part.lower() in _NO_CLASSES for part in parts):
            inside.hidden += 1
        else:
            _add_hidden(inside, name, endings, count=True)
    if inside.metadata or not (inside.images or inside.hidden_images):  # for `datasets` to read
        listing.others.append(path)
        return
    listing.images += inside.images
    listing.others += inside.tables + inside.others
    listing.hidden_images += inside.hidden_images
    listing.hidden += inside.hidden
    listing.archived |= {name: (path, member) for name, member in files.items()}


def _list_of(listing: Listing, path: str, endings: set[str], is_image: Callable[[], bool]) -> list[str]:
    """The list that a file belongs to; its first bytes are looked at where its name says nothing."""
    name, ending = os.path.basename(path), _ending(path)
    if name in NAMES:
        return listing.metadata
    if ending in endings or is_medical_name(name):
        return listing.images
    if ending in TABLES:
        return listing.tables
    known = ending in ARCHIVES or ending in _NO_DATA
    return listing.images if not known and is_image() else listing.others


def _ending(path: str) -> str:
    return os.path.splitext(path)[1].lower()


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


def refuse_hidden_folders(listing: Listing) -> None:
    """Refuse images in folders whose names begin with "." or "__", which may be classes.

    Raises:
        UsageError: names the first folder.
    """
    inside: dict[str, int] = {}
    for path in listing.hidden_images:
        parts = path.split("/")[:-1]
        hidden = next((i for i, part in enumerate(parts) if is_hidden(part)), None)
        if hidden is not None:
            name = "/".join(parts[: hidden + 1])
            inside[name] = inside.get(name, 0) + 1
    if inside:
        name, count = next(iter(inside.items()))
        raise UsageError(
            f"folder {printable(name[-80:])} would be lost with its {count} images, as its name begins with . or __. "
            "Rename it, or move it away."
        )


def unreadable_kind(listing: Listing) -> str | None:
    """A sentence on files that are no images and what to do, for a folder without any image; None where nothing is known."""
    names = [name.lower() for name in listing.others]
    if not names and not listing.metadata:
        if listing.hidden:
            return "holds only hidden files. Check the path, and whether its download ended."
        return "holds no files. Check the path, and whether its download ended."
    archives = [name for name in names if name.endswith(ARCHIVES)]
    if archives and not any(name.endswith(zip_archives.ENDING) or ".tar" in name for name in archives):
        shown = printable(os.path.basename(archives[0])[-40:])
        return f"holds no images that can be read, only archives such as {shown}. Unpack them, and pass the folder."
    if names and not archives:  # `datasets` reads archives that hold metadata
        endings = ", ".join(sorted({os.path.splitext(name)[1] or "no ending" for name in names})[:5])
        return f"holds no images that can be read, only files with {endings}. Convert them to PNG."
    return None
