"""What tables, folders and cards call a dataset or a checkpoint."""

import re
from pathlib import Path

_FOLDERS = re.compile(r"(?<![\w:/.~])~?/(?:[^/\s'\"]+/)+")  # of an absolute path; not of a URL


def plain_name(given: str | Path) -> str:
    """A Hub id as it is; of a local folder its own name, as its path is nobody's business."""
    path = Path(given).expanduser()
    return path.resolve().name if path.is_dir() or path.is_absolute() else str(given)


def without_folders(text: str, given: str | Path) -> str:
    """A text for a table: what was given by its plain name in place of its path, other absolute paths by their last part."""
    path = Path(given).expanduser()
    for form in (path.resolve(), path.absolute()):
        text = text.replace(str(form), plain_name(given))
    return _FOLDERS.sub("", text)


def file_name(name: str) -> str:
    """A name as one part of a path."""
    return name.replace("/", "--")
