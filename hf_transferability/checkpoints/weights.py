"""The weights that a repository stores, and what a network did with each of them.

No weight is dropped in silence: whatever the network leaves out belongs to a part that this module lists, or the checkpoint
is refused.
"""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from hf_transferability.errors import CheckpointError

# Parts of a repository that its image features do not need, and the names of their weights.
LEFT_OUT = {
    "text tower": r"(text_model|text|text_encoder|transformer|token_embedding|ln_final|text_decoder|text_projection)(\.|$)|"
    r"positional_embedding$|logit_(scale|bias)$",
    "projection": r"(visual_projection|image_projection)(\.|$)|visual\.proj$|"
    r"visual\.(head\.proj|head\.mlp\.fc[12]|attnpool\.c_proj)\.(weight|bias)$",
    "head": r"(classifier|cls_classifier|distillation_classifier|classifier_distill|head|head_dist|fc|lm_head|"
    r"cls_token_head)(\.\d+)?\.(weight|bias)$|(head|head_dist)\.(fc|l|classifier)\d?\.(weight|bias)$|"
    r"(dino_head|ibot_head)(\.|$)",
    "pooler of another task": r"([a-z_0-9]+\.)?pooler\.dense\.(weight|bias)$",
    "decoder": r"(decoder|mask_decoder|prompt_encoder|shared_image_embedding|multiscale_fusion)(\.|$)|"
    r"decoder_(embed|pos_embed|blocks|norm|pred)(\.|$)|([a-z_0-9]+\.)?(embeddings\.)?mask_token$",
    "counters and index tables": r".*(num_batches_tracked|position_ids|relative_(position_index|coords_table)|attn_mask)$",
}
# Part of a weight's name -> the argument or setting that builds the layer it belongs to.
_ARGUMENTS = {
    r"(ls\d|ls_\d|layer_?scale\d?|gamma_\d|lambda1)": "init_values (layer scale)",
    r"reg(ister)?_tokens?": "reg_tokens (register tokens)",
    r"norm_pre|pre_?layernorm": "pre_norm",
    r"fc_norm": 'global_pool="avg"',
    r"(q|k)_norm": "qk_norm",
    r"mlp\.(w\d|fc1|fc2|norm)": "mlp_layer (SwiGLUPacked) or mlp_ratio",
    r"pos_?embed|position_embedding": "img_size (or no_embed_class)",
    r"attn_pool": 'global_pool="map"',
    r"(blocks|layers?|resblocks)\.\d+\.": "depth (num_hidden_layers)",
}


@dataclass(frozen=True)
class WeightUse:
    """What loading did with the stored weights.

    Attributes:
        n_used: stored weights that are in the network.
        missing: weights of the network that the files lack or have in another shape.
        unused: stored weights that the network has no place for.
    """

    n_used: int
    missing: set[str] = field(default_factory=set)
    unused: set[str] = field(default_factory=set)


def stored_shapes(folder: Path, files: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Name and shape of each stored weight; only headers are read, pickles with `weights_only`."""
    shapes: dict[str, tuple[int, ...]] = {}
    for file in files:
        if file.endswith(".safetensors"):
            with safe_open(folder / file, framework="pt") as opened:
                shapes |= {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
        else:
            state = torch.load(folder / file, map_location="meta", weights_only=True)
            shapes |= {name: tuple(value.shape) for name, value in unwrapped(state).items()}
    return shapes


def stored_weights(folder: Path, files: Sequence[str]) -> dict[str, torch.Tensor]:
    """The stored weights themselves, by name; pickles are read with `weights_only`."""
    weights: dict[str, torch.Tensor] = {}
    for file in files:
        if file.endswith(".safetensors"):
            weights |= load_file(folder / file)
        else:
            weights |= unwrapped(torch.load(folder / file, map_location="cpu", weights_only=True))
    return weights


def unwrapped(state: object) -> dict[str, torch.Tensor]:
    """The dictionary of weights in a training file, which often keeps it beside the optimizer and the arguments."""
    for _ in range(3):
        if not isinstance(state, dict):
            break
        inner = next((key for key in ("state_dict", "model", "teacher", "weights") if isinstance(state.get(key), dict)), None)
        if inner is None:
            break
        state = state[inner]
    if not isinstance(state, dict):
        return {}
    return {str(name): value for name, value in state.items() if isinstance(value, torch.Tensor)}


def part_of(name: str) -> str | None:
    """The part of LEFT_OUT that a weight belongs to; None where the network should have used it."""
    return next((part for part, pattern in LEFT_OUT.items() if re.match(pattern, name)), None)


def check_unused(checkpoint: str, unused: set[str], is_timm: bool) -> dict[str, int]:
    """How many weights of which part are left out.

    Raises:
        CheckpointError: weights that are not used although they belong to the image network, with the likely argument.
    """
    parts = {name: part_of(name) for name in unused}
    dropped = [name for name, part in parts.items() if part is None]
    if dropped:
        raise CheckpointError(
            f"{checkpoint} holds {len(dropped)} weights that its network does not take ({some_of(dropped)}), "
            f"so its features would be wrong. {remedy(dropped, is_timm)}"
        )
    return dict(sorted(Counter(part for part in parts.values() if part).items()))


def check_missing(checkpoint: str, missing: set[str], unused: set[str], is_timm: bool) -> None:
    """Refuse a network with weights that were not loaded.

    Args:
        checkpoint: for the message.
        missing: names of these weights.
        unused: stored weights that the network does not take, which may be the same under another name.
        is_timm: whether --model-args apply to the network.

    Raises:
        CheckpointError: it names the weights of both kinds and the likely argument.
    """
    if missing:
        strange = [name for name in unused if part_of(name) is None]
        instead = f", and holds {len(strange)} that it does not take ({some_of(strange)})" if strange else ""
        raise CheckpointError(
            f"{checkpoint} lacks {len(missing)} of the network's weights ({some_of(missing)}), which would be random{instead}. "
            f"{remedy(missing, is_timm)}"
        )


def some_of(names: Collection[str], shown: int = 6) -> str:
    """The first names in order, and how many more there are."""
    ordered = sorted(names)
    return ", ".join(ordered[:shown]) + (f" and {len(ordered) - shown} more" if len(ordered) > shown else "")


def remedy(names: Sequence[str] | set[str], is_timm: bool) -> str:
    """The advice for weights that do not fit: the argument that usually explains all of them."""
    if any(name.startswith("visual.") for name in names):
        return "Extract its features with open_clip and rank them with `hf-transferability score`."
    for pattern, argument in _ARGUMENTS.items():
        if all(re.search(rf"(^|[._]){pattern}", name) for name in names):
            return f"Check {argument} in config.json{', or pass it with --model-args' if is_timm else ''}."
    return "Check that config.json and the weights belong together."
