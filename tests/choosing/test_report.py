"""A choice in words: what may make it worthless stands first."""

from hf_transferability.choosing.choose import Choice, choose
from hf_transferability.choosing.report import card_section
from hf_transferability.progress import NullProgress


def test_labels_that_look_shuffled_are_told_before_anything_is_fine_tuned_and_with_the_answer(
    pool, cache, tmp_path, make_target, instant_runs, all_compared, monkeypatch
):
    from hf_transferability.ranking import run

    monkeypatch.setattr(run, "candidate_p_value", lambda *given: 0.4)  # of the first; the others may still have a relation
    target = make_target(n=48, n_classes=3, splits=("train", "validation", "test"))
    told: list[str] = []
    progress = NullProgress()
    monkeypatch.setattr(progress, "note", lambda text: told.append(text) if not instant_runs else None)
    choice = choose(target, pool, tmp_path, budget=1000, cache_dir=cache, progress=progress)
    assert instant_runs and len([note for note in told if note.startswith("check the labels")]) == 1  # time to stop
    assert isinstance(choice, Choice)
    assert choice.lines[0].startswith("check the labels") and choice.lines[1].startswith("recommended")
    assert "Check the labels" in card_section(choice.to_dict(), choice.ranking.to_dict())
    assert "Check the labels" in (tmp_path / "model_card.md").read_text()
    assert choice.ranking.advice is not None and choice.ranking.advice["text"] == []
    assert choice.decision.expected_loss is None  # nobody measured what is lost by an order of noise


def test_the_card_says_what_a_race_dropped(pool, cache, tmp_path, make_target, instant_runs, all_compared):
    target = make_target(n=48, n_classes=3, splits=("train", "validation", "test"))
    choice = choose(target, pool, tmp_path, budget=1000, cache_dir=cache)
    ranking = choice.ranking.to_dict()
    assert "on 48 images (seed 0), then decided" in card_section(choice.to_dict(), ranking)
    ranking["rows"][-1]["dropped_at"] = 16
    raced = card_section(choice.to_dict(), ranking)
    assert "on 48 images (seed 0; a race dropped 1 of them after 16 images), then decided" in raced
