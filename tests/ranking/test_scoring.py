"""The scores of one candidate: half-samples, floors, stored scores and reasons."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_transferability.data.targets import Target
from hf_transferability.errors import CheckpointError
from hf_transferability.extraction.cache import Arrays, Cache
from hf_transferability.metrics.knn import knn
from hf_transferability.ranking import scoring
from hf_transferability.ranking.label_check import shuffled_labels
from hf_transferability.ranking.scoring import Request, Scores, add_floors, half_samples, score_candidate


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path)


def candidate(seed=0, n=60, n_classes=3, head=True):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % n_classes)
    features = rng.normal(size=(n, 8)).astype(np.float32)
    features[np.arange(n), labels] += 3
    probabilities = rng.dirichlet(np.ones(5), n).astype(np.float32) if head else None
    norms = rng.uniform(1, 2, (7, 2))
    arrays = Arrays(features, probabilities, norms, {"layers": ["a", "b"]}, {"vit_extension": "b"})
    return arrays, Target([], labels, ["x", "y", "z"], "single_label", [], "key", {}, {"windowed": "16 bit"})  # type: ignore[arg-type]


def request(*metrics, halves=4, variant="default"):
    return Request(metrics, variant, halves, 0)


@given(st.lists(st.integers(0, 3), min_size=12, max_size=60).filter(lambda codes: len(set(codes)) > 1), st.integers(0, 99))
def test_half_samples_keep_every_class_and_repeat_no_image(codes, seed):
    labels = np.array(codes)
    for half in half_samples(labels, 3, seed):
        assert len(set(half.tolist())) == len(half)
        assert set(labels[half]) == set(labels)
        for code, count in zip(*np.unique(labels, return_counts=True), strict=True):
            drawn = (labels[half] == code).sum()
            assert max(count // 2, 1) <= drawn <= max((count + 1) // 2, 1)


def test_halves_of_a_metric_that_takes_a_subsample_are_halves_of_that():
    labels = np.repeat(np.arange(3), (3000, 6000, 9000))
    for half in half_samples(labels, 2, 0, largest=4000):
        assert np.bincount(labels[half]) == pytest.approx(np.array([1, 2, 3]) * 2000 / 6, abs=1)
    assert len(half_samples(labels, 1, 0, largest=40_000)[0]) == 9000


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=12, max_size=60), st.integers(0, 99))
def test_half_samples_take_groups_whole(images, seed):
    labels, groups = np.array(images).T
    groups = np.unique(groups, return_inverse=True)[1]
    for half in half_samples(labels, 3, seed, groups=groups):
        rest = np.setdiff1d(np.arange(len(labels)), half)
        assert not set(groups[half]) & set(groups[rest])
        assert set(labels[half]) == set(labels)


def test_a_half_holds_half_of_the_groups():
    groups = np.arange(400) // 4
    labels = groups % 2
    for half in half_samples(labels, 5, 0, groups=groups):
        assert len(set(groups[half])) == 50
    assert len(set(groups[half_samples(labels, 1, 0, 200, groups)[0]])) == 25


def test_labels_are_shuffled_by_whole_groups():
    groups = np.arange(60) // 3
    shuffled = shuffled_labels(groups % 2, groups, np.random.default_rng(0))
    assert all(len(set(shuffled[groups == group])) == 1 for group in range(20))
    assert (shuffled != groups % 2).any()
    within = shuffled_labels(np.arange(60) % 2, groups, np.random.default_rng(0))  # a patient with both classes
    assert any(len(set(within[groups == group])) == 2 for group in range(20))


def test_scores_with_and_without_groups_are_stored_apart(cache):
    arrays, target = candidate()
    grouped = replace(target, group_names=[str(i // 4) for i in range(60)])
    naive, aware, again = (score_candidate(lambda: arrays, t, request("knn"), cache) for t in (target, grouped, target))
    assert naive.values == again.values
    assert aware.values["knn"] == knn(features=arrays.features, labels=target.labels, groups=grouped.groups)
    assert naive.halves != aware.halves


def test_half_samples_are_seeded():
    labels = np.arange(30) % 3
    first, again, other = (half_samples(labels, 2, seed) for seed in (1, 1, 2))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert any(len(a) != len(b) or (a != b).any() for a, b in zip(first, other, strict=True))


def test_values_halves_and_flags(cache):
    arrays, target = candidate()
    scores = score_candidate(lambda: arrays, target, request("logme", "feature_update_ratio"), cache)
    assert scores.values["logme"] == pytest.approx(scoring.score("logme", features=arrays.features, labels=target.labels))
    assert len(scores.halves["logme"]) == len(scores.halves["feature_update_ratio"]) == 4
    assert len(set(scores.halves["feature_update_ratio"])) > 1
    assert scores.flags == {"windowed": "16 bit", "vit_extension": "b"}


def test_scores_are_stored_and_depend_on_what_was_asked(cache, monkeypatch):
    arrays, target = candidate()
    first = score_candidate(lambda: arrays, target, request("logme"), cache)

    def refuse(*arguments, **options):
        raise AssertionError("computed again")

    monkeypatch.setattr(scoring, "score", refuse)
    assert score_candidate(lambda: arrays, target, request("logme"), cache) == first
    for asked in (request("logme", halves=5), request("logme", variant="published"), request("h_score")):
        with pytest.raises(AssertionError, match="computed again"):
            score_candidate(lambda: arrays, target, asked, cache)


def test_a_missing_source_head_is_a_reason(cache):
    arrays, target = candidate(head=False)
    scores = score_candidate(lambda: arrays, target, request("leep", "logme"), cache)
    assert scores.values["leep"] is None
    assert "source head" in scores.reasons["leep"]
    assert scores.values["logme"] is not None


def test_an_undefined_score_is_a_reason(cache):
    arrays, target = candidate()
    arrays.gradient_norms = np.zeros((7, 2))
    scores = score_candidate(lambda: arrays, target, request("feature_update_ratio"), cache)
    assert scores.values["feature_update_ratio"] is None
    assert "gradient" in scores.reasons["feature_update_ratio"]


@pytest.mark.parametrize("cause", [{"layers": ["stem"]}, {"no_gradient": "the loss is collapsed"}])
def test_a_reason_is_that_of_this_candidate(cause, cache):
    """Reasons name facts of one candidate, which its arrays do not show."""
    arrays, target = candidate()
    arrays.gradient_norms = None if "layers" in cause else np.zeros((7, 2))
    other = replace(arrays, facts=arrays.facts | cause)
    asked = request("feature_update_ratio")
    first, second = (score_candidate(lambda a=a: a, target, asked, cache).reasons for a in (arrays, other))  # type: ignore[misc]
    assert str(next(iter(cause.values()))).strip("[']") in second["feature_update_ratio"]
    assert first != second


def test_other_arrays_or_labels_never_get_stored_scores(cache):
    arrays, target = candidate()
    first = score_candidate(lambda: arrays, target, request("logme"), cache)
    arrays.features = arrays.features + np.float32(0.5) * (np.arange(60) % 2)[:, None]
    assert score_candidate(lambda: arrays, target, request("logme"), cache).values != first.values


def test_floors_flag_what_does_not_exceed_them(cache):
    arrays, target = candidate()
    good, bad = Scores({"feature_quality": 1.01, "logme": 9.0}), Scores({"feature_quality": 0.2, "logme": 9.0})
    names = ("feature_quality", "feature_update_ratio", "logme")
    for scores in (good, bad):
        add_floors(scores, names, lambda: arrays, target, request("feature_quality"), cache)
    assert good.floors == bad.floors
    assert 0.2 < good.floors["feature_quality"] < 0.9
    assert good.flags == {}
    assert set(bad.flags) == {"at_floor"}
    assert "0.2 against" in bad.flags["at_floor"]


def test_another_metric_at_its_floor_is_not_feature_quality_at_its_floor(cache):
    arrays, target = candidate()
    scores = Scores({"logme": -50.0, "h_score": 0.0})
    add_floors(scores, ("logme", "h_score"), lambda: arrays, target, request("logme"), cache)
    assert set(scores.flags) == {"metric_at_floor"}
    assert "logme -50 against" in scores.flags["metric_at_floor"]
    assert "h_score" in scores.flags["metric_at_floor"]


def test_vanished_arrays_are_an_error_of_the_candidate(cache):
    _, target = candidate()
    with pytest.raises(CheckpointError, match="vanished"):
        score_candidate(lambda: None, target, request("logme"), cache)
