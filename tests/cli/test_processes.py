"""Commands in a process of their own: on a terminal, interrupted, killed, and with a reader that goes away."""

import contextlib
import fcntl
import json
import os
import pty
import re
import shutil
import signal
import struct
import termios
import time
from subprocess import DEVNULL

import pytest
from helpers.forks import PROGRAM, Process
from helpers.screen import Screen


@pytest.fixture
def start(program, made):
    """start(words, out, err) -> a command in that folder with these streams: paths or descriptors."""

    def command(words: list[str], out, err, **environment: str) -> Process:
        with contextlib.ExitStack() as stack:
            streams = [stream if isinstance(stream, int) else stack.enter_context(open(stream, "w")) for stream in (out, err)]
            return Process(program, PROGRAM, words, cwd=made, env=os.environ | environment, streams=(DEVNULL, *streams))

    return command


def in_terminal(start, words: list[str], columns: int) -> tuple[int, str, str]:
    """Status of a command, all that it wrote to a terminal of so many columns, and that without control sequences."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = start(words, follower, follower, TERM="xterm")
    os.close(follower)
    raw = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # Linux says so when the other side is closed
            break
        if not part:
            break
        raw += part
    os.close(leader)
    text = raw.decode()
    return process.wait(), text, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "")


def wait_for(condition) -> None:
    deadline = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_terminal_shows_a_panel_and_the_whole_table(start, run, made):
    deep = "checkpoints on radiology [v2]/pretrained-with-a-rather-long-name/final"
    shutil.copytree(made / "a", made / deep, dirs_exist_ok=True)
    words = ["rank", "target", "a", "b", "c", deep, "./none", "--cache-dir", "arrays", "--metric", "all", "--no-intervals"]
    status, raw, text = in_terminal(start, words, 80)
    assert status == 1
    assert "\x1b[?25l" in raw  # the panel hides the cursor, and gives it back
    assert "4 of 4" in text  # those that can be scored
    screen = Screen(raw)
    assert screen.cursor_visible
    assert not {"╭", "━"} & set(screen.text)

    shown = screen.text[screen.text.index("ranked by consensus") :]
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert "checkpoi…-name/final" in shown
    assert "Long names are cut" in shown
    failure = "there is no folder ./none. Check the path."
    assert " ".join(text.split()).count(failure) == 1  # where both streams are read together it is said once
    plain = run(*words[:-5], "--metric", "all", "--no-intervals").out
    assert plain.count(failure) == 1
    table = plain.replace(f"failed: ./none: {failure}", "")
    values = {cell for line in table.splitlines() for cell in re.findall(r"(?<= )-?\d\S*(?=  | *$)", line)}
    assert values <= {*shown.split()}
    assert max(len(line) for line in plain.splitlines()) > 150  # in one piece where there is no terminal
    assert deep in plain


def test_interrupt(start, made, tmp_path):
    """Ctrl-C ends the run with a message and status 130, and what is finished is kept."""
    words = ["rank", "target", "a", "b", "c", "--cache-dir", "interrupted", "--no-intervals"]
    out, err = tmp_path / "out", tmp_path / "err"
    process = start(words, out, err)
    wait_for(lambda: err.exists() and "[1/3] a: extracted" in err.read_text())
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    said = err.read_text()
    assert out.read_text() == ""
    assert "interrupted. Finished checkpoints are kept" in said
    assert "Traceback" not in said
    assert len(list((made / "interrupted").glob("*.safetensors"))) >= 1


@pytest.mark.parametrize("signals", [1, 2])
def test_interrupted_on_a_terminal_the_cursor_is_given_back(start, tmp_path, signals):
    """Also where a second Ctrl-C ends the program before it has cleaned up."""
    leader, follower = pty.openpty()
    words = ["rank", "target", "a", "b", "c", "--no-cache", "--cache-dir", str(tmp_path / "cache"), "--no-intervals"]
    process = start(words, tmp_path / "out", follower, TERM="xterm")
    raw = b""
    while b"\x1b[?25l" not in raw:
        raw += os.read(leader, 65536)
    for _ in range(signals):
        process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    os.set_blocking(leader, False)
    with contextlib.suppress(BlockingIOError, OSError):
        while part := os.read(leader, 65536):
            raw += part
    os.close(follower)
    os.close(leader)
    screen = Screen(raw.decode())
    assert screen.cursor_visible
    assert "interrupted. Finished checkpoints are kept" in screen.text
    assert (tmp_path / "out").read_text() == ""
    if signals == 1:
        assert "╭" not in screen.text


def test_a_killed_run_goes_on_where_it_stopped(start, run, made, tmp_path):
    undisturbed = run("rank", "target", "a", "b", "c", "--format", "json")
    words = ["rank", "target", "a", "b", "c", "--cache-dir", "killed", "--format", "json"]
    out, err = tmp_path / "out", tmp_path / "err"
    process = start(words, os.devnull, os.devnull)
    try:
        wait_for(lambda: list((made / "killed").glob("*.safetensors")))
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    finished = sorted((made / "killed").glob("*.safetensors"))
    assert 1 <= len(finished) < 3
    before = {path: path.stat().st_mtime_ns for path in finished}

    assert start(words, out, err).wait() == 0
    assert err.read_text().count("from the cache") == len(finished)
    assert err.read_text().count(": extracted") == 3 - len(finished)
    assert {path: path.stat().st_mtime_ns for path in finished} == before
    got, expected = json.loads(out.read_text()), json.loads(undisturbed.out)
    for document in (got, expected):
        for row in document["rows"]:
            del row["seconds"], row["date"]
    assert got == expected
    # Nothing is left of the killed run that could be taken for a result.
    assert all(path.suffix in (".safetensors", ".entry", ".part") for path in (made / "killed").iterdir())


def test_a_reader_that_goes_away(start, made):
    """`2>&1 | head -1`: the work goes on until its result has no reader, and neither closed stream makes a traceback."""
    leader, follower = os.pipe()
    words = ["rank", "target", "a", "b", "--cache-dir", "unread", "--format", "json"]
    process = start(words, follower, follower)
    os.close(follower)
    with open(leader) as reader:
        assert reader.readline() == "starting\n"
    assert process.wait() == 1
    assert len(list((made / "unread").glob("*.safetensors"))) == 2
