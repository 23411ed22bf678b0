"""Wrong usage and help: exit statuses, and messages that say what to do."""

import shutil
import subprocess
import sys

import pytest

import hf_transferability
from hf_transferability import cli
from hf_transferability.cli import main


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "COMMAND"),
        (["rang"], "Did you mean rank?"),
        (["rank"], "DATASET, CHECKPOINT"),
        (["rank", "target"], "No candidates"),
        (["rank", "target", "a", "--metric", "logmee"], "got 'logmee'. Did you mean logme?"),
        (["rank", "target", "a", "--metric", "unheard"], "got 'unheard'. Choose one of these."),
        (["rank", "target", "a", "--scenario", "both"], "source_dataset"),
        (["rank", "target", "a", "--scenario", "architectures"], "Did you mean architecture?"),
        (["rank", "target", "a", "--split", "trains"], "got 'trains'. Did you mean train?"),
        (["rank", "target", "a", "--label-column", "Labels"], "got 'Labels'. Did you mean label?"),
        (["rank", "target", "a", "--sample-size", "0"], "must be a positive whole number; got '0'"),
        (["rank", "target", "a", "--sample-size", "many"], "must be a positive whole number; got 'many'"),
        (["rank", "target", "a", "--sample-size", "6"], "at least 12 images; got 6"),
        (["rank", "target", "a", "--window", "5"], "must be two numbers LOW,HIGH; got '5'"),
        (["rank", "target", "a", "--window", "5,1"], "must have LOW below HIGH; got '5,1'"),
        (["rank", "target", "a", "--window", "nan,1"], "must have LOW below HIGH"),
        (["rank", "target", "a", "--window", "-5,-10"], "must have LOW below HIGH; got '-5,-10'"),
        (["rank", "target", "a", "--micro-batch", "-1"], "must be a positive whole number"),
        (["rank", "target", "a", "--seed", "-1"], "must be a whole number from 0 to 4294967295; got '-1'"),
        (["rank", "target", "a", "--seed", str(2**70)], "must be a whole number from 0 to 4294967295; got '11805"),
        (
            ["rank", "target", "a", "--sample-size", str(2**70)],
            f"must be a positive whole number up to {2**63 - 1}; got '11805",
        ),
        (["rank", "target", "a", "--draw", "all"], "stratified"),
        (["rank", "target", "a", "--met", "logme"], "--met"),
        (["rank", "target", "a", "--metrics", "all"], "unrecognized arguments: --metrics. Did you mean --metric?"),
        (["choose", "target", "a", "--budgt", "2"], "Did you mean --budget?"),
        (["benchmark", "compare", "--benchmrk", "open"], "Did you mean --benchmark?"),
        (["rank", "target", "a", "--output", "x.html"], "Write a page with --report x.html"),
        (["rank", "target", "a", "--output", "x.xlsx"], "must end in .json, .csv or .parquet; got 'x.xlsx'"),
        (["rank", "target", "a", "--output", "no/such/x.csv"], "there is no no/such. Make it first"),
        (["rank", "target", "a", "--output", "folder.csv"], "must be a file that can be written"),
        (["rank", "target", "a", "--plot", "x.pdf"], "`plot` must end in .png or .svg; got 'x.pdf'"),
        (["score", "a.npz", "--report", "x.pdf"], "`report` must end in .html; got 'x.pdf'"),
        (["rank", "./nowhere", "a"], "there is no folder ./nowhere. Check the path"),
        (["rank", "./tarket", "a"], "there is no folder ./tarket. Did you mean ./target?"),
        (["rank", "target", "a", "--split", "validation"], "`split` must be one of train; got 'validation'"),
        (["rank", "target", "a", "--config", "large"], "Available: ['default']"),
        (["rank", "target", "a", "--known", "none.csv"], "`known` must be a file, a folder or a dataset OWNER/NAME"),
        (["rank", "target", "a", "--image-column", "img"], "must be one of image, label; got 'img'"),
        (["rank", "target", "a", "--label-column", "lab"], "must be one of label; got 'lab'. Did you mean label?"),
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


def test_an_unexpected_error_is_one_line(run, monkeypatch):
    from hf_transferability.ranking import run as ranking

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


def test_the_program_alone_names_three_commands(run):
    done = run()
    assert done.status == 2
    assert [line.split()[1] for line in done.err.splitlines() if line.startswith("  hf-")] == ["demo", "rank", "explain"]


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


def test_the_doors_are_thin():
    assert not {"numpy", "torch"} & set(vars(cli))


@pytest.mark.parametrize("name", ["HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT"])
def test_a_variable_that_the_client_cannot_read_is_named(monkeypatch, capsys, name):
    monkeypatch.setenv(name, "soon")
    assert main(["metrics"]) == 2
    assert f"{name} must be a whole number of seconds; got 'soon'. Unset it" in capsys.readouterr().err
