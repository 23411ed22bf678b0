"""What tables, folders and cards call a dataset or a checkpoint."""

from pathlib import Path


def plain_name(given: str | Path) -> str:
    """A Hub id as it is; of a local folder its own name, as its path is nobody's business."""
    path = Path(given).expanduser()
    return path.resolve().name if path.is_dir() else str(given)


def file_name(name: str) -> str:
    """A name as one part of a path."""
    return name.replace("/", "--")
