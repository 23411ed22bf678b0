"""What a path in a table that leads to no image of the folder should be: other machines' folders cut, or an ending added."""

import ntpath
import os
from collections.abc import Collection, Sequence

from hf_transferability.escaping.terminal import printable

_SHOWN = 80


def is_of_a_machine(path: str) -> bool:
    """Whether a path begins at the root or a drive of some machine, and is no URL."""
    return "://" not in path and (path.startswith(("/", "\\", "~")) or bool(ntpath.splitdrive(path)[0]))


def own_part(path: str, images: Collection[str]) -> str:
    """The longest end of a path that is the path of an image; "" without any.

    Args:
        path: with folders of another machine.
        images: paths of images from where the path should start.
    """
    parts = path.replace("\\", "/").split("/")
    ends = ("/".join(parts[start:]) for start in range(1, len(parts)))
    return next((end for end in ends if end in images), "")


def cutting(paths: Sequence[str], images: Collection[str]) -> tuple[str, str]:
    """What to cut from all of the paths, as it stands in them, and what the first then is; both "" where this leads nowhere.

    Args:
        paths, images: as in `own_part`.
    """
    own = own_part(paths[0], images)
    start = paths[0][: len(paths[0]) - len(own)]
    if not own or not all(path.startswith(start) and path[len(start) :].replace("\\", "/") in images for path in paths):
        return "", ""
    return printable(start[-_SHOWN:]), printable(own[-_SHOWN:])


def same_image(path: str, images: Collection[str]) -> str:
    """The only image with the name of a path, or with that name and an ending; "" where several or none have it."""
    name = os.path.basename(path.replace("\\", "/"))
    same = [image for image in images if name in (os.path.basename(image), os.path.splitext(os.path.basename(image))[0])]
    return printable(same[0][-_SHOWN:]) if len(same) == 1 else ""
