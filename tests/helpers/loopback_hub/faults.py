"""Planned faults of the loopback Hub: what goes wrong, for which requests, how often."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Collection
from dataclasses import dataclass

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})


@dataclass
class Fault:
    """One plan; see `Faults.add`."""

    address: re.Pattern[str]
    methods: Collection[str]
    times: float
    status: int | None
    retry_after: str | None
    cut: int | None
    corrupt: bool
    lost: bool
    reset: bool
    delay: float

    @property
    def spoils_body(self) -> bool:
        """Whether this shows only in an answer with a body."""
        return self.cut is not None or self.corrupt

    @property
    def name(self) -> str:
        """What goes wrong, for the log."""
        found = [str(self.status)] if self.status is not None else []
        found += [word for word in ("corrupt", "lost", "reset") if getattr(self, word)]
        found += ["cut"] if self.cut is not None else []
        found += ["delay"] if self.delay else []
        return " ".join(found)

    def bytes_before_cut(self, start: int, length: int) -> int:
        """How many of the `length` bytes from `start` may go out.

        The limit is a position in the file, so that a client which resumes gets no further.
        """
        return length if self.cut is None else max(0, min(length, self.cut - start))


class Faults:
    """The faults that are planned; a request meets the first one that fits and is not used up."""

    def __init__(self) -> None:
        self._planned: list[Fault] = []
        self._lock = threading.Lock()

    def add(
        self,
        address: str,
        *,
        methods: Collection[str] = METHODS,
        times: float = math.inf,
        status: int | None = None,
        retry_after: str | None = None,
        cut: int | None = None,
        corrupt: bool = False,
        lost: bool = False,
        reset: bool = False,
        delay: float = 0.0,
    ) -> None:
        """Plan a fault for the requests (`times` of them) whose address, unquoted and without query, fits the pattern.

        status: the request is not carried out, and answered so, with `retry_after` as Retry-After.
        reset: the request is not carried out, and the connection breaks (a TCP reset).
        lost: the request is carried out, but the connection is closed without an answer, or with `reset` breaks.
        cut: the connection is closed before this position of the answer's body, or with `reset` breaks there.
        corrupt: the last byte of the answer's body is another; its length stays.
        delay: all of this, or else the right answer, comes so many seconds later.

        `cut` and `corrupt` are for answers that have a body, and pass by others.
        """
        if (cut is not None and cut < 0) or delay < 0:
            raise ValueError("cut and delay must not be negative")
        if not (status or cut is not None or corrupt or lost or reset or delay):
            raise ValueError("say what shall go wrong")
        if (status is not None) + (cut is not None or corrupt) + lost > 1 or (status is not None and reset):
            raise ValueError("of status, lost and a spoilt body only one can be; a status is an answer, so without reset")
        if isinstance(methods, str) or not METHODS.issuperset(methods):
            raise ValueError(f"methods is a collection of {sorted(METHODS)}, not {methods!r}")
        pattern = re.compile(address)
        self._planned.append(Fault(pattern, methods, times, status, retry_after, cut, corrupt, lost, reset, delay))

    def meet(self, method: str, address: str, *, body: bool) -> Fault | None:
        """The fault that meets a request, if there is one; it is used up by one.

        It is asked for twice: before the request is carried out, and (`body`) when there is an answer with a body.
        """
        with self._lock:
            for fault in self._planned:
                fits = method in fault.methods and fault.address.search(address)
                if fits and fault.times > 0 and fault.spoils_body == body:
                    fault.times -= 1
                    return fault
        return None

    def clear(self) -> None:
        """Forget all faults."""
        self._planned.clear()
