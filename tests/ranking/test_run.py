"""The whole road from Python: scores over a pool, the cache, failing candidates, scenarios and the floor."""

import json
import shlex
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from helpers.inputs import resnet_config

import hf_transferability
from hf_transferability import UsageError, rank
from hf_transferability.metrics import all_metrics, get_metric
from hf_transferability.metrics.transferability import combine
from hf_transferability.progress import NullProgress
from hf_transferability.ranking import downloads


def test_rows_are_complete_and_in_rank_order(first, pool):
    assert sorted(row["checkpoint"] for row in first.rows) == sorted(pool)
    scores = [row["score"] for row in first.rows]
    assert scores == sorted(scores, reverse=True)
    for row in first.rows:
        assert row["error"] is None
        assert np.isfinite(
            [row[name] for name in ("feature_quality", "feature_update_ratio", "logme", "leep", "h_score")]
        ).all()
        assert row["n_features"] == 32
        assert row["licence"] == "mit"
        assert row["revision"].startswith("sha256:")
        assert row["seconds"] > 0
        assert row["parameters"] > 10_000
    assert first.dataset["split"] == "train"
    assert first.versions["torch"]


def test_the_default_table(first, target, pool, cache):
    """Sorted by consensus; beside it the paper's score, its parts, and LogME."""
    result = rank(target, pool, cache_dir=cache)
    assert result.metric == "consensus"
    row = result.rows[0]
    assert [name for name in row if not name.startswith("known_")][:9] == [
        "rank", "checkpoint", "score", "interval", "tie_group", "first_share", "feature_quality", "feature_update_ratio",
        "consensus",
    ]  # fmt: skip
    assert row["logme"] is not None
    parts = {name: [row[name] for row in result.rows] for name in ("feature_quality", "logme", "parameters")}
    assert [row["score"] for row in result.rows] == get_metric("consensus").combine(parts)
    by_paper = {row["checkpoint"]: row["score"] for row in first.rows}
    assert {row["checkpoint"]: row["transferability"] for row in result.rows} == by_paper
    assert not any("scenario" in note.split(":")[0] for note in result.notes)  # which consensus does not look at


def test_consensus_looks_at_size_where_networks_differ_in_it(target, pool, cache, make_checkpoint):
    wide = str(make_checkpoint(resnet_config(width=12), seed=7))
    rows = rank(target, [*pool, wide], cache_dir=cache).rows
    parts = {name: [row[name] for row in rows] for name in ("feature_quality", "logme")}
    sizes = [row["parameters"] for row in rows]
    assert max(sizes) > 1.05 * min(sizes)
    assert [row["score"] for row in rows] == get_metric("consensus").combine(parts | {"parameters": sizes})


def test_consensus_takes_the_default_form_of_its_parts_beside_published_columns(target, pool, cache):
    plain = rank(target, pool, metrics=["consensus", "logme"], cache_dir=cache)
    published = rank(target, pool, metrics=["consensus", "logme"], variant="published", cache_dir=cache)
    by_name = {row["checkpoint"]: row for row in plain.rows}
    assert all(row["score"] == by_name[row["checkpoint"]]["score"] for row in published.rows)
    assert all(row["logme"] != by_name[row["checkpoint"]]["logme"] for row in published.rows)


def test_the_score_is_the_product_of_the_scaled_components(first):
    expected = combine(*([row[name] for row in first.rows] for name in ("feature_quality", "feature_update_ratio")))
    assert [row["score"] for row in first.rows] == expected
    assert first.scenario == "source_dataset"


def test_a_failing_candidate_is_a_row_and_the_rest_is_ranked(target, pool, cache, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(pool[0], broken)
    (broken / "model.safetensors").write_bytes(b"not weights at all")
    result = rank(target, [broken, *pool, tmp_path / "nowhere"], cache_dir=cache)
    assert [row["rank"] for row in result.rows][-2:] == [None, None]
    failed = {row["checkpoint"]: row["error"] for row in result.rows if row["error"]}
    assert set(failed) == {str(broken), str(tmp_path / "nowhere")}
    assert "no folder" in failed[str(tmp_path / "nowhere")]
    assert all(row["score"] is not None for row in result.rows[:3])
    # A failed candidate is not part of the pool, so it cannot move the others' scores.
    assert [row["score"] for row in result.rows[:3]] == [row["score"] for row in rank(target, pool, cache_dir=cache).rows]


def test_where_nothing_could_be_read_nothing_is_scored(target, pool, cache, tmp_path, monkeypatch):
    told, progress = [], NullProgress()
    monkeypatch.setattr(progress, "stage", lambda name, total=None, unit="": told.append((name, total)))
    (tmp_path / "empty").mkdir()
    rank(target, [tmp_path / "empty"], cache_dir=cache, progress=progress)
    assert told and [stage for stage in told if stage[0] == "scoring"] == []
    rank(target, [tmp_path / "nowhere", *pool], cache_dir=cache, progress=progress)
    assert [stage for stage in told if stage[0] == "scoring"] == [("scoring", len(pool))]


def test_candidates_that_lead_nowhere_are_told_before_images_are_read(target, pool, cache, tmp_path, monkeypatch):
    told, progress = [], NullProgress()
    monkeypatch.setattr(progress, "stage", lambda name, total=None, unit="": told.append(name))
    monkeypatch.setattr(progress, "note", told.append)
    nowhere = [str(tmp_path / "no" / "where"), "a/folder/that/is/none"]
    with pytest.raises(UsageError, match=r"there is no folder .*where\. Check the path\. 'a/folder/that/is/none' is neither"):
        rank(target, nowhere, cache_dir=cache, progress=progress)
    assert told == []
    rows = rank(target, [*pool, nowhere[0]], cache_dir=cache, progress=progress).rows
    assert told[:2] == [f"this candidate fails: there is no folder {nowhere[0]}. Check the path.", "reading the dataset"]
    assert (rows[-1]["checkpoint"], rows[-1]["error"]) == (nowhere[0], f"there is no folder {nowhere[0]}. Check the path.")


def test_a_candidate_that_is_named_twice_is_told(target, pool, cache, monkeypatch):
    told, progress = [], NullProgress()
    monkeypatch.setattr(progress, "note", told.append)
    rank(target, [*pool, pool[0]], cache_dir=cache, progress=progress)
    assert f"{pool[0]} means what was named before, so each is ranked once." in told


def test_what_a_flag_below_the_table_says_is_not_told_twice(target, pool, cache, monkeypatch):
    told, progress = [], NullProgress()
    monkeypatch.setattr(progress, "note", told.append)
    result = rank(target, pool[:2], cache_dir=cache, progress=progress)
    assert all("pool_of_two" in row["flags"] for row in result.rows)
    assert any("pool_of_two" in note for note in result.notes)
    assert not any("pool_of_two" in note for note in told)


def test_an_unexpected_failure_of_one_candidate_leaves_the_rest(target, pool, cache, monkeypatch):
    original = downloads.resolve

    def resolve(name, options):
        if name == pool[1]:
            raise ZeroDivisionError("something nobody thought of")
        return original(name, options)

    monkeypatch.setattr(downloads, "resolve", resolve)
    rows = rank(target, pool, cache_dir=cache).rows
    assert [row["checkpoint"] for row in rows if row["error"]] == [pool[1]]
    assert "ZeroDivisionError" in rows[-1]["error"]


def test_a_pool_of_one_has_components_but_no_score(target, pool, cache):
    result = rank(target, pool[:1], cache_dir=cache)
    (row,) = result.rows
    assert row["score"] is None
    assert row["rank"] is None
    assert row["error"] is None
    assert row["feature_quality"] > 0
    assert "pool_of_one" in row["flags"]
    assert result.notes == ["there is no ranking: 1 of 1 candidates could be scored, and an order needs two."]


def test_one_folder_written_in_three_ways_is_one_candidate(target, pool, cache):
    folder = Path(pool[0])
    result = rank(
        target, [folder, f"{folder}/", folder.parent / ".." / folder.parent.name / folder.name, pool[1]], cache_dir=cache
    )
    assert sorted(row["checkpoint"] for row in result.rows) == sorted(map(str, pool[:2]))


def test_one_checkpoint_that_is_whole_is_no_ranking(target, pool, cache):
    result = rank(target, [pool[0], "./none", "./neither"], metrics=["logme", "transferability"], cache_dir=cache)
    row = result.rows[0]
    assert (row["score"] is None, row["rank"], row["tie_group"]) == (False, None, None)
    assert result.notes[0] == "there is no ranking: 1 of 3 candidates could be scored, and an order needs two."
    assert not any("scenario" in note for note in result.notes)
    assert result.advice is None


def test_equal_checkpoints_are_no_ranking(target, pool, cache, tmp_path):
    twin = shutil.copytree(pool[0], tmp_path / "twin")
    result = rank(target, [pool[0], twin], metrics=["transferability"], cache_dir=cache)
    assert [(row["score"], row["rank"], row["error"]) for row in result.rows] == [(None, None, None)] * 2
    assert "cannot be ordered by transferability, as feature quality and update ratio are the same" in " ".join(result.notes)
    assert result.advice is None
    result = rank(target, [pool[0], twin], cache_dir=cache)
    assert [(row["score"], row["rank"], row["tie_group"]) for row in result.rows] == [(0.5, 1, 1)] * 2
    assert any("all 2 candidates have one score" in note for note in result.notes)


def test_metrics_that_disagree_are_noted(target, pool, cache):
    result = rank(target, pool, metrics=["all"], cache_dir=cache)
    firsts = {
        name: max(result.rows, key=lambda row, name=name: row[name])["checkpoint"]
        for name in ("transferability", "logme", "leep", "knn")
    }
    assert len(set(firsts.values())) > 1
    (note,) = [note for note in result.notes if "compare what other metrics put first" in note]
    assert note.count(" by ") == 2
    assert len(note.split()) <= 25


def test_a_pool_of_two_warns(target, pool, cache):
    result = rank(target, pool[:2], metrics=["transferability"], cache_dir=cache)
    assert any("pool_of_two" in note for note in result.notes)
    assert {row["score"] for row in result.rows} <= {0.0, 1.0}
    notes = rank(target, pool[:2], cache_dir=cache).notes
    assert [note for note in notes if "pool_of_two" in note] == [
        "consensus, transferability: pool_of_two: in a pool of two the score says at most which candidate is ahead, not by how "
        "much."
    ]


def test_auto_takes_the_architecture_scenario_for_different_networks(target, pool, cache, make_checkpoint):
    wide = str(make_checkpoint(resnet_config(width=12), seed=7))
    result = rank(target, [*pool, wide], metrics=["transferability"], cache_dir=cache)
    assert result.scenario == "architecture"
    assert any("explain architecture" in note for note in result.notes)
    components = [[row[name] for row in result.rows] for name in ("feature_quality", "feature_update_ratio")]
    assert [row["score"] for row in result.rows] == combine(*components, scenario="architecture")
    assert all(0.2 <= row["feature_quality_floor"] <= 1 for row in result.rows)
    forced = rank(target, [*pool, wide], metrics=["transferability"], cache_dir=cache, scenario="source_dataset")
    assert forced.scenario == "source_dataset"
    assert any("2 architectures" in note for note in forced.notes)


def test_a_checkpoint_without_source_head_has_no_leep_but_is_ranked(target, pool, cache, tmp_path):
    from safetensors.torch import load_file, save_file

    headless = tmp_path / "headless"
    shutil.copytree(pool[0], headless)
    weights = {name: value for name, value in load_file(headless / "model.safetensors").items() if "classifier" not in name}
    save_file(weights, headless / "model.safetensors", metadata={"format": "pt"})
    result = rank(target, [*pool, headless], metrics=["transferability", "leep"], cache_dir=cache)
    row = next(row for row in result.rows if row["checkpoint"] == str(headless))
    assert row["error"] is None
    assert row["score"] is not None
    assert row["leep"] is None
    assert "no_source_head" in row["flags"]
    assert "source head" in row["undefined"]["leep"]
    row = rank(target, [*pool, headless], metrics=["leep"], cache_dir=cache).rows[-1]
    assert row["checkpoint"] == str(headless)
    assert "source head" in row["error"]


def test_a_dead_network_is_a_row_that_names_the_cause(target, pool, cache, tmp_path):
    from safetensors.torch import load_file, save_file

    dead = tmp_path / "dead"
    shutil.copytree(pool[0], dead)
    weights = load_file(dead / "model.safetensors")
    weights = {name: value * 0 if "convolution.weight" in name else value for name, value in weights.items()}
    save_file(weights, dead / "model.safetensors", metadata={"format": "pt"})
    result = rank(target, [*pool, dead], metrics=["transferability"], cache_dir=cache)
    row = next(row for row in result.rows if row["checkpoint"] == str(dead))
    assert row["score"] is None
    assert "same row for all" in row["error"]
    row = rank(target, [*pool, dead], cache_dir=cache).rows[-1]  # by LogME and size alone it would come first
    assert (row["checkpoint"], row["score"]) == (str(dead), None)
    assert "same row for all" in row["error"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"metrics": ["nonsense"]}, "must be one of"),
        ({"scenario": "nonsense"}, "must be one of auto"),
        ({"variant": "nonsense"}, "must be one of default, published"),
        ({"batches": "nonsense"}, "must be one of paper"),
        ({"sample_size": 0}, "must be a whole number, 1 or more"),
        ({"seed": -1}, "must be a whole number, from 0 to"),
        ({"draw": "nonsense"}, "must be one of random"),
        ({"metrics": "logme"}, "must be a list of names"),
        ({"metric": "logme"}, "unexpected keyword argument 'metric'. Did you mean metrics?"),
        ({"label_colum": "label"}, "Did you mean label_column?"),
        ({"nonsense": 1}, "Leave it out"),
    ],
)
def test_wrong_arguments_name_the_right_ones(target, pool, options, text):
    with pytest.raises(UsageError, match=text):
        rank(target, pool, **options)


def test_no_checkpoints_is_an_error(target):
    with pytest.raises(UsageError, match="at least one"):
        rank(target, [])


def test_an_in_memory_dataset_is_ranked_like_its_folder(target, pool, cache, first):
    from datasets import load_dataset

    table = load_dataset(str(target), split="train")
    result = rank(table, pool, metrics=["transferability"], cache_dir=cache)
    assert [row["score"] for row in result.rows] == [row["score"] for row in first.rows]


def test_a_multi_label_target_is_refused_by_name_and_ranked_by_what_can(target, pool, cache):
    import datasets

    table = datasets.load_dataset(str(target), split="train")
    labels = [[label, (label + 1) % 3] if i % 2 else [label] for i, label in enumerate(table["label"])]
    feature = datasets.List(datasets.ClassLabel(names=["a", "b", "c"]))
    table = table.remove_columns("label").add_column("findings", labels, feature=feature)
    with pytest.raises(UsageError, match=r"transferability cannot score a multi_label target.*logme"):
        rank(table, pool, metrics=["transferability"], cache_dir=cache)
    result = rank(table, pool, metrics=["logme"], cache_dir=cache)
    assert all(row["score"] is not None and row["feature_quality"] is None for row in result.rows)
    by_default = rank(table, pool, cache_dir=cache)
    assert by_default.metric == "consensus"
    assert [row["checkpoint"] for row in by_default.rows] == [row["checkpoint"] for row in result.rows]
    assert [row["logme"] for row in by_default.rows] == [row["score"] for row in result.rows]
    assert not any("transferability" in row for row in by_default.rows)


def test_save_and_frame(first, tmp_path):
    import pandas as pd

    first.save(tmp_path / "ranking.json")
    assert json.loads((tmp_path / "ranking.json").read_text()) == json.loads(json.dumps(first.to_dict()))
    for name, read in (("ranking.csv", pd.read_csv), ("ranking.parquet", pd.read_parquet)):
        first.save(tmp_path / name)
        frame = read(tmp_path / name)
        assert frame["checkpoint"].tolist() == [row["checkpoint"] for row in first.rows]
        assert frame["score"].tolist() == pytest.approx([row["score"] for row in first.rows])
    assert first.to_pandas()["rank"].tolist() == [row["rank"] for row in first.rows]
    with pytest.raises(UsageError, match=r"\.json, \.csv or \.parquet"):
        first.save(tmp_path / "ranking.xlsx")


def test_public_names_are_all_there():
    for name in hf_transferability.__all__:
        assert getattr(hf_transferability, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        _ = hf_transferability.nonsense


def test_ranking_warns_about_nothing_of_its_own(target, pool, cache):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rank(target, pool, metrics=["transferability", "logme"], cache_dir=cache)


def test_real_data(shared, pool, cache):
    """Three real targets of different size and colour: all rows finite and distinct."""
    for name in ("pneumonia_cxr", "blood_smear_cells", "retina_fundus"):
        result = rank(shared / "datasets" / name, pool, cache_dir=cache, sample_size=60)
        values = [(row["feature_quality"], row["feature_update_ratio"]) for row in result.rows]
        assert np.isfinite(values).all()
        assert len(set(values)) == len(pool)


def test_floor_on_request(target, pool, cache):
    result = rank(target, pool, metrics=["logme", "leep"], cache_dir=cache, floor=True)
    for row in result.rows:
        assert row["logme_floor"] < row["logme"]
        assert row["leep_floor"] <= 0
        assert "feature_update_ratio_floor" not in row  # it sees no labels of its own
    plain = rank(target, pool, metrics=["logme", "leep"], cache_dir=cache)
    assert all("logme_floor" not in row for row in plain.rows)
    assert [row["score"] for row in plain.rows] == [row["score"] for row in result.rows]


def test_without_intervals_there_are_none(target, pool, cache):
    result = rank(target, pool, cache_dir=cache, intervals=False)
    assert all(row["interval"] is None for row in result.rows)
    assert all(row["tie_group"] is None for row in result.rows)  # nothing was compared


def test_identical_checkpoints_cannot_be_told_apart(target, pool, cache, tmp_path):
    twin = tmp_path / "twin"
    shutil.copytree(pool[0], twin)
    groups = {row["checkpoint"]: row["tie_group"] for row in rank(target, [*pool, twin], cache_dir=cache).rows}
    assert groups[pool[0]] == groups[str(twin)]


def test_a_regression_target_is_ranked_by_logme(target, pool, cache):
    import datasets

    table = datasets.load_dataset(str(target), split="train")
    ages = [20 + 10 * label + i / 50 for i, label in enumerate(table["label"])]
    table = table.remove_columns("label").add_column("age", ages)
    with pytest.raises(UsageError, match=r"transferability cannot score a regression target.*logme"):
        rank(table, pool, metrics=["transferability"], label_column="age", cache_dir=cache)
    result = rank(table, pool, metrics=["logme"], label_column="age", cache_dir=cache, floor=True)
    assert all(row["score"] > row["logme_floor"] for row in result.rows)
    assert all(row["interval"] for row in result.rows)


def test_a_checkpoint_trained_on_the_target_is_flagged(target, pool, cache, tmp_path):
    leaky = tmp_path / "leaky"
    shutil.copytree(pool[0], leaky)
    (leaky / "README.md").write_text(f"---\nlicense: mit\ndatasets:\n- somebody/{target.name}\n---\n")
    result = rank(target, [*pool, leaky], cache_dir=cache)  # the arrays of its twin, but its own card
    assert {row["checkpoint"] for row in result.rows if "trained_on_target" in row["flags"]} == {str(leaky)}


def test_the_architecture_scenario_for_one_architecture_says_so(target, pool, cache):
    result = rank(target, pool, metrics=["transferability"], cache_dir=cache, scenario="architecture")
    assert any("all candidates share one architecture" in note for note in result.notes)


def test_the_benchmark_says_how_far_to_trust_the_order(first, target, pool, cache):
    text = first.advice["text"]
    assert first.notes[-len(text) :] == text
    assert first.notes[-1].startswith("next: fine-tune in ")
    assert first.to_dict()["advice"] == first.advice
    published = rank(target, pool, variant="published", cache_dir=cache, intervals=False)
    assert published.advice["evidence"]["pool_size"] == 3
    assert published.advice["evidence"]["chance_of_best"][-1] == 1
    assert rank(target, pool[:1], metrics=["logme"], cache_dir=cache, intervals=False).advice is None


def test_the_next_command_reads_the_data_as_the_ranking_did(target, pool, cache):
    from hf_transferability.cli import main

    result = rank(
        target, pool, cache_dir=cache, label_column="label", max_pixels=10_000, scenario="architecture", intervals=False
    )
    command = result.advice["command"]
    assert "--label-column=label --max-pixels=10000 --scenario=architecture" in command
    with pytest.raises(SystemExit) as end:
        main([*shlex.split(command)[1:], "--help"])  # the words are those of the command line
    assert end.value.code == 0


def test_every_column_of_a_real_ranking_is_defined(first):
    from hf_transferability.results import COLUMNS

    known = {*COLUMNS, *all_metrics()}
    assert not {name for row in first.rows for name in row} - known
