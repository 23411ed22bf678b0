"""Scores against ground truth, with baselines, in tables of any making."""

import json

import numpy as np
import pandas as pd
import pytest
from helpers.tables import AUCS, ground_truth, runs, scores, value

from hf_transferability.benchmark import bundled, tables
from hf_transferability.benchmark.compare import compare
from hf_transferability.benchmark.given_scores import read_scores
from hf_transferability.benchmark.ground_truth import with_shared_runs
from hf_transferability.benchmark.pools import orientation, pools
from hf_transferability.errors import UsageError

FEW = {"resamples": 50}


@pytest.fixture(scope="module")
def published():
    """The paper's figures, compared; with few resamples, as the values do not depend on them."""
    return compare(
        bundled.load("ground_truth"),
        bundled.load("scores"),
        sources=bundled.load("sources"),
        runs=with_shared_runs(bundled.load("runs")),
        **FEW,
    )


def own(published, scenario, metric, statistic="weighted_tau", target="mean"):
    rows = published.rows
    keys = [scenario, metric, statistic, target]
    return rows[(rows[["scenario", "metric", "statistic", "target"]] == keys).all(axis=1)].iloc[0]


def test_means_of_the_paper(published):
    assert own(published, "source_dataset", "transferability").value == pytest.approx(0.523, abs=5e-4)
    assert own(published, "architecture", "transferability").value == pytest.approx(0.261, abs=5e-4)
    assert own(published, "source_dataset", "mean_rank_elsewhere").value == pytest.approx(0.549, abs=5e-4)
    assert own(published, "architecture", "mean_rank_elsewhere").value == pytest.approx(0.500, abs=5e-4)
    assert own(published, "source_dataset", "transferability", "regret_at_1").value == pytest.approx(0.0052, abs=5e-5)
    first, second = published.friedman
    assert (first["chi2"], first["p"]) == pytest.approx((20.766, 0.0020), abs=5e-4)
    assert second["chi2"] == pytest.approx(9.584, abs=5e-4)
    assert len(first["methods"]) == 7


def test_rows_are_a_table_of_agreement_without_nan_text(published):
    tables.check(published.rows, "agreement")
    text = json.dumps(published.to_dict(), allow_nan=False)
    assert '"selection": "lowest_validation_loss"' in text


def test_every_method_has_every_statistic_on_every_target_and_the_mean(published):
    counts = published.rows.groupby(["scenario", "metric"]).size()
    assert (counts == 6 * 12).all()
    assert len(counts) == 2 * (10 + 5 + 1)  # metrics with the two that are formed, baselines, ceiling


def test_undefined_says_why_and_is_no_number(published):
    row = own(published, "source_dataset", "sfda", target="breastmnist")
    assert np.isnan(row.value)
    assert row.undefined == "the score is the same for all 14 candidates"
    assert own(published, "source_dataset", "sfda").n_targets == 9
    assert any("sfda is undefined for breastmnist, pneumoniamnist" in note for note in published.notes)
    assert own(published, "source_dataset", "parameter_count").undefined.endswith("the same for all sources")
    assert own(published, "architecture", "parameter_count").value == pytest.approx(0.425, abs=5e-4)


def test_what_is_turned_round_is_said(published):
    signs = published.rows.groupby(["scenario", "metric"]).orientation.first()
    assert set(signs[signs == -1].index) == {
        ("architecture", name) for name in ("leep", "nleep", "parc", "ncti", "feature_quality", "feature_update_ratio")
    }
    assert orientation("leep", "default", "architecture") == 1  # only what is published that way
    assert orientation("leep", "published", "architecture", "natural") == 1
    with pytest.raises(UsageError, match="must be one of published, natural"):
        orientation("leep", "published", "architecture", "up")


def test_chance_and_noise_stand_beside_the_metrics(published):
    random = own(published, "source_dataset", "random")
    assert random.value == 0
    assert -0.2 < random.low < -0.05 < 0.05 < random.high < 0.2
    assert own(published, "source_dataset", "split_half").value == pytest.approx(0.66, abs=0.02)
    # Metrics by agreement, then the baselines, then the noise.
    means = published.rows.query("scenario == 'architecture' and target == 'mean' and statistic == 'weighted_tau'")
    assert means[means.variant == "published"].value.is_monotonic_decreasing
    order = means.metric.tolist()
    assert order[-6:] == ["mean_rank_elsewhere", "parameter_count", "imagenet_top1", "feature_width", "random", "split_half"]


def test_an_invented_benchmark_by_hand():
    given = scores({target: {"a": 4, "b": 3, "c": 2, "d": 1} for target in AUCS})
    found = compare(ground_truth(), given, **FEW)
    assert value(found, "leep", "skin") == pytest.approx(1)
    assert value(found, "leep", "lung", "kendall_tau") == pytest.approx(1 - 2 * 2 / 6)  # d would be second
    assert value(found, "leep", statistic="kendall_tau") == pytest.approx((1 + 1 / 3) / 2)
    assert value(found, "leep", "lung", "regret_at_1") == 0
    assert value(found, "mean_rank_elsewhere", "skin", "kendall_tau") == pytest.approx(1 / 3)  # lung's order
    assert value(found, "random", "skin", "regret_at_1") == pytest.approx(0.15)
    assert np.isnan(value(found, "random", "skin", "regret_at_5"))
    assert np.isnan(value(found, "leep", column="low"))  # too few sources for an interval
    assert not np.isnan(value(found, "random", column="low"))
    assert found.benchmark == "mine"


def test_self_sources_do_not_count():
    aucs = {"skin": {**AUCS["skin"], "skin": 0.99}, "lung": AUCS["lung"]}
    given = scores({"skin": {"a": 4, "b": 3, "c": 2, "d": 1, "skin": 0}, "lung": {"a": 4, "b": 3, "c": 2, "d": 1}})
    assert value(compare(ground_truth(aucs), given, **FEW), "leep", "skin") == pytest.approx(1)


def test_one_target_only():
    given = scores({"skin": {"a": 4, "b": 3, "c": 2, "d": 1}})
    found = compare(ground_truth({"skin": AUCS["skin"]}), given, **FEW)
    assert value(found, "leep", "skin") == value(found, "leep") == pytest.approx(1)
    assert "there is no other target" in value(found, "mean_rank_elsewhere", column="undefined")
    assert "needs 3 methods and 2 targets" in found.friedman[0]["undefined"]


def test_scores_of_one_target_are_judged_beside_the_ranks_on_all_others():
    found = compare(ground_truth(), scores({"skin": {"a": 4, "b": 3, "c": 2, "d": 1}}), **FEW)
    assert value(found, "mean_rank_elsewhere", "skin", "kendall_tau") == pytest.approx(1 / 3)


def test_two_sources_only():
    aucs = {target: {source: own[source] for source in "ab"} for target, own in AUCS.items()}
    found = compare(ground_truth(aucs), scores({target: {"a": 1, "b": 2} for target in AUCS}), **FEW)
    assert value(found, "leep") == pytest.approx(-1)
    assert value(found, "leep", statistic="regret_at_1") == pytest.approx(0.10)
    assert "the first 3 of 2 leave nothing to choose from" in value(found, "leep", statistic="regret_at_3", column="undefined")


def test_ties_in_auc_and_constant_auc():
    aucs = {"skin": {"a": 0.9, "b": 0.9, "c": 0.7}, "lung": {"a": 0.8, "b": 0.8, "c": 0.8}}
    found = compare(ground_truth(aucs), scores({target: {"a": 3, "b": 2, "c": 1} for target in aucs}), **FEW)
    assert 0 < value(found, "leep", "skin") < 1
    assert value(found, "leep", "skin", "regret_at_1") == 0
    assert value(found, "leep", "lung", column="undefined") == "the fine-tuned performance is the same for all 3 candidates"
    assert value(found, "random", "lung", column="undefined") == "the fine-tuned performance is the same for all 3 candidates"
    assert value(found, "leep", column="n_targets") == 1


def test_missing_sources_are_named():
    given = scores({"skin": {"a": 4, "b": 3, "x": 9}, "lung": {"a": 4, "b": 3, "c": 2, "d": 1}})
    found = compare(ground_truth(), pd.concat([given, scores({"skin": {"a": 1, "b": 2, "c": 3}}, "knn")]), **FEW)
    text = " ".join(found.notes)
    assert "x has scores but no ground truth, and is left out" in text
    assert "d has ground truth but no score on some targets, and is left out there" in text
    assert "leep lacks a score for c on some targets" in text
    assert value(found, "leep", "skin", column="n_sources") == 2
    assert value(found, "leep", "lung", column="n_sources") == 4


def test_baselines_are_judged_on_the_candidates_that_have_scores():
    """Their ranks elsewhere are those among all."""
    found = compare(ground_truth(), scores({"lung": {"b": 1, "c": 2, "d": 3}}), **FEW)
    assert value(found, "mean_rank_elsewhere", "lung", column="n_sources") == 3
    assert value(found, "mean_rank_elsewhere", "lung", "kendall_tau") == pytest.approx(-1 / 3)  # b, c, d; truly d, b, c
    assert value(found, "random", "lung", "regret_at_1") == pytest.approx(0.86 - (0.85 + 0.75 + 0.86) / 3)


def test_variants_do_not_mix():
    values = {target: {"a": 4, "b": 3, "c": 2, "d": 1} for target in AUCS}
    turned = {target: {"a": 1, "b": 2, "c": 3, "d": 4} for target in AUCS}
    given = pd.concat([scores(values, "logme"), scores(turned, "logme", variant="published")])
    rows = compare(ground_truth(), given, **FEW).rows
    taus = rows[(rows.target == "skin") & (rows.statistic == "weighted_tau") & (rows.metric == "logme")]
    assert taus.set_index("variant").value.to_dict() == pytest.approx({"default": 1, "published": -1})


def test_the_combination_scales_each_component_over_those_that_have_it():
    """The target's own model has an update ratio, which counts for the scale, and no feature quality."""
    quality = scores({"skin": {"a": 1.0, "b": 0.5, "c": 0.0}}, "feature_quality")
    ratio = scores({"skin": {"a": 0.25, "b": 0.5, "c": 0.0, "skin": 1.0}}, "feature_update_ratio")
    (pool,) = pools(ground_truth({"skin": {"a": 0.9, "b": 0.8, "c": 0.7, "skin": 1}}), pd.concat([quality, ratio]))
    assert pool.scores["transferability", "default"].to_dict() == {"a": 0.25, "b": 0.25, "c": 0.0}
    given = pd.concat([quality, ratio, scores({"skin": {"a": 7.0}}, "transferability")])
    (pool,) = pools(ground_truth({"skin": {"a": 0.9, "b": 0.8}}), given)
    assert pool.scores["transferability", "default"].dropna().to_dict() == {"a": 7.0}  # given, so not formed


def test_ground_truth_from_runs_and_its_selection():
    table = runs({(s, t): [(0.1, auc), (0.2, 1 - auc)] for t, own in AUCS.items() for s, auc in own.items()})
    given = scores({target: {"a": 4, "b": 3, "c": 2, "d": 1} for target in AUCS})
    assert value(compare(None, given, runs=table, **FEW), "leep", "skin") == pytest.approx(1)
    noised = compare(ground_truth(), given, runs=table, selection="mean_of_best_2", **FEW)
    assert noised.selection == "mean_of_best_2"
    assert "de-noised" in noised.notes[0]


def test_noise_of_one_draw_of_training_images_is_said():
    table = runs({(s, t): [(0.1, auc), (0.2, 1 - auc)] for t, own in AUCS.items() for s, auc in own.items()})
    given = scores({target: {"a": 4, "b": 3, "c": 2, "d": 1} for target in AUCS})

    def said(**columns) -> bool:
        found = compare(ground_truth(), given, runs=table.assign(**columns), **FEW)
        return any("one draw of training images" in note for note in found.notes)

    assert said()
    assert said(sample_seed=0, dataset_fingerprint=table.target)
    assert not said(sample_seed=table.run)
    assert not said(sample_seed=0, dataset_fingerprint=table.run.astype(str))
    with pytest.raises(UsageError, match="no ground truth of selection mean_of_best_2; got lowest_validation_loss"):
        compare(ground_truth(), given, selection="mean_of_best_2")
    several = pd.concat([ground_truth(selection="one"), ground_truth(selection="two")])
    with pytest.raises(UsageError, match="has the selections one, two"):
        compare(several, given)


def test_tables_that_do_not_go_together():
    given = scores({"skin": {"a": 1, "b": 2}})
    with pytest.raises(UsageError, match="no scenario and target has both"):
        compare(ground_truth({"lung": AUCS["lung"]}), given)
    with pytest.raises(UsageError, match="no source has both"):
        compare(ground_truth({"skin": {"x": 0.5, "y": 0.6}}), given)
    with pytest.raises(UsageError, match="of one benchmark; got mine, yours"):
        compare(pd.concat([ground_truth(), ground_truth(benchmark="yours")]), given)
    with pytest.raises(UsageError, match="scores must be of one benchmark; got yours, yours too"):
        others = [scores({"skin": {"a": 1, "b": 2}}, benchmark=name) for name in ("yours", "yours too")]
        compare(ground_truth(), pd.concat(others))
    both = pd.concat([scores({"skin": {"a": 1, "b": 2}}, benchmark="yours"), scores({"skin": {"a": 2, "b": 1}})])
    assert value(compare(ground_truth(), both, **FEW), "leep", "skin") == pytest.approx(1)
    for wanted, text in (({"metrics": ["logme"]}, "no scores of logme"), ({"targets": ["eye"]}, "there is no target eye")):
        with pytest.raises(UsageError, match=text):
            compare(ground_truth(), given, **wanted)
    with pytest.raises(UsageError, match="no scores for target lung"):
        compare(ground_truth(), given, targets=["lung"])


def test_the_same_seed_gives_the_same_intervals():
    given = scores({target: {"a": 1, "b": 3, "c": 2, "d": 4} for target in AUCS})
    first, again, other = (compare(ground_truth(), given, resamples=200, seed=seed).rows for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(first, again)
    assert not first.low.equals(other.low)
    assert first.value.equals(other.value)


def test_sizes_of_the_papers_networks_are_torchvisions():
    torch, models = pytest.importorskip("torch"), pytest.importorskip("torchvision").models
    facts = bundled.load("sources").set_index("source")
    networks = facts.loc["resnet":"shufflenet"]
    assert len(networks) == 9
    for row in [*networks.itertuples(), facts.loc["imagenet"]]:
        options = {"aux_logits": False, "init_weights": False} if row.architecture == "googlenet" else {}
        with torch.device("meta"):
            model = models.get_model(row.architecture, weights=None, **options)
        head = [layer for layer in model.modules() if isinstance(layer, torch.nn.Linear)][-1]
        count = sum(each.numel() for each in model.parameters()) - sum(each.numel() for each in head.parameters())
        assert (row.parameters, row.feature_width) == (count, head.in_features)


def test_targets_whose_runs_contradict_each_other_are_named():
    """Two settings: on skin both order the sources alike, on lung one turns the order of the other round."""
    figures = {}
    for i, source in enumerate("abcd"):
        first = 0.9 - 0.1 * i
        figures[source, "skin"] = [(0.1, first), (0.1, first)]
        figures[source, "lung"] = [(0.1, first), (0.1, 1.5 - first)]
    given = scores(AUCS)
    found = compare(None, given, runs=runs(figures), resamples=50)
    (note,) = [note for note in found.notes if "uninformative" in note]
    assert "lung (-1.00)" in note and "skin" not in note


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_folder_of_published_scores_is_known_by_its_name(tmp_path, ending):
    """But not where two folders of that name have scores: which of them was fine-tuned is unknown."""
    path = tmp_path / f"scores.{ending}"
    write = {"csv": lambda frame: frame.to_csv(path, index=False), "parquet": lambda frame: frame.to_parquet(path, index=False)}
    write[ending](scores({"skin": {"a@0123abcd": 4, "b": 3, "c@0123abcd": 2, "c@4567abcd": 1, "d@v1": 1}}))
    given, _, _ = read_scores(path, ground_truth())
    assert given.source.tolist() == ["a", "b", "c@0123abcd", "c@4567abcd", "d@v1"]
    ranking = tmp_path / f"ranking.{ending}"
    rows = pd.DataFrame({"checkpoint": ["x/a@0123abcd", "b"], "score": [1.0, 2.0], "leep": [1.0, 2.0]})
    {"csv": rows.to_csv, "parquet": rows.to_parquet}[ending](ranking, index=False)
    given, _, _ = read_scores(ranking, ground_truth(), "source_dataset", "skin")
    assert given.source.tolist() == ["a", "b"]


def test_other_studies_are_not_turned_round():
    """In the paper a lower published LEEP counts as better across architectures; another study's LEEP is as it is."""
    values = {target: {"a": 4, "b": 3, "c": 2, "d": 1} for target in AUCS}
    truth = ground_truth(scenario="architecture")
    given = scores(values, scenario="architecture", variant="published")
    for citation, sign in ((None, -1), ("Juodelyte et al. 2024, arXiv 2412.20172", -1), ("Chaves et al. 2024", 1)):
        found = compare(truth, given.assign(citation=citation), **FEW)
        assert set(found.rows[found.rows.metric == "leep"].orientation) == {sign}


def test_regret_has_the_unit_of_the_performance(command, tmp_path):
    """Targets may have different measures; then the mean is of mixed ones."""
    truth = ground_truth()
    truth["measure"] = truth.target.map({"skin": "balanced_accuracy", "lung": "accuracy"})
    given = scores({target: {"a": 4, "b": 3, "c": 2, "d": 1} for target in AUCS})
    found = compare(truth, given, **FEW)
    regrets = found.rows[(found.rows.metric == "leep") & (found.rows.statistic == "regret_at_1")]
    assert dict(zip(regrets.target, regrets.measure, strict=True)) == {
        "skin": "balanced_accuracy", "lung": "accuracy", "mean": "mixed"
    }  # fmt: skip
    tables.check_provenance(found.with_provenance(), "agreement")
    truth.to_csv(tmp_path / "truth.csv", index=False)
    given.to_csv(tmp_path / "scores.csv", index=False)
    ask = ("compare", "--ground-truth", tmp_path / "truth.csv", "--scores", tmp_path / "scores.csv")
    assert "regret@1 in accuracy or balanced accuracy" in command(*ask)[1]
    one = command(*ask, "--measure", "accuracy")[1]
    assert "target lung" in one and "regret@1 in accuracy " in one


def test_targets_where_nothing_can_be_chosen_are_named():
    values = {target: {"a": 4, "b": 3, "c": 2, "d": 1} for target in ("flat", "tied", "good")}
    aucs = {
        "flat": {"a": 0.9481, "b": 0.9480, "c": 0.9479, "d": 0.9474},
        "tied": {"a": 0.9, "b": 0.01, "c": 0.01, "d": 0.01},
        "good": AUCS["skin"],
    }
    notes = compare(ground_truth(aucs), scores(values), **FEW).notes
    assert any("best and the worst source differ by less than 0.002 in AUC: flat (0.0007)." in note for note in notes)
    assert any("most sources have the same performance: tied." in note for note in notes)
    noisy = ground_truth({"good": AUCS["skin"]}).assign(performance_sd=0.2, n_runs=3)
    notes = compare(noisy, scores({"good": values["good"]}), **FEW).notes
    assert any("noise of the fine-tuning seeds is more than half" in note and "good (reliability 0" in note for note in notes)


def test_imagenet_accuracy_and_size_are_baselines():
    given = scores({target: {"a": 1, "b": 2, "c": 3, "d": 4} for target in AUCS})
    facts = pd.DataFrame({"benchmark": "mine", "source": list("abcd"), "parameters": [1, 2, 3, 4]})
    facts = tables.check(facts.assign(imagenet_top1=[0.8, 0.7, 0.6, None]), "sources")
    found = compare(ground_truth(), given, sources=facts, **FEW)
    assert value(found, "parameter_count", "skin") == pytest.approx(-1)
    assert value(found, "imagenet_top1", "skin") == pytest.approx(1)  # of the three that are known
    assert value(found, "imagenet_top1", "skin", column="n_sources") == 3
    without = compare(ground_truth(), given, sources=facts.drop(columns="imagenet_top1"), **FEW)
    assert "unknown for these sources" in value(without, "imagenet_top1", "skin", column="undefined")


def test_consensus_is_formed_over_the_candidates():
    """Ranks by hand; the target's own model takes part in none."""
    quality = scores({"skin": {"a": 0.9, "b": 0.7, "c": 0.8, "d": 0.1, "skin": 1.0}}, "feature_quality")
    evidence = scores({"skin": {"a": -2, "b": -1, "c": -3, "skin": 5.0}}, "logme")
    truth = ground_truth({"skin": {**AUCS["skin"], "skin": 0.99}})
    both = pd.concat([quality, evidence])
    facts = pd.DataFrame({"benchmark": "mine", "source": list("abcd"), "parameters": [100, 104, 100, 100]})
    alone = {"a": (3.5 / 4 + 1.5 / 3) / 2, "b": (1.5 / 4 + 2.5 / 3) / 2, "c": (2.5 / 4 + 0.5 / 3) / 2, "d": 0.5 / 4}
    (pool,) = pools(truth, both, facts)
    assert pool.scores["consensus", "default"].to_dict() == pytest.approx(alone)  # sizes differ by less than 5 %
    (pool,) = pools(truth, both, facts.assign(parameters=[100, 200, 100, 100]))
    sizes = {"a": 2 - 0.5, "b": 4 - 0.5, "c": 2 - 0.5, "d": 2 - 0.5}
    expected = {name: (alone[name] + sizes[name] / 4) / 2 for name in alone}
    assert pool.scores["consensus", "default"].to_dict() == pytest.approx(expected)
    (pool,) = pools(truth, evidence)  # without sizes and with one member
    assert pool.scores["consensus", "default"].dropna().to_dict() == pytest.approx({"a": 1.5 / 3, "b": 2.5 / 3, "c": 0.5 / 3})
    (pool,) = pools(truth, scores({"skin": {"a": 1, "b": 2}}))
    assert ("consensus", "default") not in pool.scores
