"""What the tabs of the page share."""

import gc
import weakref

from hf_transferability.space.parts import drawing


class Figure:
    """It refers to itself, as matplotlib's do."""

    def __init__(self):
        self.axes = [self]


def test_figures_are_gone_after_drawing():
    """Left to Python's own time they pile up: the page grew by a mebibyte with each ranking."""
    gc.disable()
    try:
        with drawing():
            figure = weakref.ref(Figure())
            assert figure() is not None
        assert figure() is None
    finally:
        gc.enable()
