"""A file of weights without a configuration, for a network that the user names: --architecture timm:NAME."""

from collections.abc import Mapping
from pathlib import Path

import timm
import torch
from transformers import TimmWrapperConfig

from hf_transferability.checkpoints.formats.built import Built
from hf_transferability.checkpoints.formats.pooling_choice import choose_pooling
from hf_transferability.checkpoints.formats.processors import image_processor, timm_processor
from hf_transferability.checkpoints.formats.reviewed import reviewed
from hf_transferability.checkpoints.formats.timm_arguments import as_objects
from hf_transferability.checkpoints.formats.timm_layout import completed, load_timm
from hf_transferability.checkpoints.source import Source
from hf_transferability.checkpoints.unneeded_weights import PLAIN
from hf_transferability.checkpoints.weights import stored_weights
from hf_transferability.errors import CheckpointError


def build(source: Source, folder: Path) -> Built:
    """timm's network of that name with the weights of the file; its head has as many classes as the file's.

    Raises:
        CheckpointError: timm has no network of that name, or the file holds no weights.
    """
    architecture = str(source.options.architecture).removeprefix("timm:")
    if not timm.is_model(architecture):
        near = timm.list_models(f"*{architecture.split('.')[0][:12]}*")[:3]
        hint = f"Did you mean {', '.join(near)}?" if near else "See timm.list_models()."
        raise CheckpointError(f"`architecture` must be a network of timm; got {architecture!r}. {hint}")
    stored = stored_weights(folder, source.weights)
    if not stored:
        raise CheckpointError(f"{source.name} holds no weights by name. Save the network's state_dict and pass that file.")
    default = timm.get_pretrained_cfg(architecture)
    data_config = default.to_dict() if default is not None else {}
    known = reviewed(source.repo_id)
    given = {**(known.arguments if known else {}), **dict(source.options.model_args)}
    with torch.device("meta"):
        expected = timm.create_model(architecture, pretrained=False, **as_objects(given)).state_dict()
    prefix = _prefix(stored, expected)
    # A name that is there without the prefix too stays as it is, so that it counts as a weight too many.
    short = {name: name.removeprefix(prefix) for name in stored}
    weights = {name if short[name] in stored else short[name]: value for name, value in stored.items()}
    shapes = {name: tuple(value.shape) for name, value in weights.items()}
    classifier = data_config.get("classifier")
    head = f"{classifier[0] if isinstance(classifier, tuple | list) else classifier}.weight"
    n_classes = shapes[head][0] if head in shapes and len(shapes[head]) in (2, 4) else 0
    added = completed(architecture, {}, given, shapes, data_config)
    config = TimmWrapperConfig.from_dict(
        {"architecture": architecture, "num_classes": n_classes, "pretrained_cfg": data_config, "model_args": added}
    )
    built = load_timm(config, pooling=choose_pooling(source, {}, shapes, folder), n_stored=len(stored), weights=weights)
    built.kinds = frozenset({PLAIN})
    built.processor = image_processor(source, folder, timm_processor(data_config, architecture))
    built.model_args = ", ".join(f"{name}={value}" for name, value in sorted(added.items()))
    return built


def _prefix(stored: Mapping[str, object], expected: Mapping[str, object]) -> str:
    """What training code put before the names: the beginning whose removal makes most names fit."""
    candidates = {""}
    for name in stored:
        parts = name.split(".")
        candidates |= {".".join(parts[:n]) + "." for n in range(1, min(4, len(parts)))}
    return max(sorted(candidates), key=lambda prefix: sum(name.removeprefix(prefix) in expected for name in stored))
