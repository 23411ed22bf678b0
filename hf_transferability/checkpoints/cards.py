"""What a checkpoint's model card tells."""

import contextlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_HEAD = re.compile(r"\s*---[^\S\n]*\n(.*?)\n---[^\S\n]*(?:\n|$)", re.DOTALL)
_LARGEST_HEAD = 64 * 2**10  # bytes of a card that are read
_LONGEST = 200  # characters of a licence or a name
_MOST_DATASETS = 100


def card_facts(folder: Path) -> dict[str, Any]:
    """Licence and training datasets from a checkpoint's model card; None and [] where the card cannot be parsed."""
    card = _card(folder)
    licence, trained = card.get("license"), card.get("datasets")
    names = trained if isinstance(trained, list) else [trained]
    return {
        "licence": "".join(filter(str.isprintable, licence))[:_LONGEST] or None if isinstance(licence, str) else None,
        "training_datasets": [name[:_LONGEST] for name in names[:_MOST_DATASETS] if isinstance(name, str)],
    }


def card_text(folder: Path) -> str:
    """The beginning of a checkpoint's model card; empty where none can be read. No size of card delays a ranking."""
    path, head = folder / "README.md", b""
    with contextlib.suppress(OSError):
        if os.path.isfile(path):
            with path.open("rb") as file:
                head = file.read(_LARGEST_HEAD)
    return head.decode("utf-8", "replace")


def _card(folder: Path) -> dict[str, Any]:
    """The head of a model card; empty where there is none, or none that can be read."""
    match = _HEAD.match(card_text(folder))
    content = None
    with contextlib.suppress(Exception):  # a broken card is no reason to refuse the checkpoint
        content = yaml.safe_load(match[1]) if match else None
    return content if isinstance(content, dict) else {}


def named_ids(config: Mapping[str, Any]) -> list[str]:
    """The Hub ids that a config.json names as its own."""
    inner = config.get("pretrained_cfg")
    inside = inner.get("hf_hub_id") if isinstance(inner, Mapping) else None
    return [str(name or "").removeprefix("hf-hub:").partition("@")[0] for name in (config.get("_name_or_path"), inside)]
