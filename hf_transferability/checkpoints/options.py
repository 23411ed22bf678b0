"""The options that decide how a checkpoint is read."""

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hf_transferability import arguments
from hf_transferability.errors import UsageError, shown, unknown_name
from hf_transferability.names import POOLINGS


@dataclass(frozen=True)
class LoadOptions:
    """How checkpoints are resolved and loaded; the defaults run no foreign code and read no pickle.

    Attributes:
        allow_pickle: take pickle weights (read with `weights_only`) where there are no safetensors.
        trust_remote_code: run the repository's own code.
        token: Hub token; default the one of `hf auth login`.
        processor: Hub id or folder of a checkpoint whose image processor is used instead of the checkpoint's own.
        pooling: how tokens become one vector: "auto" (as the checkpoint's authors do where that is known, else "native"),
            "native" (as the library of the network does), "cls", "mean" or "cls+mean".
        model_args: arguments of the timm network beside those in config.json, as (name, value) pairs.
        architecture: "timm:NAME", the network of a weights file that has no configuration.
        image_size: side in pixels of the square images that the network gets, for which its positions are interpolated;
            None for its own size.

    Raises:
        UsageError: an unknown pooling, or an architecture that is not of the form timm:NAME.
    """

    allow_pickle: bool = False
    trust_remote_code: bool = False
    token: str | None = field(default=None, repr=False)
    processor: str | None = None
    pooling: str = "auto"
    model_args: tuple[tuple[str, Any], ...] = ()
    architecture: str | None = None
    image_size: int | None = None

    def __post_init__(self) -> None:
        for name in ("allow_pickle", "trust_remote_code"):
            arguments.flag(name, getattr(self, name))
        for name in ("token", "processor", "architecture"):
            if getattr(self, name) is not None:
                arguments.text(name, getattr(self, name), path=name == "processor")
        if self.processor is not None:
            object.__setattr__(self, "processor", str(self.processor))
        if not isinstance(self.pooling, str) or self.pooling not in POOLINGS:
            raise UsageError(unknown_name("pooling", self.pooling, POOLINGS))
        if self.architecture is not None and not self.architecture.removeprefix("timm:").strip():
            raise UsageError(
                "`architecture` must name a network; got an empty name. Write timm:NAME, e.g. timm:vit_large_patch16_224."
            )
        if self.architecture is not None and not self.architecture.startswith("timm:"):
            raise UsageError(
                f"`architecture` must have the form timm:NAME; got {shown(self.architecture)}. Example: timm:resnet18."
            )
        if not _are_pairs(self.model_args):
            raise UsageError(
                f"`model_args` must be (name, value) pairs; got {shown(self.model_args)}. Example: ((name, 1e-5),)."
            )

    def identity(self) -> str:
        """The options that change the features, as text for the cache key; empty where all have their defaults."""
        names = ("pooling", "model_args", "architecture", "image_size")
        values = {name: getattr(self, name) for name in names}
        return " ".join(f"{name}={value}" for name, value in values.items() if value not in ("auto", (), None))


def parse_model_args(words: Iterable[str]) -> tuple[tuple[str, Any], ...]:
    """KEY=VALUE words as pairs for `LoadOptions.model_args`; a value is a Python literal, or text where it is not one.

    Raises:
        UsageError: a word without a key or an equals sign.
    """
    pairs = []
    for word in words:
        name, sign, text = word.partition("=")
        if not sign or not name.isidentifier():
            raise UsageError(f"`model_args` must be words of the form KEY=VALUE; got {shown(word)}. Example: init_values=1e-5.")
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            value = text
        pairs.append((name, value))
    return tuple(sorted(pairs, key=lambda pair: pair[0]))


def _are_pairs(values: Any) -> bool:
    pairs = isinstance(values, tuple | list) and all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in values)
    return pairs and all(isinstance(name, str) for name, _ in values)
