"""timm's Hub layout: config.json with an architecture and its data configuration, and the weights of a timm network."""

import copy
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import TimmWrapperConfig, TimmWrapperForImageClassification, TimmWrapperModel

from hf_transferability.checkpoints.formats.built import Built
from hf_transferability.checkpoints.formats.pooling_choice import PoolingChoice, choose_pooling
from hf_transferability.checkpoints.formats.processors import image_processor, timm_processor
from hf_transferability.checkpoints.formats.reviewed import reviewed
from hf_transferability.checkpoints.formats.timm_arguments import accepts, as_objects, shown_by_weights
from hf_transferability.checkpoints.pooling import Embedding
from hf_transferability.checkpoints.source import Source
from hf_transferability.checkpoints.unneeded_weights import TIMM
from hf_transferability.checkpoints.weights import WeightUse, stored_shapes
from hf_transferability.errors import CheckpointError

_CLIP = r"(^|_)(m?clip\d?|mobileclip\d?|eva\d*_\w*_clip|mci\d?|pe_core|vitamin)(_|$)"
_PREFIX = "timm_model."


def is_timm(config: Any) -> bool:
    """Whether a config.json is timm's: an architecture with its data configuration, inside `pretrained_cfg` or beside it."""
    if not isinstance(config, dict) or not isinstance(config.get("architecture"), str):
        return False
    return "pretrained_cfg" in config or ("model_type" not in config and "input_size" in config)


def build(source: Source, folder: Path, content: Mapping[str, Any]) -> Built:
    """A timm network from its own repository.

    Raises:
        CheckpointError: a configuration that names other weights.
    """
    content = _modern(content)
    architecture, data_config = str(content["architecture"]), dict(content["pretrained_cfg"])
    arguments = dict(content.get("model_args") or {})
    arguments.pop("num_classes", None)  # timm writes the number of classes twice, and its wrapper refuses the second
    _check_arguments(source, arguments)
    if not arguments.get("global_pool", "default"):
        del arguments["global_pool"]  # "": all tokens; the family's own pooling gives one vector
    shapes = stored_shapes(folder, source.weights)
    known = reviewed(source.repo_id)
    given = {**(known.arguments if known else {}), **dict(source.options.model_args)}
    added = completed(architecture, arguments, given, shapes, data_config)
    pooling = choose_pooling(source, content, shapes, folder)
    config = TimmWrapperConfig.from_dict({**content, "model_args": {**arguments, **added}})
    built = load_timm(
        config,
        pooling=pooling,
        n_stored=len(shapes),
        folder=folder,
        pickle=source.pickle,
    )
    built.use.unused.update(name for name in shapes if _PREFIX + name in shapes)  # stored twice: the wrapper keeps one
    built.processor = image_processor(source, folder, timm_processor(data_config, architecture))
    built.model_args = ", ".join(f"{name}={value}" for name, value in sorted(added.items()))
    if built.embedding is None and is_projection(architecture, content):
        built.no_probabilities = "its head is a projection for matching texts, not a classifier"
    return built


def completed(
    architecture: str,
    arguments: Mapping[str, Any],
    added: Mapping[str, Any],
    shapes: Mapping[str, tuple[int, ...]],
    data_config: Mapping[str, Any],
) -> dict[str, Any]:
    """The arguments beside those of config.json: the added ones, and those that the weights show and the network accepts."""
    shown = shown_by_weights(architecture, {**arguments, **added}, shapes, data_config)
    if shown and not accepts(architecture, {**arguments, **added, **shown}):
        shown = {
            name: value
            for name, value in shown.items()
            if name not in ("img_size", "no_embed_class", "reg_tokens", "init_values")
            or accepts(architecture, {**arguments, **added, name: value})
        }
    return {**added, **shown}


def load_timm(
    config: TimmWrapperConfig,
    *,
    pooling: PoolingChoice,
    n_stored: int,
    folder: Path | None = None,
    pickle: bool = False,
    weights: dict[str, torch.Tensor] | None = None,
) -> Built:
    """A timm network inside the wrapper of transformers, with weights from a folder or from memory.

    Args:
        config: architecture and arguments, in which layers may be given by name.
        pooling: "native" keeps the classification head, every other one reads the tokens.
        n_stored: number of stored weights, for the row.
        folder: with model.safetensors or pytorch_model.bin.
        pickle: take the latter.
        weights: name -> tensor, in place of a folder.
    """
    classifier = (config.num_labels or 0) > 0 and pooling.name == "native"
    objects = copy.deepcopy(config)
    objects.model_args = as_objects(config.model_args or {})
    model_class: Any = TimmWrapperForImageClassification if classifier else TimmWrapperModel
    network, info = model_class.from_pretrained(
        folder,
        config=objects,
        state_dict=weights,
        dtype=torch.float32,
        use_safetensors=None if weights is not None else not pickle,
        ignore_mismatched_sizes=True,  # reported by name
        output_loading_info=True,
        local_files_only=True,
    )
    unused = {str(name).removeprefix(_PREFIX) for name in info["unexpected_keys"]}
    missing = {str(name) for name in info["missing_keys"]} | {str(name[0]) for name in info["mismatched_keys"]}
    missing = {name for name in missing if not name.endswith("num_batches_tracked")}
    use = WeightUse(n_stored - len(unused) - len(info["mismatched_keys"]), missing, unused)
    embedding = None if classifier else _embedding(network.timm_model, pooling.name)
    return Built(network, None, config, config.architecture, use, frozenset({TIMM}), embedding, choice=pooling)


def _embedding(network: nn.Module, pooling: str) -> Embedding:
    if pooling == "native":
        return Embedding("pooler_output")
    has_norm = isinstance(getattr(network, "fc_norm", None), nn.Module) and not isinstance(network.fc_norm, nn.Identity)
    return Embedding(
        pooling,
        n_prefix=int(getattr(network, "num_prefix_tokens", 0)),
        last_norm=f"{_PREFIX}fc_norm" if has_norm else None,
        channels_first=getattr(network, "output_fmt", "NCHW") != "NHWC",
    )


def _modern(content: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration of early timm, which had the data configuration at the root, in today's form."""
    if "pretrained_cfg" in content:
        return dict(content)
    inside = {name: value for name, value in content.items() if name not in ("architecture", "model_args")}
    return {**content, "pretrained_cfg": inside}


def _check_arguments(source: Source, arguments: Mapping[str, Any]) -> None:
    """Refuse arguments that name other weights than those that were resolved and hashed."""
    both = {**arguments, **dict(source.options.model_args)}
    if loading := [name for name in both if name in ("checkpoint_path", "cache_dir") or "pretrained" in name]:
        raise CheckpointError(
            f"{source.name} names other weights in its config.json (model_args: {', '.join(loading)}), which might run "
            "code when they are read. Remove these arguments."
        )


def is_projection(architecture: str, content: Mapping[str, Any]) -> bool:
    """Whether the outputs are an image-text embedding, as in timm's CLIP towers: no labels and no fine-tuning in the tag.

    The network or its weights are named after CLIP or its kind. "ft" before a number of pixels is no training on labels.
    """
    tag = str(content["pretrained_cfg"].get("tag") or "")
    labelled = content.get("label_names") or content["pretrained_cfg"].get("label_names")
    n_outputs = int(content.get("num_classes") or 0)
    clip = re.search(_CLIP, architecture) or re.search(_CLIP, tag)
    on_labels = re.search(r"(^|_)ft(?!\w*_\d+$)(_|$)", tag)
    return bool(clip) and not labelled and not on_labels and n_outputs >= 256 and n_outputs % 64 == 0
