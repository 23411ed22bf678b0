"""Repository layouts: one module for each, and the choice between them.

`choose` looks at the names of a repository's files; `build` makes a network with loaded weights from them. A layout that
cannot be ranked is refused with its name and what can be done instead.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from hf_transferability.checkpoints.formats import configured, open_clip, plain_weights, timm_layout
from hf_transferability.checkpoints.formats.built import Built
from hf_transferability.checkpoints.formats.files import Choice, choose_configured, refuse, weight_files
from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.checkpoints.sizes import check_sizes
from hf_transferability.checkpoints.source import Source
from hf_transferability.errors import CheckpointError, first_line

__all__ = ["Built", "Choice", "build", "choose"]


def choose(name: str, files: Sequence[str], options: LoadOptions) -> Choice:
    """The layout of a repository, the files to load, and whether its weights are pickled.

    Args:
        name: the checkpoint, for messages.
        files: names of the files in the repository's root.
        options: may name the architecture of plain weights.

    Raises:
        CheckpointError: no layout that can be ranked, or pickle weights that were not allowed.
    """
    if options.architecture is not None:
        return plain_weights.choose(name, files, options)
    if "adapter_config.json" in files and not ("config.json" in files and weight_files(files)):
        weights = [file for file in ("adapter_model.safetensors", "adapter_model.bin") if file in files]
        return Choice.of_weights(name, "adapter", files, weights, ["adapter_config.json"], options)
    if open_clip.CONFIG in files and ("config.json" not in files or not weight_files(files)):
        return open_clip.choose(name, files, options)
    if "config.json" in files:
        return choose_configured(name, files, options)
    raise refuse(name, files)


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
    if timm_layout.is_timm(config):
        return timm_layout.build(source, folder, config)
    return configured.build(source, folder, num_labels)


def _check_configuration(source: Source, folder: Path) -> None:
    """Refuse a configuration that is too large to build, or of other content than a JSON object.

    Raises:
        CheckpointError: names the file.
    """
    for file in ("config.json", open_clip.CONFIG):
        if not (folder / file).is_file():
            continue
        try:
            content = json.loads((folder / file).read_text("utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise CheckpointError(f"{file} of {source.name} is no JSON: {first_line(error)}. Correct it.") from error
        if not isinstance(content, dict):
            raise CheckpointError(f"{file} of {source.name} must hold a JSON object. Take the one of its authors.")
        check_sizes(source.name, content)
