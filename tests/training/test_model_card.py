"""The model card of a pre-trained checkpoint."""

from hf_transferability import hub
from hf_transferability.checkpoints.cards import card_facts
from hf_transferability.training import model_card


def test_the_licence_of_a_hub_dataset_comes_from_its_card_at_the_commit(tmp_path, monkeypatch):
    requests = []

    def fetch(snapshot, name, token=None):
        requests.append((snapshot.repo_id, snapshot.commit, snapshot.kind, name))
        if snapshot.repo_id == "owner/gone":
            raise ConnectionError("unreachable")
        licence = "[mit, cc-by-4.0]" if snapshot.repo_id == "owner/several" else "cc-by-4.0"
        (tmp_path / name).write_text(f"---\nlicense: {licence}\n---\n")
        return tmp_path / name

    monkeypatch.setattr(hub, "fetch", fetch)
    known, gone, several = ({"id": f"owner/{name}", "revision": "a" * 40} for name in ("cells", "gone", "several"))
    assert model_card.common_licence([known]) == "cc-by-4.0"
    assert requests == [("owner/cells", "a" * 40, "dataset", "README.md")]
    for others in ([gone], [known, gone], [several]):
        assert model_card.common_licence(others) == "other"


def test_a_card_names_its_training_data_and_how_it_was_trained(tmp_path):
    text = model_card.render("net", ["owner/cells"], "mit", ["a", "b"], {"epochs": 3})
    (tmp_path / "README.md").write_text(text)
    facts = card_facts(tmp_path)
    assert (facts["training_datasets"], facts["licence"]) == (["owner/cells"], "mit")
    assert "Trained from scratch on owner/cells" in text and "- epochs: 3\n- classes: 2\n" in text
    random = model_card.render("net", [], "mit", ["a", "b"], {})
    assert "Random weights, not trained" in random and "datasets:" not in random.split("---")[1]
