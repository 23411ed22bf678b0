"""Source checkpoints: a Hub id or folder becomes a commit, then a network with its preprocessing, head and gradient layers."""

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from huggingface_hub import ModelCard
from PIL import Image
from torch import nn
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageClassification
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING

from hf_transferability import hub
from hf_transferability.checkpoints.tracing import GradientLayer, find_head, gradient_layers, pooled, trace
from hf_transferability.checkpoints.untrained import untrained
from hf_transferability.errors import CheckpointError

_CONFIGURATION = ("config.json", "preprocessor_config.json", "processor_config.json", "README.md")
_SAFETENSORS = ("model.safetensors", r"model-\d+-of-\d+\.safetensors", "model.safetensors.index.json")
_PICKLE = ("pytorch_model.bin", r"pytorch_model-\d+-of-\d+\.bin", "pytorch_model.bin.index.json")
# What may differ between two configurations of one architecture: the head, training settings, names and versions.
_NOT_ARCHITECTURE = re.compile(
    r"id2label|label2id|num_labels|num_classes|problem_type|architectures|auto_map|dtype|torch_dtype|transformers_version|"
    r"_name_or_path|name_or_path|pretrained_cfg|label_names|finetuning_task|initializer_\w+|use_cache|output_\w+|return_dict|"
    r"gradient_checkpointing|torchscript|use_bfloat16|\w*drop\w*|\w*loss\w*|vocab\w*|\w+_token_id|_commit_hash|"
    r"_attn_implementation\w*|chunk_size_feed_forward|is_encoder_decoder|"
    r"out_features|out_indices|pooler_\w+|auxiliary_\w+|use_auxiliary_head|use_mask_token|encoder_stride"
)
_POOLER = re.compile(r"(^|\.)pooler\.")


@dataclass(frozen=True)
class Source:
    """A checkpoint that is resolved but not loaded.

    Attributes:
        name: as the user gave it.
        revision: the commit, or "sha256:..." over the files of a local folder.
        key: identity of the weights, configuration and preprocessing, for the cache.
        pickle: whether its weights come from a pickle file.
    """

    name: str
    revision: str
    key: str
    pickle: bool
    files: tuple[str, ...]
    folder: Path | None
    model: hub.Snapshot | None
    trust_remote_code: bool

    def fetch(self, token: str | None = None) -> Path:
        """The local folder with its files, downloaded first if need be."""
        if self.folder is not None:
            return self.folder
        assert self.model is not None
        try:
            return hub.download(self.model, self.files, token)
        except Exception as error:
            raise CheckpointError(hub.explain(error, "model", self.name)) from error


@dataclass
class Checkpoint:
    """A loaded network, ready to give features, source logits and gradients.

    Attributes:
        layers: first and second layer of the feature update ratio; fewer if the network has no two such layers.
        facts: what a row of results says about it: architecture, signature, n_features, parameters (without source head),
            whether it is untrained, licence ...
        flags: flag -> detail.
    """

    name: str
    network: nn.Module
    processor: Any
    head: nn.Module | None
    has_source_head: bool
    layers: list[GradientLayer]
    facts: dict[str, Any]
    flags: dict[str, str]

    def preprocess(self, images: Sequence[np.ndarray]) -> torch.Tensor:
        """Images uint8 [height, width, 3] of any sizes as the network's input, float32 [batch, 3, height, width], on the CPU.

        Raises:
            CheckpointError: the processor does not bring them to one size.
        """
        try:
            pixels = self.processor([Image.fromarray(image) for image in images], return_tensors="pt")["pixel_values"]
        except (ValueError, TypeError, RuntimeError) as error:
            raise CheckpointError(
                f"{type(self.processor).__name__} of {self.name} cannot preprocess the images: {_first_line(error)}. "
                "Check its preprocessor_config.json."
            ) from error
        return pixels

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Features [batch, n_features] and source logits [batch, n_source_classes] (None without a source head)."""
        if self.head is None:
            return _headless_features(self.network(pixel_values=pixels), self.facts["feature_source"]), None
        caught: list[torch.Tensor] = []
        convolution = isinstance(self.head, nn.Conv2d)
        handle = self.head.register_forward_pre_hook(lambda module, inputs: caught.append(inputs[0]))
        try:
            logits = self.network(pixel_values=pixels).logits
        finally:
            handle.remove()
        features = pooled(caught[-1], channels_first=convolution)
        return features, logits.flatten(1) if self.has_source_head else None


def resolve(
    name: str,
    *,
    allow_pickle: bool = False,
    trust_remote_code: bool = False,
    token: str | None = None,
) -> Source:
    """Resolve a checkpoint to exact files.

    Args:
        name: "owner/name", "owner/name@revision" or a local folder.
        allow_pickle: take pickle weights (read with `weights_only`) where there are no safetensors.
        trust_remote_code: run the repository's own code.
        token: Hub token; default the one of `hf auth login`.

    Raises:
        CheckpointError: not found, no access, no network, or no weights in a safe format.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        files = tuple(sorted(file.name for file in folder.iterdir() if file.is_file()))
        chosen, pickle = _choose_files(name, files, allow_pickle, trust_remote_code)
        digest = hashlib.sha256()
        for file in chosen:
            if file != "README.md":
                digest.update(f"{file}\0".encode() + _sha256(folder / file))
        revision = f"sha256:{digest.hexdigest()}"
        return Source(name, revision, revision, pickle, chosen, folder, None, trust_remote_code)
    if folder.is_absolute() or name.startswith((".", "~")):
        raise CheckpointError(f"there is no folder {name}. Check the path.")
    repo_id, _, revision = name.partition("@")
    try:
        model = hub.resolve_model(repo_id, revision or None, token)
    except Exception as error:
        raise CheckpointError(hub.explain(error, "model", name)) from error
    chosen, pickle = _choose_files(name, model.files, allow_pickle, trust_remote_code)
    key = f"{repo_id}@{model.commit}"
    return Source(name, model.commit, key, pickle, chosen, None, model, trust_remote_code)


def load(source: Source, token: str | None = None) -> Checkpoint:
    """Load a resolved checkpoint in float32 and evaluation mode, and find its head and gradient layers by a trace.

    Raises:
        CheckpointError: files that are damaged or do not fit each other, weights missing outside the head, custom code that is
            not trusted, no image processor, or features that change from one forward to the next.
    """
    folder = source.fetch(token)
    try:
        with _quiet_transformers():
            return _load(source, folder)
    except CheckpointError:
        raise
    except Exception as error:
        if source.pickle and "weights_only" in str(error):
            raise CheckpointError(
                f"{source.name} is a pickle that holds more than weights, so it is not read. Choose a safetensors version."
            ) from error
        if "trust_remote_code" in str(error):
            raise CheckpointError(
                f"{source.name} needs code from its own repository. Read that code, then pass --trust-remote-code."
            ) from error
        raise CheckpointError(
            f"{source.name} cannot be loaded: {type(error).__name__}: {_first_line(error)}. "
            "Check that its files are whole and that this version of transformers or timm knows its architecture."
        ) from error


def _load(source: Source, folder: Path, headless: bool = False) -> Checkpoint:
    config = AutoConfig.from_pretrained(folder, trust_remote_code=source.trust_remote_code, local_files_only=True)
    _check_configuration(source, folder, config)
    classifier = type(config) in MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING or "AutoModelForImageClassification" in (
        getattr(config, "auto_map", None) or {}
    )
    if headless or (config.model_type == "timm_wrapper" and config.num_labels == 0):
        classifier = False  # the wrapper of timm for classification refuses a network without a head
    network, info = (AutoModelForImageClassification if classifier else AutoModel).from_pretrained(
        folder,
        config=config,
        dtype=torch.float32,
        use_safetensors=not source.pickle,
        ignore_mismatched_sizes=True,  # reported below, by name
        output_loading_info=True,
        trust_remote_code=source.trust_remote_code,
        local_files_only=True,
    )
    network = network.eval().requires_grad_(False)
    processor = _processor(source, folder)
    missing = {str(key) for key in info["missing_keys"]} | {str(key[0]) for key in info["mismatched_keys"]}
    missing = {key for key in missing if not key.endswith("num_batches_tracked")}

    checkpoint = Checkpoint(source.name, network, processor, None, False, [], {}, {})
    noise = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    pixels = checkpoint.preprocess(list(noise))
    traced = trace(network, lambda: network(pixel_values=pixels))
    logits = getattr(traced.result, "logits", None) if classifier else None
    head_name: str | None = None
    if logits is not None and getattr(config, "num_labels", 1) != 0:
        head = find_head(traced.outputs, logits.flatten(1))
        if head is None:
            raise CheckpointError(f"no layer of {source.name} was found to make its logits, so its features are unknown.")
        head_name, checkpoint.head = head
        feature_source = f"input of {head_name}"
        head_keys = {f"{head_name}.{name}" for name, _ in checkpoint.head.named_parameters()}
        checkpoint.has_source_head = not missing & head_keys and logits.flatten(1).shape[1] > 1
        missing -= head_keys
        if missing and not checkpoint.has_source_head and all(_POOLER.search(key) for key in missing):
            return _load(source, folder, headless=True)  # a pretraining checkpoint of a family whose classifiers have a pooler
    elif logits is not None:
        feature_source = "logits"  # zero classes: the head lets the pooled features through
    else:
        poolers = {key for key in missing if _POOLER.search(key)}
        missing -= poolers
        has_pooler = getattr(traced.result, "pooler_output", None) is not None and not poolers
        feature_source = "pooler_output" if has_pooler else "mean of last_hidden_state"
    if missing:
        shown = ", ".join(sorted(missing)[:6]) + (f" and {len(missing) - 6} more" if len(missing) > 6 else "")
        raise CheckpointError(
            f"{source.name} lacks {len(missing)} of the network's weights ({shown}), which would be random. "
            "Check that config.json and the weights belong together."
        )
    checkpoint.facts["feature_source"] = feature_source
    checkpoint.layers, extension = gradient_layers(network, traced.weights, head_name)

    with torch.no_grad():
        features, again = checkpoint.forward(pixels)[0], checkpoint.forward(pixels)[0]
    if not torch.isfinite(features).all():
        raise CheckpointError(
            f"{source.name} gives NaN or infinite features. Its weights may be damaged or overflow in float32."
        )
    if not torch.equal(features, again):
        raise CheckpointError(
            f"{source.name} gives other features each time it sees the same image (random masking, for example), "
            "so it cannot be ranked. Choose a checkpoint without such a step."
        )
    checkpoint.facts |= _facts(source, folder, config, checkpoint, features.shape[1])
    checkpoint.flags = _flags(source, checkpoint, feature_source, extension)
    return checkpoint


def _check_configuration(source: Source, folder: Path, config: Any) -> None:
    """Refuse a configuration that names other files than those that were resolved and hashed."""
    arguments = getattr(config, "model_args", None)
    if isinstance(arguments, dict):
        # timm writes the number of classes twice, and its wrapper refuses the second.
        arguments.pop("num_classes", None)
        if loading := [name for name in arguments if name in ("checkpoint_path", "cache_dir") or "pretrained" in name]:
            raise CheckpointError(
                f"{source.name} names other weights in its config.json (model_args: {', '.join(loading)}), which might run "
                "code when they are read. Remove these arguments."
            )
    if "adapter_config.json" in (path.name for path in folder.iterdir()):
        raise CheckpointError(f"{source.name} is an adapter for another network. Merge it into that network first.")
    for index in (name for name in source.files if name.endswith(".index.json")):
        shards = set(json.loads((folder / index).read_text())["weight_map"].values())
        if strange := sorted(shards - set(source.files)):
            raise CheckpointError(
                f"{source.name} cannot be loaded: its index names weights in files that are missing or of unusual names "
                f"({', '.join(map(str, strange[:3]))}). Complete it, or save it again with save_pretrained."
            )


def _headless_features(output: Any, feature_source: str) -> torch.Tensor:
    if feature_source == "logits":
        return output.logits.flatten(1)
    if feature_source == "pooler_output":
        return output.pooler_output.flatten(1)
    hidden = output.last_hidden_state
    return pooled(hidden, channels_first=hidden.ndim == 4)


def _processor(source: Source, folder: Path) -> Any:
    try:
        return AutoImageProcessor.from_pretrained(folder, trust_remote_code=source.trust_remote_code, local_files_only=True)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{source.name} has no usable image processor ({_first_line(error)}). "
            "Add the preprocessor_config.json that it was trained with."
        ) from error


def _facts(source: Source, folder: Path, config: Any, checkpoint: Checkpoint, n_features: int) -> dict[str, Any]:
    architecture = getattr(config, "architecture", None) or config.model_type
    processor = checkpoint.processor
    return {
        "architecture": str(architecture),
        "signature": architecture_signature(config, checkpoint.network),
        "n_features": n_features,
        "parameters": _count_parameters(checkpoint),
        "untrained": untrained(checkpoint.network) is not None,
        **card_facts(folder),
        "layers": [layer.name + (f"[:{layer.rows}]" if layer.rows else "") for layer in checkpoint.layers],
        "preprocessing": f"{type(processor).__name__} ({getattr(processor, 'backend', None) or 'default'})",
        "transformers": transformers.__version__,
    }


def _count_parameters(checkpoint: Checkpoint) -> int:
    """Of the network without its source head, which fine-tuning replaces: the same for any number of source classes."""
    head = set(checkpoint.head.parameters()) if checkpoint.head is not None else set()
    return sum(parameter.numel() for parameter in checkpoint.network.parameters() if parameter not in head)


def architecture_signature(config: Any, network: nn.Module | None = None) -> str:
    """A digest that two configurations share exactly when they differ in nothing but the head and training settings.

    Args:
        config: of transformers.
        network: tells whether the image size shapes any weights; without it, it counts.
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


def _flags(source: Source, checkpoint: Checkpoint, feature_source: str, extension: bool) -> dict[str, str]:
    flags = {}
    if why := untrained(checkpoint.network):
        flags["untrained"] = why
    if extension:
        flags["vit_extension"] = checkpoint.facts["layers"][1]
    if len(checkpoint.layers) < 2:
        flags["no_second_layer"] = ", ".join(checkpoint.facts["layers"]) or "none traced"
    if not checkpoint.has_source_head:
        flags["no_source_head"] = feature_source
    if feature_source == "pooler_output":
        flags["pooler_output"] = ""
    if feature_source == "mean of last_hidden_state":
        flags["mean_hidden_state"] = ""
    if source.pickle:
        flags["pickle_weights"] = ""
    return flags


def _choose_files(name: str, files: Sequence[str], allow_pickle: bool, trust_remote_code: bool) -> tuple[tuple[str, ...], bool]:
    """The files to load, and whether the weights are pickled."""
    if "config.json" not in files:
        raise CheckpointError(
            f"{name} has no config.json, so its architecture is unknown. "
            "Only checkpoints in transformers or timm Hub layout can be ranked."
        )
    extra = [file for file in files if file in _CONFIGURATION or (trust_remote_code and file.endswith(".py"))]
    for patterns, pickle in ((_SAFETENSORS, False), (_PICKLE, True)):
        single, shards, index = patterns
        weights = [file for file in files if file == single]
        weights = weights or [file for file in files if re.fullmatch(shards, file) or file == index]
        if not weights:
            continue
        if pickle and not allow_pickle:
            raise CheckpointError(
                f"{name} has only pickle weights ({weights[0]}), which can run code when they are read. "
                "Choose a safetensors version, or pass --allow-pickle to read them with weights_only."
            )
        return tuple(sorted({*extra, *weights})), pickle
    raise CheckpointError(f"{name} has no model.safetensors. Choose a checkpoint that holds the network's weights.")


def card_facts(folder: Path) -> dict[str, Any]:
    """Licence and training datasets as a checkpoint's model card gives them; a card that cannot be parsed says nothing."""
    card: dict[str, Any] = {}
    if (folder / "README.md").exists():
        with contextlib.suppress(Exception):  # whatever is wrong with it, it is no reason to refuse the checkpoint
            card = ModelCard.load(folder / "README.md").data.to_dict()
    licence, trained = card.get("license"), card.get("datasets") or []
    return {
        "licence": "".join(filter(str.isprintable, str(licence))) if licence else None,
        "training_datasets": [trained] if isinstance(trained, str) else [str(name) for name in trained],
    }


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


@contextlib.contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Missing weights become our own errors and flags, so transformers need not report them as well."""
    logging = transformers.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
