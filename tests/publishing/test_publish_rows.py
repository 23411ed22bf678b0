"""Rows are complete after publication, merged by their keys, and not lost if two people write at once."""

import json

import pandas as pd
import pytest
from helpers.people import head, repository, rows, sources
from helpers.saved_ranking import RANKING
from helpers.score_rows import PROVENANCE, scores
from helpers.tables import runs

from hf_transferability.benchmark import bundled, tables
from hf_transferability.publishing import card


def test_the_bundled_benchmark_can_be_loaded_again(alice, hub, paper):
    first = paper
    assert first.status == 0, first.err
    assert "runs: 28205 added, 0 replaced, 0 unchanged" in first.out
    assert f"published: {hub.url}/datasets/lab/paper/commit/{head(hub, 'lab/paper').sha}" in first.err
    assert len(repository(hub, "lab/paper").commits) == 2  # that of the Hub and one of ours
    assert repository(hub, "lab/paper").private
    for name, frame in bundled.with_provenance().items():
        loaded = alice.load("lab/paper", name)
        expected = tables.check_provenance(frame, name).sort_values(list(tables.TABLES[name].key), ignore_index=True)
        pd.testing.assert_frame_equal(tables.check_provenance(loaded, name), expected)
        assert loaded["citation"].str.contains("2412.20172").all()
    again = alice("benchmark", "publish", "lab/paper")
    assert (again.status, "all rows are there already" in again.err) == (0, True)
    assert "scores: 0 added, 0 replaced, 2090 unchanged" in again.out
    assert len(repository(hub, "lab/paper").commits) == 2


@pytest.mark.parametrize("name", ["medmnistplus", "sfda_emms"])
def test_a_published_study_comes_back_whole(alice, hub, name):
    """With scores or without, of one measure or several."""
    first = alice("benchmark", "publish", f"lab/{name}", "--benchmark", name)
    assert first.status == 0, first.err
    assert card.PLOT in head(hub, f"lab/{name}").files
    for table, frame in bundled.with_provenance(name).items():
        loaded = alice.load(f"lab/{name}", table)
        key = tables.TABLES[table].names(frame)
        whole = tables.check_provenance(frame, table).sort_values(key, ignore_index=True)
        pd.testing.assert_frame_equal(tables.check_provenance(loaded, table), whole)
    assert "all rows are there already" in alice("benchmark", "publish", f"lab/{name}", "--benchmark", name).err


def test_rows_are_merged_by_key(alice, hub):
    later = "2025-06-02T00:00:00+00:00"
    assert alice.publish("lab/merged", scores("a", "b", score=1), scores("c", score=2, date=later)).status == 0
    dry = alice.publish("lab/merged", scores("b", "c", "d", score=3), options=("--dry-run",), token=None)
    assert dry.out == "scores: 1 added, 0 replaced, 0 unchanged, 2 left out because those on the Hub are as new or newer\n"
    newer = alice.publish("lab/merged", scores("a", score=1), scores("b", "d", score=3, date=later))
    assert newer.out == "scores: 1 added, 1 replaced, 1 unchanged\n"
    table = rows(hub, "lab/merged")
    assert dict(zip(table["source"], table["score"], strict=True)) == {"a": 1, "b": 3, "c": 2, "d": 3}
    assert len(alice.load("lab/merged", "scores")) == 4


def test_two_write_at_once(people, hub, faults):
    """The first to read is the second to commit, so its parent is no longer the head."""
    alice, partner = people
    assert alice.publish("lab/both", scores("a")).status == 0
    faults.add("/lab/both/commit/main", delay=0.5, times=1)
    for turn in range(2):
        alice.start_publishing("lab/both", scores("same", f"alice-{turn}"))
        partner.start_publishing("lab/both", scores("same", f"partner-{turn}"))
        assert (alice.answer().status, partner.answer().status) == (0, 0)
    expected = sorted(["a", "same", *(f"{name}-{turn}" for name in ("alice", "partner") for turn in range(2))])
    assert sources(hub, "lab/both") == expected
    assert len(repository(hub, "lab/both").commits) == 6


def test_two_make_the_same_dataset_at_once(people, hub):
    for person in people:
        person.start_publishing("lab/new", scores("same", person.folder.name))
    assert [person.answer().status for person in people] == [0, 0]
    assert sources(hub, "lab/new") == ["alice", "partner", "same"]


def test_two_people_with_folders_of_one_name(people, hub):
    """Each has a checkpoint called `best`: neither replaces the other's figures."""
    for day, (person, score) in enumerate(zip(people, (0.9, 0.1), strict=True), 1):
        row = scores(
            "best", score=score, checkpoint="best", checkpoint_revision=f"sha256:{score}", date=f"2025-06-0{day}T00:00:00+00:00"
        )
        assert person.publish("lab/best", row).out == "scores: 1 added, 0 replaced, 0 unchanged\n"
    assert sorted(rows(hub, "lab/best")["score"]) == [0.1, 0.9]


def test_failed_runs_are_left_out_and_counted(alice, hub):
    """The checkpoint of such a run may have no revision."""
    provenance = {name: value for name, value in PROVENANCE.items() if name != "metric_version"}
    frame = runs({("a", "b"): [(0.5, 0.9), None], ("c", "b"): [None]}).assign(**provenance)
    frame["checkpoint_revision"] = frame["checkpoint_revision"].where(frame["status"] != "failed")
    frame.to_parquet(alice.folder / "runs-some.parquet")
    done = alice("benchmark", "publish", "lab/runs", "runs-some.parquet")
    assert (done.status, done.out) == (0, "runs: 1 added, 0 replaced, 0 unchanged\n"), done.err
    assert "2 of 3 runs failed and are left out." in done.err
    assert set(alice.load("lab/runs", "runs")["status"]) == {"ok"}
    frame[frame["status"] == "failed"].to_parquet(alice.folder / "runs-some.parquet")
    none = alice("benchmark", "publish", "lab/runs", "runs-some.parquet")
    assert none.status == 2 and "at least one row to publish, runs that failed aside" in none.err


@pytest.mark.parametrize("name", ["scores.json", "runs-2025.json", "mine.json", "ranking.JSON"])
def test_a_ranking_may_have_any_name(alice, name):
    (alice.folder / name).write_text(json.dumps(RANKING))
    dry_run = alice("benchmark", "publish", "lab/names", name, "--dry-run")
    (alice.folder / name).unlink()
    assert (dry_run.status, dry_run.out) == (0, "scores: 6 added, 0 replaced, 0 unchanged\n"), dry_run.err


@pytest.mark.parametrize(("options", "benchmark"), [((), "own"), (("--benchmark", "other"), "other")])
def test_a_ranking_belongs_to_the_benchmark_of_the_tables_beside_it(alice, options, benchmark):
    ranking, table = (alice.folder / name for name in ("beside.json", "ground_truth-beside.parquet"))
    ranking.write_text(json.dumps(RANKING))
    provenance = {name: value for name, value in PROVENANCE.items() if name != "metric_version"}
    pair = {"benchmark": "own", "scenario": "source_dataset", "source": "a", "target": "b", "selection": "mean_of_best_5"}
    pd.DataFrame([pair | {"measure": "auc", "performance": 0.9, "n_runs": 5} | provenance]).to_parquet(table)
    done = alice("benchmark", "publish", f"alice_secret/beside-{benchmark}", str(table), str(ranking), *options)
    assert done.status == 0, done.err
    assert set(alice.load(f"alice_secret/beside-{benchmark}", "scores").benchmark) == {benchmark}
    assert set(alice.load(f"alice_secret/beside-{benchmark}", "ground_truth").benchmark) == {"own"}
