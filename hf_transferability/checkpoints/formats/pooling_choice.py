"""The pooling that a checkpoint gets: as asked for, as its authors embed where that is known, else as its library does."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hf_transferability.checkpoints.cards import card_text, named_ids
from hf_transferability.checkpoints.formats.reviewed import reviewed
from hf_transferability.checkpoints.source import Source
from hf_transferability.checkpoints.unneeded_weights import is_head


class _Family(NamedTuple):
    """A network that is recognised by its layers.

    Attributes:
        authors: Hub ids with this network.
        pooling: how these authors embed.
        shapes: end of a weight's name -> shape of that weight; None: there is no such weight.
        names: what a card, a file or a Hub id says of these networks, in lower case.
        other: a published network with the same layers, and how its authors embed; empty where none is known.
        other_names: what a card, a configuration or a Hub id says of the others, in lower case.
    """

    authors: str
    pooling: str
    shapes: dict[str, tuple[int, ...] | None]
    names: tuple[str, ...] = ()
    other: str = ""
    other_names: tuple[str, ...] = ()


FAMILIES = (
    _Family(
        "paige-ai/Virchow and Virchow2",
        "cls+mean",
        {"patch_embed.proj.weight": (1280, 3, 14, 14), "blocks.31.mlp.fc1.weight": (6832, 1280)},
    ),
    _Family(
        "kaiko-ai/midnight",
        "cls+mean",
        {"patch_embeddings.projection.weight": (1536, 3, 14, 14), ".39.mlp.weights_in.weight": (8192, 1536)},
        ("kaiko-ai/midnight",),
        "facebook/dinov2-giant (cls)",
        ("facebook/dinov2",),
    ),
    _Family(
        "YukunZhou/RETFound_mae",
        "mean",
        {
            "patch_embed.proj.weight": (1024, 3, 16, 16),
            "blocks.23.mlp.fc1.weight": (4096, 1024),
            "blocks.23.ls1.gamma": None,
            "norm_pre.weight": None,
        },
        ("retfound",),
        "other ViT-L/16, such as facebook's masked autoencoder (cls)",
        ("timm/", "facebook/", "google/"),
    ),
    _Family(
        "YukunZhou/RETFound_dinov2",
        "mean",
        {
            "patch_embed.proj.weight": (1024, 3, 14, 14),
            "blocks.23.mlp.fc1.weight": (4096, 1024),
            "blocks.23.ls1.gamma": (1024,),
            "reg_token": None,
        },
        ("retfound",),
        "facebook/dinov2-large (cls)",
        ("timm/", "facebook/", "dinov2_vitl14"),
    ),
)


class PoolingChoice(NamedTuple):
    """The pooling that a checkpoint gets.

    Attributes:
        name: "native", "cls", "mean" or "cls+mean".
        reason: why, for the row.
        other: which embedding the authors of a network with the same layers take; empty where there is no doubt.
    """

    name: str
    reason: str
    other: str = ""


def choose_pooling(
    source: Source, config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], folder: Path | None = None
) -> PoolingChoice:
    """How a checkpoint is embedded: as asked for, else as its authors do where that is known, else as the library does.

    A copy of a known repository is recognised by what its config.json names, or by its layers. Where several published networks
    have these layers, what its card, its files or its Hub id name decides; where they name none or both, the row says so. A
    checkpoint with a classification head was trained further, and keeps the library's own pooling.

    Args:
        source: the checkpoint with the pooling that was asked for.
        config: content of its config.json; empty where it has none.
        shapes: name and shape of each stored weight.
        folder: with its card.
    """
    if source.options.pooling != "auto":
        return PoolingChoice(source.options.pooling, "asked for")
    if (known := reviewed(source.repo_id)) is not None:
        return PoolingChoice(known.pooling, f"as the authors of {source.repo_id}")
    native = PoolingChoice("native", "the library's own")
    if any(is_head(name) for name in shapes):
        return native
    named = named_ids(config)
    for repo_id in named:
        if (known := reviewed(repo_id)) is not None:
            return PoolingChoice(known.pooling, f"as the authors of {repo_id}, which config.json names")
    family = next((family for family in FAMILIES if _fits(family, shapes)), None)
    if family is None:
        return native
    if not family.other:
        return PoolingChoice(family.pooling, f"as the authors of {family.authors}, whose layers it has")
    told = " ".join([*named, *source.weights, source.repo_id or ""]).lower()
    words = words_of_card(folder) if folder is not None and "README.md" in source.files else ()
    theirs = any(word in words or word in told for word in family.names)
    others = any(word in words or f" {word}" in f" {told}" for word in family.other_names)
    if theirs and not others:
        return PoolingChoice(family.pooling, f"as the authors of {family.authors}, which its card or files name")
    if others and not theirs:
        return native
    text = f"its layers are those of {family.authors} ({family.pooling}: --pooling {family.pooling}) and of {family.other}"
    return PoolingChoice("native", native.reason, text)


def words_of_card(folder: Path) -> tuple[str, ...]:
    """The names of networks in FAMILIES and of those with the same layers that a checkpoint's card holds, sorted."""
    words = {word for family in FAMILIES for word in (*family.names, *family.other_names)}
    text = card_text(folder).lower()
    return tuple(sorted(word for word in words if re.search(rf"(?<![\w-]){re.escape(word)}", text)))


def _fits(family: _Family, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    for end, shape in family.shapes.items():
        found = [tuple(shapes[name]) for name in shapes if name.endswith(end)]
        if (shape is None and found) or (shape is not None and shape not in found):
            return False
    return True
