"""Progress reports."""

import io
import os
import pty
import time

import pytest
from helpers.screen import Screen

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


def test_a_log_is_told_how_far_the_work_is_when_nothing_else_was_said():
    output = io.StringIO()
    lines = Lines(output, silence=0.05)
    lines.start(2, 3, "owner/name")
    lines.stage("extracting features", 500)
    lines.advance(200)
    time.sleep(0.2)
    lines.finish("extracted")
    said = output.getvalue()
    time.sleep(0.15)
    assert output.getvalue() == said  # between candidates there is nothing to say
    lines.stage("scoring", 3, "candidates")
    lines.close()
    closed = output.getvalue()
    time.sleep(0.15)
    assert output.getvalue() == closed
    first, *later = [line for line in said.splitlines() if line.startswith("[2/3] owner/name: extracting features")]
    assert first.endswith("(500)")
    assert len(later) >= 2
    for part in ("200 of 500 images", "images per second", " so far, about ", " left"):
        assert part in later[0]


def test_work_without_steps_is_not_silent_either():
    output = io.StringIO()
    lines = Lines(output, silence=0.05)
    lines.stage("trying every checkpoint")
    time.sleep(0.15)
    lines.close()
    assert output.getvalue().splitlines()[1] == "trying every checkpoint, 0 s so far"


def test_the_time_that_is_left_follows_from_the_candidates_before(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
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
