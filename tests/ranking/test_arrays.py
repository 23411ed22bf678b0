"""Ranking arrays from files: the values of `score`, the pool, and what is refused."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from hf_transferability import UsageError, rank_features, score
from hf_transferability.data.array_files import check_size, read_arrays
from hf_transferability.metrics import collect_flags, get_metric
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


@pytest.mark.parametrize(("sizes", "scenario"), [([10, 10, 10], "source_dataset"), ([10, 20, 10], "architecture")])
def test_sizes_tell_the_scenario_so_that_the_papers_score_is_shown(files, cache, sizes, scenario):
    result = rank_features(files, parameters=sizes, cache_dir=cache)
    parts = [[row[name] for row in result.rows] for name in ("feature_quality", "feature_update_ratio")]
    assert [row["transferability"] for row in result.rows] == combine(*parts, scenario=scenario)
    assert result.scenario == scenario


def test_widths_that_differ_are_other_architectures(files, cache):
    arrays = candidate(5)
    np.savez(wide := files[0].with_name("wide.npz"), **arrays | {"features": np.tile(arrays["features"], 2)})
    assert rank_features([*files, wide], cache_dir=cache).scenario == "architecture"


def test_a_network_with_the_same_features_for_every_image_has_no_score(files, cache):
    """By LogME alone, and by its size, it came first."""
    arrays = candidate(9)
    np.savez(dead := files[0].with_name("dead.npz"), **arrays | {"features": np.full_like(arrays["features"], 0.7)})
    sizes = {str(file): 10 for file in files} | {str(dead): 1000}
    result = rank_features([dead, *files], parameters=sizes, cache_dir=cache)
    row = result.rows[-1]
    assert (row["checkpoint"], row["score"], row["rank"]) == (str(dead), None, None)
    assert "same row for all" in row["error"]
    assert all(other["score"] is not None for other in result.rows[:-1])


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


@pytest.mark.parametrize("dtype", ["m8[s]", "M8[s]", "U3", "c16"])
@pytest.mark.parametrize("name", ["features", "source_probabilities", "gradient_norms"])
def test_arrays_of_dates_texts_and_complex_numbers_are_refused(name, dtype, tmp_path, cache):
    arrays = candidate(0) | {name: np.ones((4, 2), int).astype(dtype)}
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UsageError, match=rf"`{name}` of .*a\.npz must be real numbers; got .*\. Save them as floats"):
        rank_features([tmp_path / "a.npz"], cache_dir=cache)


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


def test_advice_names_files_and_no_command(files, cache):
    """Fine-tuning needs images and checkpoints, which files of arrays are not."""
    result = rank_features(files, metrics=["feature_quality"], cache_dir=cache)
    assert result.advice["first"] == result.rows[0]["checkpoint"]
    assert result.advice["command"] is None
    assert result.advice["evidence"]["pool_size"] == 3
    assert result.notes[-len(result.advice["text"]) :] == result.advice["text"]


def by_file(result, name):
    return {row["checkpoint"].rpartition("/")[2]: row[name] for row in result.rows}


def test_consensus_sorts_by_default_and_says_that_sizes_are_missing(files, cache):
    result = rank_features(files, cache_dir=cache)
    assert result.metric == "consensus"
    parts = {name: [row[name] for row in result.rows] for name in ("feature_quality", "logme")}
    with collect_flags():
        assert [row["score"] for row in result.rows] == get_metric("consensus").combine(parts)
    assert all("size_unknown" in row["flags"] and row["feature_update_ratio"] for row in result.rows)
    (note,) = [note for note in result.notes if "size_unknown" in note]
    assert "size does not count: give --parameters (known for 0 of 3 candidates)" in note
    named = rank_features(files, scenario="source_dataset", cache_dir=cache)
    assert named.metric == "consensus"
    assert by_file(named, "transferability") == by_file(result, "transferability")
    assert all(row["transferability"] is not None for row in named.rows)
    assumed = "transferability assumes that the networks have one architecture"  # nobody said what differs
    assert [note.startswith(assumed) for note in result.notes].count(True) == 1
    assert not any(note.startswith(assumed) for note in named.notes)


@pytest.mark.parametrize("ending", ["npz", "safetensors"])
def test_sizes_come_from_the_files(tmp_path, cache, ending):
    sizes = [30_000_000, 20_000_000, 10_000_000]
    for seed, size in enumerate(sizes):
        arrays = candidate(seed)
        if ending == "npz":
            np.savez(tmp_path / f"{seed}.npz", **arrays, parameters=size)
        else:
            save_file(arrays, tmp_path / f"{seed}.safetensors", metadata={"parameters": str(size)})
    files = [tmp_path / f"{seed}.{ending}" for seed in range(3)]
    result = rank_features(files, metrics=["consensus", "feature_quality", "logme"], cache_dir=cache)
    assert by_file(result, "parameters") == {f"{seed}.{ending}": size for seed, size in enumerate(sizes)}
    parts = {name: [row[name] for row in result.rows] for name in ("feature_quality", "logme", "parameters")}
    assert [row["score"] for row in result.rows] == get_metric("consensus").combine(parts)
    assert not any("size" in flag for row in result.rows for flag in row["flags"])
    given = rank_features(files, metrics=["consensus"], parameters={"1": 5, files[2].name: 7}, cache_dir=cache)
    assert by_file(given, "parameters") == {f"0.{ending}": sizes[0], f"1.{ending}": 5, f"2.{ending}": 7}


def test_sizes_of_some_files_are_none_for_consensus(files, cache):
    alone = rank_features(files, metrics=["consensus"], cache_dir=cache)
    some = rank_features(files, metrics=["consensus"], parameters={"candidate0": 9_000_000}, cache_dir=cache)
    assert by_file(some, "score") == by_file(alone, "score")
    assert all("size_unknown" in row["flags"] for row in some.rows)
    every = rank_features(files, metrics=["consensus"], parameters=[9_000_000, 2_000_000, 1_000_000], cache_dir=cache)
    assert by_file(every, "score") != by_file(alone, "score")


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ([1, 2], r"must be one number per file; got 2 for 3\. Name the files\.$"),
        ({"other": 5}, r"must name one of the files .*; got 'other'\. Write FILE=NUMBER\.$"),
        ([1, 2, 0], r"must be positive whole numbers; got 0\."),
        ([1, 2, 2.5], r"must be positive whole numbers; got 2\.5\."),
        ({"candidate0": True}, r"must be positive whole numbers; got True\."),
    ],
)
def test_wrong_sizes_are_refused(files, cache, parameters, text):
    with pytest.raises(UsageError, match=f"^`parameters` {text}"):
        rank_features(files, parameters=parameters, cache_dir=cache)


@pytest.mark.parametrize("value", [0, -3, 2.5, np.nan, np.inf, "many", [1, 2]])
def test_a_wrong_size_in_a_file_is_refused(tmp_path, value):
    np.savez(tmp_path / "a.npz", **candidate(0), parameters=value)
    with pytest.raises(UsageError, match=r"^`parameters` of .*a\.npz must be one positive whole number; got"):
        read_arrays(tmp_path / "a.npz")


def test_groups_in_files_count(tmp_path, cache):
    groups = np.array([f"patient {i // 3}" for i in range(60)])
    for seed in range(2):
        np.savez(tmp_path / f"{seed}.npz", **candidate(seed), groups=groups)
    files = [tmp_path / "0.npz", tmp_path / "1.npz"]
    result = rank_features(files, metrics=["knn"], cache_dir=cache)
    for row in result.rows:
        arrays = read_arrays(row["checkpoint"])
        assert row["knn"] == score("knn", features=arrays["features"], labels=arrays["labels"], groups=groups)
    document = result.to_dict()
    assert (document["dataset"]["groups"], document["dataset"]["largest_group"]) == (20, 3)
    kept = b"".join(path.read_bytes() for path in cache.iterdir())
    assert b"patient" not in kept
    assert "patient" not in str(document)
    np.savez(tmp_path / "other.npz", **candidate(1), groups=groups[::-1])
    for other in ("other.npz", "none.npz"):
        np.savez(tmp_path / "none.npz", **candidate(1))
        with pytest.raises(UsageError, match=r"must have the same groups as .*0\.npz; they differ"):
            rank_features([files[0], tmp_path / other], metrics=["knn"], cache_dir=cache)


def test_files_without_features_have_intervals(tmp_path, cache):
    for seed in range(2):
        arrays = candidate(seed)
        np.savez(tmp_path / f"{seed}.npz", labels=arrays["labels"], source_probabilities=arrays["source_probabilities"])
    rows = rank_features([tmp_path / f"{seed}.npz" for seed in range(2)], cache_dir=cache).rows
    for row in rows:
        assert row["error"] is None
        assert row["leep"] is not None and row["nce"] is not None
        assert all(row["intervals"][name] for name in ("leep", "nce"))
