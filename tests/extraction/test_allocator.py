"""Freed memory is used again in the block, and goes back to the system at its end."""

import resource
import subprocess
import sys

import psutil
import pytest
import torch

from hf_transferability.extraction import allocator
from hf_transferability.extraction.allocator import reused_memory

MIB = 2**20


def resident() -> int:
    return psutil.Process().memory_info().rss


def held_after_freeing(n_bytes: int) -> int:
    """Bytes that stay with the process after a tensor of this size has been filled and freed."""
    before = resident()
    del_me = torch.ones(n_bytes // 4)
    assert resident() - before > 0.9 * n_bytes
    del del_me
    return resident() - before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="another allocator than glibc's")
def test_memory_is_kept_in_the_block_and_given_back_at_its_end():
    size = 256 * MIB
    assert held_after_freeing(size) < size / 4
    with reused_memory():
        with reused_memory():
            pass
        assert held_after_freeing(size) > 0.9 * size
        held = resident()
    assert held - resident() > 0.9 * size
    assert held_after_freeing(size) < size / 4


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="another allocator than glibc's")
def test_smaller_memory_is_used_again_after_the_block_as_before():
    size, times = 8 * MIB, 50
    with reused_memory():
        pass
    for _ in range(3):
        torch.ones(size // 4)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        torch.ones(size // 4)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert faults < times * size / resource.getpagesize() / 10


def test_without_glibc_nothing_is_changed(monkeypatch):
    monkeypatch.setattr(allocator, "_glibc", lambda: None)
    with reused_memory():
        assert torch.ones(3).sum() == 3


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="another allocator than glibc's")
def test_many_threads_share_few_pools_of_memory():
    script = """
import ctypes, io, os, re, sys, tempfile, threading
from hf_transferability.extraction.allocator import share_arenas
if "shared" in sys.argv:
    share_arenas()
together = threading.Barrier(8)
def work():
    together.wait()
    kept = [bytes(2000) for _ in range(2000)]
    together.wait()
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
with tempfile.TemporaryFile() as file:
    stream = ctypes.c_void_p(libc.fdopen(os.dup(file.fileno()), b"w"))
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    file.seek(0)
    print(len(re.findall(rb"<heap ", file.read())))
"""
    counts = [
        int(subprocess.run([sys.executable, "-c", script, word], capture_output=True, text=True, check=True).stdout)
        for word in ("own", "shared")
    ]
    assert counts[0] > counts[1]
    assert counts[1] <= 2
