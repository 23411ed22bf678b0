"""Ranking arrays from files: the values of `score`, the pool, and what is refused."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from hf_transferability import UsageError, rank_features, score
from hf_transferability.data.array_files import check_size, read_arrays
from hf_transferability.metrics.transferability import combine


def candidate(seed: int, n: int = 60) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    features = rng.normal(size=(n, 8)) + (seed + 1) * np.eye(8)[labels]
    probabilities = rng.dirichlet(np.ones(4), n)
    return {
        "features": features,
        "labels": labels,
        "source_probabilities": probabilities,
        "gradient_norms": rng.uniform(1, 2, (7, 2)),
    }


@pytest.fixture
def files(tmp_path):
    for seed in range(3):
        np.savez(tmp_path / f"candidate{seed}.npz", **candidate(seed))
    return [tmp_path / f"candidate{seed}.npz" for seed in range(3)]


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def test_values_are_those_of_score(files, cache):
    result = rank_features(files, metrics=["logme", "leep"], cache_dir=cache)
    for row in result.rows:
        arrays = read_arrays(row["checkpoint"])
        assert row["logme"] == score("logme", features=arrays["features"], labels=arrays["labels"])
        assert row["leep"] == score("leep", source_probabilities=arrays["source_probabilities"], labels=arrays["labels"])
    assert [row["score"] for row in result.rows] == sorted((row["logme"] for row in result.rows), reverse=True)
    assert all(row["intervals"]["logme"] for row in result.rows)


def test_transferability_needs_a_named_scenario(files, cache):
    with pytest.raises(UsageError, match="must be source_dataset or architecture"):
        rank_features(files, metrics=["transferability"], cache_dir=cache)
    result = rank_features(files, metrics=["transferability"], scenario="architecture", cache_dir=cache)
    parts = [[row[name] for row in result.rows] for name in ("feature_quality", "feature_update_ratio")]
    assert [row["score"] for row in result.rows] == combine(*parts, scenario="architecture")


def test_all_means_what_the_arrays_allow(tmp_path, cache):
    arrays = candidate(0)
    np.savez(tmp_path / "features.npz", features=arrays["features"], labels=arrays["labels"])
    row = rank_features([tmp_path / "features.npz"], cache_dir=cache).rows[0]
    assert row["error"] is None
    assert {"logme", "h_score", "feature_quality", "knn"} <= set(row)
    assert "leep" not in row


def test_what_was_not_asked_for_is_not_computed(files, cache):
    result = rank_features(files, metrics=["logme"], cache_dir=cache)
    assert list(result.metric_versions) == ["logme"]
    assert all(row["feature_quality"] is None for row in result.rows)


def test_floor_and_safetensors(tmp_path, cache):
    arrays = candidate(2)
    save_file(arrays, tmp_path / "one.safetensors")
    row = rank_features([tmp_path / "one.safetensors"], metrics=["logme"], floor=True, cache_dir=cache).rows[0]
    assert row["logme_floor"] < row["logme"]


def test_several_labels_per_image(tmp_path, cache):
    arrays = candidate(0)
    np.savez(tmp_path / "several.npz", features=arrays["features"], labels=np.eye(3, dtype=int)[arrays["labels"]])
    row = rank_features([tmp_path / "several.npz"], cache_dir=cache).rows[0]
    assert row["logme"] is not None
    assert row["feature_quality"] is None


def test_text_labels(tmp_path, cache):
    arrays = candidate(0)
    words = np.array(["benign", "malignant", "normal"])[arrays["labels"]]
    np.savez(tmp_path / "numbers.npz", features=arrays["features"], labels=arrays["labels"])
    np.savez(tmp_path / "words.npz", features=arrays["features"], labels=words)
    values = [
        rank_features([tmp_path / f"{name}.npz"], metrics=["logme"], cache_dir=cache).rows[0]["score"]
        for name in ("numbers", "words")
    ]
    assert values[0] == values[1]


def test_bad_files_are_refused_with_the_remedy(files, tmp_path, cache):
    with pytest.raises(UsageError, match="no file"):
        rank_features([tmp_path / "nowhere.npz"], cache_dir=cache)
    with pytest.raises(UsageError, match=r"\.npz or \.safetensors"):
        rank_features([tmp_path / "table.csv"], cache_dir=cache)
    np.savez(tmp_path / "objects.npz", features=np.ones((4, 2)), labels=np.array([{}, 1, 2, 3], dtype=object))
    with pytest.raises(UsageError, match="pickle"):
        rank_features([tmp_path / "objects.npz"], cache_dir=cache)
    np.savez(tmp_path / "other.npz", X=np.ones((4, 2)), labels=np.arange(4))
    with pytest.raises(UsageError, match="got X"):
        rank_features([tmp_path / "other.npz"], cache_dir=cache)
    np.savez(tmp_path / "unlabelled.npz", features=np.ones((4, 2)))
    with pytest.raises(UsageError, match="labels"):
        rank_features([tmp_path / "unlabelled.npz"], cache_dir=cache)
    (tmp_path / "cut.npz").write_bytes(files[0].read_bytes()[:200])
    with pytest.raises(UsageError, match="cannot be read"):
        rank_features([tmp_path / "cut.npz"], cache_dir=cache)
    other = candidate(1) | {"labels": np.arange(60) % 2}
    np.savez(tmp_path / "relabelled.npz", **other)
    with pytest.raises(UsageError, match="same labels"):
        rank_features([files[0], tmp_path / "relabelled.npz"], cache_dir=cache)
    with pytest.raises(UsageError, match=r"must be one of .*got 'LogME'\. Did you mean logme\?"):
        rank_features(files, metrics=["LogME"], cache_dir=cache)
    with pytest.raises(UsageError, match="leep needs"):
        np.savez(tmp_path / "bare.npz", features=np.ones((4, 2)), labels=np.arange(4) % 2)
        rank_features([tmp_path / "bare.npz"], metrics=["leep"], cache_dir=cache)


def test_damaged_encrypted_and_huge_archives_are_refused_with_the_remedy(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, features=np.zeros((400, 8)), labels=np.arange(400) % 3)
    whole = path.read_bytes()
    start = 30 + int.from_bytes(whole[26:28], "little") + int.from_bytes(whole[28:30], "little")
    path.write_bytes(whole[:start] + b"\xff" * 8 + whole[start + 8 :])  # no deflated data
    with pytest.raises(UsageError, match=r"cannot be read: Error -3 .* Save whole arrays"):
        read_arrays(path)
    central = whole.index(b"PK\x01\x02")
    path.write_bytes(whole[:6] + b"\x01" + whole[7 : central + 8] + b"\x01" + whole[central + 9 :])  # marked as encrypted
    with pytest.raises(UsageError, match=r"encrypted.* Save whole arrays"):
        read_arrays(path)

    def load(*words, **options):
        raise MemoryError

    path.write_bytes(whole)
    monkeypatch.setattr(np, "load", load)
    with pytest.raises(UsageError, match=r"does not fit the memory\. Save fewer images"):
        read_arrays(path)
    path.write_bytes(b"PK no archive")
    with pytest.raises(UsageError, match=r"a\.npz cannot be read: .* Save it with numpy"):
        check_size(path, 2**20)
    with pytest.raises(UsageError, match=r"no file gone\.npz"):
        check_size(tmp_path / "gone.npz", 2**20)


def test_wrong_arrays_are_a_row_with_the_reason(tmp_path, cache):
    arrays = candidate(0)
    arrays["features"][3, 3] = np.nan
    np.savez(tmp_path / "nan.npz", **arrays)
    row = rank_features([tmp_path / "nan.npz"], metrics=["logme"], cache_dir=cache).rows[0]
    assert row["score"] is None
    assert "NaN or infinity in 1 of 60 rows" in row["error"]


def test_advice_needs_a_named_scenario(files, cache):
    named = rank_features(files, metrics=["feature_quality"], scenario="architecture", cache_dir=cache)
    assert named.advice["evidence"]["n_sources"] == 9
    assert named.notes[-1] == named.advice["text"]
    assert rank_features(files, metrics=["feature_quality"], cache_dir=cache).advice is None
