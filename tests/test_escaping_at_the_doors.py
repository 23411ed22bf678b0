"""Names from elsewhere through the commands that print and write them: none acts on the reader's program."""

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest
from helpers.tables import ground_truth, scores

from hf_transferability import files
from hf_transferability.benchmark import tables
from hf_transferability.benchmark.given_scores import read_scores
from hf_transferability.cli import finetune, main
from hf_transferability.training import model_card

NAME = "=1+1\x1b[31m\u202e<b onclick=x>|`q`"
CONTROL = {"\x1b", "\u202e"}


@pytest.fixture
def ranked(tmp_path):
    """The words of `score` for two files of arrays, one of them with the name."""
    rng = np.random.default_rng(0)
    labels = np.arange(24) % 2
    paths = [tmp_path / f"{NAME}.npz", tmp_path / "plain.npz"]
    for path in paths:
        np.savez(path, features=rng.normal(size=(24, 3)) + labels[:, None], labels=labels)
    cache = ["--metric", "logme", "--no-intervals", "--cache-dir", str(tmp_path / "cache")]
    return ["score", *map(str, paths), *cache]


def test_the_table_of_a_ranking(ranked, capsys):
    assert main(ranked) == 0
    said = "".join(capsys.readouterr())
    assert not CONTROL & set(said)
    assert "\\x1b[31m\\u202e<b onclick=x>" in said


def test_the_page_of_a_ranking(ranked, tmp_path):
    assert main([*ranked, "--report", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "&lt;b onclick=x&gt;" in page
    assert "<b onclick" not in page
    assert not CONTROL & set(page)


def test_a_model_card():
    card = model_card.render(NAME, [NAME], "mit", [NAME, "b"], {"steps": 1})
    body = card.split("---", 2)[2]
    assert body.count("\\<b onclick=x\\>") == body.count("<b onclick") == 2
    assert not CONTROL & set(body)


@pytest.mark.parametrize("name", [NAME, "=1+1", "-a", "@a", "+a", "a", "'a", "NA"])
def test_names_in_csv_come_back_through_our_own_readers(tmp_path, name):
    truth = ground_truth({"skin": {name: 0.9, "b": 0.8, "c": 0.7}}, benchmark=name)
    table = scores({"skin": {name: 3.0, "b": 2.0, "c": 1.0}}, benchmark=name)
    for kind, frame in (("ground_truth", truth), ("scores", table)):
        rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
        files.save({"rows": rows}, tmp_path / f"{kind}.csv")
        for row in csv.DictReader(io.StringIO((tmp_path / f"{kind}.csv").read_text("utf-8"))):
            assert not row["source"].startswith(("=", "+", "-", "@"))
        assert tables.read(tmp_path / f"{kind}.csv", kind).source.tolist() == [name, "b", "c"]
    ranking = [{"checkpoint": source, "score": float(k), "leep": float(k)} for k, source in enumerate((name, "b", "c"))]
    files.save({"rows": ranking}, tmp_path / "ranking.csv")
    assert read_scores(tmp_path / "ranking.csv", truth, target="skin").scores.source.tolist() == [name, "b", "c"]


@pytest.mark.parametrize("form", ["table", "markdown", "json", "csv"])
@pytest.mark.parametrize("command", ["compare", "factors"])
def test_the_prints_of_benchmark(tmp_path, capsys, command, form):
    sources = {NAME: 0.9, "b": 0.8, "c": 0.7, "d": 0.6}
    ground_truth({NAME: sources}, benchmark=NAME, selection=NAME).to_parquet(tmp_path / "truth.parquet")
    scores({NAME: {source: 10 * value for source, value in sources.items()}}, benchmark=NAME).to_parquet(
        tmp_path / "scores.parquet"
    )
    words = ["--ground-truth", str(tmp_path / "truth.parquet"), "--format", form]
    if command == "compare":
        words += ["--scores", str(tmp_path / "scores.parquet")]
    status = main(["benchmark", command, *words])
    printed, said = capsys.readouterr()
    assert not CONTROL & set(said)
    if form == "table" or form == "markdown":
        assert not CONTROL & set(printed)
        assert "<b onclick" not in printed.replace("\\<b", "") or form == "table"
    elif form == "json" and status == 0:
        json.loads(printed)
    if command == "compare":
        assert status == 0
        assert "1+1" in printed


def test_the_prints_of_finetune(capsys):
    runs = pd.DataFrame([{"source": NAME, "target": NAME, "status": "failed", "note": NAME}])
    truth = pd.DataFrame(columns=["source", "selection", "performance", "n_runs"])
    finetune._print(truth, runs)
    said = "".join(capsys.readouterr())
    assert said.count("=1+1\\x1b[31m\\u202e") >= 3
    assert not CONTROL & set(said)
