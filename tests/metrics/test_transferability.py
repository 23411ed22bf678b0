import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_transferability.metrics import ScoreWarning, get_metric, score
from hf_transferability.metrics.transferability import SCENARIOS, combine


def test_both_scenarios_by_hand():
    quality, ratio = [0.4, 0.8, 0.6, 0.5], [1.0, 2.0, 3.0, 5.0]
    assert combine(quality, ratio) == pytest.approx([0, 1 * 0.25, 0.5 * 0.5, 0.25 * 1])
    assert combine(quality, ratio, "architecture") == pytest.approx([1 * 1, 0, 0.5 * 0.5, 0])


def test_ties_share_a_score():
    scores = combine([0.2, 0.5, 0.5, 0.9], [1.0, 2.0, 2.0, 3.0])
    assert scores[1] == scores[2]
    assert scores == pytest.approx([0, (3 / 7) * 0.5, (3 / 7) * 0.5, 1])


def test_missing_values_stay_missing_but_scale_the_part_they_have():
    quality, ratio = [0.0, 0.5, 1.0, None], [1.0, 2.0, None, 5.0]
    with pytest.warns(ScoreWarning, match=r"^pool_of_two"):
        scores = combine(quality, ratio)
    assert scores == [0.0, pytest.approx(0.5 * 0.25), None, None]


def test_pool_of_one():
    for quality, ratio in (([0.5], [1.0]), ([0.5, None], [1.0, 2.0]), ([0.5, 0.6], [None, None]), ([], [])):
        with pytest.warns(
            ScoreWarning, match=f"^pool_of_one: .* of {len(quality)} candidates have feature_quality and feature_update_ratio"
        ):
            assert combine(quality, ratio) == [None] * len(quality)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_pool_of_two_is_zero_one_or_a_tie(scenario):
    with pytest.warns(ScoreWarning, match=r"^pool_of_two"):
        agreeing = combine([0.4, 0.5], [1.0, 2.0], scenario)
    with pytest.warns(ScoreWarning, match=r"^pool_of_two"):
        contradicting = combine([0.4, 0.5], [2.0, 1.0], scenario)
    assert agreeing == ([0, 1] if scenario == "source_dataset" else [1, 0])
    assert contradicting == [0, 0]


@pytest.mark.parametrize(
    ("quality", "ratio", "name"),
    [
        ([0.5, 0.5, 0.5], [1.0, 2.0, 3.0], "feature_quality"),
        ([0.4, 0.5, 0.6], [2.0, 2.0, 2.0], "feature_update_ratio"),
        ([0.3, 0.1 + 0.2, 0.3], [1.0, 2.0, 3.0], "feature_quality"),
        ([0.0, 0.0, 0.0], [1.0, 2.0, 3.0], "feature_quality"),
    ],
)
def test_a_constant_part_orders_nothing(quality, ratio, name):
    with pytest.warns(ScoreWarning, match=rf"^constant_over_pool: .* \({name}\)$"):
        assert combine(quality, ratio) == [None] * 3


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_refuses_what_is_not_finite(bad):
    with pytest.raises(
        ValueError, match=f"^`feature_quality` must be finite; got {bad}. Use None for a candidate without a value.$"
    ):
        combine([bad, 0.5, 0.6], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=f"^`feature_update_ratio` must be finite; got {bad}"):
        combine([0.4, 0.5, 0.6], [1.0, bad, 3.0])


def test_refuses_other_scenarios_and_lengths():
    with pytest.raises(
        ValueError, match=r"^`scenario` must be one of source_dataset, architecture; got 'auto'. Choose one of these.$"
    ):
        combine([0.4, 0.5], [1.0, 2.0], "auto")
    with pytest.raises(ValueError, match=r"must have one entry per candidate; got 2 and 3. Use None for a missing value.$"):
        combine([0.4, 0.5], [1.0, 2.0, 3.0])


values = st.floats(0.001, 1000, allow_nan=False)


@given(pool=st.lists(st.tuples(values, values), min_size=3, max_size=12), scenario=st.sampled_from(SCENARIOS))
def test_scores_lie_between_0_and_1_and_ignore_scale_and_order(pool, scenario):
    quality, ratio = map(list, zip(*pool, strict=True))
    if len(set(quality)) == 1 or len(set(ratio)) == 1:
        return
    scores = combine(quality, ratio, scenario)
    assert all(0 <= value <= 1 for value in scores)
    assert combine(quality[::-1], ratio[::-1], scenario) == scores[::-1]
    assert combine([value * 4 for value in quality], [value + 0 for value in ratio], scenario) == pytest.approx(
        scores, abs=1e-9
    )


def test_parts_are_those_of_their_own_metrics(make_arrays, scored):
    arrays = make_arrays()
    parts, _ = scored("transferability", arrays)
    assert parts[0] == scored("feature_quality", arrays)[0]
    assert parts[1] == scored("feature_update_ratio", arrays)[0]
    assert score("feature_update_ratio", gradient_norms=arrays["gradient_norms"]) == parts[1]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_registered_metric_combines_as_the_public_function_does(scenario):
    quality, ratio = [0.4, 0.8, 0.6, None], [1.0, 2.0, 3.0, 5.0]
    parts = {"feature_quality": quality, "feature_update_ratio": ratio}
    assert get_metric("transferability").combine(parts, scenario=scenario) == combine(quality, ratio, scenario)
