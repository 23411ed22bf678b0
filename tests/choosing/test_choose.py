"""`choose` from end to end: its answer, its files, what it repeats after a stop, and what it says where it cannot fine-tune."""

import json
import re
import shutil

import pytest
from helpers.inputs import resnet_config

from hf_transferability import UsageError, choose
from hf_transferability.cli import main
from hf_transferability.extraction import passes
from hf_transferability.publishing import collecting, publish
from hf_transferability.training import one_run

pytestmark = pytest.mark.usefixtures("all_compared")


def test_the_command_recommends_one_and_writes_everything(target, pool, cache, tmp_path, short, capsys):
    words = ["choose", str(target), *pool, "--budget", "1000", "--output", str(tmp_path), "--cache-dir", str(cache)]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert err.count("splits:") == 1 and "next:" not in err  # of all steps
    assert "trying every checkpoint" not in err and [err.count(f"[{place}/3]") > 0 for place in (1, 2, 3)] == [True] * 3
    assert len(re.findall(r"\[1/3\] .*: reading images", err)) == 1 == err.count("reading images") and "[1/1]" not in err
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
    assert repr(choice).startswith(f"- {choice.lines[0]}\n")
    assert str(pool[0]) in repr(choice)
    assert instant_runs[: len(done)] == done and sorted(instant_runs) == sorted(pool * 2) and extracts == []
    assert (choice.cost["short_run_seconds"], choice.cost["earlier_short_run_seconds"]) == (360.0, 180.0)
    assert choice.cost["extraction_seconds"] == 0 < choice.cost["cached_extraction_seconds"]
    assert any("6 short runs in 3.0 minutes (and 3.0 minutes in earlier calls)" in line for line in choice.lines)
    whole = choose(target, pool, tmp_path / "whole", budget=1000, cache_dir=cache)
    assert [result.name for result in whole.decision.results] == [result.name for result in choice.decision.results]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ("dataset", "other images or labels in the training or validation sample"),
        ("option", "image_size each network's own there, 20 now"),
        ("checkpoint", "must all have one checkpoint_revision"),
    ],
)
def test_runs_of_other_data_options_or_weights_are_refused(
    target, pool, cache, tmp_path, instant_runs, make_target, make_checkpoint, changed, said
):
    names = [str(shutil.copytree(name, tmp_path / "pool" / str(place))) for place, name in enumerate(pool[:2])]
    out = tmp_path / "out"
    choose(target, names, out, budget=1000, cache_dir=cache)
    before = (out / "ranking.json").read_bytes()
    dataset, options = target, {}
    if changed == "dataset":
        made = make_target(n=48, n_classes=3, seed=5, splits=("train", "validation", "test"))
        dataset = shutil.copytree(made, tmp_path / "other" / target.name)
    elif changed == "option":
        options = {"image_size": 20}
    else:
        weights = make_checkpoint(resnet_config(width=4), seed=7, size=16) / "model.safetensors"
        for name in names:
            shutil.copy(weights, name)
    with pytest.raises(UsageError, match=f"{said}.* Choose another --output"):
        choose(dataset, names, out, budget=1000, cache_dir=cache, **options)
    assert len(instant_runs) == 4 and (out / "ranking.json").read_bytes() == before


def test_where_nothing_can_be_compared_the_ranking_decides_and_a_line_says_why(
    target, pool, cache, tmp_path, instant_runs, make_target
):
    small = choose(target, pool, tmp_path / "small", budget=1e-4, cache_dir=cache)
    assert small.decision.recommended == small.ranking.rows[0]["checkpoint"] and instant_runs == []
    assert any("pass --budget" in line for line in small.lines)
    untested = choose(make_target(n=48), pool, tmp_path / "untested", budget=10, cache_dir=cache)
    assert untested.decision.by == "ranking" and any("needs a test split" in line for line in untested.lines)
    assert untested.lines[-1].startswith(
        "next: make a test split (folders train/CLASS and test/CLASS), then hf-transferability"
    )
    assert f"runner-up: {untested.decision.runner_up}." in untested.lines


def test_who_failed_is_told_with_the_answer(target, pool, cache, tmp_path, instant_runs):
    missing = [str(tmp_path / name) for name in ("missing", "gone")]
    one = choose(target, [*pool[:2], missing[0]], tmp_path / "one", budget=1e-4, cache_dir=cache)
    assert [line for line in one.lines if "failed" in line] == [f"1 of 3 candidates failed: {one.ranking.rows[-1]['error']}"]
    none = choose(target, [pool[0], *missing], tmp_path / "none", budget=10, cache_dir=cache)
    reason = "there is no ranking: 1 of 3 candidates could be scored, and an order needs two."
    assert none.lines == [
        f"no recommendation, as {reason}",
        f"2 of 3 candidates failed: {', '.join(missing)}: ranking.json has the reasons.",
    ]


def test_scores_are_published_only_when_asked_for(target, pool, cache, tmp_path, instant_runs, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(publish, "check_destination", asked.append)
    monkeypatch.setattr(
        collecting, "publish_ranking",
        lambda ranking, repo_id: asked.append(len(ranking["rows"])) or publish.Published(repo_id, {}, "an address", "commit"),
    )  # fmt: skip
    words = ["choose", str(target), *pool, "--budget", "1000", "--output", str(tmp_path), "--cache-dir", str(cache)]
    assert main(words) == 0
    assert asked == [] and "lab/results" not in (tmp_path / "model_card.md").read_text()
    assert main([*words, "--push-to", "lab/results"]) == 0
    assert asked == ["lab/results", 3] and "published: an address" in capsys.readouterr().err
    assert "/datasets/lab/results" in (tmp_path / "model_card.md").read_text()


@pytest.mark.parametrize(
    ("words", "processes", "status", "said"),
    [
        (["--budget", "5"], "1", 2, "No candidates"),
        (["some/checkpoint", "--budget", "0"], "1", 2, "`budget` must be a finite number above 0 to 1e+06; got 0"),
        (["some/checkpoint", "--budget", "5"], "2", 2, "`choose` must run in one process"),
        (["some/checkpoint", "--budget", "5"], "two", 1, "WORLD_SIZE must be a positive whole number; got 'two'"),
    ],
)
def test_bad_words_are_refused(words, processes, status, said, target, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORLD_SIZE", processes)
    assert main(["choose", str(target), *words, "--output", "out"]) == status
    assert said in capsys.readouterr().err
