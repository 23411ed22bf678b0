"""The network of a resolved checkpoint, by its layout."""

import json
from pathlib import Path

from hf_transferability.checkpoints.formats import configured, open_clip, plain_weights, timm_layout
from hf_transferability.checkpoints.formats.built import Built
from hf_transferability.checkpoints.source import Source


def build(source: Source, folder: Path, num_labels: int | None = None) -> Built:
    """The network of a resolved checkpoint with its weights loaded.

    Args:
        source: the resolved checkpoint; adapters are built by `loading`, from their base.
        folder: where its files are.
        num_labels: number of classes that an adapter brings for the head.

    Raises:
        CheckpointError: files that do not belong together, or that need other options.
        Exception: whatever the libraries raise for damaged files; `loading` explains it.
    """
    if source.layout == "open_clip":
        return open_clip.build(source, folder)
    if source.layout == "plain":
        return plain_weights.build(source, folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    if timm_layout.is_timm(config):
        return timm_layout.build(source, folder, config)
    return configured.build(source, folder, num_labels)
