"""The network of a resolved checkpoint, by its layout."""

import json
from pathlib import Path

from hf_transferability.checkpoints.formats import configured, open_clip, plain_weights, timm_layout
from hf_transferability.checkpoints.formats.built import Built
from hf_transferability.checkpoints.formats.choosing import OPEN_CLIP
from hf_transferability.checkpoints.sizes import check_sizes
from hf_transferability.checkpoints.source import Source
from hf_transferability.errors import CheckpointError, first_line


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
    _check_configuration(source, folder)
    if source.layout == "open_clip":
        return open_clip.build(source, folder)
    if source.layout == "plain":
        return plain_weights.build(source, folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    if timm_layout.is_timm(config) and not configured.own_classes(config.get("auto_map")):
        return timm_layout.build(source, folder, config)
    return configured.build(source, folder, num_labels)


def _check_configuration(source: Source, folder: Path) -> None:
    """Refuse a configuration that is too large to build, or of other content than a JSON object.

    Raises:
        CheckpointError: names the file.
    """
    for file in ("config.json", OPEN_CLIP):
        if not (folder / file).is_file():
            continue
        try:
            content = json.loads((folder / file).read_text("utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise CheckpointError(f"{file} of {source.name} is no JSON: {first_line(error)}. Correct it.") from error
        if not isinstance(content, dict):
            raise CheckpointError(f"{file} of {source.name} must hold a JSON object. Take the one of its authors.")
        check_sizes(source.name, content)
