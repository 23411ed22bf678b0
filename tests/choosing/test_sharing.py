"""What of a choice is made for others comes back through the Hub's own parsers, and says what each figure is of."""

import copy

import pytest
import yaml
from helpers.saved_ranking import RANKING
from huggingface_hub import parse_eval_result_entries

from hf_transferability.choosing.sharing import write_for_hub

SOURCE = "https://hub.example/datasets/lab/results"
RUN = {
    "dataset": "owner/target", "dataset_revision": "b" * 40, "test_auc": 0.8, "validation_auc": 0.7, "stopped_epoch": 7,
    "best_epoch": 5, "epochs": 10,
    "checkpoint_revision": "a" * 40, "learning_rate": 0.01, "momentum": 0.9, "batch_size": 32, "seed": 0,
    "sample_size": 300, "validation_images": 60, "test_images": 90, "split": "train; test", "preprocessing": "own size",
    "versions": "numpy 2.0; torch 2.9.0+cu130", "hardware": "a processor (cpu)", "date": "2025-06-02T12:00:00+00:00",
}  # fmt: skip
CHOICE = {
    "recommended": "owner/one@v1", "by": "fine-tuning", "expected_loss": 0.01, "run": RUN,
    "table": {"titles": ["checkpoint", "test AUC"], "rows": [["owner/one@v1", "0.800"]]},
}  # fmt: skip


def written(folder, ranking: dict = RANKING, **changes) -> tuple[list, str]:
    """The entries, and the section for a card."""
    files = write_for_hub(CHOICE | changes, {**ranking, "metric": "transferability"}, folder, SOURCE)
    texts = {path.name: (folder / path).read_text() for path in files}
    card = texts.pop("model_card.md")
    assert list(texts) in ([], ["hf-transferability-owner--target.yaml"])
    return [entry for text in texts.values() for entry in parse_eval_result_entries(yaml.safe_load(text))], card


def test_the_entries_are_the_test_auc_of_the_short_run_and_the_rankings_scores(tmp_path):
    entries, card = written(tmp_path)
    assert [(entry.task_id, entry.value) for entry in entries] == [("test_auc", 0.8), ("transferability", 0.7), ("logme", 0.1)]
    run, *scores = entries
    weights = f"of weights that are not in this repository; fine-tuned from commit {'a' * 40}; learning rate 0.01"
    assert run.notes.startswith(f"test AUC after fine-tuning for 5 of at most 10 epochs, {weights}")
    assert "torch 2.9.0; a processor" in run.notes  # as in the card, without the label of the build
    assert (run.date, run.source_url) == (RUN["date"], None)  # the run is published nowhere
    for entry in entries:
        assert (entry.dataset_id, entry.dataset_revision) == ("owner/target", "b" * 40)
    for entry in scores:
        assert entry.source_url == SOURCE and entry.notes.startswith("estimate without fine-tuning")
    assert "## How the base checkpoint was chosen" in card and "300 training and 60 validation images" in card
    assert f"checkpoint: owner/one at {'a' * 40}" in card and "hub.example/datasets/lab/results" in card
    assert "/home/somebody" not in card


def test_without_a_short_run_only_the_rankings_scores_are_entries(tmp_path):
    entries, card = written(tmp_path, by="ranking", run=None, table={"titles": [], "rows": []})
    assert [entry.task_id for entry in entries] == ["transferability", "logme"] and "Short runs" not in card


def test_a_local_checkpoint_has_no_entries(tmp_path):
    entries, card = written(tmp_path, recommended="/home/somebody/two")
    assert entries == [] and "among 2 checkpoints (1 more could not be ranked)" in card


@pytest.mark.parametrize("recommended", ["/home/somebody/two", None])
def test_a_local_target_has_no_entries_and_nothing_names_a_path(tmp_path, recommended):
    ranking = copy.deepcopy(RANKING)
    ranking["dataset"] |= {"id": "/home/somebody/mine", "revision": None}
    entries, card = written(tmp_path, ranking, recommended=recommended)
    assert entries == [] and "/home/somebody" not in card
    assert ("was chosen for mine" if recommended else "No checkpoint was chosen") in card
