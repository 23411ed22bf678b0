"""Progress reports."""

import io
import os
import pty
import time

import pytest
from helpers.screen import Screen

from hf_transferability.heartbeat import Heartbeat
from hf_transferability.progress import CACHED, Lines, NullProgress, Panel, reporter


def test_only_the_first_process_reports(monkeypatch):
    assert type(reporter(io.StringIO())) is Lines
    monkeypatch.setenv("RANK", "1")
    assert type(reporter(io.StringIO())) is NullProgress


def test_a_closed_pipe_does_not_stop_the_work():
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    lines = Lines(Closed())
    lines.start(1, 2, "a")
    lines.stage("loading")
    lines.finish("done")


def test_downloads_are_reported_in_megabytes():
    output = io.StringIO()
    lines = Lines(output)
    lines.start(1, 2, "owner/name")
    for done in (10_000_000, 125_900_000):
        lines.download("model.safetensors", done, 125_900_000)
    lines.download("config.json", 100, 100)
    assert output.getvalue() == "[1/2] owner/name: downloading model.safetensors (125.9 MB)\n"


def test_control_characters_of_foreign_names_are_written_as_escapes():
    from hf_transferability.progress import Lines

    stream = io.StringIO()
    Lines(stream).note("class \x1b[31mred, caf\u00e9")
    assert stream.getvalue() == "class \\x1b[31mred, caf\u00e9\n"


@pytest.fixture
def clock(monkeypatch):
    """A time in seconds that only the test moves, as an item."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def a_log(clock, monkeypatch):
    """Lines, and what makes time pass and gives what was said meanwhile; the thread that breaks the silence is the test."""
    monkeypatch.setattr(Heartbeat, "start", lambda self: None)
    output = io.StringIO()
    lines = Lines(output, silence=20)

    def said_in(seconds: float) -> list[str]:
        output.truncate(output.seek(0))
        for _ in range(round(seconds)):
            clock[0] += 1
            lines._heartbeat.beat()
        return output.getvalue().splitlines()

    return lines, said_in


def test_a_log_is_told_how_far_the_work_is_when_nothing_else_was_said(a_log):
    lines, said_in = a_log
    lines.start(2, 3, "owner/name")
    lines.stage("extracting features", 500)
    assert not said_in(19)
    lines.advance(200)
    assert said_in(1) == [
        "[2/3] owner/name: extracting features, 200 of 500 images, 10 images per second, 20 s so far, about 1:20 left"
    ]
    assert len(said_in(100)) == 5


def test_no_moment_is_silent_for_long(a_log):
    """Whatever is done between, before and after the stages, which nobody has announced."""
    lines, said_in = a_log
    lines.watch()
    assert said_in(40) == ["working, 20 s so far", "working, 40 s so far"]
    lines.start(1, 2, "owner/name")
    assert said_in(20) == ["[1/2] owner/name: working, 20 s so far"]
    lines.stage("loading")
    assert said_in(20) == ["[1/2] owner/name: loading, 40 s so far"]
    lines.finish("extracted")
    assert said_in(40) == ["working, 20 s so far", "working, 40 s so far"]
    lines.watch("finishing")
    assert said_in(20) == ["finishing, 20 s so far"]


def test_a_long_download_says_how_much_has_arrived(a_log):
    lines, said_in = a_log
    lines.start(1, 1, "owner/name")
    lines.stage("loading")
    lines.download("model.safetensors", 20_000_000, 125_900_000)
    assert said_in(20) == ["[1/1] owner/name: loading, 20.0 of 125.9 MB of model.safetensors, 20 s so far"]
    lines.download("model.safetensors", 125_900_000, 125_900_000)
    assert said_in(20) == ["[1/1] owner/name: loading, 40 s so far"]


def test_lines_that_are_closed_say_nothing_by_themselves(a_log):
    lines, said_in = a_log
    lines.stage("trying every checkpoint")
    lines.close()
    assert not said_in(60)


def test_the_time_that_is_left_follows_from_the_candidates_before(clock):
    output = io.StringIO()
    work = Lines(output)._work  # the thread that breaks the silence is not started
    work.start(1, 4, "a")
    assert work.seconds_left is None
    work.start_stage("extracting", 100, "images")
    clock[0] += 10
    work.done = 50
    assert work.rate == 5
    assert work.seconds_left == 10 + 3 * 20
    clock[0] += 10
    work.finish("extracted")
    work.start(2, 4, "b")
    assert work.seconds_left == 20 + 2 * 20
    work.finish(CACHED)  # which says nothing about the others
    work.start(3, 4, "c")
    clock[0] += 5
    assert work.seconds_left == 15 + 20
    assert "5 s so far, about 35 s left" in work.in_words()


@pytest.fixture
def terminal(monkeypatch):
    """A stream that is a terminal, and what it shows in the end."""
    leader, follower = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    stream = os.fdopen(follower, "w")

    def shown() -> tuple[str, Screen]:
        stream.flush()
        os.set_blocking(leader, False)
        raw = b""
        while True:
            try:
                raw += os.read(leader, 65536)
            except BlockingIOError:
                return raw.decode(), Screen(raw.decode())

    yield stream, shown
    stream.close()
    os.close(leader)


def test_a_terminal_gets_one_panel_of_which_nothing_remains(terminal):
    stream, shown = terminal
    panel = reporter(stream)
    assert type(panel) is Panel
    panel.stage("starting")
    panel.start(1, 2, "owner/one")
    panel.finish(CACHED)
    panel.start(2, 2, "owner/two")
    panel.stage("extracting features", 500)
    time.sleep(0.01)
    panel.advance(250)
    panel._live.refresh()
    raw, screen = shown()
    assert not screen.cursor_visible
    assert screen.text.count("╭") == 1
    for part in ("candidates", "1 of 2", "1 from the cache", "250 of 500", "images per second", "owner/two: extracting"):
        assert part in screen.text
    assert max(map(len, screen.lines)) <= 100
    panel.download("model.safetensors", 20_000_000, 40_000_000)
    panel._live.refresh()
    raw += shown()[0]
    assert "20.0 of 40.0 MB" in Screen(raw).text
    panel.finish("extracted")
    panel.note("a note")
    panel.close()
    screen = Screen(raw + shown()[0])
    assert screen.cursor_visible
    lines = [line for line in screen.lines if line]
    assert lines[0] == "starting ..."
    assert lines[1].startswith("owner/one: from the cache (")
    assert lines[2].startswith("owner/two: extracted (")
    assert lines[3:] == ["a note"]


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(terminal, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert type(reporter(terminal[0])) is Lines
