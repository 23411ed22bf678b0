"""Free memory in a container: below its limit, without the page cache; and objects that are freed."""

import gc
import weakref
from pathlib import Path

import pytest

from hf_transferability import machine

GIB = 2**30
NAMES = {
    2: ("memory.max", "memory.current", "inactive_file"),
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


@pytest.fixture
def group(tmp_path, monkeypatch):
    """Makes a control group with a limit, used bytes and inactive files, of which this process is a member."""
    monkeypatch.setattr(machine, "_CONTROL_GROUPS", tmp_path)
    monkeypatch.setattr(machine, "_GROUPS_OF_THIS_PROCESS", tmp_path / "own")
    monkeypatch.setattr(machine.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 64 * GIB})())

    def make(version: int, path: str, limit: str | int, used: int, inactive: int) -> None:
        folder: Path = tmp_path / ("" if version == 2 else "memory") / path
        folder.mkdir(parents=True, exist_ok=True)
        (tmp_path / "own").write_text(f"0::/{path}\n" if version == 2 else f"5:cpu,cpuacct:/other\n4:memory:/{path}\n0::/\n")
        limit_name, used_name, inactive_name = NAMES[version]
        (folder / limit_name).write_text(f"{limit}\n")
        (folder / used_name).write_text(f"{used}\n")
        stat = f"anon 5\nactive_file 7\n{inactive_name} {inactive}\n"
        (folder / "memory.stat").write_text(stat)

    return make


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("path", ["", "jobs/job7"])
def test_page_cache_is_free(group, version, path):
    group(version, path, 8 * GIB, 7 * GIB, 5 * GIB)
    assert machine.free_memory() == 6 * GIB


@pytest.mark.parametrize("version", [1, 2])
def test_the_tightest_group_above_counts(group, version):
    group(version, "jobs", 4 * GIB, 3 * GIB, 0)
    group(version, "jobs/job7", 8 * GIB, GIB, 0)
    assert machine.free_memory() == GIB


@pytest.mark.parametrize(("version", "limit"), [(1, 9223372036854771712), (2, "max")])
def test_without_a_limit_the_machine_counts(group, version, limit):
    group(version, "", limit, 7 * GIB, 0)
    assert machine.free_memory() == 64 * GIB


def test_without_control_groups_the_machine_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_CONTROL_GROUPS", tmp_path / "none")
    monkeypatch.setattr(machine, "_GROUPS_OF_THIS_PROCESS", tmp_path / "none")
    assert machine.free_memory() <= machine.psutil.virtual_memory().total


def test_objects_that_refer_to_each_other_are_freed_after_a_block():
    class Pair:
        pass

    gc.unfreeze()  # as in a program that has not frozen its own
    with machine.freed_after():
        first, second = Pair(), Pair()
        first.other, second.other = second, first
        gone = weakref.ref(first)
        del first, second
    assert gone() is None
    assert gc.get_freeze_count() == 0
    gc.freeze()
