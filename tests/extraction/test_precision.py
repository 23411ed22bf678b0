"""Float32 is not shortened in any thread, and the program's own setting comes back."""

import threading

import pytest
import torch

from hf_transferability.extraction.precision import full_precision


@pytest.fixture(autouse=True)
def setting():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    yield
    torch.set_float32_matmul_precision(before)


def test_the_setting_comes_back():
    with full_precision():
        assert torch.get_float32_matmul_precision() == "highest"
        assert not torch.backends.cudnn.allow_tf32
    assert torch.get_float32_matmul_precision() == "high"


def test_a_block_that_overlaps_with_another_threads_ends_with_the_last():
    begun, ended = threading.Event(), threading.Event()

    def other():
        with full_precision():
            begun.set()
            ended.wait(20)

    thread = threading.Thread(target=other)
    with full_precision():
        thread.start()
        assert begun.wait(20)
    assert torch.get_float32_matmul_precision() == "highest"
    ended.set()
    thread.join(20)
    assert torch.get_float32_matmul_precision() == "high"
