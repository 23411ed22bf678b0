"""The images that the demo draws."""

import numpy as np
import pytest

from hf_transferability.demo.images import SIZE, SOURCE_DIGITS, SOURCES, TARGET_DIGITS


def test_target_and_digit_sources_share_no_class():
    assert not set(TARGET_DIGITS) & set(SOURCE_DIGITS)


@pytest.mark.parametrize("name", [name for name, source in SOURCES.items() if source.draw])
def test_sources_draw_every_class(name):
    source = SOURCES[name]
    images, labels = source.draw(np.random.default_rng(0), 300)
    assert images.shape == (300, SIZE, SIZE, 3) and images.dtype == np.uint8
    assert set(labels) == set(range(source.n_classes))
