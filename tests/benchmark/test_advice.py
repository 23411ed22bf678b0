"""What to do with a ranking, going by the bundled benchmarks."""

import inspect
import math
from itertools import combinations

import numpy as np
import pytest

from hf_transferability.benchmark import advice
from hf_transferability.benchmark.advice import advise, chances
from hf_transferability.benchmark.leaderboard import COLUMNS
from hf_transferability.benchmark.scored_targets import bundled_targets
from hf_transferability.metrics import collect_flags, get_metric
from hf_transferability.training.grids import run_grid
from hf_transferability.training.settings import grid_settings


def rows(*names, tie_groups=None, failed=0):
    """Rows in rank order, each in a tie group of its own unless told otherwise, and failed ones after them."""
    groups = tie_groups or range(1, len(names) + 1)
    ranked = [
        {"checkpoint": name, "score": 1 - i / 10, "rank": i + 1, "tie_group": group}
        for i, (name, group) in enumerate(zip(names, groups, strict=True))
    ]
    return ranked + [{"checkpoint": f"failed{i}", "score": None, "rank": None, "tie_group": None} for i in range(failed)]


def test_three_lines_that_a_person_can_act_on():
    found = advise(
        rows("a/one", "two", "c", "d", "e", tie_groups=[1, 1, 2, 3, 3], failed=1),
        "consensus",
        "default",
        "architecture",
        "my data",
    )
    first, chance, command = found["text"]
    assert first == "first: a/one; these images cannot tell it from two."
    count = found["fine_tune"]
    assert found["evidence"]["chance_of_best"][count - 1] >= advice.CHANCE
    assert chance.startswith(f"chance that the best is among the first {count}: ")
    assert "benchmarks" in chance
    runs = f"fine-tune in {12 * count} runs (12 for each: 6 settings with 2 seeds)"
    assert command == f"next: {runs}, or let `choose` keep to a budget of minutes: {found['command']}"
    assert found["command"].startswith("hf-transferability finetune --dataset 'my data' --checkpoint a/one --checkpoint two ")
    assert found["command"].count("--checkpoint") == count
    assert all(len(line.split()) <= 25 for line in (first, chance))


def test_it_says_which_of_a_tie_group_are_left_out():
    found = advise(rows(*"abcde", tie_groups=[1, 2, 2, 2, 2]), "consensus", "default", "source_dataset", "data")
    count = found["fine_tune"]
    assert 1 < count < 5
    others = ", ".join("abcde"[count:])
    assert found["text"][2] == f"perhaps as good as {'abcde'[count - 1]}, as they share tie group 2: {others}."


def test_it_says_which_candidates_its_command_leaves_out():
    given = rows(*"abc", tie_groups=[1, 1, 1])
    given[1]["flags"] = {"no_relation": "p = 0.4"}
    found = advise(given, "consensus", "default", "source_dataset", "data")
    assert found["text"][1] == "left out of the command, as flagged no_relation: b."
    assert "--checkpoint a --checkpoint c " in found["command"] and "--checkpoint b" not in found["command"]
    assert "left out" not in " ".join(advise(rows(*"abc"), "consensus", "default", "source_dataset", "data")["text"])


def test_runs_are_those_of_finetune():
    defaults = inspect.signature(run_grid).parameters
    settings = grid_settings(defaults["grid"].default, n_classes=2)
    assert (len(settings), defaults["seeds"].default) == (advice.SETTINGS, advice.SEEDS)


def test_a_clear_first_and_no_dataset_to_name():
    found = advise(rows("a", "b", "c"), "consensus", "default", "source_dataset")
    assert found["text"][0] == "first: a."
    assert len(found["text"]) == 2
    assert found["command"] is None


def test_equal_ranks_are_fine_tuned_together():
    equal = rows(*"abcdefg")
    for row in equal[2:5]:
        row["rank"] = 3
    found = advise(equal, "consensus", "default", "architecture", "data")
    assert found["fine_tune"] == 5
    assert found["command"].count("--checkpoint") == 5


def test_candidates_that_share_rank_1_are_named_together():
    equal = rows(*"abc", tie_groups=[None] * 3)
    equal[1]["rank"] = 1
    found = advise(equal, "consensus", "default", "architecture")
    assert found["text"][0] == "first: a, with an equal score b."
    assert found["not_told_apart"] == ["b"]


def test_without_any_order_no_candidate_is_called_the_first():
    equal = rows(*"abc", tie_groups=[1] * 3)
    for row in equal:
        row["rank"] = 1
    found = advise(equal, "consensus", "default", "architecture", "data")
    assert found["text"][0].startswith("all 3 candidates have one score, so consensus does not order them")
    assert found["command"].count("--checkpoint") == 3


def test_sizes_that_are_not_known_make_the_order_less_certain():
    """Between the paper's architectures the evidence without size has an order that is nearly reversed."""
    known, unknown = (chances("consensus", "default", "architecture", 6, facts=facts) for facts in (True, False))
    assert unknown["chance_of_best"][2] < known["chance_of_best"][2] - 0.05
    without = rows(*"abcdef")
    for row in without:
        row["flags"] = ["size_unknown"]
    assert advise(without, "consensus", "default", "architecture")["evidence"] == unknown
    assert advise(rows(*"abcdef"), "consensus", "default", "architecture")["evidence"] == known


def test_a_dataset_without_test_split_needs_one_first():
    found = advise(rows(*"abc"), "consensus", "default", "architecture", "data", has_test_split=False)
    told = "next: make a test split (folders train/CLASS and test/CLASS), then fine-tune in 24 runs (12 for each: "
    assert found["text"][-1].startswith(told)
    assert found["text"][-1].endswith(found["command"])


def test_where_all_are_named_no_chance_is_quoted():
    found = advise(rows("a", "b"), "consensus", "default", "architecture", "data")
    assert found["text"][1] == "the benchmarks do not say which of these 2 could be left out: fine-tune all of them."


def test_many_that_cannot_be_told_apart_are_counted():
    found = advise(rows(*"abcdefgh", tie_groups=[1] * 7 + [2]), "consensus", "default", "architecture")
    assert found["not_told_apart"] == list("bcdefg")
    assert found["text"][0].endswith("from b, c, d, e and 2 more.")


def test_images_that_order_nothing_say_so_and_borrow_no_chance_from_other_targets():
    found = advise(rows(*"abcdefg", tie_groups=[1] * 7), "consensus", "default", "architecture", "data")
    assert found["text"][0] == "first: a, but these images cannot order the 7 candidates: take more images, or fine-tune all."
    assert not any("chance" in line for line in found["text"])
    assert (found["evidence"], found["fine_tune"]) == (None, 7)
    assert found["command"].count("--checkpoint") == 7


def test_fewer_than_two_candidates_need_no_advice():
    assert advise(rows("a", failed=3), "consensus", "default", "architecture") is None


def test_targets_that_no_benchmark_has():
    found = advise(rows("a", "b"), "logme", "default", "architecture", "data", task="multi_label")
    assert found["evidence"] is None
    assert found["text"][1] == "how far to trust this order is unknown: no bundled benchmark holds a multi-label target."
    assert found["command"].count("--checkpoint") == 1
    numbers = advise(rows("a", "b"), "logme", "default", "architecture", "data", task="regression")
    assert numbers["command"] is None


def test_a_form_that_no_benchmark_has_is_named():
    found = advise(rows("a", "b", "c", tie_groups=[1, 1, 2]), "gbc", "default", "architecture", "data")
    assert "holds the default form of gbc" in found["text"][1]
    assert found["text"][2].startswith("next: fine-tune in 24 runs")
    assert found["command"].count("--checkpoint") == 2


def test_chances_grow_to_certainty():
    for n in (2, 5, 12, 40):
        found = chances("consensus", "default", "architecture", n)
        values = found["chance_of_best"]
        assert len(values) == found["pool_size"] <= n
        assert values == sorted(values)
        assert values[-1] == pytest.approx(1)
        assert found["regret"] < found["random_regret"]


def test_targets_with_too_few_sources_say_nothing_about_a_larger_pool():
    sizes = {}
    for part in COLUMNS:
        for target in bundled_targets(part.name):
            sizes.setdefault(target.target, []).append(len(target.performance))
    for n in (5, 14, 24, 100):
        found = chances("consensus", "default", "architecture", n)
        assert found["n_targets"] <= sum(max(counts) >= found["pool_size"] for counts in sizes.values())
    assert chances("consensus", "default", "architecture", 24) == chances("consensus", "default", "architecture", 100)


def test_a_pool_larger_than_the_benchmarks_gets_the_same_share():
    found = advise(rows(*(f"c{i}" for i in range(50))), "consensus", "default", "architecture", "data")
    evidence = found["evidence"]
    needed = next(k for k, chance in enumerate(evidence["chance_of_best"], 1) if chance >= advice.CHANCE)
    assert found["fine_tune"] == math.ceil(needed * 50 / evidence["pool_size"]) == found["command"].count("--checkpoint")
    assert f"in benchmark pools of {evidence['pool_size']} the best is among the first {needed}" in found["text"][1]
    assert len(found["text"][1].split()) <= 25


def test_few_that_a_race_leaves_of_a_large_pool_are_not_called_the_same_share():
    found = advise(rows(*(f"c{i}" for i in range(5))), "consensus", "default", "architecture", "data", pool_size=50)
    evidence = found["evidence"]
    needed = next(k for k, chance in enumerate(evidence["chance_of_best"], 1) if chance >= advice.CHANCE)
    share = math.ceil(needed * 50 / evidence["pool_size"])
    assert share > 5 == found["fine_tune"] and found["text"][1].endswith(f"; of 50 that is {share}, and 5 are ranked.")
    assert len(found["text"][1].split()) <= 25


def test_a_target_of_several_benchmarks_counts_once():
    targets = {target.target for part in COLUMNS for target in bundled_targets(part.name)}
    assert chances("consensus", "default", "architecture", 3)["n_targets"] <= len(targets)


def test_only_benchmarks_of_the_scenario_count_for_a_score_that_depends_on_it():
    one, other = (chances("transferability", "default", scenario, 7) for scenario in ("source_dataset", "architecture"))
    assert one["chance_of_best"] != other["chance_of_best"]
    assert chances("logme", "default", "architecture", 7) == chances("logme", "default", "source_dataset", 7)


@pytest.mark.parametrize(
    ("metric", "name", "size"),
    [("transferability", "paper_arch", 4), ("transferability", "open", 12), ("consensus", "open", 3)],
)
def test_a_composite_score_is_formed_in_each_smaller_pool(metric, name, size):
    """As `rank` would: the order of few candidates is not that part of the order of all."""
    target = bundled_targets(name)[0]
    declared = get_metric(metric)
    found, performance = advice._pools_of_size(target, metric, "default", size)
    assert found.shape == performance.shape
    raw = {}
    for part in declared.parts:
        form = advice._form_of(target, part, "default", alternatives=True)
        raw[part] = target.scores[part, form]
    if "parameters" in declared.facts:
        raw["parameters"] = target.parameters
    complete = ~np.isnan(np.array(list(raw.values()))).any(axis=0)
    positions = np.flatnonzero(complete)
    wanted = []
    for chosen in combinations(range(len(positions)), size) if len(found) < advice._MOST_POOLS else []:
        with collect_flags():
            scores = declared.combine(
                {part: values[positions[list(chosen)]].tolist() for part, values in raw.items()}, scenario=target.scenario
            )
        if None not in scores:
            wanted.append(scores)
    if wanted:
        np.testing.assert_allclose(found, wanted, atol=1e-12)
    assert ((found >= 0) & (found <= 1)).all()


def test_a_large_benchmark_is_drawn_from_with_a_seed():
    assert len(advice._subsets(24, 7)) == advice._MOST_POOLS
    np.testing.assert_array_equal(advice._subsets(24, 7), advice._subsets(24, 7))
    assert advice._subsets(5, 9).tolist() == [[0, 1, 2, 3, 4]]
    assert all(len(set(chosen)) == 7 for chosen in advice._subsets(24, 7).tolist())
