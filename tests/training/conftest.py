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


@pytest.fixture(scope="package")
def target(make_target):
    """A folder of 36 images in each of three splits."""
    return make_target(n=36, n_classes=3, splits=("train", "validation", "test"))


@pytest.fixture(scope="package")
def checkpoint(make_checkpoint):
    """A folder of a tiny ResNet for images of 16 pixels."""
    return make_checkpoint(size=16)
