"""What is exported comes back through the Hub's own parsers, with its provenance, and nothing in it acts on the reader."""

import copy

import yaml
from helpers.saved_ranking import RANKING
from huggingface_hub import ModelCard, parse_eval_result_entries

from hf_transferability.publishing.export import export

SOURCE = "https://hub.example/datasets/lab/results"


def test_exported_files_come_back_through_the_hubs_parsers(tmp_path):
    files = export(RANKING, tmp_path, SOURCE)
    folders = ["owner--one@v1", "two@dddddddd"]
    names = ["README.md", ".eval_results/hf-transferability-owner--target.yaml"]
    written = {str(path.relative_to(tmp_path)) for path in files}
    assert written == {f"{folders[0]}/{name}" for name in names} | {f"{folders[1]}/README.md"}  # the second has no repository
    text = (tmp_path / folders[0] / names[1]).read_text()
    entries = parse_eval_result_entries(yaml.safe_load(text))
    assert [(entry.task_id, entry.value) for entry in entries] == [("transferability", 0.7), ("logme", 0.1)]
    for entry in entries:
        assert (entry.dataset_id, entry.dataset_revision) == ("owner/target", "b" * 40)
        assert (entry.source_url, entry.date) == (SOURCE, "2025-06-01T12:00:00+00:00")
        assert "300 images of split train of small, random, seed 4" in entry.notes
        assert "a" * 40 in entry.notes

    card = ModelCard.load(tmp_path / folders[0] / "README.md")
    assert card.data.model_name == "owner/one"
    found = {result.metric_type: result for result in card.data.eval_results}
    assert found["logme"].metric_value == 0.1
    assert (found["logme"].dataset_type, found["logme"].dataset_revision) == ("owner/target", "b" * 40)
    assert found["logme"].dataset_config == "small"
    assert "| transferability | 0.7 | 0.6 to 0.8 | 2 candidates" in card.text
    assert "flags flags" not in card.text and "scenario scenario" not in card.text
    assert "- scenario: source" in card.text
    assert "torch 2.8.0" in card.text and "ViTImageProcessor" in card.text
    assert "/home/somebody" not in "".join(path.read_text() for path in files)


def test_a_local_target_has_no_entries_and_foreign_names_are_text(tmp_path):
    ranking = copy.deepcopy(RANKING)
    ranking["dataset"] |= {"id": "/home/somebody/x: [<b>|`q`\nname", "revision": None}
    files = export(ranking, tmp_path)
    assert {path.name for path in files} == {"README.md"}
    card = ModelCard.load(files[0])
    assert {result.dataset_name for result in card.data.eval_results} == {"x: [<b>|`q`\nname"}
    assert "<b>|" not in card.text.replace("\\<b\\>\\|", "")
    assert "/home/somebody" not in card.content
