"""A target of which one patient fills half: what a ranking says with and without --group-column."""

import numpy as np
import pytest
from helpers.patients import one_image_a_patient, one_patient_fills_half

from hf_transferability import rank

METRICS = ("linear_probe", "knn", "logme")
MARGIN = 0.1  # the honest values of single targets differ by as much; those of the naive ranking lie 0.2 and more above


@pytest.fixture(scope="module")
def means(make_checkpoint, tmp_path_factory):
    """Way of ranking -> metric -> mean over two targets; "honest" is a target of other patients with one image each."""
    options = {"metrics": METRICS, "intervals": False, "cache_dir": tmp_path_factory.mktemp("cache")}
    ways = {"naive": [], "aware": [], "honest": []}
    for seed in range(2):
        target, checkpoint = one_patient_fills_half(seed=seed), [make_checkpoint(seed=0)]
        ways["naive"].append(rank(target, checkpoint, sample_size=120, **options))
        ways["aware"].append(rank(target, checkpoint, sample_size=120, group_column="patient", **options))
        honest = one_image_a_patient(120, seed=100 + seed)
        ways["honest"].append(rank(honest, checkpoint, sample_size="all", **options))
    assert all(ranking.dataset["largest_group"] == 1 for ranking in ways["aware"])
    return {
        way: {metric: float(np.mean([ranking.rows[0][metric] for ranking in rankings])) for metric in METRICS}
        for way, rankings in ways.items()
    }


@pytest.mark.parametrize("metric", METRICS)
def test_one_patient_inflates_the_naive_ranking_only(means, metric):
    naive, aware, honest = (means[way][metric] for way in ("naive", "aware", "honest"))
    assert naive > honest + MARGIN
    assert abs(aware - honest) < MARGIN


def test_the_whole_target_is_drawn_and_its_patient_never_judges_himself(make_checkpoint, tmp_path):
    """Where every image is taken, half of them are of one patient: no score may come from his own images."""
    target = one_patient_fills_half()
    options = {"metrics": ["knn"], "sample_size": "all", "intervals": False, "cache_dir": tmp_path}
    naive = rank(target, [make_checkpoint(seed=0)], **options)
    aware = rank(target, [make_checkpoint(seed=0)], group_column="patient", **options)
    assert aware.dataset["largest_group"] == 120
    assert naive.rows[0]["knn"] > 0.7
    assert aware.rows[0]["knn"] < 0.6
