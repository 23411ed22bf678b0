import logging
import threading
import warnings

import pytest

from hf_transferability.quiet import without_log, without_warnings, without_warnings_of_sklearn


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


def test_another_library_that_restores_the_filters_meanwhile_lets_no_warning_of_sklearn_through():
    """As torch does in the main thread while a metric is computed in another."""
    module = "sklearn.model_selection._split"
    before = warnings.filters[:]
    with without_warnings_of_sklearn():
        other = warnings.catch_warnings()
        other.__enter__()
        with without_warnings():
            other.__exit__(None, None, None)
            warnings.warn_explicit("a class has 3 members", UserWarning, "file.py", 1, module)
            with pytest.raises(UserWarning, match="mine"):
                warnings.warn_explicit("mine", UserWarning, "file.py", 1, "mine.module")
    assert warnings.filters == before
    with pytest.raises(UserWarning, match="a class"):
        warnings.warn_explicit("a class has 3 members", UserWarning, "file.py", 1, module)


def test_blocks_of_two_kinds_that_overlap_leave_the_filters_as_they_were():
    before = list(warnings.filters)
    first, second = without_warnings(), without_warnings_of_sklearn()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert ("ignore", None, Warning, None, 0) not in warnings.filters
    second.__exit__(None, None, None)
    assert list(warnings.filters) == before


def test_an_error_inside_ends_the_block():
    before = warnings.filters[:]
    with pytest.raises(ZeroDivisionError), without_warnings():
        raise ZeroDivisionError
    assert warnings.filters == before


def test_a_log_is_held_back_for_one_thread_and_one_block(caplog):
    log = logging.getLogger("some.library")
    with without_log("some.library", "some.other"):
        log.error("here")
        thread = threading.Thread(target=log.error, args=("elsewhere",))
        thread.start()
        thread.join()
        with pytest.raises(ValueError, match="x"), without_log("some.library"):
            raise ValueError("x")
        log.error("here, too")
    log.error("after")
    assert caplog.messages == ["elsewhere", "after"]
