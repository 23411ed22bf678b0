"""A race: what it extracts, whom it drops, and that survivors get the scores of a ranking without it."""

import json

import numpy as np
import pytest
from helpers.forks import connected
from helpers.inputs import resnet_config

from hf_transferability import UsageError, rank
from hf_transferability.checkpoints import loading
from hf_transferability.cli import main
from hf_transferability.extraction import passes
from hf_transferability.progress import NullProgress
from hf_transferability.ranking import downloads, dropping, race
from hf_transferability.ranking.candidates import Candidate
from hf_transferability.ranking.estimates import Stage, estimated
from hf_transferability.ranking.scoring import Scores

IMAGES = 90  # a stage of a third has 30


@pytest.fixture(scope="module")
def large(make_target):
    return make_target(n=IMAGES, n_classes=3, splits=("train", "test"))


@pytest.fixture(scope="module")
def five(make_checkpoint):
    return [str(make_checkpoint(resnet_config(width=4 + 2 * (seed % 2)), seed=seed)) for seed in range(5)]


@pytest.fixture(scope="module")
def plain(large, five, cache):
    return rank(large, five, cache_dir=cache)


@pytest.fixture
def work(monkeypatch):
    """What is loaded and extracted from now on: names; and (name, images, with gradients)."""
    loaded, extracted, load, extract = [], [], loading.load, passes.extract

    def counted(checkpoint, target, **options):
        extracted.append((checkpoint.name, len(target), options["gradients"]))
        return extract(checkpoint, target, **options)

    monkeypatch.setattr(loading, "load", lambda source: loaded.append(source.name) or load(source))
    monkeypatch.setattr(passes, "extract", counted)
    return loaded, extracted


@pytest.fixture
def strict(monkeypatch):
    """Everything below the K-th best is dropped, and nobody comes back."""
    monkeypatch.setattr(dropping, "REACH", 0.0)
    monkeypatch.setattr(race, "to_restore", lambda *given: [])


def test_survivors_have_the_values_of_a_ranking_without_a_race(large, five, plain, tmp_path, strict, work):
    notes: list[str] = []
    missing = str(tmp_path / "missing")
    result = rank(large, [*five, missing], race=True, keep=2, cache_dir=tmp_path / "cache")
    survivors = [row for row in result.rows if row["rank"] is not None]
    dropped = [row for row in result.rows if "dropped" in row["flags"]]
    failed = [row for row in result.rows if row["error"]]
    assert [len(survivors), len(failed), len(dropped)] == [2, 1, 3] and notes == []
    assert [row["checkpoint"] for row in result.rows[3:]] == [row["checkpoint"] for row in dropped]
    expected = {row["checkpoint"]: row for row in plain.rows}
    for row in survivors:
        same = ("feature_quality", "logme", "feature_update_ratio", "parameters", "batches")
        assert {name: row[name] for name in same} == {name: expected[row["checkpoint"]][name] for name in same}
    for row in dropped:
        assert row["dropped_at"] == 30 and row["score"] is not None and row["tie_group"] is None
        assert "after 30 images" in row["flag_details"]["dropped"]
        assert row["transferability"] is row["feature_update_ratio"] is None
    assert [row["score"] for row in dropped] == sorted((row["score"] for row in dropped), reverse=True)
    loaded, extracted = work
    assert sorted(loaded) == sorted(five)  # a survivor's network stays in memory
    assert sorted(extracted) == sorted(
        [(name, 30, False) for name in five]
        + [(row["checkpoint"], size, size == IMAGES) for row in survivors for size in (IMAGES - 30, IMAGES)]
    )
    extracted.clear()
    again = rank(large, [*five, missing], race=True, keep=2, cache_dir=tmp_path / "cache")
    assert extracted == [] and [row["score"] for row in again.rows] == [row["score"] for row in result.rows]


def test_without_gradients_only_new_images_are_extracted_and_a_later_run_finds_them_all(large, five, tmp_path, strict, work):
    raced = rank(large, five, metrics=["logme"], race=True, keep=2, cache_dir=tmp_path)
    survivors = [row for row in raced.rows if row["rank"] is not None]
    _, extracted = work
    assert sorted(extracted) == sorted(
        [(name, 30, False) for name in five] + [(row["checkpoint"], IMAGES - 30, False) for row in survivors]
    )
    extracted.clear()
    names = [row["checkpoint"] for row in survivors]
    later = rank(large, names, metrics=["logme"], cache_dir=tmp_path)
    assert extracted == []
    fresh = rank(large, names, metrics=["logme"], cache_dir=tmp_path / "other")
    np.testing.assert_allclose([row["score"] for row in later.rows], [row["score"] for row in fresh.rows], rtol=1e-5)
    np.testing.assert_allclose([row["score"] for row in survivors], [row["score"] for row in fresh.rows], rtol=1e-5)


def test_who_comes_back_is_ranked_as_without_a_race(large, five, plain, tmp_path, strict, work, monkeypatch):
    """The first of the dropped is brought back, once. On the whole sample nobody is dropped, and two get gradients."""
    asked = []

    def to_restore(stages, now, *given):
        behind = [stages[0].candidates[entry.position].name for entry in stages[0].below]
        asked.append((sorted(behind), sorted(one.name for one in now)))
        return sorted(behind)[:1] if len(asked) == 1 else []

    monkeypatch.setattr(race, "to_restore", to_restore)
    result = rank(large, five, race=True, keep=2, cache_dir=tmp_path)
    (behind, survivors), (still_behind, now) = asked
    back = behind[0]
    assert still_behind == behind[1:] and now == sorted([*survivors, back]) and len(survivors) == 2
    rows = {row["checkpoint"]: row for row in result.rows}
    assert sorted(name for name, row in rows.items() if "dropped" in row["flags"]) == still_behind
    expected = {row["checkpoint"]: row for row in plain.rows}
    for name in now:
        same = ("feature_quality", "logme", "batches")
        assert {key: rows[name][key] for key in same} == {key: expected[name][key] for key in same}
        assert rows[name]["rank"] is not None and rows[name]["interval"] is not None
    *best, third = [row for row in result.rows if row["rank"] is not None]
    assert [row["feature_update_ratio"] for row in best] == [
        expected[row["checkpoint"]]["feature_update_ratio"] for row in best
    ]
    assert third["feature_update_ratio"] is third["transferability"] is None
    assert "needs gradients, which a race computes for its best only" in third["undefined"]["feature_update_ratio"]
    passes_of = {name: sorted(entry[1:] for entry in work[1] if entry[0] == name) for name in now}
    features = [(30, False), (IMAGES - 30, False)]
    assert passes_of[third["checkpoint"]] == features and passes_of[back][:2] == features
    assert [passes_of[row["checkpoint"]] for row in best] == [[*features, (IMAGES, True)]] * 2


def test_a_race_takes_what_an_earlier_ranking_has_extracted(large, five, plain, cache, strict, work):
    result = rank(large, five, race=True, keep=2, cache_dir=cache)
    assert work == ([], [])
    assert sum("dropped" in row["flags"] for row in result.rows) == 3
    assert plain.rows[0]["checkpoint"] in [row["checkpoint"] for row in result.rows if row["rank"] is not None]


def test_each_candidate_is_resolved_once_and_one_that_is_missing_never_again(large, five, tmp_path, strict, monkeypatch):
    resolved, told, resolve = [], [], downloads.resolve
    monkeypatch.setattr(downloads, "resolve", lambda name, options: resolved.append(name) or resolve(name, options))
    progress = NullProgress()
    monkeypatch.setattr(progress, "stage", lambda name, *given: told.append(name))
    missing = str(tmp_path / "missing")
    rank(large, [missing, *five], race=True, keep=2, cache_dir=tmp_path / "cache", progress=progress)
    assert sorted(resolved) == sorted([missing, *five]) and told.count("resolving") == len(resolved)


def test_small_pools_and_metrics_of_gradients_do_not_race(large, five, plain, cache):
    result = rank(large, five[:3], race=True, cache_dir=cache)
    assert not any("dropped" in row["flags"] for row in result.rows)
    with pytest.raises(UsageError, match="`race` must go with a metric of features; got transferability"):
        rank(large, five, metrics=["transferability"], race=True, cache_dir=cache)
    with pytest.raises(UsageError, match="`keep` must be"):
        rank(large, five, race=True, keep=0, cache_dir=cache)


def test_the_command_races_and_shows_who_was_dropped(large, five, cache, strict, capsys):
    words = ["rank", str(large), *five, "--cache-dir", str(cache), "--race", "--keep", "2", "--wide"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert "dropped: --race dropped it" in out and "race: features of 2 candidates on 90 of 90 images." in err
    assert main(["rank", str(large), *five, "--keep", "2"]) == 2
    assert "`--keep` needs --race" in capsys.readouterr().err


def scored(name: str, value: float, halves: list[float]) -> Candidate:
    return Candidate(name, scores=Scores(values={"logme": value}, halves={"logme": list(halves)}))


def test_who_stayed_behind_changes_by_the_median_of_the_others():
    before = [scored("a", 1.0, [1.0, 1.1]), scored("b", 2.0, [2.0, 2.1]), scored("c", 3.0, [3.0, 3.1])]
    before.append(scored("out", 0.5, [0.4, 0.6]))
    stage = Stage(30, before, [dropping.BelowThreshold(3, 0.5, 0.6, 1.0)])
    now = [scored("a", 1.2, [1.3, 1.3]), scored("b", 2.3, [2.2, 2.3]), scored("c", 3.9, [3.9, 3.9])]
    (one,) = estimated([stage], now)
    assert one.name == "out" and one.scores is not None
    assert one.scores.values["logme"] == pytest.approx(0.5 + 0.3)
    assert one.scores.halves["logme"] == pytest.approx([0.4 + 0.3, 0.6 + 0.2])
    assert estimated([stage], []) == []


def test_two_processes_race_as_one_does(program, large, five, tmp_path):
    """Both go on with the same candidates, or one would wait for the other for ever."""
    words = ["rank", str(large), *five, "--race", "--keep", "2", "--format", "json"]
    done, other = connected(program, [*words, "--cache-dir", str(tmp_path)])
    assert (done.returncode, other.returncode, other.stdout) == (0, 0, ""), done.stderr
    alone = rank(large, five, race=True, keep=2, cache_dir=tmp_path / "alone")
    rows = json.loads(done.stdout)["rows"]
    assert [row["checkpoint"] for row in rows] == [row["checkpoint"] for row in alone.rows]
    dropped = [row.get("dropped_at") for row in rows]
    assert dropped == [row.get("dropped_at") for row in alone.rows]
    with_gradients = [row["feature_update_ratio"] is not None for row in rows]
    assert with_gradients == [row["feature_update_ratio"] is not None for row in alone.rows]
    assert True in with_gradients and False in with_gradients
