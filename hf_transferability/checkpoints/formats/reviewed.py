"""What the authors of a repository say only on its card or in their code: arguments of its network, and how they embed."""

from typing import Any, NamedTuple

_SWIGLU = {"mlp_layer": "SwiGLUPacked", "act_layer": "silu"}


class Reviewed(NamedTuple):
    """What was read about one repository in November 2026.

    Attributes:
        arguments: of the timm network, beside those in config.json.
        pooling: how its authors embed; "native" is what the network itself gives.
        read: where: its "card" at https://huggingface.co/ID; the authors' own "code"; or "copies" of the card's code in several
            public projects, where the card itself could not be read. No weights were loaded for any of them.
        architecture: timm's name of the network, for a repository that holds weights without a configuration.
    """

    arguments: dict[str, Any]
    pooling: str
    read: str
    architecture: str | None = None


# RETFound's notebook latent_feature.ipynb averages the patches. Its layer after the average is not trained, so here the
# stored norm comes before the average. Masked autoencoders: the file holds {"model": ...}; DINOv2: {"teacher": ...}.
_RETFOUND_MAE = Reviewed({}, "mean", "code", "vit_large_patch16_224.mae")
_RETFOUND_DINOV2 = Reviewed({}, "mean", "code", "vit_large_patch14_dinov2.lvd142m")
KNOWN = {  # Hub id in lower case
    "mahmoodlab/uni": Reviewed({"init_values": 1e-5}, "native", "copies"),
    "mahmoodlab/uni2-h": Reviewed(
        {
            "img_size": 224, "patch_size": 14, "depth": 24, "num_heads": 24, "init_values": 1e-5, "embed_dim": 1536,
            "mlp_ratio": 2.66667 * 2, "no_embed_class": True, "reg_tokens": 8, **_SWIGLU,
        },
        "native",
        "copies",
    ),
    "paige-ai/virchow": Reviewed(dict(_SWIGLU), "cls+mean", "copies"),
    "paige-ai/virchow2": Reviewed(dict(_SWIGLU), "cls+mean", "copies"),
    "bioptimus/h-optimus-0": Reviewed({"init_values": 1e-5}, "native", "copies"),
    "bioptimus/h-optimus-1": Reviewed({"init_values": 1e-5}, "native", "copies"),
    # The card shows the class token and its concatenation with the mean of the patches; --pooling cls+mean is the second.
    "bioptimus/h0-mini": Reviewed(dict(_SWIGLU), "native", "copies"),
    "prov-gigapath/prov-gigapath": Reviewed({}, "native", "copies"),  # its config.json is complete
    "kaiko-ai/midnight": Reviewed({}, "cls+mean", "card"),
    **{f"yukunzhou/retfound_mae_{data}": _RETFOUND_MAE for data in ("naturecfp", "natureoct", "meh", "shanghai")},
    **{f"yukunzhou/retfound_dinov2_{data}": _RETFOUND_DINOV2 for data in ("meh", "shanghai")},
}  # fmt: skip


def reviewed(repo_id: str | None) -> Reviewed | None:
    """What is known about a Hub id; None for every other."""
    return KNOWN.get((repo_id or "").lower())
