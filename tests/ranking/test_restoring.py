"""Who comes back into a race: those whose values may decide who is first."""

from hf_transferability.ranking.candidates import Candidate
from hf_transferability.ranking.dropping import BelowThreshold
from hf_transferability.ranking.estimates import Stage
from hf_transferability.ranking.restoring import to_restore
from hf_transferability.ranking.scoring import Scores

# A leads by one part and B by the other, so that who lies between them decides.
NOW = {"A": (0.9, 0.5), "B": (0.8, 0.6), "C": (0.2, 0.1)}


def candidate(name: str, quality: float, logme: float) -> Candidate:
    return Candidate(name, facts={"parameters": 1}, scores=Scores(values={"feature_quality": quality, "logme": logme}))


def back(changes: tuple[float, float, float], out: tuple[float, float]) -> list[str]:
    """Who comes back, where A, B and C changed by so much since the stage at which X had these values."""
    now = [candidate(name, *values) for name, values in NOW.items()]
    before = [
        candidate(name, *(value - change for value in values))
        for change, (name, values) in zip(changes, NOW.items(), strict=True)
    ]
    stage = Stage(30, [*before, candidate("X", *out)], [BelowThreshold(3, 0.0, 0.1, 0.2)])
    return to_restore([stage], now, "consensus", "default", seed=0)


def test_one_that_may_lie_between_the_first_two_comes_back():
    assert back((0.0, 0.1, 0.2), (0.75, 0.35)) == ["X"]


def test_one_that_may_part_two_who_share_the_first_place_comes_back():
    """By the estimates A and B are equal; one between them makes one of them the only first."""
    assert back((0.0, 0.1, 0.2), (0.3, 0.45)) == ["X"]


def test_nobody_comes_back_where_the_estimates_are_exact_or_far_away():
    assert back((0.1, 0.1, 0.1), (0.75, 0.35)) == []
    assert back((0.0, 0.1, 0.2), (-9.0, -9.0)) == []


def test_a_score_that_stands_by_itself_needs_nobody_back():
    now = [candidate(name, *values) for name, values in NOW.items()]
    stage = Stage(30, [*now, candidate("X", 0.0, 0.0)], [BelowThreshold(3, 0.0, 0.1, 0.2)])
    assert to_restore([stage], now, "logme", "default", seed=0) == []
