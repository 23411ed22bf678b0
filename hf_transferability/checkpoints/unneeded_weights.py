"""Which stored weights the image features do not need: an explicit list for each layout and family of networks.

A name alone proves nothing: `transformer.` is OpenCLIP's text tower, and would be a part of the image network elsewhere. So
each entry holds only for the kinds of repository that have such a part.
"""

import re
from collections.abc import Collection
from typing import Any, NamedTuple

# Kinds beside the model types of transformers.
TRANSFORMERS, TIMM, PLAIN, OPEN_CLIP = "transformers", "timm", "plain", "open_clip"
IMAGES_AND_TEXTS = "images and texts"  # networks of transformers with a tower for each

_HEAD = (
    r"(classifier|cls_classifier|distillation_classifier|classifier_distill|head|head_dist|dist_head|fc)(\.\d+)?\."
    r"(weight|bias)$|(head|head_dist)\.(fc|l|linear|classifier)\d?\.(weight|bias)$"
)
_INDEX_TABLE = (
    r"(.*\.)?(num_batches_tracked|position_ids|relative_position_index|relative_coords_table|attn_mask|attention_bias_idxs)$"
)
_MASK_TOKEN = r"([a-z_0-9]+\.)?(embeddings\.)?mask_token$"
_SIMMIM = {"vit", "deit", "swin", "swinv2", "focalnet"}  # their decoder is one convolution
_SEGMENT_ANYTHING = {"sam", "sam_hq", "sam2", "sam2_video", "edgetam"}


class _Entry(NamedTuple):
    """A part that may be left out.

    Attributes:
        part: its name in the row.
        kinds: the repositories that have it.
        pattern: the names of its weights, from their beginning.
    """

    part: str
    kinds: set[str]
    pattern: str


LEFT_OUT = (
    _Entry(
        "text tower", {IMAGES_AND_TEXTS}, r"(text_model|text_encoder|text_decoder|text_projection)(\.|$)|logit_(scale|bias)$"
    ),
    _Entry(
        "text tower",
        {OPEN_CLIP},
        r"(text|transformer|token_embedding|ln_final|text_projection|text_decoder)(\.|$)|"
        r"(positional_embedding|attn_mask|logit_scale|logit_bias)$",
    ),
    _Entry("projection", {IMAGES_AND_TEXTS}, r"(visual_projection|image_projection)(\.|$)"),
    _Entry(  # the head of a timm trunk projects where nothing after it does
        "projection",
        {OPEN_CLIP},
        r"visual\.(proj$|(head\.proj|head\.mlp\.fc[12]|attnpool\.c_proj|trunk\.(head|head\.fc|fc|classifier))\.(weight|bias)$)",
    ),
    _Entry("head", {TRANSFORMERS, TIMM, PLAIN}, _HEAD),
    _Entry("auxiliary head", {TIMM, PLAIN}, r"(AuxLogits|aux[12])\."),  # of Inception and GoogLeNet, for training only
    _Entry("head", {"blip"}, r"(itm_head|vision_proj|text_proj)\."),
    _Entry("text tower", {"align"}, r"temperature$"),
    _Entry("head", {TIMM, "levit"}, r"(head|head_dist|classifier|classifier_distill)\.(bn|batch_norm)\."),
    _Entry("head", {"segformer"}, r"decode_head\."),  # of segmentation
    _Entry("head", {"yolos"}, r"(class_labels_classifier|bbox_predictor)\."),  # of detection
    _Entry("decoder", {"dpt"}, r"neck\.|(head|auxiliary_head)\.head\."),  # of depth and segmentation
    _Entry("head", {"beit"}, r"lm_head\.(weight|bias)$"),
    _Entry("head", {PLAIN}, r"(dino_head|ibot_head)\.|head\.(mlp\.\d+|last_layer)\."),
    _Entry("pooler of another task", {"vit", "deit", "dpt", "ijepa"}, r"([a-z_0-9]+\.)?pooler\.dense\.(weight|bias)$"),
    _Entry("decoder", _SIMMIM, r"decoder\.0\.(weight|bias)$"),
    _Entry("decoder", {"vit_mae", "clipseg"}, r"decoder\."),
    _Entry("decoder", {"hiera"}, r"(decoder|multiscale_fusion)\."),
    _Entry("decoder", _SEGMENT_ANYTHING, r"(mask_decoder|prompt_encoder|shared_image_embedding)\."),
    _Entry("decoder", {PLAIN}, r"decoder_pos_embed$|decoder_(embed|norm|pred)\.(weight|bias)$|decoder_blocks\.\d+\."),
    _Entry(  # replaces patches in training only
        "mask token",
        {*_SIMMIM, "vit_mae", "beit", "data2vec-vision", "dinov2", "dinov2_with_registers", "dinov3_vit", "ijepa"},
        _MASK_TOKEN,
    ),
    _Entry("mask token", {TIMM, PLAIN}, r"mask_token$"),
    _Entry("counters and index tables", {TRANSFORMERS, TIMM, PLAIN, OPEN_CLIP}, _INDEX_TABLE),
)


def kinds_of(config: Any) -> frozenset[str]:
    """The kinds of a network of transformers, from its configuration."""
    kinds = {TRANSFORMERS, str(config.model_type)}
    vision = hasattr(config, "vision_config") or hasattr(config, "image_config")
    if (vision and hasattr(config, "text_config")) or re.search(r"(clip|siglip)\w*_vision_model$", config.model_type):
        kinds.add(IMAGES_AND_TEXTS)  # repositories of a vision tower may keep the rest
    return frozenset(kinds)


def part_of(name: str, kinds: Collection[str]) -> str | None:
    """The part of a repository of these kinds that a weight belongs to; None where the network should have used it."""
    return next((entry.part for entry in LEFT_OUT if entry.kinds & set(kinds) and re.match(entry.pattern, name)), None)


def is_head(name: str) -> bool:
    """Whether a weight is that of a classification head, as people name them."""
    return re.match(_HEAD, name) is not None


def is_index_table(name: str) -> bool:
    """Whether a weight is a counter or a table of positions, which follows from the network's sizes."""
    return re.match(_INDEX_TABLE, name) is not None
