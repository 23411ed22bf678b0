"""What a long run says while it works."""

import io

from hf_transferability.progress import Lines, Silent, reporter


def test_ranks_other_than_the_first_are_silent(monkeypatch):
    assert type(reporter(io.StringIO())) is Lines
    monkeypatch.setenv("RANK", "1")
    assert type(reporter(io.StringIO())) is Silent


def test_lines_go_on_when_nobody_reads():
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    lines = Lines(Closed())
    lines.start(1, 2, "a")
    lines.stage("loading")
    lines.finish("done")


def test_downloads_are_told_in_megabytes():
    told = io.StringIO()
    lines = Lines(told)
    lines.start(1, 2, "owner/name")
    for done in (10_000_000, 125_900_000):
        lines.download("model.safetensors", done, 125_900_000)
    lines.download("config.json", 100, 100)
    assert told.getvalue() == "[1/2] owner/name: downloading model.safetensors (125.9 MB)\n"
