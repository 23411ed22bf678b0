"""Freed memory is used again in the block, and goes back to the system at its end."""

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


def test_without_glibc_nothing_is_changed(monkeypatch):
    monkeypatch.setattr(allocator, "_glibc", lambda: None)
    with reused_memory():
        assert torch.ones(3).sum() == 3
