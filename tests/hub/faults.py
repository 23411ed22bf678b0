"""Planned faults of the loopback Hub. So far: file downloads that break off."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Cut:
    """Downloads of files of one repository whose path fits are cut, every time."""

    repo_id: str
    path: re.Pattern[str]
    bytes_sent: int

    def limit(self, start: int, length: int) -> int:
        """How many of the `length` bytes from `start` may go out.

        The limit is a position in the file, so that a client which resumes gets no further.
        """
        return max(0, min(length, self.bytes_sent - start))


class Faults:
    """The faults that are planned; the last one that fits wins."""

    def __init__(self) -> None:
        self._cuts: list[Cut] = []

    def add_cut(self, repo_id: str, path_regex: str, bytes_sent: int) -> None:
        """Plan a cut; the pattern is searched in the path inside the repository."""
        if bytes_sent < 0:
            raise ValueError("bytes_sent must not be negative")
        self._cuts.append(Cut(repo_id, re.compile(path_regex), bytes_sent))

    def cut_for(self, repo_id: str | None, path: str | None) -> Cut | None:
        """The cut that applies to a download, if there is one."""
        if repo_id is None or path is None:
            return None
        fitting = [cut for cut in self._cuts if cut.repo_id == repo_id and cut.path.search(path)]
        return fitting[-1] if fitting else None

    def clear(self) -> None:
        """Forget all faults."""
        self._cuts.clear()
