"""What differs between the candidates."""

import pytest

from hf_transferability.ranking.candidates import Candidate
from hf_transferability.ranking.scenario import choose_scenario, scenario_notes


def pool(*signatures):
    return [Candidate(f"c{i}", facts={"signature": each} if each else {}) for i, each in enumerate(signatures)]


@pytest.mark.parametrize(
    ("signatures", "requested", "wanted"),
    [
        (("a", "a", None), "auto", "source_dataset"),
        (("a", "b"), "auto", "architecture"),
        ((None, None), "auto", "source_dataset"),
        (("a", "a"), "architecture", "architecture"),
        (("a", "b"), "source_dataset", "source_dataset"),
    ],
)
def test_the_scenario_follows_the_architectures_unless_it_is_named(signatures, requested, wanted):
    assert choose_scenario(requested, pool(*signatures))[0] == wanted


def test_a_scenario_that_does_not_fit_the_candidates_is_pointed_out():
    _, same = choose_scenario("architecture", pool("a", "a"))
    _, other = choose_scenario("source_dataset", pool("a", "b", "c"))
    assert "all candidates share one architecture" in same[1]
    assert "there are 3 architectures" in other[1]


@pytest.mark.parametrize("scenario", ["source_dataset", "architecture"])
def test_notes_are_short(scenario):
    (note,) = scenario_notes(scenario)
    assert len(note.split()) <= 25
