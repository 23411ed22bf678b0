"""The weights that a repository stores, and what a network did with each of them.

No weight is dropped in silence: whatever the network leaves out belongs to a part that `unneeded_weights` lists, or the
checkpoint is refused.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from hf_transferability.checkpoints.unneeded_weights import OPEN_CLIP, TIMM, TRANSFORMERS, part_of
from hf_transferability.errors import CheckpointError

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
}
_IN_TRANSFORMERS = {  # the same settings there, where their names differ
    "init_values (layer scale)": "layerscale_value (layer scale)",
    "reg_tokens (register tokens)": "num_register_tokens (and a model_type with register tokens)",
    "mlp_layer (SwiGLUPacked) or mlp_ratio": "use_swiglu_ffn, mlp_ratio or intermediate_size",
    "img_size (or no_embed_class)": "image_size",
}
# Where training code keeps the weights in its files; the first that is there is taken.
_WEIGHTS_WITHIN = ("state_dict", "model_state_dict", "model", "net", "teacher", "weights")
_WRAPPER = re.compile(r"(?:^|(?<=\.))(?:module|_orig_mod)\.")  # of DataParallel and torch.compile
_LONGEST_NAME = 150  # characters
_LAYER = re.compile(r"(?:^|\.)(?:blocks|layers?|resblocks|stages)\.(\d+)(?=\.)")
# Layout -> where its arguments stand.
_CONFIGURATION = {OPEN_CLIP: "open_clip_config.json", TRANSFORMERS: "config.json", TIMM: "config.json"}


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
        inner = next((key for key in _WEIGHTS_WITHIN if isinstance(state.get(key), dict)), None)
        if inner is None:
            break
        state = state[inner]
    if not isinstance(state, dict):
        return {}
    return {str(name): value for name, value in state.items() if isinstance(value, torch.Tensor)}


def stored_names(unused: Collection[str], stored: Collection[str], prefixes: Collection[str]) -> set[str]:
    """The unused weights by the names in the files, where the library reports them without the name of their tower.

    Args:
        unused: names as the library reports them.
        stored: names in the files.
        prefixes: beginnings of names that the library takes away, with their dots.

    Returns:
        Also weights that are stored both with and without a prefix, of which the library keeps only one.
    """
    found: set[str] = set()
    for name in unused:
        both = {name, *(prefix + name for prefix in prefixes)} & set(stored)
        found |= both or {name}
    return found | {name for name in stored if any(prefix + name in stored for prefix in prefixes)}


def check_places(
    checkpoint: str, use: WeightUse, stored: Mapping[str, Sequence[int]], network: Mapping[str, torch.Tensor]
) -> None:
    """Refuse weights of which several are for one place of the network, so that the library drops one without a word.

    Args:
        checkpoint: for the message.
        use: what became of the stored weights, in numbers; the library renames some.
        stored: name and shape of each stored weight that may be the image network's.
        network: name and value of each weight of the network.

    Raises:
        CheckpointError: more weights than places, also among those of one shape in one layer; it names these.
    """

    def place(name: str, shape: Sequence[int]) -> tuple:
        return tuple(_LAYER.findall(name)), name.rpartition(".")[2], tuple(shape)

    loaded = {name: value for name, value in network.items() if name not in use.missing}
    places = Counter(place(name, value.shape) for name, value in loaded.items())
    wanted = Counter(place(name, shape) for name, shape in stored.items())
    crowded = {key for key, count in wanted.items() if 0 < places[key] < count}
    if use.n_used > len(loaded) and crowded:
        names = [name for name, shape in stored.items() if place(name, shape) in crowded]
        raise CheckpointError(
            f"{checkpoint} stores some weights twice under other names (among {some_of(names)}), "
            "and one of each would be dropped. Save it again with save_pretrained."
        )


def check_unused(checkpoint: str, use: WeightUse, network: Collection[str], kinds: Collection[str]) -> dict[str, int]:
    """How many weights of which part are left out.

    Args:
        checkpoint: for the message.
        use: what became of the stored weights.
        network: names of the network's own weights, which tell whether a whole layer is too many.
        kinds: of the repository, for `unneeded_weights`.

    Raises:
        CheckpointError: weights that are not used although they belong to the image network, with the likely argument.
    """
    parts = {name: part_of(name, kinds) for name in use.unused}
    dropped = [name for name, part in parts.items() if part is None]
    if dropped:
        raise CheckpointError(
            f"{checkpoint} holds {len(dropped)} weights that its network does not take ({some_of(dropped)}), "
            f"so its features would be wrong. {remedy(dropped, network, kinds, too_many=True)}"
        )
    return dict(sorted(Counter(part for part in parts.values() if part).items()))


def check_missing(checkpoint: str, missing: set[str], use: WeightUse, network: Collection[str], kinds: Collection[str]) -> None:
    """Refuse a network with weights that were not loaded.

    Args:
        checkpoint: for the message.
        missing: names of these weights.
        use: what became of the stored weights; the unused ones may be the same under another name.
        network: names of the network's own weights.
        kinds: of the repository, for `unneeded_weights`.

    Raises:
        CheckpointError: it names the weights of both kinds and the likely argument.
    """
    if missing:
        strange = [name for name in use.unused if part_of(name, kinds) is None]
        instead = f", and holds {len(strange)} that it does not take ({some_of(strange)})" if strange else ""
        present = [name for name in network if name not in missing]
        advice = _unwrap(missing, strange) or remedy(missing, [*present, *use.unused], kinds, too_many=False)
        if strange and advice == _together(kinds):  # what is too many may tell more than what is missing
            advice = remedy(strange, network, kinds, too_many=True)
        raise CheckpointError(
            f"{checkpoint} lacks {len(missing)} of the network's weights ({some_of(missing)}), which would be random{instead}. "
            f"{advice}"
        )


def _unwrap(missing: Collection[str], strange: Collection[str]) -> str | None:
    """The advice where the missing weights are there, behind what training code puts before or into their names."""
    wrappers = {match for name in strange for match in _WRAPPER.findall(name)}
    lacking = {name.removeprefix("timm_model.") for name in missing}
    if wrappers and lacking <= {_WRAPPER.sub("", name) for name in strange}:
        return f"Remove {' and '.join(sorted(wrappers))} from the names of its weights, which a training program has put there."
    return None


def some_of(names: Collection[str], shown: int = 6) -> str:
    """The first names in order, each cut where it is longer than any network's, and how many more there are."""
    ordered = sorted(name[:_LONGEST_NAME] for name in names)
    return ", ".join(ordered[:shown]) + (f" and {len(ordered) - shown} more" if len(ordered) > shown else "")


def remedy(names: Collection[str], others: Collection[str], kinds: Collection[str], too_many: bool) -> str:
    """The advice for weights that do not fit: the argument that usually explains all of them.

    Args:
        names: weights that are too many or missing.
        others: names on the other side, where a layer of the same number means that the depth is right.
        kinds: of the repository, for `unneeded_weights`.
        too_many: whether the weights are too many, not missing.
    """
    place = next((file for kind, file in _CONFIGURATION.items() if kind in kinds), None)
    argument = _argument(names, others, kinds)
    if argument is not None and place is None:
        return f"Pass {argument} with --model-args."
    if argument is not None:
        return f"Check {argument} in {place}{'' if TRANSFORMERS in kinds else ', or pass it with --model-args'}."
    if OPEN_CLIP in kinds and too_many:
        return "Extract its features with its authors' code and rank them with `hf-transferability score`."
    return _together(kinds)


def _together(kinds: Collection[str]) -> str:
    place = next((file for kind, file in _CONFIGURATION.items() if kind in kinds), None)
    return f"Check that {place or 'the architecture'} and the weights belong together."


def _argument(names: Collection[str], others: Collection[str], kinds: Collection[str]) -> str | None:
    wrong, right = ({tuple(_LAYER.findall(name)) for name in group} for group in (names, others))
    known = {layer[:depth] for layer in right for depth in range(1, len(layer) + 1)}
    levels = {len(layer) for layer in known}
    if all(layer not in known and len(layer) in levels for layer in wrong):
        return "num_hidden_layers (or depths)" if TRANSFORMERS in kinds else "depth (or depths)"
    argument = next(
        (text for part, text in _ARGUMENTS.items() if all(re.search(rf"(^|[._]){part}", name) for name in names)), None
    )
    return _IN_TRANSFORMERS.get(str(argument), argument) if TRANSFORMERS in kinds else argument
