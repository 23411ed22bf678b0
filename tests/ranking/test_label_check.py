"""Labels that have nothing to do with the images are noticed."""

import numpy as np
import pytest

from hf_transferability import rank_features
from hf_transferability.ranking import label_check
from hf_transferability.ranking.label_check import label_p_value


def sample(n=200, d=6, shift=1.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    return rng.normal(size=(n, d)) + shift * np.eye(d)[labels], labels


@pytest.mark.parametrize("kind", ["classes", "several labels", "numbers"])
def test_labels_that_the_features_know_are_never_reached_by_shuffles(kind):
    features, classes = sample()
    labels = {"classes": classes, "several labels": np.eye(3, dtype=int)[classes], "numbers": classes.astype(float)}[kind]
    assert label_p_value(features, labels) == 0.01
    shuffled = np.random.default_rng(1).permutation(labels)
    assert label_p_value(features, shuffled) > 0.05


def test_the_share_is_uniform_where_there_is_no_relation():
    shares = [label_p_value(*sample(60, shift=0, seed=seed), seed=seed) for seed in range(60)]
    assert 0.35 < np.mean(shares) < 0.65
    assert np.mean(np.array(shares) <= 0.05) < 0.15


def test_images_of_one_patient_are_no_evidence_of_their_own():
    """Twelve patients whose images resemble each other, with a label each that says nothing: images alone look related."""
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(12), 20)
    features = rng.normal(size=(12, 5))[groups] + 0.1 * rng.normal(size=(240, 5))
    labels = (np.arange(12) % 2)[groups]
    assert label_p_value(features, labels) == 0.01
    assert label_p_value(features, labels, groups) > 0.05


@pytest.mark.parametrize(("groups_per_class", "known"), [(1, False), (3, False), (4, False), (5, True), (12, True)])
def test_few_patients_say_nothing_either_way(groups_per_class, known):
    """Of 6 patients in two classes, one way in ten to shuffle them is the true one."""
    groups = np.repeat(np.arange(2 * groups_per_class), 120 // groups_per_class)
    labels = groups % 2
    features = labels[:, None] + 0.1 * np.random.default_rng(0).normal(size=(len(labels), 5))
    found = label_p_value(features, labels, groups)
    assert found is None or found <= 0.05
    assert (found is not None) == known


def test_a_constant_feature_changes_nothing():
    features, labels = sample(shift=0.3)
    constant = np.hstack([features, np.full((len(features), 1), 1e6)])
    assert label_p_value(constant, labels) == label_p_value(features, labels)


def test_a_candidate_of_noise_is_flagged_beside_others(tmp_path):
    features, labels = sample(shift=2.0)
    broken = features.copy()
    broken[3] = np.nan  # has no values, so nothing is said of its relation
    noise = np.random.default_rng(9).normal(size=features.shape)
    for name, array in {"good": features, "noise": noise, "broken": broken}.items():
        np.savez(tmp_path / f"{name}.npz", features=array, labels=labels)
    files = [tmp_path / f"{name}.npz" for name in ("good", "noise", "broken")]
    ranking = rank_features(files, metrics=["logme"], cache_dir=tmp_path / "cache", intervals=False)
    flagged = [row["checkpoint"] for row in ranking.rows if "no_relation" in row["flags"]]
    assert flagged == [str(tmp_path / "noise.npz")]
    assert not any("check the labels" in note for note in ranking.notes)


def test_a_ranking_of_shuffled_labels_says_so(tmp_path):
    files = []
    for seed in range(2):
        features, labels = sample(seed=seed)
        for name, order in {"true": labels, "shuffled": np.random.default_rng(5).permutation(labels)}.items():
            np.savez(tmp_path / f"{name}{seed}.npz", features=features, labels=order)
    made = {}
    for name in ("true", "shuffled"):
        files = [tmp_path / f"{name}{seed}.npz" for seed in range(2)]
        made[name] = rank_features(files, metrics=["logme"], cache_dir=tmp_path / "cache", intervals=False)
    assert made["true"].label_check == {"p_value": 0.01, "alarm": None}
    assert not any("check the labels" in note for note in made["true"].notes)
    document = made["shuffled"].to_dict()
    assert document["label_check"]["p_value"] > 0.05 and document["label_check"]["alarm"] in document["notes"]
    assert document["label_check"]["alarm"].startswith("check the labels")
    assert not any("first:" in note for note in document["notes"])  # no advice that sounds sure of them


def test_the_test_is_made_once_for_the_same_features_and_labels(tmp_path, monkeypatch):
    features, labels = sample()
    np.savez(tmp_path / "a.npz", features=features, labels=labels)
    np.savez(tmp_path / "b.npz", features=features, labels=np.roll(labels, 1))
    calls = []
    test = label_check.label_p_value
    monkeypatch.setattr(label_check, "label_p_value", lambda *given: (calls.append(1), test(*given))[1])
    options = {"metrics": ["logme"], "cache_dir": tmp_path / "cache", "intervals": False}
    first = rank_features([tmp_path / "a.npz"], **options)
    assert len(calls) == 1
    assert rank_features([tmp_path / "a.npz"], **options).label_check == first.label_check
    assert len(calls) == 1
    rank_features([tmp_path / "b.npz"], **options)
    assert len(calls) == 2
