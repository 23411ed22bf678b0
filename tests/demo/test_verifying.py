"""Whether the demo's ranking holds."""

import pytest

from hf_transferability import TransferabilityError
from hf_transferability.demo import verifying

AUCS = {"a": 0.8, "b": 0.7, "c": 0.9, "untrained": 0.6}


def rows(**scores) -> list[dict]:
    """A ranking in which each candidate is a tie group of its own."""
    order = sorted(scores, key=lambda name: -(scores[name] or 0))
    return [
        {"checkpoint": name, "score": scores[name], "rank": place, "tie_group": place} for place, name in enumerate(order, 1)
    ]


def test_agreement_without_failed_candidates_and_without_the_untrained_one():
    ranking = rows(a=0.9, b=0.5, c=None, untrained=1.0)
    assert verifying.agreement(ranking, AUCS) < 0
    assert verifying.agreement(ranking, AUCS, with_untrained=False) == 1
    ranking[-1] |= {"checkpoint": "untrained", "untrained": True}  # listed last, and so counted
    assert verifying.agreement([row for row in ranking if row["score"] != 1.0], AUCS) == 1
    assert "got 1" in verifying.agreement(rows(c=None, untrained=1.0), AUCS)


def test_conclusion_names_the_whole_first_tie_group():
    ranking = rows(a=0.9, b=0.5, c=0.2)
    assert verifying.conclusion(ranking) == "Fine-tune a first: it is ahead of all others."
    ranking[1]["tie_group"] = 1
    assert verifying.conclusion(ranking) == "Fine-tune a or b first: this sample cannot order them."


def test_conclusion_says_whether_the_ranking_was_right():
    ranking = rows(a=0.9, b=0.5, c=0.2)
    assert verifying.conclusion(ranking, AUCS).startswith(
        "The ranking was wrong: c is best after fine-tuning; following a loses 0.1"
    )
    assert verifying.conclusion(rows(c=0.9, b=0.1), AUCS).startswith("The ranking was right: c is best")


def test_conclusion_without_scores():
    assert (
        verifying.conclusion([{"checkpoint": "a", "score": None, "rank": None, "tie_group": None}])
        == "There is no order to follow."
    )


def test_verify_gives_a_repeatable_auc_for_each(made):
    chosen = made[0].checkpoints[:2]
    aucs = verifying.verify(made[0].target, chosen, epochs=1, repeats=2)
    assert list(aucs) == [path.name for path in chosen]
    assert all(0 <= auc <= 1 for auc in aucs.values())
    assert verifying.verify(str(made[0].target), [str(path) for path in chosen], epochs=1, repeats=2) == aucs


def test_verify_averages_the_runs_that_did_not_diverge(made, monkeypatch):
    chosen, told = made[0].checkpoints[:1], []
    diverged = {"status": "diverged", "stopped_epoch": 1, "seconds": 0.1}
    ended = iter([{"status": "ok", "test_auc": 0.6}, diverged, {"status": "ok", "test_auc": 0.8}, diverged, diverged])
    monkeypatch.setattr(verifying, "fine_tune", lambda *arguments, **options: next(ended))
    assert verifying.verify(made[0].target, chosen, progress=told.append) == {chosen[0].name: pytest.approx(0.7)}
    assert f"1 of 3 runs of {chosen[0].name} diverged; the others are averaged" in told
    with pytest.raises(TransferabilityError, match=r"all 2 runs of .* diverged"):
        verifying.verify(made[0].target, chosen, repeats=2)


def test_each_column_of_the_ranking_is_an_order_of_its_own():
    rows = [
        {"checkpoint": "a", "score": 0.9, "logme": 0.1, "untrained": False},
        {"checkpoint": "b", "score": 0.5, "logme": 0.2, "untrained": False},
        {"checkpoint": "untrained", "score": None, "logme": 0.9, "untrained": True},
    ]
    aucs = {"a": 0.9, "b": 0.8, "untrained": 0.5}
    assert verifying.agreement(rows, aucs) == pytest.approx(1)
    assert verifying.agreement(rows, aucs, metric="logme") < 1
    assert verifying.agreement(rows, aucs, metric="logme", with_untrained=False) == pytest.approx(-1)
    assert verifying.best_first(rows, aucs)
    assert not verifying.best_first(rows, aucs, "logme")  # and the untrained one does not count as first
    assert verifying.best_first(rows, {**aucs, "b": 0.95}, "logme")
