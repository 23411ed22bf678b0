"""The layout of transformers: config.json with a model_type, and the weights of one of its networks.

Which class is built follows from the stored weights. With a classification head it is the classifier; a repository with
several towers gives its image tower; a masked autoencoder gives its encoder without masking.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoConfig, AutoModel, AutoModelForImageClassification, ViTConfig, ViTModel
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING, MODEL_MAPPING

from hf_transferability.checkpoints.formats.built import Built
from hf_transferability.checkpoints.formats.files import EXTRACT
from hf_transferability.checkpoints.formats.pooling_choice import choose_pooling
from hf_transferability.checkpoints.formats.processors import image_processor
from hf_transferability.checkpoints.pooling import Embedding, prefix_tokens
from hf_transferability.checkpoints.source import Source
from hf_transferability.checkpoints.unneeded_weights import IMAGES_AND_TEXTS, is_index_table, kinds_of, part_of
from hf_transferability.checkpoints.weights import WeightUse, check_places, stored_names, stored_shapes
from hf_transferability.errors import CheckpointError

# Families whose authors embed with the class token although their classifiers also take the mean of the patches.
_CLASS_TOKEN = {"dinov2", "dinov2_with_registers"}
# Families whose towers give tokens before the last normalisation: the name of that layer.
_LAST_NORM = {"clip_vision_model": "post_layernorm", "chinese_clip_vision_model": "post_layernorm"}
# Pretraining networks keep the final norm outside the encoder; in the encoder it is part of the pooler.
_KEY_MAPPING = {"beit": {r"^layernorm\.": "pooler.layernorm."}, "hiera": {r"^encoder_norm\.": "pooler.layernorm."}}
# Settings that a network for images has, of which one for tokens has none.
_OF_IMAGES = ("vision_config", "image_config", "image_size", "num_channels", "patch_size", "backbone_config", "auto_map")
_MULTI_LABEL = "its head is trained for {}, so its outputs are no probabilities of classes"


@dataclass(frozen=True)
class _Plan:
    """A class to build.

    Attributes:
        model_class, config: of transformers.
        embedding: where the features come from; None: the input of its classification head.
        key_mapping: for `from_pretrained`.
        tower: the part of the built network that takes images, where transformers builds only the whole.
    """

    model_class: Any
    config: Any
    embedding: Embedding | None
    key_mapping: dict[str, str] | None = None
    tower: str | None = None


def build(source: Source, folder: Path, num_labels: int | None = None) -> Built:
    """A network of transformers with its weights.

    Raises:
        CheckpointError: own code that is not trusted, arguments for another library, or an index that names other files than
            those that were resolved.
    """
    if source.options.model_args:
        raise CheckpointError(
            f"{source.name} is a network of transformers, and --model-args are for those of timm. "
            "Rank it in a run without them."
        )
    code = {"trust_remote_code": source.options.trust_remote_code, "local_files_only": True}
    labels = {"num_labels": num_labels} if num_labels else {}
    config = _native(AutoConfig.from_pretrained(folder, **code, **labels))
    _check_own_code(source, config)
    if hasattr(config, "vocab_size") and not any(hasattr(config, name) for name in _OF_IMAGES):
        raise CheckpointError(
            f"{source.name} is a network for texts or other tokens ({config.model_type}), which cannot be ranked. {EXTRACT}"
        )
    _check_index(source, folder)
    shapes = stored_shapes(folder, source.weights)
    choice = choose_pooling(source, json.loads((folder / "config.json").read_text("utf-8")), shapes, folder)
    for plan in _plans(source, config, shapes, choice.name, keep_head=num_labels is not None):
        network, info = plan.model_class.from_pretrained(
            folder,
            config=plan.config,
            dtype=torch.float32,
            use_safetensors=not source.pickle,
            ignore_mismatched_sizes=True,  # reported by name
            output_loading_info=True,
            key_mapping=plan.key_mapping,
            **code,
        )
        missing = {str(name) for name in info["missing_keys"]} | {str(name[0]) for name in info["mismatched_keys"]}
        missing = {name for name in missing if not name.endswith("num_batches_tracked")}
        unused = {str(name) for name in info["unexpected_keys"]}
        if plan.tower is not None:
            unused |= {name for name in network.state_dict() if not name.startswith(f"{plan.tower}.")} - missing
            network = network.get_submodule(plan.tower)
            missing = {name.removeprefix(f"{plan.tower}.") for name in missing if name.startswith(f"{plan.tower}.")}
        if plan.embedding is not None or not any(_is_pooler(name) for name in missing):
            break  # a classifier with a random pooler gives way to the plain encoder
    embedding = plan.embedding
    if embedding is not None:
        poolers = {name for name in missing if _is_pooler(name)}
        if poolers and embedding.output == "pooler_output":
            embedding = Embedding("mean", n_prefix=0)
        if embedding.output != "pooler_output":
            missing -= poolers
    kinds = kinds_of(config)
    unused = _unused(network, unused, shapes, kinds)
    use = WeightUse(len(shapes) - len(unused) - len(info["mismatched_keys"]), missing, unused)
    image_shapes = {name: shape for name, shape in shapes.items() if name not in unused and part_of(name, kinds) is None}
    check_places(source.name, use, image_shapes, network.state_dict())
    processor = image_processor(source, folder)
    built = Built(network, processor, config, str(config.model_type), use, kinds, embedding, choice=choice)
    if embedding is None and config.problem_type in ("multi_label_classification", "regression"):
        built.no_probabilities = _MULTI_LABEL.format(config.problem_type.replace("_", " "))
    if "spatial_shapes" in processor.model_input_names or "pixel_attention_mask" in processor.model_input_names:
        built.input_names = tuple(processor.model_input_names)
    return built


def _unused(network: Any, reported: set[str], shapes: Mapping[str, Any], kinds: frozenset[str]) -> set[str]:
    """The unused weights by their stored names, with the index tables that transformers ignores without reporting them."""
    base = f"{prefix}." if (prefix := getattr(network, "base_model_prefix", "")) else ""  # a tower may be a plain module
    towers = {"vision_model.", f"{base}vision_model."} if IMAGES_AND_TEXTS in kinds else {base, "vision_model."}
    prefixes = towers - {""}
    loaded = {name.removeprefix(prefix) for name in network.state_dict() for prefix in ("", *prefixes)}
    tables = {name for name in shapes if is_index_table(name)}
    ignored = {name for name in tables if not {name, *(name.removeprefix(prefix) for prefix in prefixes)} & loaded}
    return stored_names(reported, shapes, prefixes) | ignored


def token_layout(built: Built, hidden: Any, size: tuple[int, ...]) -> Embedding | None:
    """The embedding with the number of prefix tokens that its last hidden state has.

    Args:
        built: a network whose features are read from its last hidden state.
        hidden: that state, [batch, tokens, channels] or a map.
        size: height and width of the network's input.
    """
    embedding = built.embedding
    if embedding is None or not torch.is_tensor(hidden) or hidden.ndim != 3 or embedding.n_prefix is not None:
        return embedding
    config: Any = built.network.config
    patch = getattr(config, "patch_size", None)
    sides = (patch, patch) if isinstance(patch, int) else tuple(patch or ())
    n_patches = (size[0] // sides[0]) * (size[1] // sides[1]) if len(sides) == 2 and len(size) == 2 else None
    norm = _LAST_NORM.get(config.model_type)
    inner = next((name for name, _ in built.network.named_modules() if norm and name.endswith(norm)), None)
    return Embedding(embedding.output, prefix_tokens(hidden.shape[1], n_patches), inner, embedding.last_norm)


def _plans(source: Source, config: Any, shapes: Mapping[str, Any], pooling: str, keep_head: bool) -> list[_Plan]:
    """The classes to try, the best one first."""
    own_code = own_classes(getattr(config, "auto_map", None))
    if own_code - {"AutoConfig"} and source.options.trust_remote_code:
        if "AutoModelForImageClassification" in own_code and pooling == "native":
            return [_Plan(AutoModelForImageClassification, config, None)]
        return [_Plan(AutoModel, config, _reads(pooling))]
    if config.model_type == "vit_mae":
        return [_Plan(ViTModel, _plain_vit(config), _reads("cls" if pooling == "native" else pooling))]
    classifier = _classifier(config)
    has_head = keep_head or (classifier is not None and _has_head(classifier, config, shapes))
    if classifier is not None and has_head and pooling == "native":
        return [_Plan(classifier, config, None)]
    if hasattr(config, "vision_config"):
        if (tower := MODEL_MAPPING.get(type(config.vision_config), None)) is not None:
            return [_Plan(tower, config.vision_config, _reads(pooling))]
        if (name := _tower_name(config)) is not None:
            return [_Plan(AutoModel, config, _reads(pooling), tower=name)]
    mapping = _KEY_MAPPING.get(config.model_type)
    encoder = _Plan(AutoModel, config, _reads(pooling), mapping if _outside(mapping, shapes) else None)
    if classifier is None or pooling != "native" or config.model_type in _CLASS_TOKEN or encoder.key_mapping:
        return [encoder]
    return [_Plan(classifier, config, None), encoder]


def _tower_name(config: Any) -> str | None:
    """The name of the image tower inside the network of several towers; None where it has no usual name."""
    with torch.device("meta"):
        children = {name for name, _ in AutoModel.from_config(config).named_children()}
    return next((name for name in ("vision_model", "visual", "vision_tower", "vision_encoder") if name in children), None)


def _reads(pooling: str) -> Embedding:
    return Embedding("pooler_output" if pooling == "native" else pooling)


def _outside(mapping: dict[str, str] | None, shapes: Mapping[str, Any]) -> bool:
    """Whether the weights are those of a pretraining network, with its final norm outside the encoder."""
    if not mapping:
        return False
    marks = [pattern.strip("^").replace("\\", "") for pattern in mapping]
    decoders = any(name.startswith(("lm_head", "decoder")) for name in shapes)
    return decoders and any(name.startswith(mark) for name in shapes for mark in marks)


def _plain_vit(config: Any) -> ViTConfig:
    """The configuration of the encoder of a masked autoencoder as a plain vision transformer."""
    known = ViTConfig().to_dict()
    values = {name: value for name, value in config.to_dict().items() if name in known and name != "model_type"}
    return ViTConfig(**{name: value for name, value in values.items() if name not in ("architectures", "transformers_version")})


def _classifier(config: Any) -> Any:
    """The class of transformers that classifies images with this configuration; None if the family has none."""
    found = MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING.get(type(config), None)
    if isinstance(found, tuple):
        named = [model for model in found if model is not None and model.__name__ in (config.architectures or ())]
        return named[0] if named else found[0]
    return found


def _has_head(classifier: Any, config: Any, shapes: Mapping[str, Any]) -> bool:
    """Whether weights are stored for what the classifier has beside the encoder."""
    encoder = MODEL_MAPPING.get(type(config), None)
    with torch.device("meta"):
        outside = {name for name, _ in classifier(config).named_children()} - {classifier.base_model_prefix}
        if encoder is not None and not isinstance(encoder, tuple):
            outside -= {name for name, _ in encoder(config).named_children()}
    return any(name.split(".")[0] in outside for name in shapes)


def _is_pooler(name: str) -> bool:
    return ".pooler." in f".{name}"


def own_classes(auto_map: Any) -> set[str]:
    """What the repository's own code defines of a network: its classes and configuration, by their names in `auto_map`."""
    return {str(name) for name in auto_map or () if str(name).startswith(("AutoModel", "AutoBackbone", "AutoConfig"))}


def _native(config: Any) -> Any:
    """transformers' own configuration with the values of a repository's class that is derived from it without a network.

    Without a class for the network, that of transformers is built, and its mappings know only its own configurations.
    """
    known = config.model_type in CONFIG_MAPPING  # its `get` finds nothing: the classes are imported when they are asked for
    native = CONFIG_MAPPING[config.model_type] if known else None
    networks = own_classes(getattr(config, "auto_map", None)) - {"AutoConfig"}
    if native is None or networks or type(config) is native or not isinstance(config, native):
        return config
    return native.from_dict(config.to_dict())


def _check_own_code(source: Source, config: Any) -> None:
    if own_classes(getattr(config, "auto_map", None)) and not source.options.trust_remote_code:
        raise CheckpointError(
            f"{source.name} needs code from its own repository, which may build another network than transformers' "
            f"{config.model_type}. Read that code, then pass --trust-remote-code."
        )


def _check_index(source: Source, folder: Path) -> None:
    """Refuse an index of weights that names other files than those that were resolved and hashed."""
    for index in (name for name in source.files if name.endswith(".index.json")):
        shards = set(json.loads((folder / index).read_text())["weight_map"].values())
        if strange := sorted(shards - set(source.files)):
            raise CheckpointError(
                f"{source.name} cannot be loaded: its index names weights in files that are missing or of unusual names "
                f"({', '.join(map(str, strange[:3]))}). Complete it, or save it again with save_pretrained."
            )
