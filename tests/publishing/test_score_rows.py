"""Rankings as rows of scores."""

import copy
import json

import pytest
from helpers.saved_ranking import RANKING, ROW
from helpers.score_rows import scores as made

from hf_transferability import UsageError
from hf_transferability.benchmark import tables
from hf_transferability.metrics import get_metric
from hf_transferability.publishing import score_rows
from hf_transferability.publishing.merging import merge


def changed(**changes) -> dict:
    return copy.deepcopy(RANKING) | changes


def test_every_score_has_its_provenance():
    frame = score_rows.scores(RANKING, "mine")
    assert frame[["source", "metric"]].values.tolist() == [
        [source, metric] for source in ("owner/one@v1", "two@dddddddd") for metric in ("transferability", "logme", "nleep")
    ]
    first = frame.iloc[0].to_dict()
    assert {name: first[name] for name in ("benchmark", "scenario", "target", "score", "interval_low", "interval_high")} == {
        "benchmark": "mine", "scenario": "source_dataset", "target": "owner/target", "score": 0.7, "interval_low": 0.6,
        "interval_high": 0.8,
    }  # fmt: skip
    assert {name: first[name] for name in tables.PROVENANCE if name not in ("pool", "citation")} == {
        "checkpoint": "owner/one", "checkpoint_revision": "a" * 40, "dataset": "owner/target", "dataset_config": "small",
        "dataset_revision": "b" * 40, "dataset_fingerprint": "c" * 64, "split": "train", "sample_size": 300, "draw": "random",
        "sample_seed": 4, "preprocessing": "ViTImageProcessor (pil); window 0..4095; gradient batches: paper",
        "metric_version": 1, "versions": "numpy 2.0; torch 2.8.0", "hardware": "a processor (cpu)",
        "date": "2025-06-01T12:00:00+00:00",
    }  # fmt: skip
    assert frame["flags"].tolist()[:3] == ["n<=d;unstable"] * 3
    assert frame["flags"].isna().tolist()[3:] == [True] * 3
    assert frame["score"].isna().tolist() == [False, False, True] * 2


def test_a_pool_relative_score_names_its_pool():
    frame = score_rows.scores(RANKING, "mine")
    pools = frame.set_index("metric")["pool"].dropna()
    assert set(pools.index) == {name for name in RANKING["metric_versions"] if get_metric(name).is_pool_relative}
    assert pools.nunique() == 1
    assert pools.iloc[0].startswith("2 candidates, ")
    other = changed(rows=[RANKING["rows"][0]])
    assert score_rows.scores(other, "mine")["pool"].dropna().iloc[0] != pools.iloc[0]


def test_a_metric_without_a_published_form_says_so():
    plain = [name for name in ("knn", "linear_probe", "transferability") if not get_metric(name).published]
    row = {**ROW, **dict.fromkeys(plain, 0.5)}
    frame = score_rows.scores(changed(rows=[row], metric_versions=dict.fromkeys(["logme", *plain], 1)), "mine")
    assert frame.set_index("metric")["variant"].to_dict() == {"logme": "published", **dict.fromkeys(plain, "default")}


def test_no_path_of_this_machine_is_published(tmp_path):
    local = changed(dataset={**RANKING["dataset"], "id": str(tmp_path / "patients"), "revision": None})
    frame = score_rows.scores(local, "mine")
    assert set(frame["target"]) == set(frame["dataset"]) == {"patients"}
    assert "/home" not in frame.to_csv()
    assert str(tmp_path) not in frame.to_csv()


@pytest.mark.parametrize(
    ("lost", "text"),
    [("hardware", "lacks hardware"), ("date", "lacks date"), ("preprocessing", "lacks preprocessing")],
)
def test_a_row_of_an_older_version_is_refused(lost, text):
    rows = [{name: value for name, value in ROW.items() if name != lost}]
    with pytest.raises(UsageError, match=text):
        score_rows.scores(changed(rows=rows), "mine")


@pytest.mark.parametrize("name", ["(in memory)", "(files)"])
def test_a_target_without_a_name_is_refused(name):
    with pytest.raises(UsageError, match="lacks dataset"):
        score_rows.scores(changed(dataset={**RANKING["dataset"], "id": name, "revision": None}), "mine")


def test_two_folders_of_one_name_are_two_sources():
    rows = [{**ROW, "checkpoint": f"/{each}/same", "revision": f"sha256:{each * 64}"} for each in "ab"]
    frame = score_rows.scores(changed(rows=rows), "mine")
    assert list(dict.fromkeys(frame["source"])) == ["same@aaaaaaaa", "same@bbbbbbbb"]
    assert set(frame["checkpoint"]) == {"same"}
    with pytest.raises(UsageError, match=r"same@aaaaaaaa.*is there twice"):
        score_rows.scores(changed(rows=rows[:1] * 2), "mine")


def test_a_candidate_that_failed_for_one_metric_keeps_the_others():
    row = {**ROW, "error": "it has one layer only", "transferability": None, "score": None}
    frame = score_rows.scores(changed(rows=[row]), "mine")
    assert frame[["metric", "score"]].values.tolist() == [["logme", 0.1]]


def test_a_pool_has_the_candidates_with_a_value_only():
    """Whether the ranking was sorted by that metric, so that a candidate without a value failed, or by another."""
    others = [{**ROW, "checkpoint": f"owner/{each}", "revision": each * 40} for each in "bc"]
    lacking = {**ROW, "checkpoint": "owner/d", "revision": "d" * 40, "transferability": None}
    found = [
        score_rows.scores(changed(rows=[*others, *more]), "mine").set_index("metric").loc["transferability", "pool"].iloc[0]
        for more in ([], [lacking], [{**lacking, "error": "it has one layer only"}])
    ]
    assert len(set(found)) == 1
    assert found[0].startswith("2 candidates, ")


def test_scores_from_another_pool_replace_nothing():
    """The same checkpoints once more, with a fourth beside them, on which all scores depend."""
    rows = [{**ROW, "checkpoint": f"owner/{each}", "revision": each * 40} for each in "abc"]
    more = [{**row, "transferability": 0.1, "date": "2025-06-02T12:00:00+00:00"} for row in rows]
    more.append({**more[0], "checkpoint": "owner/d", "revision": "d" * 40})
    small, large = (
        score_rows.scores(changed(rows=each, metric_versions={"transferability": 1}), "mine") for each in (rows, more)
    )
    merged = merge(small, large, "scores")
    assert (merged.added, merged.replaced, len(merged.frame)) == (4, 0, 7)
    assert merged.frame.groupby("pool").score.unique().map(list).tolist() in ([[0.7], [0.1]], [[0.1], [0.7]])


def test_scores_of_a_race_replace_none_of_a_ranking_without():
    """A race knows only estimates of whom it drops, so the others may get other scores than over all of them."""
    rows = [{**ROW, "checkpoint": f"owner/{each}", "revision": each * 40} for each in "abc"]
    raced = [{**row, "transferability": 0.1, "date": "2025-06-02T12:00:00+00:00"} for row in rows]
    raced[2]["dropped_at"] = 100
    plain, race = (
        score_rows.scores(changed(rows=each, metric_versions={"transferability": 1}), "mine") for each in (rows, raced)
    )
    assert race["pool"].str.startswith("3 candidates (1 dropped by a race), ").all()
    merged = merge(plain, race, "scores")
    assert (merged.added, merged.replaced, len(merged.frame)) == (2, 0, 5)


def test_a_pool_that_failed_has_no_rows():
    frame = score_rows.scores(changed(rows=RANKING["rows"][2:]), "mine")
    assert len(frame) == 0


def test_files(tmp_path):
    path = tmp_path / "ranking.json"
    path.write_text(json.dumps(RANKING))
    assert score_rows.read(path, "mine").equals(score_rows.scores(RANKING, "mine"))
    for content in ("{", "[]", json.dumps({"rows": []}), json.dumps(changed(metric_versions=None))):
        path.write_text(content)
        with pytest.raises(UsageError, match=r"ranking\.json"):
            score_rows.read(path, "mine")
    made("a").to_json(path, orient="records")
    with pytest.raises(UsageError, match="must be a ranking"):
        score_rows.read(path, "mine")
