"""A demo at tiny sizes."""

import pytest
from helpers.demo import TINY_POOL, TINY_TARGET

from hf_transferability.demo import run as demo


@pytest.fixture(scope="package")
def made(tmp_path_factory):
    """The demo and what it said while it was made."""
    texts: list[str] = []
    with demo.run(tmp_path_factory.mktemp("demo"), 0, texts.append, **TINY_TARGET, **TINY_POOL) as made:
        yield made, texts
