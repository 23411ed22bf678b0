"""What this process may use of the machine: processor cores and memory."""

import os
from pathlib import Path

import psutil


def usable_cores() -> int:
    """Cores that the system lets this process run on; at least 1."""
    if hasattr(os, "sched_getaffinity"):  # Linux: also what a container or a batch system allows
        return max(len(os.sched_getaffinity(0)), 1)
    return os.cpu_count() or 1


def free_memory() -> int:
    """Bytes that are free on the machine, or below the limit of the container that this process runs in."""
    return min([psutil.virtual_memory().available, *_free_in_container()])


def _free_in_container() -> list[int]:
    """Bytes below the limit of the control group of this process; empty without a limit."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit, used = (int((folder / name).read_text()) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):  # no control groups, or "max"
        return []
    return [max(limit - used, 0)]
