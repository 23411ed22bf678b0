"""Paths of images as folders and a name, without what all of them begin with, also those inside of archives."""

import os
from collections.abc import Sequence

_DOUBLE_ENDING = ".nii.gz"


def below_common_folder(paths: Sequence[str]) -> list[str]:
    """The paths without the folders that all of them begin with, which tell no image from another."""
    # Cut at the last "/", as commonpath does, which is far slower; an archive stands behind its members.
    common = os.path.commonprefix(paths).partition("::")[0]  # noqa: RUF071
    start = common.rfind("/") + 1
    return [path[start:] for path in paths]


def parts_of(path: str) -> tuple[str, ...]:
    """Folders and the name without its ending; an archive counts as the folder that it may be unpacked to."""
    inner, _, archive = path.partition("::")
    folders: list[str] = []
    if archive:
        folders = os.path.splitext(archive)[0].split("/")
        inner = inner.rpartition("://")[2].removeprefix(f"{folders[-1]}/")
    *inside, name = inner.split("/")
    stem = name[: -len(_DOUBLE_ENDING)] if name.lower().endswith(_DOUBLE_ENDING) else os.path.splitext(name)[0]
    return (*folders, *inside, stem)
