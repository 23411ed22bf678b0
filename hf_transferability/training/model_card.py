"""The model card of a pre-trained checkpoint: its training data, licence and how it was trained."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from huggingface_hub import DatasetCard, ModelCardData

from hf_transferability import hub
from hf_transferability.escaping import markdown
from hf_transferability.names import expanded
from hf_transferability.provenance import package_versions


def common_licence(datasets: Sequence[Mapping[str, Any]]) -> str:
    """The licence in the cards of all datasets; "other" if they differ, name none, or a card cannot be read.

    Args:
        datasets: provenance of each, with its `id` and `revision`; see `data.targets.Target`.
    """
    licences = set()
    for dataset in datasets:
        licence = None
        with contextlib.suppress(Exception):  # training does not depend on a readable card
            card = expanded(dataset["id"]) / "README.md"
            if dataset["revision"]:
                snapshot = hub.Snapshot(dataset["id"], dataset["revision"], (card.name,), kind="dataset")
                card = hub.fetch(snapshot, card.name)
            licence = DatasetCard.load(card).data.to_dict().get("license")
        licences.add(licence if isinstance(licence, str) else None)
    return licences.pop() or "other" if len(licences) == 1 else "other"


def render(name: str, datasets: Sequence[str], licence: str, classes: Sequence[str], facts: Mapping[str, Any]) -> str:
    """The text of a model card.

    Args:
        name: name of the checkpoint.
        datasets: names of its training data; empty for random weights.
        licence: identifier of the licence.
        classes: names of its classes.
        facts: lines on how it was trained.
    """
    data = ModelCardData(
        license=licence, library_name="transformers", pipeline_tag="image-classification", datasets=list(datasets) or None
    )
    how = f"Trained from scratch on {', '.join(map(markdown.text, datasets))}" if datasets else "Random weights, not trained"
    lines = [
        f"- {key}: {markdown.text(value)}" for key, value in {**facts, "classes": len(classes), **package_versions()}.items()
    ]
    text = f"{how}, by `hf-transferability pretrain`. For research; not for clinical decisions."
    return f"---\n{data.to_yaml()}\n---\n# {markdown.text(name)}\n\n{text}\n\n" + "\n".join(lines) + "\n"
