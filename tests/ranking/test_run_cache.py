"""What a second run takes from the cache, and what it must not take."""

import json
import shutil

import pytest

from hf_transferability import UsageError, rank
from hf_transferability.ranking import candidates


def without_extraction(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("a network was loaded although its arrays are in the cache")

    monkeypatch.setattr(candidates, "load", refuse)


def test_a_second_run_is_identical_and_loads_no_network(first, target, pool, cache, monkeypatch):
    without_extraction(monkeypatch)
    again = rank(target, pool, metrics=["transferability", "logme", "leep", "h_score"], cache_dir=cache)
    assert json.dumps(again.to_dict()) == json.dumps(first.to_dict())


def test_other_metrics_come_from_the_cache(first, target, pool, cache, monkeypatch):
    without_extraction(monkeypatch)
    again = rank(target, pool, metrics=["leep"], cache_dir=cache)
    assert [row["score"] for row in again.rows] == sorted((row["leep"] for row in first.rows), reverse=True)
    assert again.metric == "leep"


def test_a_changed_dataset_or_checkpoint_does_not_hit_old_entries(
    first, target, pool, cache, tmp_path, make_target, monkeypatch
):
    changed = tmp_path / "changed"
    shutil.copytree(pool[0], changed)
    assert rank(target, [changed], cache_dir=cache).rows[0]["revision"] in {row["revision"] for row in first.rows}
    configuration = json.loads((changed / "preprocessor_config.json").read_text())
    (changed / "preprocessor_config.json").write_text(json.dumps(configuration | {"image_mean": [0.1, 0.1, 0.1]}))
    other = rank(target, [changed], cache_dir=cache).rows[0]
    assert other["revision"] not in {row["revision"] for row in first.rows}
    assert other["feature_update_ratio"] not in {row["feature_update_ratio"] for row in first.rows}
    with monkeypatch.context() as patch:
        without_extraction(patch)
        row = rank(make_target(n=48, n_classes=3, seed=9), pool[:1], cache_dir=cache).rows[0]
        assert "a network was loaded" in row["error"]
        row = rank(target, pool[:1], cache_dir=cache, seed=1).rows[0]
        assert "a network was loaded" in row["error"]
        row = rank(target, pool[:1], cache_dir=cache, batches="balanced").rows[0]
        assert "a network was loaded" in row["error"]


def test_without_the_cache_nothing_old_is_shown(target, pool, tmp_path, monkeypatch):
    first = rank(target, pool[:1], cache_dir=tmp_path).rows[0]
    original = candidates.passes.extract

    def extract(*arguments, **options):
        arrays = original(*arguments, **options)
        arrays.features = arrays.features[::-1].copy()  # as if an update of a library had changed them
        arrays.gradient_norms = arrays.gradient_norms * [1.0, 2.0]
        return arrays

    monkeypatch.setattr(candidates.passes, "extract", extract)
    again = rank(target, pool[:1], cache_dir=tmp_path, use_cache=False).rows[0]
    assert again["feature_update_ratio"] == pytest.approx(2 * first["feature_update_ratio"])
    assert again["feature_quality"] != first["feature_quality"]


def test_another_version_of_the_preprocessing_is_another_entry(target, pool, cache, first, monkeypatch):
    without_extraction(monkeypatch)
    versions = candidates.package_versions()
    monkeypatch.setattr(candidates, "package_versions", lambda: versions | {"pillow": "0.1"})
    assert "a network was loaded" in rank(target, pool[:1], cache_dir=cache).rows[0]["error"]


def test_a_full_disk_loses_nothing_that_is_in_memory(target, pool, tmp_path, first, monkeypatch):
    def replace(source, destination):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hf_transferability.files.os.replace", replace)
    result = rank(target, pool, metrics=["transferability"], cache_dir=tmp_path, scenario="architecture")
    assert all(row["score"] is not None and row["feature_quality_floor"] for row in result.rows)
    assert any("No space left on device" in note for note in result.notes)
    assert not list(tmp_path.iterdir())


def test_a_cache_folder_that_cannot_be_made_is_a_usage_error(target, pool, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cache_dir.*cannot be made"):
        rank(target, pool, cache_dir=tmp_path / "file" / "folder")
