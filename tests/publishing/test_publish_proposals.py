"""Pull requests: without write access, or on request."""

import io

import pytest
from helpers.people import BOB, head, repository, rows, sources
from helpers.score_rows import scores

from hf_transferability.benchmark import bundled


def test_without_write_access_it_is_a_pull_request(alice, hub, faults):
    assert alice.publish("lab/open", scores("a", "b")).status == 0
    before = head(hub, "lab/open")
    faults.add("/lab/open/commit/main", methods={"POST"}, status=500, times=1)
    proposal = alice.publish("lab/open", scores("a"), scores("bob"), token=BOB)
    assert proposal.status == 0, proposal.err
    assert "bob_secret may not write to lab/open, so this is a pull request" in proposal.err.replace("\n", " ")
    assert f"proposed: {hub.url}/datasets/lab/open/discussions/1" in proposal.err
    assert head(hub, "lab/open") == before
    again = alice.publish("lab/open", scores("a"), scores("bob"), token=BOB)
    assert again.err == proposal.err
    assert len(repository(hub, "lab/open").discussions) == 1
    # Meanwhile the owner adds rows; the proposal does not collide with them.
    assert alice.publish("lab/open", scores("c")).status == 0
    assert alice("merge", "lab/open", "1").status == 0
    assert sources(hub, "lab/open") == ["a", "b", "bob", "c"]
    assert sorted(alice.load("lab/open", "scores")["source"]) == ["a", "b", "bob", "c"]
    assert alice.publish("lab/open", scores("d")).status == 0
    assert sources(hub, "lab/open") == ["a", "b", "bob", "c", "d"]
    assert [path for path in head(hub, "lab/open").files if path.endswith(".parquet")] == ["data/scores/rows.parquet"]


@pytest.mark.parametrize("fault", [{"lost": True}, {"lost": True, "reset": True}], ids=str)
def test_a_lost_response_opens_no_second_pull_request(alice, hub, faults, with_rows, fault):
    with_rows("lab/open")
    number = len(repository(hub, "lab/open").discussions)
    faults.add("/lab/open/commit/main", times=1, **fault)
    proposal = alice.publish("lab/open", scores(f"lost-{number}"), options=("--create-pr",))
    assert proposal.status == 0, proposal.err
    assert f"proposed: {hub.url}/datasets/lab/open/discussions/{number + 1}" in proposal.err
    assert len(repository(hub, "lab/open").discussions) == number + 1
    assert f"lost-{number}" in sources(hub, "lab/open", f"refs/pr/{number + 1}")
    assert f"lost-{number}" not in sources(hub, "lab/open")


def test_a_proposal_that_replaces_rows(alice, hub, with_rows):
    with_rows("lab/open")
    assert alice.publish("lab/open", scores("changing")).status == 0
    later = scores("changing", score=9, date="2025-06-02T00:00:00+00:00")
    proposal = alice.publish("lab/open", later, options=("--create-pr",))
    assert "scores: 0 added, 1 replaced" in proposal.out
    number = len(repository(hub, "lab/open").discussions)
    assert alice("merge", "lab/open", str(number)).status == 0
    table = rows(hub, "lab/open")
    assert table["source"].is_unique
    assert table.set_index("source").loc["changing", "score"] == 9


def test_rows_that_were_merged_twice_are_repaired(alice, hub, with_rows):
    """Two proposals of the same row, merged one after the other."""
    with_rows("lab/open")
    for score in (1, 2):
        row = scores("twice", score=score, date=f"2025-06-0{score}T00:00:00+00:00")
        assert alice.publish("lab/open", row, options=("--create-pr",)).status == 0
    number = len(repository(hub, "lab/open").discussions)
    for pull in (number - 1, number):
        assert alice("merge", "lab/open", str(pull)).status == 0
    assert sources(hub, "lab/open").count("twice") == 2
    present = scores("first") if "first" in sources(hub, "lab/open") else scores("a")
    proposed = alice.publish("lab/open", present, token=BOB)  # the duplicate is nothing that a proposal could remove
    assert (proposed.status, "all rows are there already" in proposed.err) == (0, True)
    assert proposed.out == "scores: 0 added, 0 replaced, 1 unchanged\n"
    assert len(repository(hub, "lab/open").discussions) == number
    repaired = alice.publish("lab/open", present)
    assert repaired.out == "scores: 0 added, 0 replaced, 1 unchanged, 1 duplicates removed\n"
    table = rows(hub, "lab/open").set_index("source")
    assert table.loc["twice", "score"] == 2


def test_rows_with_another_column_load_beside_the_others(alice, hub):
    """The proposal's file lies beside the table's, and `datasets` takes the columns of the one for both."""
    assert alice.publish("lab/extra", scores("a", "b", remark="mine")).status == 0
    assert alice.publish("lab/extra", scores("c"), options=("--create-pr",)).status == 0
    assert alice("merge", "lab/extra", "1").status == 0
    assert len([path for path in head(hub, "lab/extra").files if path.endswith(".parquet")]) == 2
    loaded = alice.load("lab/extra", "scores").set_index("source")["remark"]
    assert loaded.dropna().to_dict() == {"a": "mine", "b": "mine"}
    assert sorted(loaded.index) == ["a", "b", "c"]


@pytest.mark.parametrize("options", [(), ("--create-pr",)])
def test_a_dataset_of_an_older_version_takes_new_rows(alice, hub, options):
    """Its ground truth has `test_auc` where it now says which measure; everything loads together afterwards."""
    repo_id = f"lab/older{len(options)}"
    truth = bundled.with_provenance()["ground_truth"]
    old = truth[:5].rename(columns={"performance": "test_auc"}).drop(columns=["measure", "performance_sd"])
    truth[:5].to_parquet(alice.folder / "ground_truth-new.parquet")
    assert alice("benchmark", "publish", repo_id, "ground_truth-new.parquet").status == 0
    stream = io.BytesIO()
    old.to_parquet(stream, index=False)
    hub.commit("dataset", repo_id, {"data/ground_truth/rows.parquet": stream.getvalue()})
    truth[3:7].to_parquet(alice.folder / "ground_truth-new.parquet")
    done = alice("benchmark", "publish", repo_id, "ground_truth-new.parquet", *options)
    assert (done.status, done.out) == (0, "ground_truth: 2 added, 0 replaced, 2 unchanged\n"), done.err
    if options:
        assert alice("merge", repo_id, "1").status == 0
    loaded = alice.load(repo_id, "ground_truth")
    assert "test_auc" not in loaded and set(loaded["measure"]) == {"auc"}
    assert sorted(loaded["performance"]) == pytest.approx(sorted(truth[:7]["performance"]))


def test_a_proposal_has_no_empty_files(alice, hub):
    """Of two tables that are published, one has nothing new but a duplicate that was merged."""
    assert alice.publish("lab/dup", scores("a")).status == 0
    for score in (1, 2):
        row = scores("t", score=score, date=f"2025-06-0{score}T00:00:00+00:00")
        assert alice.publish("lab/dup", row, options=("--create-pr",)).status == 0
    for pull in ("1", "2"):
        assert alice("merge", "lab/dup", pull).status == 0
    before = head(hub, "lab/dup").files
    truth = bundled.with_provenance()["ground_truth"][:5]
    truth.to_parquet(alice.folder / "ground_truth.parquet")
    scores("a").to_parquet(alice.folder / "scores.parquet")
    proposal = alice("benchmark", "publish", "lab/dup", "scores.parquet", "ground_truth.parquet", "--create-pr")
    (alice.folder / "scores.parquet").unlink()
    assert proposal.status == 0, proposal.err
    new = set(repository(hub, "lab/dup").resolve("refs/pr/3").files) - set(before)
    assert len(new) == 1
    assert len(rows(hub, "lab/dup", "ground_truth", "refs/pr/3")) == 5
