"""A choice in words: what may make it worthless stands first."""

from hf_transferability.choosing.choose import Choice, choose
from hf_transferability.choosing.report import card_section
from hf_transferability.progress import NullProgress


def test_labels_that_look_shuffled_are_told_with_the_answer(pool, cache, tmp_path, make_target, instant_runs, monkeypatch):
    from hf_transferability.ranking import label_check

    monkeypatch.setattr(label_check, "label_p_value", lambda *given: 0.4)
    target = make_target(n=48, n_classes=3, splits=("train", "validation", "test"))
    told: list[str] = []
    progress = NullProgress()
    monkeypatch.setattr(progress, "note", told.append)
    choice = choose(target, pool, tmp_path, budget=1000, cache_dir=cache, progress=progress)
    assert told and not [note for note in told if note.startswith("check the labels")]  # once: with the answer
    assert isinstance(choice, Choice)
    assert choice.lines[0].startswith("check the labels") and choice.lines[1].startswith("recommended")
    assert "Check the labels" in card_section(choice.to_dict(), choice.ranking.to_dict())
    assert "Check the labels" in (tmp_path / "model_card.md").read_text()
    assert choice.ranking.advice is not None and choice.ranking.advice["text"] == []
    assert choice.decision.expected_loss is None  # nobody measured what is lost by an order of noise
