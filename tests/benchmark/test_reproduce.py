"""The paper's comparison, recomputed; and that a changed figure is found."""

import json

import pandas as pd
import pytest

from hf_transferability.benchmark import bundled
from hf_transferability.benchmark.reproduce import Check, reproduce
from hf_transferability.cli import main
from hf_transferability.errors import UsageError


@pytest.fixture(scope="module")
def checks():
    return reproduce()


def test_everything_matches(checks):
    assert [check for check in checks if check.outcome == "differs"] == []
    groups = pd.Series([check.group for check in checks]).value_counts()
    assert groups["weighted tau, source_dataset"] + groups["weighted tau, architecture"] == 198
    assert groups["mean weighted tau, source_dataset"] == groups["mean weighted tau, architecture"] == 9
    assert groups["Friedman's test"] == 4


def test_a_quoted_value_that_the_figures_do_not_give_is_a_known_difference(checks):
    known = {check.name: check for check in checks if check.outcome == "known difference"}
    assert set(known) == {"chi2, architecture", "p, architecture"}
    chi2 = known["chi2, architecture"]
    assert (chi2.expected, chi2.found) == (10.286, pytest.approx(9.584, abs=5e-4))
    assert "does not follow from the 198 published values" in known["p, architecture"].remark


def test_a_third_value_is_no_known_difference():
    assert [Check("g", "n", 10.286, x, 5e-4, instead=9.584).outcome for x in (10.286, 9.584, 9.6, None)] == [
        "match", "known difference", "differs", "differs",
    ]  # fmt: skip


def test_two_values_are_undefined_and_say_why(checks):
    undefined = [check for check in checks if check.expected is None]
    assert [check.name for check in undefined] == ["sfda breastmnist", "sfda pneumoniamnist"]
    assert all(check.found is None and "the same for all 14 candidates" in check.remark for check in undefined)


def test_every_value_of_the_paper_is_there(shared):
    expected = pd.read_csv(shared / "paper" / "expected_weighted_tau.csv").set_index(["scenario", "metric", "target"])
    carried = bundled.load("agreement").set_index(["scenario", "metric", "target"]).loc[expected.index]
    pd.testing.assert_series_equal(carried.value, expected.weighted_tau, check_names=False, rtol=0, atol=1e-12)
    assert (carried.orientation == expected.orientation).all()


@pytest.mark.parametrize("change", [1e-6, 5.0])
def test_one_changed_score_differs(change):
    """Also where it is too small to change an order, and so any agreement."""
    scores = bundled.load("scores")
    row = scores.index[(scores.metric == "leep") & (scores.source == "medmnist") & (scores.target == "octmnist")][0]
    scores.loc[row, "score"] += change
    differing = {(check.group, check.name) for check in reproduce(scores) if check.outcome == "differs"}
    assert ("figures", "published scores that are as published") in differing
    assert ("scores, source_dataset", "leep medmnist on octmnist") in differing
    assert (("weighted tau, source_dataset", "leep octmnist") in differing) == (change > 1)


def test_missing_scores_differ_even_where_the_paper_has_none():
    scores = bundled.load("scores")
    checks = reproduce(scores[scores.target != "breastmnist"])
    (sfda,) = [check for check in checks if check.name == "sfda breastmnist" and check.expected is None]
    assert sfda.outcome == "differs"
    assert "no scores" in sfda.remark


def test_scores_of_another_variant_are_refused():
    with pytest.raises(UsageError, match="rows of variant published"):
        reproduce(bundled.load("scores").assign(variant="default"))


@pytest.mark.parametrize(
    ("expected", "found", "outcome"),
    [(0.5, 0.5 + 9e-7, True), (0.5, 0.5 + 2e-6, False), (None, None, True), (None, 0.5, False), (0.5, None, False)],
)
def test_a_match_is_within_the_tolerance(expected, found, outcome):
    assert (Check("group", "name", expected, found, 1e-6).outcome == "match") is outcome


def test_the_command(capsys, tmp_path):
    assert main(["benchmark", "reproduce"]) == 0
    text = capsys.readouterr().out
    assert "224 of 226 match, 2 are known differences, 0 differ" in text
    assert "undefined  undefined    match" in text
    assert text.count("does not follow") == 1
    assert "- Friedman's test, chi2, architecture; p, architecture: the quoted value" in text
    changed = bundled.load("scores")
    changed.loc[0, "score"] += 0.5
    changed.to_csv(tmp_path / "scores.csv", index=False)
    assert main(["benchmark", "reproduce", "--scores", str(tmp_path / "scores.csv"), "--format", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["differing"] == len([each for each in document["checks"] if each["outcome"] == "differs"]) >= 2
    assert main(["benchmark", "reproduce", "--scores", str(tmp_path / "none.csv")]) == 2
    assert "there is no file" in capsys.readouterr().err
