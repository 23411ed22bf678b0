"""What a row of results records about a checkpoint: its card, its architecture, its weights, and its flags."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import transformers
from torch import nn

from hf_transferability.checkpoints.cards import card_facts
from hf_transferability.checkpoints.checkpoint import Checkpoint
from hf_transferability.checkpoints.formats.built import Built
from hf_transferability.checkpoints.source import Source
from hf_transferability.checkpoints.untrained import untrained

# What may differ between two configurations of one architecture: the head, training settings, names and versions.
_NOT_ARCHITECTURE = re.compile(
    r"id2label|label2id|num_labels|num_classes|problem_type|architectures|auto_map|dtype|torch_dtype|transformers_version|"
    r"_name_or_path|name_or_path|pretrained_cfg|label_names|finetuning_task|initializer_\w+|use_cache|output_\w+|return_dict|"
    r"gradient_checkpointing|torchscript|use_bfloat16|\w*drop\w*|\w*loss\w*|vocab\w*|\w+_token_id|_commit_hash|"
    r"_attn_implementation\w*|chunk_size_feed_forward|is_encoder_decoder|"
    r"out_features|out_indices|pooler_\w+|auxiliary_\w+|use_auxiliary_head|use_mask_token|encoder_stride"
)


def loaded_facts(
    source: Source, folder: Path, built: Built, checkpoint: Checkpoint, n_features: int, left_out: dict[str, int]
) -> dict[str, Any]:
    """The facts of a loaded network, as the cache stores them (JSON values only).

    Args:
        source: what was resolved.
        folder: the files, for the model card.
        built: what the format made, for the configuration and the number of weights used.
        checkpoint: the network with its head, layers and processor.
        n_features: width of the features.
        left_out: part of the repository -> number of its weights that the features do not need.
    """
    processor = checkpoint.processor
    return {
        "architecture": built.architecture,
        "signature": architecture_signature(built.config, checkpoint.network),
        "n_features": n_features,
        "parameters": _count_parameters(checkpoint),
        "untrained": untrained(checkpoint.network) is not None,
        **card_facts(folder),
        "weights_used": built.use.n_used,
        "weights_left_out": ", ".join(f"{part}: {count}" for part, count in left_out.items()),
        **({"image_size": source.options.image_size} if source.options.image_size else {}),
        **({"model_args": built.model_args} if built.model_args else {}),
        **({"adapter_of": f"{source.base.name}@{source.base.revision}"} if source.base else {}),
        **({"lent_processor": f"{source.lender.name}@{source.lender.revision}"} if source.lender else {}),
        "layers": [layer.name + (f"[:{layer.rows}]" if layer.rows else "") for layer in checkpoint.layers],
        "preprocessing": f"{type(processor).__name__} ({getattr(processor, 'backend', None) or 'default'})",
        "transformers": transformers.__version__,
    }


def loaded_flags(source: Source, built: Built, checkpoint: Checkpoint, extension: bool) -> dict[str, str]:
    """The flags of a loaded network, flag -> detail; `extension`: the second layer is an attention projection."""
    flags = {}
    if why := untrained(checkpoint.network):
        flags["untrained"] = why
    feature_source = str(checkpoint.facts["feature_source"])
    if extension:
        flags["vit_extension"] = checkpoint.facts["layers"][1]
    if len(checkpoint.layers) < 2:
        flags["no_second_layer"] = ", ".join(checkpoint.facts["layers"]) or "none traced"
    if not checkpoint.has_source_head:
        flags["no_source_head"] = built.no_probabilities or feature_source
    if feature_source == "pooler_output":
        flags["pooler_output"] = ""
    if feature_source == "mean of last_hidden_state" and built.choice.name == "native":
        flags["mean_hidden_state"] = ""
    if built.choice.other:
        flags["other_embedding"] = f"{checkpoint.facts['pooling']} taken; {built.choice.other}"
    if source.pickle or (source.base is not None and source.base.pickle):
        flags["pickle_weights"] = ""
    return flags


def _count_parameters(checkpoint: Checkpoint) -> int:
    """Weights of the network without its source head, which fine-tuning replaces: the same for any number of classes."""
    head = set(checkpoint.head.parameters()) if checkpoint.head is not None else set()
    return sum(parameter.numel() for parameter in checkpoint.network.parameters() if parameter not in head)


def architecture_signature(config: Any, network: nn.Module | None = None) -> str:
    """A digest that two configurations share exactly when they differ in nothing but the head and training settings.

    Args:
        config: a configuration of transformers.
        network: tells whether the image size shapes any weights; without it, the image size counts.
    """
    values = config.to_dict()
    if "architecture" in values and "pretrained_cfg" in values:  # timm: the name and what departs from it
        arguments = values.get("model_args") or {}
        usual = {name: value for name, value in arguments.items() if (name, value) != ("in_chans", 3) and name != "global_pool"}
        values = {"architecture": values["architecture"], "model_args": usual}
    elif network is not None and not any("pos" in name for name, _ in network.named_parameters()):
        values.pop("image_size", None)

    def kept(value: Any) -> Any:
        if isinstance(value, dict):
            return {str(k): kept(v) for k, v in sorted(value.items()) if not _NOT_ARCHITECTURE.fullmatch(str(k))}
        return value

    return hashlib.sha256(json.dumps(kept(values), default=str, sort_keys=True).encode()).hexdigest()[:16]
