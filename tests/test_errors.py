"""Helpers for the texts of errors."""

import pytest

from hf_transferability.errors import first_line, nearest, unknown_name


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("first.\nsecond"), "first"),
        (ValueError("\n  indented  \nsecond"), "indented"),
        (OSError(), "OSError"),
        (RuntimeError(" \n "), "RuntimeError"),
    ],
    ids=["two lines", "leading empty line", "no text", "only spaces"],
)
def test_first_line(error, text):
    assert first_line(error) == text


def test_a_similar_name_is_suggested():
    assert nearest("LogMe", ["leep", "logme"]) == "logme"
    assert nearest("logmme", ["leep", "LogME"]) == "LogME"
    assert nearest("xyz", ["leep", "logme"]) is None


def test_an_unknown_name_has_a_remedy():
    text = "`metric` must be one of leep, logme; got 'logmee'. Did you mean logme?"
    assert unknown_name("metric", "logmee", ["leep", "logme"]) == text
    assert unknown_name("metric", 7, ["leep", "logme"]).endswith("got 7. Choose one of these.")


def test_the_line_of_a_long_error_is_short():
    assert len(first_line(ValueError("x" * 10**6))) < 600
    assert first_line(ValueError("a.\nb")) == "a"
