"""The pooling that a checkpoint gets: as asked for, as its authors embed where that is known, else as its library does."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from hf_transferability.checkpoints.formats.reviewed import reviewed
from hf_transferability.checkpoints.left_out import is_head
from hf_transferability.checkpoints.source import Source


class _Family(NamedTuple):
    """A network that is recognised by its layers.

    Attributes:
        authors: Hub ids with this network.
        pooling: how these authors embed.
        shapes: end of a weight's name -> shape of that weight.
        only_theirs: whether no other published network is known to have these layers.
        others: beginnings of the Hub ids of the others.
    """

    authors: str
    pooling: str
    shapes: dict[str, tuple[int, ...]]
    only_theirs: bool
    others: tuple[str, ...] = ()


FAMILIES = (
    _Family(
        "paige-ai/Virchow and Virchow2",
        "cls+mean",
        {"patch_embed.proj.weight": (1280, 3, 14, 14), "blocks.31.mlp.fc1.weight": (6832, 1280)},
        only_theirs=True,
    ),
    _Family(  # facebook/dinov2-giant has the same layers
        "kaiko-ai/midnight",
        "cls+mean",
        {"patch_embeddings.projection.weight": (1536, 3, 14, 14), ".39.mlp.weights_in.weight": (8192, 1536)},
        only_theirs=False,
        others=("facebook/dinov2",),
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


def choose_pooling(source: Source, config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> PoolingChoice:
    """How a checkpoint is embedded: as asked for, else as its authors do where that is known, else as the library does.

    A copy of a known repository is recognised by what its config.json names, or by its layers. One with a classification head
    was trained further, and keeps the library's own pooling.

    Args:
        source: the checkpoint with the pooling that was asked for.
        config: content of its config.json; empty where it has none.
        shapes: name and shape of each stored weight.
    """
    if source.options.pooling != "auto":
        return PoolingChoice(source.options.pooling, "asked for")
    if (known := reviewed(source.repo_id)) is not None:
        return PoolingChoice(known.pooling, f"as the authors of {source.repo_id}")
    native = PoolingChoice("native", "the library's own")
    if any(is_head(name) for name in shapes):
        return native
    inner = config.get("pretrained_cfg")
    inside = inner.get("hf_hub_id") if isinstance(inner, Mapping) else None
    for name in (config.get("_name_or_path"), inside):
        repo_id = str(name or "").removeprefix("hf-hub:").partition("@")[0]
        if (known := reviewed(repo_id)) is not None:
            return PoolingChoice(known.pooling, f"as the authors of {repo_id}, which config.json names")
    for family in FAMILIES:
        if not all(_has(shapes, end, shape) for end, shape in family.shapes.items()):
            continue
        if family.only_theirs:
            return PoolingChoice(family.pooling, f"as the authors of {family.authors}, whose layers it has")
        if not (source.repo_id or "").lower().startswith(family.others):
            text = f"its layers are those of {family.authors}, whose authors take {family.pooling}: --pooling {family.pooling}"
            return PoolingChoice("native", native.reason, text)
    return native


def _has(shapes: Mapping[str, tuple[int, ...]], end: str, shape: tuple[int, ...]) -> bool:
    return any(name.endswith(end) and tuple(shapes[name]) == shape for name in shapes)
