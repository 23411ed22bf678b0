"""What this process may use of the machine: processor cores and memory."""

import contextlib
import gc
import os
from collections.abc import Iterator
from pathlib import Path

import psutil

_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_GROUPS_OF_THIS_PROCESS = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """Cores that the system lets this process run on; at least 1."""
    if hasattr(os, "sched_getaffinity"):  # Linux: also what a container or a batch system allows
        return max(len(os.sched_getaffinity(0)), 1)
    return os.cpu_count() or 1


def free_memory() -> int:
    """Bytes that are free on the machine, or below the limit of the container that this process runs in."""
    return min([psutil.virtual_memory().available, *_free_in_container()])


@contextlib.contextmanager
def freed_after() -> Iterator[None]:
    """A block whose memory is free at its end, also that of objects that refer to each other.

    Only objects made since its start are looked at: those of imported libraries, half a million, would take 0.3 s at every end.
    """
    frozen = gc.get_freeze_count() == 0  # else the host program has frozen its own
    if frozen:
        gc.freeze()
    try:
        yield
    finally:
        gc.collect()
        if frozen:
            gc.unfreeze()


def _free_in_container() -> list[int]:
    """Bytes below the limit of each control group that this process is in; empty without a limit.

    A file that was read stays in memory as long as there is room, and counts as used: what is inactive of these is free.
    """
    free = []
    for folder, limit_name, used_name, inactive_name in _control_groups():
        try:
            limit, used = (int((folder / name).read_text()) for name in (limit_name, used_name))
            stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            free.append(max(limit - max(used - int(stat.get(inactive_name, 0)), 0), 0))
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return free


def _control_groups() -> list[tuple[Path, str, str, str]]:
    """Folders that may hold the memory's limit of this process, of both versions of control groups, from its own group upwards:
    each with the names of the limit, of what is used, and of the inactive files among that."""
    try:
        lines = [line.split(":", 2) for line in _GROUPS_OF_THIS_PROCESS.read_text().splitlines()]
    except OSError:
        lines = []
    paths = {kind: path.strip("/") for _, kind, path in lines if kind in ("", "memory")}
    second, first = _CONTROL_GROUPS / paths.get("", ""), _CONTROL_GROUPS / "memory" / paths.get("memory", "")
    groups = [(folder, "memory.max", "memory.current", "inactive_file") for folder in _upwards(second, _CONTROL_GROUPS)]
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    return groups + [(folder, *names) for folder in _upwards(first, _CONTROL_GROUPS / "memory")]


def _upwards(folder: Path, top: Path) -> list[Path]:
    """A folder and those that it is in, up to the top."""
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(top))]
