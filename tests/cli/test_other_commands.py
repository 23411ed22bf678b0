"""The commands beside `rank`: demo, metrics, score and register."""

import io
import json
import re
from pathlib import Path

import numpy as np

from hf_transferability.cli import main
from hf_transferability.demo import run as demo


def test_the_demo(run, made, monkeypatch):
    """The door to the demo, with the small folders of these tests in place of those that it makes."""
    import contextlib

    @contextlib.contextmanager
    def small(folder, seed, progress):
        progress("making nothing")
        yield demo.Demo(Path("target"), (Path("a"), Path("b"), Path("c")))

    monkeypatch.setattr(demo, "run", small)
    monkeypatch.setattr(demo, "verify", lambda *args: {"a": 0.9, "b": 0.6, "c": 0.7})
    (made / "demo").mkdir()  # as the demo would
    done = run("demo", "--verify", "--keep", "demo")
    assert done.status == 0
    assert "making nothing" in done.err
    assert "hf-transferability rank target a b c" in done.err
    assert f"written: {Path('demo') / 'ranking.json'}" in done.err
    saved = json.loads((made / "demo" / "ranking.json").read_text())
    assert [row["checkpoint"] for row in saved["rows"]] == re.findall(r"^ +\d  ([abc]) ", done.out, re.MULTILINE)
    assert re.search(r"0\.900  a\n  0\.700  c\n  0\.600  b\n", done.out)
    assert re.search(r"agreement .* with the untrained one .*: -?[01]\.\d\d\n", done.out)
    from hf_transferability.cli.demo import _print_agreement
    from hf_transferability.ranking.result import Ranking

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
    assert "undefined: there must be at least 2 candidates with score and fine-tuned performance; got 1" in told.getvalue()

    done = run("demo", "--verify", "--format", "json")
    assert "hf-transferability rank" not in done.err  # the folders are gone by then
    assert len(json.loads(done.out)["rows"]) == 3
    assert "agreement" in done.err


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
