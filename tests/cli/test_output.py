"""What a command says while it works: never silent for long where stderr takes lines, and nothing inside a result."""

import sys
import threading
import time

import pytest

from hf_transferability import progress
from hf_transferability.cli import main, output
from hf_transferability.progress import Lines


def beating() -> bool:
    return "heartbeat" in [thread.name for thread in threading.enumerate()]


@pytest.fixture
def during(monkeypatch):
    """Whether a heartbeat was there while `explain` worked, for these words."""

    def found() -> list[bool]:
        seen: list[bool] = []
        monkeypatch.setattr("hf_transferability.reporting.explain.explain", lambda name: seen.append(beating()) or "text")
        assert main(["explain", "logme"]) == 0
        assert not beating()
        return seen

    return found


def test_every_command_has_a_heartbeat_from_its_beginning_to_its_end(during):
    assert during() == [True]


def test_a_terminal_and_the_other_processes_have_none(during, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert during() == [False]
    monkeypatch.delenv("RANK")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert during() == [False]


def test_a_command_that_fails_ends_its_heartbeat(monkeypatch, capsys):
    monkeypatch.setattr("hf_transferability.reporting.explain.explain", lambda name: 1 / 0)
    assert main(["explain", "logme"]) == 1
    assert "unexpected ZeroDivisionError" in capsys.readouterr().err
    assert not beating()


def test_the_page_waits_in_silence(monkeypatch):
    pytest.importorskip("gradio")
    seen = []
    monkeypatch.setattr("hf_transferability.space.page.launch", lambda host, port: seen.append(beating()))
    assert main(["space"]) == 0
    assert seen == [False]


def test_what_follows_the_work_is_not_silent_either_but_nothing_falls_into_the_result(monkeypatch, capsys):
    monkeypatch.setattr(progress, "lines_for", lambda stream: Lines(stream, silence=0.02))
    said, ends = "", time.monotonic() + 60
    with output.never_silent():
        with output.working("counting"):
            pass
        while "finishing, 0 s so far\n" not in said and time.monotonic() < ends:
            time.sleep(0.01)
            said += capsys.readouterr().err
        with output.printing():
            said += capsys.readouterr().err
            print("{")
            time.sleep(0.1)
            print("}")
            captured = capsys.readouterr()
    assert said.startswith("starting\ncounting\n")
    assert "finishing, 0 s so far\n" in said
    assert captured.out == "{\n}\n"
    assert captured.err == ""
