import threading
import warnings

import pytest

from hf_transferability.quiet import without_warnings


def test_filters_come_back_when_blocks_of_two_threads_overlap():
    entered, leave = threading.Event(), threading.Event()

    def overlapping():
        with without_warnings():
            entered.set()
            leave.wait(10)

    before = warnings.filters[:]
    thread = threading.Thread(target=overlapping)
    with without_warnings():
        thread.start()
        assert entered.wait(10)
    warnings.warn("held back", UserWarning, stacklevel=1)  # the other thread is still inside
    leave.set()
    thread.join()
    assert warnings.filters == before
    with pytest.raises(UserWarning, match="shown"):
        warnings.warn("shown", UserWarning, stacklevel=1)


def test_an_error_inside_ends_the_block():
    before = warnings.filters[:]
    with pytest.raises(ZeroDivisionError), without_warnings():
        raise ZeroDivisionError
    assert warnings.filters == before
