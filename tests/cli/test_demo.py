"""`hf-transferability demo`, with the small folders of these tests in place of those that it makes."""

import contextlib
import json
import re
from pathlib import Path

import pytest

from hf_transferability.demo import run as demo
from hf_transferability.demo import verifying


@pytest.fixture
def small(monkeypatch, made):
    """The demo makes nothing: its target and checkpoints are there, under absolute paths as those of a temporary folder."""

    @contextlib.contextmanager
    def run(folder, seed, progress):
        progress("making nothing")
        yield demo.Demo(made / "target", (made / "a", made / "b", made / "c"), kept=folder is not None)

    monkeypatch.setattr(demo, "run", run)
    monkeypatch.setattr(verifying, "verify", lambda *args: {"a": 0.9, "b": 0.6, "c": 0.7})
    return made


def test_it_is_kept_and_verified(run, small):
    (small / "demo").mkdir(exist_ok=True)  # as the demo would
    done = run("demo", "--verify", "--keep", "demo")
    assert done.status == 0
    assert "making nothing" in done.err
    assert f"hf-transferability rank {small / 'target'} {small / 'a'}" in done.err
    assert f"written: {Path('demo') / 'ranking.json'}" in done.err
    saved = json.loads((small / "demo" / "ranking.json").read_text())
    assert [row["checkpoint"] for row in saved["rows"]] == re.findall(r"^ +\d +([abc]) ", done.out, re.MULTILINE)
    assert saved["dataset"]["id"] == "target"
    assert f"next: hf-transferability finetune --dataset {small / 'target'} " not in done.err  # it has no split called test
    assert f"budget of minutes: hf-transferability finetune --dataset {small / 'target'} --checkpoint {small}" in done.err
    assert re.search(r"0\.900  a\n  0\.700  c\n  0\.600  b\n", done.out)
    orders = re.findall(r"^(.*?) +-?[01]\.\d\d +-?[01]\.\d\d +(?:yes|no) *$", done.out, re.MULTILINE)
    assert orders[0] == "consensus"
    assert {"transferability", "feature quality", "logme"} <= set(orders)
    assert not re.search("add --(verify|keep)", done.err)  # as both were given
    assert re.search(r"\nThe ranking was (right|wrong): a is best after fine-tuning", done.out)


def test_names_are_plain_and_the_table_fits_100_columns(run, small, monkeypatch, make_checkpoint):
    third = make_checkpoint(seed=7)  # of one architecture with the two, as the demo's are
    made = demo.Demo(small / "target", (small / "a", small / "b", third), kept=False)
    monkeypatch.setattr(demo, "run", lambda *args: contextlib.nullcontext(made))
    done = run("demo")
    assert str(small) not in done.out
    assert str(small) not in done.err
    assert "[1/3] a: " in done.err
    table = [line for line in done.out.splitlines() if re.match(r"rank |   \d ", line)]
    assert len(table) == 4
    assert max(map(len, table)) <= 100
    assert [title for title in ("tie", "paper", "qual", "ratio", "logme", "size") if title not in table[0].split()] == []
    assert re.match(r"Fine-tune \S+ .*first: .*\.$", done.out.splitlines()[-1])
    hints = [line for line in done.err.splitlines() if line.startswith("next: ")]
    assert [re.search("--verify|--keep DIR|rank FOLDER", line)[0] for line in hints] == [
        "--verify",
        "--keep DIR",
        "rank FOLDER",
    ]


def test_json_is_all_that_stdout_holds(run, small):
    done = run("demo", "--verify", "--format", "json")
    assert "hf-transferability rank /" not in done.err  # the folders are gone by then
    assert str(small) not in done.err
    assert len(json.loads(done.out)["rows"]) == 3
    assert "agreement" in done.err
