"""The command line: exit statuses, what goes to stdout and stderr, and messages that say what to do."""

import csv
import io
import json
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from builders import blobs, resnet_config

import hf_transferability
from hf_transferability import cli, results, table
from hf_transferability.cli import main

COMMAND = [sys.executable, "-m", "hf_transferability"]


@pytest.fixture(scope="module")
def made(tmp_path_factory, make_target, make_checkpoint):
    """A folder with `target` and checkpoints a, b and c (of another architecture), and a folder of cached arrays."""
    folder = tmp_path_factory.mktemp("cli")
    shutil.copytree(make_target(), folder / "target")
    for seed, name in enumerate("ab"):
        shutil.copytree(make_checkpoint(seed=seed), folder / name)
    shutil.copytree(make_checkpoint(resnet_config(width=4), seed=2), folder / "c")
    return folder


@pytest.fixture
def run(made, monkeypatch, capsys):
    """run(*words) -> status, out and err of a command in that folder, with its own cache of arrays."""
    monkeypatch.chdir(made)

    def command(*words: str) -> SimpleNamespace:
        if words[:1] == ("rank",):
            words = (*words, "--cache-dir", "arrays")
        try:
            status = main(words)
        except SystemExit as end:  # argparse
            status = end.code
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return SimpleNamespace(status=status, out=out, err=err)

    return command


def in_terminal(words: list[str], folder: Path, columns: int) -> tuple[int, str, str]:
    """Status of a command, all that it wrote to a terminal of so many columns, and that without control sequences."""
    leader, follower = pty.openpty()
    import fcntl
    import termios

    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")} | {"TERM": "xterm"}
    process = subprocess.Popen(words, stdin=follower, stdout=follower, stderr=follower, cwd=folder, env=environment)
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
    return process.wait(60), text, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "")


def test_a_ranking_as_a_table(run):
    done = run("rank", "target", "a", "b", "c", "--metric", "transferability", "--metric", "logme")
    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[0] == "ranked by transferability, scenario architecture"
    titles = "rank checkpoint score 90% interval feature quality update ratio logme features parameters licence commit seconds"
    assert [word for word in titles.split() if word not in lines[2]] == []
    assert {line.split()[1] for line in lines[3:6]} == {"a", "b", "c"}
    assert "target target, split train: 36 of 36 images, 3 classes, seed 0" in done.err
    assert "[3/3] c: " in done.err
    assert "scenario architecture" in done.err


def test_json_and_csv_are_all_that_stdout_holds(run):
    done = run("rank", "target", "a", "missing/folder/x", "./none", "b", "--format", "json")
    assert done.status == 1

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    document = json.loads(done.out, parse_constant=refuse)
    assert {"dataset", "scenario", "rows", "versions"} <= set(document)
    rows = document["rows"]
    assert [row["checkpoint"] for row in rows[2:]] == ["missing/folder/x", "./none"]
    assert [row["rank"] for row in rows] == [1, 2, None, None]
    assert rows[0]["error"] is None
    assert rows[3]["score"] is None
    assert rows[3]["error"] == "there is no folder ./none. Check the path."
    assert "./none: FAILED: there is no folder" in done.err

    done = run("rank", "target", "a", "b", "./none", "--format", "csv")
    assert done.status == 1
    parsed = list(csv.DictReader(io.StringIO(done.out)))
    assert [row["rank"] for row in parsed] == ["1", "2", ""]
    assert float(parsed[0]["score"]) == rows[0]["score"]
    assert parsed[2]["error"] == rows[3]["error"]


def test_output_files(run, made, tmp_path):
    import pandas as pd

    for ending in (".json", ".csv", ".parquet", ".JSON"):
        done = run("rank", "target", "a", "b", "--format", "json", "--output", str(tmp_path / f"out{ending}"))
        assert done.status == 0
        assert f"written: {tmp_path / f'out{ending}'}" in done.err
    document = json.loads(done.out)
    assert json.loads((tmp_path / "out.json").read_text()) == document
    for frame in (pd.read_csv(tmp_path / "out.csv"), pd.read_parquet(tmp_path / "out.parquet")):
        assert frame["checkpoint"].tolist() == [row["checkpoint"] for row in document["rows"]]
        assert frame["score"].tolist() == [row["score"] for row in document["rows"]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.JSON", "out.csv", "out.json", "out.parquet"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "COMMAND"),
        (["rang"], "rang"),
        (["rank"], "DATASET, CHECKPOINT"),
        (["rank", "target"], "CHECKPOINT"),
        (["rank", "target", "a", "--metric", "logmee"], "logme"),
        (["rank", "target", "a", "--scenario", "both"], "source_dataset"),
        (["rank", "target", "a", "--sample-size", "0"], "must be a positive whole number; got '0'"),
        (["rank", "target", "a", "--sample-size", "many"], "must be a positive whole number; got 'many'"),
        (["rank", "target", "a", "--sample-size", "6"], "at least 12 images; got 6"),
        (["rank", "target", "a", "--window", "5"], "must be two numbers LOW,HIGH; got '5'"),
        (["rank", "target", "a", "--window", "5,1"], "must have LOW below HIGH; got '5,1'"),
        (["rank", "target", "a", "--window", "nan,1"], "must have LOW below HIGH"),
        (["rank", "target", "a", "--micro-batch", "-1"], "must be a positive whole number"),
        (["rank", "target", "a", "--seed", "-1"], "must be 0 or a positive whole number; got '-1'"),
        (["rank", "target", "a", "--draw", "all"], "stratified"),
        (["rank", "target", "a", "--met", "logme"], "--met"),
        (["rank", "target", "a", "--output", "x.xlsx"], "must end in .json, .csv or .parquet; got 'x.xlsx'"),
        (["rank", "target", "a", "--output", "no/such/x.csv"], "there is no no/such. Make it first"),
        (["rank", "target", "a", "--output", "folder.csv"], "must be a file that can be written"),
        (["rank", "target", "a", "--plot", "x.pdf"], "`plot` must end in .png or .svg; got 'x.pdf'"),
        (["score", "a.npz", "--report", "x.pdf"], "`report` must end in .html; got 'x.pdf'"),
        (["rank", "./nowhere", "a"], "there is no folder ./nowhere. Check the path"),
        (["rank", "target", "a", "--split", "validation"], "`split` must be one of train; got 'validation'"),
        (["rank", "target", "a", "--config", "large"], "Available: ['default']"),
        (["rank", "target", "a", "--image-column", "img"], "must be one of image, label; got 'img'"),
        (["rank", "target", "a", "--label-column", "lab"], "must be one of image, label; got 'lab'"),
        (["demo", "--keep", "target"], "must be absent, empty or made by the demo"),
        (["demo", "--output", "x.txt"], "must end in .json, .csv or .parquet"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_status_2(run, made, words, text):
    (made / "folder.csv").mkdir(exist_ok=True)
    (made / "target/target").mkdir(exist_ok=True)  # what the demo must not touch
    (made / "target/target/mine.txt").touch()
    try:
        done = run(*words)
    finally:
        shutil.rmtree(made / "target/target")
    assert done.status == 2
    assert done.out == ""
    assert text in done.err
    assert "unexpected" not in done.err


def test_pictures_and_a_page_beside_the_table(run, made):
    done = run("rank", "target", "a", "b", "./none", "--plot", "out.svg", "--report", "out.html", "--output", "out.csv")
    assert done.status == 1
    assert done.err.splitlines()[-3:] == ["written: out.csv", "written: out.svg", "written: out.html"]
    assert (made / "out.svg").read_bytes().startswith(b"<?xml")
    page = (made / "out.html").read_text()
    assert "there is no folder ./none. Check the path." in page
    assert "target" in page and "written" not in page


def test_one_class(run, made, make_target):
    shutil.copytree(make_target(n=14, n_classes=1), made / "one class", dirs_exist_ok=True)
    done = run("rank", "one class", "a")
    assert done.status == 2
    assert "at least 2 classes; got only ['class 0']" in done.err


def test_a_corrupt_image_is_named(run, made):
    from PIL import Image

    for k, (pixels, code) in enumerate(zip(*blobs(24, 2), strict=True)):
        path = made / "pictures" / f"class {code}" / f"{k:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    broken = next((made / "pictures/class 1").iterdir())
    broken.write_bytes(broken.read_bytes()[:40])
    done = run("rank", "pictures", "a")
    assert done.status == 1
    assert "1 of 24 images cannot be decoded" in done.err
    assert re.search(r"row \d+", done.err)
    assert "--skip-corrupt" in done.err
    done = run("rank", "pictures", "a", "b", "--skip-corrupt", "--format", "json")
    assert done.status == 0
    document = json.loads(done.out)
    assert (document["dataset"]["images"], document["dataset"]["corrupt_skipped"]) == (23, 1)
    assert "corrupt_skipped" in document["rows"][0]["flags"]
    assert "23 of 24 images" in done.err


def test_nan_weights_are_named_in_the_row(run, made):
    from safetensors.torch import load_file, save_file

    shutil.copytree(made / "a", made / "nan", dirs_exist_ok=True)
    weights = load_file(made / "nan/model.safetensors")
    weights["resnet.embedder.embedder.convolution.weight"][:] = float("nan")
    save_file(weights, made / "nan/model.safetensors", {"format": "pt"})
    done = run("rank", "target", "nan", "a", "b", "--format", "json")
    assert done.status == 1
    rows = json.loads(done.out)["rows"]
    assert [row["checkpoint"] for row in rows][2] == "nan"
    assert rows[2]["score"] is None
    assert "nan gives NaN or infinite features" in rows[2]["error"]
    assert all(row["score"] is not None for row in rows[:2])


def test_an_output_that_cannot_be_written_loses_nothing(run, monkeypatch, tmp_path):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(results.os, "replace", full)
    with pytest.raises(hf_transferability.TransferabilityError, match="cannot be written: No space left on device"):
        results.save({"rows": []}, tmp_path / "x.csv")
    assert not list(tmp_path.iterdir())
    done = run("rank", "target", "a", "b", "--output", str(tmp_path / "x.csv"))
    assert done.status == 1
    assert "ranked by" in done.out
    assert f"{tmp_path / 'x.csv'} cannot be written" in done.err


def test_an_unexpected_error_is_one_line(run, monkeypatch):
    from hf_transferability import ranking

    def fail(*args, **kwargs):
        raise RuntimeError("broken")

    monkeypatch.setattr(ranking, "rank", fail)
    done = run("rank", "target", "a")
    assert done.status == 1
    assert "unexpected RuntimeError: broken" in done.err
    assert "HF_TRANSFERABILITY_TRACEBACK=1" in done.err
    monkeypatch.setenv("HF_TRANSFERABILITY_TRACEBACK", "1")
    with pytest.raises(RuntimeError, match="broken"):
        main(["rank", "target", "a"])


def test_version_and_leading_dashes(run):
    assert run("--version").out == f"hf-transferability {hf_transferability.__version__}\n"
    assert run("--", "--version").out == f"hf-transferability {hf_transferability.__version__}\n"
    done = run("--", "rank", "./nowhere", "a")
    assert done.status == 2
    assert "there is no folder ./nowhere" in done.err


def test_help_says_what_there_is(run):
    done = run("--help")
    assert done.status == 0
    assert "rank" in done.out
    assert "demo" in done.out
    done = run("rank", "--help")
    assert "90% intervals" in done.out
    assert "exit status: 0 all ranked, 1 a checkpoint failed" in done.out


def test_help_does_not_import_the_heavy_libraries():
    script = (
        "import sys\nfrom hf_transferability.cli import main\n"
        "try:\n    main(['rank', '--help'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('torch', 'transformers', 'datasets', 'numpy', 'rich') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_terminal_shows_bars_and_the_whole_table(run, made):
    deep = "checkpoints on radiology [v2]/pretrained-with-a-rather-long-name/final"
    shutil.copytree(made / "a", made / deep, dirs_exist_ok=True)
    words = ["rank", "target", "a", "b", "c", deep, "./none", "--cache-dir", "arrays", "--metric", "all", "--no-intervals"]
    status, raw, text = in_terminal([*COMMAND, *words], made, 80)
    assert status == 1
    assert "\x1b[?25l" in raw  # bars hide the cursor, and give it back
    assert raw.rindex("\x1b[?25h") > raw.rindex("\x1b[?25l")
    assert "━" in raw
    assert "5/5" in text

    shown = text[text.index("ranked by transferability") :]
    assert "…" not in shown
    assert max(len(line) for line in shown.splitlines()) <= 80
    for line in ("checkpoints on radiology", "[v2]/", "pretrained-with-a-rather-", "long-name/final"):
        assert line in shown
    plain = run(*words[:-5], "--metric", "all", "--no-intervals").out
    assert {*plain.split()} - {*shown.split()} <= {"[v2]/pretrained-with-a-rather-long-name/final"}
    assert max(len(line) for line in plain.splitlines()) > 150  # in one piece where there is no terminal
    assert deep in plain


def test_ids_are_folded_where_a_reader_would():
    fold = table.fold_id
    assert fold("microsoft/resnet-18", 24) == "microsoft/resnet-18"
    assert fold("microsoft/resnet-18", 12) == "microsoft/\nresnet-18"
    assert fold("/data/some where/checkpoints/a", 20) == "/data/some where/\ncheckpoints/a"
    assert fold("owner/name@" + "0123456789" * 4, 24) == "owner/name@01234567"
    assert fold("owner/name@refs/pr/1", 12) == "owner/name\n@refs/pr/1"
    assert fold("owner/a-long-name_of-it", 10) == "owner/\na-long-\nname_of-it"
    assert fold("abcdefgh", 3) == "abc\ndef\ngh"
    assert fold("", 3) == ""


def test_interrupt(made):
    """Ctrl-C ends the run with a message and status 130, and what is finished is kept."""
    words = [*COMMAND, "rank", "target", "a", "b", "c", "--cache-dir", "interrupted", "--no-intervals"]
    # A shell's background job ignores interrupts and passes that on; the user's terminal does not.
    process = subprocess.Popen(
        words,
        cwd=made,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    said = ""
    for line in process.stderr:
        said += line
        if line.startswith("[1/3] a: extracted"):
            process.send_signal(signal.SIGINT)
            break
    out, err = process.communicate(timeout=60)
    said += err
    assert process.returncode == 130, said
    assert out == ""
    assert "interrupted. Finished checkpoints are kept" in said
    assert "Traceback" not in said
    assert len(list((made / "interrupted").glob("*.safetensors"))) >= 1


def test_a_killed_run_goes_on_where_it_stopped(run, made):
    undisturbed = run("rank", "target", "a", "b", "c", "--format", "json")
    words = ["rank", "target", "a", "b", "c", "--cache-dir", "killed", "--format", "json"]
    process = subprocess.Popen([*COMMAND, *words], cwd=made, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while not list((made / "killed").glob("*.safetensors")) and time.monotonic() < deadline:
            time.sleep(0.002)
    finally:
        process.kill()
        process.wait()
    finished = sorted((made / "killed").glob("*.safetensors"))
    assert 1 <= len(finished) < 3
    before = {path: path.stat().st_mtime_ns for path in finished}

    resumed = subprocess.run([*COMMAND, *words], cwd=made, capture_output=True, text=True, timeout=120)
    assert resumed.returncode == 0
    assert resumed.stderr.count("from the cache") == len(finished)
    assert resumed.stderr.count(": extracted") == 3 - len(finished)
    assert {path: path.stat().st_mtime_ns for path in finished} == before
    got, expected = json.loads(resumed.stdout), json.loads(undisturbed.out)
    for document in (got, expected):
        for row in document["rows"]:
            del row["seconds"]
    assert got == expected
    # Nothing is left of the killed run that could be taken for a result.
    assert all(path.suffix in (".safetensors", ".json", ".part") for path in (made / "killed").iterdir())


def test_a_reader_that_goes_away(made):
    """`2>&1 | head -1`: the work goes on, and neither closed stream makes a traceback."""
    line = '"$0" -m hf_transferability rank target a b --cache-dir arrays --format json 2>&1 | head -1'
    done = subprocess.run(["bash", "-c", line, sys.executable], cwd=made, capture_output=True, text=True, timeout=120)
    assert done.stdout == "starting\n"
    assert done.stderr == ""


def test_ranks_other_than_the_first_are_silent(monkeypatch):
    from hf_transferability.progress import Lines, Silent, reporter

    assert type(reporter(io.StringIO())) is Lines
    monkeypatch.setenv("RANK", "1")
    assert type(reporter(io.StringIO())) is Silent


def test_lines_go_on_when_nobody_reads():
    from hf_transferability.progress import Lines

    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    lines = Lines(Closed())
    lines.start(1, 2, "a")
    lines.stage("loading")
    lines.finish("done")


def test_downloads_are_told_in_megabytes():
    from hf_transferability.progress import Lines

    told = io.StringIO()
    lines = Lines(told)
    lines.start(1, 2, "owner/name")
    for done in (10_000_000, 125_900_000):
        lines.download("model.safetensors", done, 125_900_000)
    lines.download("config.json", 100, 100)
    assert told.getvalue() == "[1/2] owner/name: downloading model.safetensors (125.9 MB)\n"


def test_the_demo(run, made, monkeypatch):
    """The door to the demo, with the small folders of these tests in place of those that it makes."""
    import contextlib

    from hf_transferability import demo

    @contextlib.contextmanager
    def small(folder, seed, progress):
        progress("making nothing")
        yield demo.Demo(Path("target"), (Path("a"), Path("b"), Path("c")))

    monkeypatch.setattr(demo, "run", small)
    monkeypatch.setattr(demo, "verify", lambda *args: {"a": 0.9, "b": 0.6, "c": 0.7})
    done = run("demo", "--verify", "--keep", "demo")
    assert done.status == 0
    assert "making nothing" in done.err
    assert "hf-transferability rank target a b c" in done.err
    assert re.search(r"0\.900  a\n  0\.700  c\n  0\.600  b\n", done.out)
    assert re.search(r"agreement .* with the untrained one .*: -?[01]\.\d\d\n", done.out)
    from hf_transferability.cli.demo import _print_agreement

    # A failed candidate counts for nothing, and the untrained one only in the first line.
    scores = {"pool/a": 0.9, "pool/b": 0.5, "pool/c": None, "pool/untrained": 1.0}
    told = io.StringIO()
    ranking = Ranking([{"checkpoint": name, "score": score} for name, score in scores.items()], {}, "auto", "logme")
    _print_agreement(ranking, {"pool/a": 0.8, "pool/b": 0.7, "pool/c": 0.9, "pool/untrained": 0.6}, told)
    with_it, without_it = told.getvalue().splitlines()[-2:]
    assert re.search(r", with the untrained one .*: -0\.\d\d$", with_it)
    assert re.search(r", without the untrained one .*: 1\.00$", without_it)
    told.truncate(0)
    _print_agreement(Ranking(ranking.rows[-2:], {}, "auto", "logme"), {"pool/untrained": 0.6}, told)
    assert "undefined: there must be at least 2 candidates with score and AUC; got 1" in told.getvalue()

    done = run("demo", "--verify", "--format", "json")
    assert "hf-transferability rank" not in done.err  # the folders are gone by then
    assert len(json.loads(done.out)["rows"]) == 3
    assert "agreement" in done.err


def test_the_doors_are_thin():
    assert not {"numpy", "torch"} & set(vars(cli))


def test_metrics_are_listed_in_three_forms(capsys):
    from hf_transferability.metrics import all_metrics

    assert main(["metrics", "--format", "json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == list(all_metrics())
    for form in ("table", "markdown"):
        assert main(["metrics", "--format", form]) == 0
        printed = capsys.readouterr().out
        assert all(name in printed for name in all_metrics())


def test_score_ranks_files_of_arrays(tmp_path, capsys):
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    for k in (1, 2):
        np.savez(tmp_path / f"{k}.npz", features=rng.normal(size=(40, 4)) + k * labels[:, None], labels=labels)
    files = [str(tmp_path / f"{k}.npz") for k in (1, 2)]
    cache = ["--cache-dir", str(tmp_path / "cache")]
    assert main(["score", *files, "--metric", "logme", "--format", "json", "--floor", *cache]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["checkpoint"] for row in rows] == files[::-1]
    assert all(row["logme_floor"] < row["logme"] for row in rows)
    assert main(["score", *files, *cache]) == 0
    printed = capsys.readouterr().out
    assert "h_score" in printed
    assert "logme" in printed
    assert main(["score", str(tmp_path / "nowhere.npz"), *cache]) == 2
    assert "no file" in capsys.readouterr().err


def test_register_prints_the_script(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path))
    assert main(["register"]) == 0
    assert capsys.readouterr().out.strip().endswith("transferability.py")
