"""Progress reports."""

import io

from hf_transferability.progress import Lines, NullProgress, reporter


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
