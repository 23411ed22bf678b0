"""What a second run takes from the cache, and what it must not take."""

import json
import shutil

import numpy as np
import pytest

from hf_transferability import UsageError, rank
from hf_transferability.extraction import passes
from hf_transferability.progress import Progress
from hf_transferability.ranking import candidates, scoring


def without_extraction(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("a network was loaded although its arrays are in the cache")

    monkeypatch.setattr("hf_transferability.checkpoints.loading.load", refuse)


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
    original = passes.extract

    def extract(*arguments, **options):
        arrays = original(*arguments, **options)
        arrays.features = arrays.features[::-1].copy()  # as if an update of a library had changed them
        arrays.gradient_norms = arrays.gradient_norms * [1.0, 2.0]
        return arrays

    monkeypatch.setattr(passes, "extract", extract)
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


def test_no_backward_pass_unless_a_metric_needs_gradients(target, pool, tmp_path, monkeypatch):
    asked = []
    original = passes.extract

    def extract(*arguments, **options):
        asked.append(options["gradients"])
        return original(*arguments, **options)

    monkeypatch.setattr(passes, "extract", extract)
    first = rank(target, pool[:2], metrics=["logme"], cache_dir=tmp_path, intervals=False)
    assert asked == [False, False]
    assert all(row["feature_update_ratio"] is None and row["feature_quality"] for row in first.rows)
    full = rank(target, pool[:2], cache_dir=tmp_path, intervals=False)
    assert asked == [False, False, True, True]
    assert all(row["feature_update_ratio"] for row in full.rows)
    logme = {row["checkpoint"]: row["logme"] for row in first.rows}
    assert {row["checkpoint"]: row["logme"] for row in full.rows} == pytest.approx(logme, rel=1e-5)
    rank(target, pool[:2], cache_dir=tmp_path, intervals=False)
    rank(target, pool[:2], metrics=["logme"], cache_dir=tmp_path, intervals=False)
    assert len(asked) == 4, "arrays with gradients serve both"


class Notes(Progress):
    """Remembers what is told."""

    def __init__(self):
        self.texts = []

    def note(self, text):
        self.texts.append(text)


@pytest.mark.parametrize(("change", "kept"), [(1e-7, True), (1e-3, False)])
def test_gradients_that_come_later_leave_stored_scores_valid(change, kept, target, pool, tmp_path, monkeypatch):
    """A later pass gives the same features but for rounding, which would make each stored score one of other arrays."""
    first = rank(target, pool[:1], metrics=["logme"], cache_dir=tmp_path).rows[0]
    original, score, computed = passes.extract, scoring.score, []

    def extract(*arguments, **options):
        arrays = original(*arguments, **options)
        arrays.features = arrays.features + np.float32(change * np.abs(arrays.features).max()) * (np.arange(48) % 2)[:, None]
        return arrays

    monkeypatch.setattr(passes, "extract", extract)
    monkeypatch.setattr(scoring, "score", lambda name, **options: computed.append(name) or score(name, **options))
    notes = Notes()
    again = rank(
        target, pool[:1], metrics=["transferability", "logme"], cache_dir=tmp_path, scenario="architecture", progress=notes
    )
    assert again.rows[0]["feature_update_ratio"] is not None
    assert ("logme" not in computed) == kept
    assert (again.rows[0]["logme"] == first["logme"]) == kept
    assert any("than those in the cache" in text for text in notes.texts) != kept


def test_a_network_without_two_layers_is_not_extracted_again(target, pool, tmp_path, monkeypatch):
    """That a network has no gradients is an answer; that nobody asked for them is none."""
    original = passes.extract

    def extract(checkpoint, *arguments, **options):
        checkpoint.layers = checkpoint.layers[:1]
        return original(checkpoint, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(passes, "extract", extract)
        first = rank(target, pool[:1], metrics=["feature_quality", "transferability"], cache_dir=tmp_path, intervals=False)
    without_extraction(monkeypatch)
    again = rank(target, pool[:1], metrics=["feature_quality", "transferability"], cache_dir=tmp_path, intervals=False)
    assert again.rows == first.rows
    assert again.rows[0]["feature_update_ratio"] is None
