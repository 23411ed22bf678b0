"""Planned faults of the loopback Hub: downloads that break off or arrive damaged, and answers of a busy or broken server."""

from __future__ import annotations

import re
import threading
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


@dataclass(frozen=True)
class Damage:
    """Downloads of files of one repository whose path fits have their last byte changed; the length stays."""

    repo_id: str
    path: re.Pattern[str]


@dataclass
class Refusal:
    """Requests whose address fits get this status instead of an answer, so many times."""

    address: re.Pattern[str]
    status: int
    retry_after: str | None
    times: float


class Faults:
    """The faults that are planned; of the cuts the last one that fits wins, of the refusals the first that is not used up."""

    def __init__(self) -> None:
        self._cuts: list[Cut] = []
        self._damages: list[Damage] = []
        self._refusals: list[Refusal] = []
        self._lock = threading.Lock()

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

    def add_damage(self, repo_id: str, path_regex: str) -> None:
        """Plan a damage; the pattern is searched in the path inside the repository."""
        self._damages.append(Damage(repo_id, re.compile(path_regex)))

    def damages(self, repo_id: str | None, path: str | None) -> bool:
        """Whether a download is to be damaged."""
        return any(each.repo_id == repo_id and each.path.search(path or "") for each in self._damages)

    def add_refusal(self, address_regex: str, status: int, retry_after: str | None = None, times: float = float("inf")) -> None:
        """Plan an answer such as 503 or 429; the pattern is searched in the address, without its query."""
        self._refusals.append(Refusal(re.compile(address_regex), status, retry_after, times))

    def refusal_for(self, address: str) -> Refusal | None:
        """The refusal that meets a request, if there is one; it is used up by one."""
        with self._lock:
            for refusal in self._refusals:
                if refusal.times > 0 and refusal.address.search(address):
                    refusal.times -= 1
                    return refusal
        return None

    def clear(self) -> None:
        """Forget all faults."""
        self._cuts.clear()
        self._damages.clear()
        self._refusals.clear()
