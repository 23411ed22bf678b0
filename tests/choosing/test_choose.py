"""`choose` from end to end: its answer, its files, what it repeats after a stop, and what it says where it cannot fine-tune."""

import json
import re

import pytest

from hf_transferability import choose
from hf_transferability.choosing import choose as choosing
from hf_transferability.cli import main
from hf_transferability.extraction import passes
from hf_transferability.training import one_run


@pytest.fixture(autouse=True)
def all_compared(monkeypatch):
    """Every candidate may be the best, whatever the benchmarks say of pools of three."""
    own = choosing.contenders
    monkeypatch.setattr(choosing, "contenders", lambda rows, advice: own(rows, {**advice, "fine_tune": len(rows)}))


def test_the_command_recommends_one_and_writes_everything(target, pool, cache, tmp_path, short, capsys):
    words = ["choose", str(target), *pool, "--budget", "1000", "--output", str(tmp_path), "--cache-dir", str(cache)]
    assert main(words) == 0
    out = capsys.readouterr().out
    choice = json.loads((tmp_path / "choice.json").read_text())
    ranking = json.loads((tmp_path / "ranking.json").read_text())
    assert choice["recommended"] in pool and choice["runner_up"] in pool and choice["by"] == "fine-tuning"
    assert f"recommended: {choice['recommended']}" in re.sub(r"\s+", " ", out)
    assert "expected loss against the best of 3 candidates" in re.sub(r"\s+", " ", out)
    assert {row["checkpoint"] for row in ranking["rows"]} == set(pool)
    assert choice["cost"]["short_runs"] == 6 == len(list(tmp_path.rglob("run-*.json")))
    page, card = ((tmp_path / name).read_text() for name in ("choice.html", "model_card.md"))
    recommended = choice["recommended"].rpartition("/")[2]
    assert "Short fine-tuning" in page and recommended in page and str(tmp_path.parent) not in page + card
    assert "## How the base checkpoint was chosen" in card and recommended in card
    command = choice["command"].split()
    assert command[:2] == ["hf-transferability", "finetune"] and choice["recommended"] in command
    assert main([*words, "--format", "json"]) == 0  # all is there: the same answer at once
    again = json.loads(capsys.readouterr().out)
    assert (again["recommended"], again["results"]) == (choice["recommended"], choice["results"])


def test_after_a_stop_no_finished_step_is_repeated(target, pool, cache, tmp_path, instant_runs, monkeypatch):
    ends, extracts = one_run.fine_tune, []

    def stopped(*given, **options):
        if len(instant_runs) == 3:
            raise KeyboardInterrupt
        return ends(*given, **options)

    monkeypatch.setattr(one_run, "fine_tune", stopped)
    with pytest.raises(KeyboardInterrupt):
        choose(target, pool, tmp_path, budget=1000, cache_dir=cache)
    done = list(instant_runs)
    monkeypatch.setattr(one_run, "fine_tune", ends)
    monkeypatch.setattr(passes, "extract", lambda *given, **options: extracts.append(given))
    choice = choose(target, pool, tmp_path, budget=1000, cache_dir=cache)
    assert instant_runs[: len(done)] == done and sorted(instant_runs) == sorted(pool * 2) and extracts == []
    assert choice.cost["short_run_seconds"] == 360.0
    whole = choose(target, pool, tmp_path / "whole", budget=1000, cache_dir=cache)
    assert [result.name for result in whole.decision.results] == [result.name for result in choice.decision.results]


def test_where_nothing_can_be_compared_the_ranking_decides_and_a_line_says_why(
    target, pool, cache, tmp_path, instant_runs, make_target
):
    small = choose(target, pool, tmp_path / "small", budget=1e-4, cache_dir=cache)
    assert small.decision.recommended == small.ranking.rows[0]["checkpoint"] and instant_runs == []
    assert any("pass --budget" in line for line in small.lines)
    untested = choose(make_target(n=48), pool, tmp_path / "untested", budget=10, cache_dir=cache)
    assert untested.decision.by == "ranking" and any("needs a test split" in line for line in untested.lines)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--budget", "5", "--output", "out"], "No candidates"),
        (["some/checkpoint", "--budget", "0", "--output", "out"], "`budget` must be a number of minutes above 0; got 0"),
    ],
)
def test_bad_words_are_refused(words, said, target, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["choose", str(target), *words]) == 2
    assert said in capsys.readouterr().err
