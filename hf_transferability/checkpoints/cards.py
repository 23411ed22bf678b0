"""What a checkpoint's model card tells."""

import contextlib
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard


def card_facts(folder: Path) -> dict[str, Any]:
    """Licence and training datasets from a checkpoint's model card; None and [] where the card cannot be parsed."""
    card: dict[str, Any] = {}
    if (folder / "README.md").exists():
        with contextlib.suppress(Exception):  # a broken card is no reason to refuse the checkpoint
            card = ModelCard.load(folder / "README.md").data.to_dict()
    licence, trained = card.get("license"), card.get("datasets") or []
    return {
        "licence": "".join(filter(str.isprintable, str(licence))) if licence else None,
        "training_datasets": [trained] if isinstance(trained, str) else [str(name) for name in trained],
    }
