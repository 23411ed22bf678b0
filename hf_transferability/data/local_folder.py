"""Whether the name of a dataset means a folder of this machine, and what it means where it does not."""

import os
from pathlib import Path

from hf_transferability.data import listing
from hf_transferability.data.content import is_image_file
from hf_transferability.errors import UsageError
from hf_transferability.escaping.terminal import printable
from hf_transferability.names import similar_folder

_LONGEST_NAME = 255  # characters of a part of a path; longer ones fail in every file system
_CONFIGURATIONS = ("config.json", "adapter_config.json", "open_clip_config.json", "preprocessor_config.json")
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".safetensors.index.json", ".bin.index.json")
_USUAL_FOLDERS = ("data", "dataset", "datasets", "folder", "images", "img", "input", "inputs", "photos", "scans", "tmp")
_ARRAYS = (".npz", ".npy", ".safetensors")


def local_folder(name: str) -> Path | None:
    """The resolved folder of that name; None for a Hub id.

    Raises:
        UsageError: a path that is no folder, or the folder of a checkpoint.
    """
    path, is_path = Path(name), True
    try:
        path = path.expanduser()
        is_folder, is_file = path.is_dir(), path.is_file()
        is_path = path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1 or path.exists()
    except (RuntimeError, OSError, ValueError):  # an unknown user's home, a name that no file system takes
        is_folder = is_file = False
    if is_folder:
        _refuse_checkpoint(name, path)
        return path.resolve()
    if is_file:
        raise UsageError(f"`dataset` must be a folder or a Hub id; got {_what(name, path)}")
    if is_path or len(name) > _LONGEST_NAME:
        shown = name if len(name) <= 80 else f"{name[:60]}... ({len(name)} characters)"
        similar = similar_folder(name) or " Check the path."
        raise UsageError(f"`dataset` must be an existing folder or a Hub id; there is no folder {shown}.{similar}")
    return None


def refuse_several(folder: Path) -> None:
    """Refuse a folder of datasets, whose classes would be joined: sub-folders with a card each, and no card of its own.

    Raises:
        UsageError: names them.
    """
    if _has_card(folder):
        return
    described = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and _has_card(Path(entry.path)))
    if len(described) > 1:
        names = ", ".join(printable(name[:40]) for name in described[:3]) + (", ..." if len(described) > 3 else "")
        raise UsageError(f"`dataset` must be one dataset; {printable(folder.name)} holds several ({names}). Name one of them.")


def _has_card(folder: Path) -> bool:
    """Whether a folder has a dataset's card, which begins with a head in YAML."""
    try:
        with (folder / "README.md").open("rb") as file:
            return file.read(3) == b"---"
    except OSError:
        return False


def may_be_path(name: str) -> bool:
    """Whether a name of the form of a Hub id may have been meant as a path: its first part is a folder here, or a usual one."""
    first, _, rest = name.partition("/")
    return bool(rest) and (first.lower() in _USUAL_FOLDERS or os.path.isdir(first))


def _what(name: str, path: Path) -> str:
    """What a file is and which folder to pass in its place."""
    ending = path.suffix.lower()
    if ending in listing.ARCHIVES:
        return f"the archive {name}. Unpack it, and pass the folder."
    if ending in listing.TABLES:
        return f"the table {name}. Pass the folder that holds it and its images."
    if ending in _ARRAYS:
        return f"the arrays {name}. Rank them by `hf-transferability score`."
    if listing.is_image_name(name) or is_image_file(path):
        return f"the image {name}. Pass a folder with a sub-folder of images for each class."
    return f"the file {name}. Pass a folder with a sub-folder of images for each class."


def _refuse_checkpoint(name: str, folder: Path) -> None:
    """Refuse the folder of a checkpoint, which is where the arguments were swapped."""
    try:
        files = [entry.name for entry in os.scandir(folder) if entry.is_file()]
    except OSError:  # reading the dataset will say so
        return
    described = any(file in _CONFIGURATIONS for file in files) and any(file.endswith(_WEIGHTS) for file in files)
    if described and not any(map(listing.is_image_name, files)):
        raise UsageError(f"`dataset` must be images with labels; {name} is a checkpoint. Name the dataset first.")
