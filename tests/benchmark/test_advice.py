"""How far a ranking can be trusted, by the benchmark."""

from itertools import combinations

import numpy as np
import pytest

from hf_transferability.benchmark import advice, bundled
from hf_transferability.benchmark.advice import advise
from hf_transferability.benchmark.pools import COMPONENTS, pools
from hf_transferability.metrics import all_metrics, collect_flags
from hf_transferability.metrics.transferability import combine


@pytest.fixture(autouse=True)
def fresh():
    advice._evidence.cache_clear()
    yield
    advice._evidence.cache_clear()


def test_the_evidence_for_the_papers_metric():
    found = advise("transferability", "default", "source_dataset", 7)
    evidence = found["evidence"]
    assert evidence["n_targets"] == 11
    assert evidence["n_sources"] == 14
    regret, low, high = evidence["expected_regret"]
    assert 0 <= low <= regret <= high < evidence["random_regret"]
    count, fewest, most = evidence["fine_tune"]
    assert evidence["pool_size"] == 7
    assert 1 <= fewest <= count <= most <= 7
    assert (
        "11 targets of the paper benchmark, scenario source_dataset, going by all pools of 7 of its 14 sources,"
        in found["text"]
    )
    assert f"lost {regret:.3f} AUC on average ({low:.3f} to {high:.3f}; a random choice" in found["text"]
    assert found["text"].endswith(f"fine-tune the first {count} of 7 ({fewest} to {most}).")
    whole = advise("transferability", "default", "source_dataset", 14)["evidence"]
    assert whole["expected_regret"][0] == pytest.approx(0.0052, abs=5e-5)
    assert whole["random_regret"] > evidence["random_regret"]


def test_the_count_is_for_the_users_own_number_of_candidates():
    """Of few candidates a larger share must be fine-tuned: a plain proportion of 3 of 14 would say 1 of 4."""
    counts = {
        n: advise("transferability", "default", "source_dataset", n)["evidence"]["fine_tune"][0] for n in (2, 3, 4, 7, 14)
    }
    assert counts == {2: 2, 3: 3, 4: 4, 7: 5, 14: 3}
    small, whole, large = (advise("transferability", "default", "source_dataset", n)["text"] for n in (4, 14, 20))
    assert "going by all pools of 4 of its 14 sources" in small
    assert "fine-tune all 4" in small
    assert "14 sources each, fine-tuning" in whole
    assert whole.endswith("fine-tune the first 3 of 14 (1 to 7).")
    assert "14 sources each (your pool has 20)" in large
    assert "the first 3 of 14 (1 to 7) there; carried over to your 20 as a proportion, which is an extrapolation" in large
    assert large.endswith("the first 5.")


def test_a_proportion_is_rounded_up_without_error():
    """In floating-point arithmetic 9 / 14 * 42 exceeds 27."""
    evidence = {"fine_tune": [9, 9, 9], "pool_size": 14, "n_sources": 14}
    assert advice._count_in_words(evidence, 42).endswith("the first 27")
    assert advice._count_in_words(evidence, 43).endswith("the first 28")


@pytest.mark.parametrize(("scenario", "size"), [("source_dataset", 2), ("source_dataset", 12), ("architecture", 4)])
def test_transferability_is_scaled_over_each_smaller_pool(scenario, size):
    """As `rank` would: the order of few candidates is not that part of the order of all."""
    truth, scores = bundled.load("ground_truth"), bundled.load("scores")
    pool = next(each for each in pools(truth, scores) if (each.scenario, each.target) == (scenario, "retinamnist"))
    raw = pool.scores[[(part, "published") for part in COMPONENTS]]
    wanted = []
    for chosen in combinations(range(len(raw)), size):
        with collect_flags():
            wanted.append(combine(*raw.iloc[list(chosen)].to_numpy().T.tolist(), scenario))
    ordered = [each for each in wanted if None not in each]
    assert len(ordered) == len(wanted) - (scenario == "source_dataset" and size == 2)  # two have the same feature quality
    found, aucs = advice._smaller_pools(pool, "transferability", "published", size)
    np.testing.assert_allclose(found, ordered, atol=1e-12)
    assert aucs.shape == found.shape


def test_a_score_that_cannot_be_scaled_anew_is_said():
    assert "scores as scaled over all 14" in advise("ncti", "published", "source_dataset", 7)["text"]
    assert "scaled" not in advise("ncti", "published", "source_dataset", 14)["text"]
    assert "scaled" not in advise("leep", "default", "source_dataset", 7)["text"]


def test_the_count_by_hand():
    """The place of the best source in the paper's order, per target: 90 % of 11 targets are 10."""
    truth, scores = bundled.load("ground_truth"), bundled.load("scores")
    places = []
    for target in scores.target.unique():
        own = scores[(scores.scenario == "source_dataset") & (scores.metric == "leep") & (scores.target == target)]
        leep = own[own.source != target].set_index("source").score
        aucs = truth[(truth.scenario == "source_dataset") & (truth.target == target)].set_index("source").performance
        places.append(int((leep > leep[aucs.idxmax()]).sum()) + 1)
    evidence = advise("leep", "default", "source_dataset", 14)["evidence"]
    assert evidence["fine_tune"][0] == sorted(places)[9]


def test_an_order_that_rank_does_not_turn_round_is_judged_as_it_is():
    """Across architectures the paper counts lower LEEP as better; `rank` does not, and its order is no better than chance."""
    evidence = advise("leep", "default", "architecture", 9)["evidence"]
    assert evidence["expected_regret"][0] > 0.015
    assert evidence["fine_tune"][0] == 9


@pytest.mark.parametrize(
    ("metric", "variant", "task"),
    [("logme", "default", "single_label"), ("knn", "default", "single_label"), ("logme", "published", "multi_label")],
)
def test_no_evidence_is_said(metric, variant, task):
    found = advise(metric, variant, "source_dataset", 5, task)
    assert found["evidence"] is None
    assert "no evidence for" in found["text"]
    assert metric in found["text"]


def test_a_form_that_the_benchmark_has_is_not_taken_for_another():
    assert advise("logme", "published", "source_dataset", 5)["evidence"] is not None
    differing = {name for name, metric in all_metrics().items() if metric.variants_differ}
    assert {"logme", "nleep", "parc", "ncti"} <= differing
    assert not {"transferability", "feature_quality", "feature_update_ratio", "leep"} & differing


def test_a_pool_of_one_needs_no_advice():
    assert advise("transferability", "default", "source_dataset", 1) is None


def test_a_constant_score_is_a_random_choice():
    """SFDA is constant on two targets: its regret there is that of a random choice, not nothing."""
    evidence = advise("sfda", "published", "source_dataset", 14)["evidence"]
    assert evidence["n_targets"] == 11
    assert np.isfinite(evidence["expected_regret"]).all()
