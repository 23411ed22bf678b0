"""What the tests of training share."""

import pytest


@pytest.fixture(scope="module")  # not longer: other tests compare processes of equal threads
def one_thread():
    """torch on one thread: a network this small gains nothing from more, and on a busy machine they wait for each other."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
