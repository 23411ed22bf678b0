"""Which layout a repository has, from the names of its files; needs neither torch nor a library of networks."""

import json
from collections.abc import Sequence
from pathlib import Path

from hf_transferability.checkpoints.formats.files import Choice, choose_configured, refuse, weight_files
from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.errors import CheckpointError, first_line

ADAPTER = "adapter_config.json"
OPEN_CLIP = "open_clip_config.json"
DESCRIBED = ("config.json", ADAPTER, OPEN_CLIP)  # a folder with one of these files is a checkpoint
_OPEN_CLIP_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")
_PLAIN_SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt", ".bin")


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
        return _plain(name, files, options)
    if ADAPTER in files and not ("config.json" in files and weight_files(files)):
        weights = [file for file in ("adapter_model.safetensors", "adapter_model.bin") if file in files]
        return Choice.of_weights(name, "adapter", files, weights, [ADAPTER], options)
    if OPEN_CLIP in files and ("config.json" not in files or not weight_files(files)):
        return _open_clip(name, files, options)
    if "config.json" in files:
        return choose_configured(name, files, options)
    raise refuse(name, files)


def adapter_base(name: str, folder: Path) -> str:
    """The Hub id or folder of the network that an adapter changes, as its configuration names it.

    Raises:
        CheckpointError: the configuration names none, or is no JSON object.
    """
    try:
        content = json.loads((folder / ADAPTER).read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{ADAPTER} of {name} is no JSON: {first_line(error)}. Correct it.") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{ADAPTER} of {name} must hold a JSON object. Take the one of its authors.")
    base = content.get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise CheckpointError(
            f"{name} is an adapter that does not name its network. Merge it with merge_and_unload, and rank the result."
        )
    revision = content.get("revision")
    return f"{base}@{revision}" if revision and not Path(base).is_dir() else base


def _open_clip(name: str, files: Sequence[str], options: LoadOptions) -> Choice:
    """The files of a repository of open_clip.

    Raises:
        CheckpointError: no weights, or only pickle weights while those are not allowed.
    """
    weights = [file for file in _OPEN_CLIP_WEIGHTS if file in files]
    return Choice.of_weights(name, "open_clip", files, weights, [OPEN_CLIP], options)


def _plain(name: str, files: Sequence[str], options: LoadOptions) -> Choice:
    """The single file of weights, a safetensors file where there is one.

    Raises:
        CheckpointError: no such file or several, or a pickle file that was not allowed.
    """
    weights = [file for file in files if file.endswith(_PLAIN_SUFFIXES)]
    safe = [file for file in weights if file.endswith(".safetensors")]
    weights = safe or weights
    if len(weights) > 1:
        raise CheckpointError(f"{name} holds {len(weights)} files of weights. Name one of them as the checkpoint.")
    return Choice.of_weights(name, "plain", files, weights, [], options)
