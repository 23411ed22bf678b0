"""The Hub's own list of models, as entries of the catalogue."""

from collections.abc import Sequence
from typing import Any

from hf_transferability.catalogue.entries import Entry
from hf_transferability.hub.listing import list_models

TASKS = ("image-classification", "image-feature-extraction", "zero-shot-image-classification")
_FORMATS = ("timm", "transformers", "open_clip")


def search(
    text: str | None = None,
    task: str | None = None,
    licences: Sequence[str] = (),
    limit: int = 100,
    token: str | None = None,
) -> list[Entry]:
    """The most downloaded models of the Hub for images, as entries; what the Hub does not tell is None.

    `parameters` counts everything that the weights hold, with the head and other towers, since the Hub tells no other number.

    Args:
        text: words of the id.
        task: the Hub's name of a task; default all of `TASKS`.
        licences: licences in the Hub's names; any of them will do.
        limit: most models per task and licence.
        token: default that of `hf auth login`.

    Raises:
        Exception: the client's error, for `explain`.
    """
    found: dict[str, Entry] = {}
    for one_task in [task] if task else TASKS:
        for licence in licences or [None]:
            for info in list_models(text, one_task, licence, limit, token):
                found.setdefault(info.id, _entry(info, one_task))
    return sorted(found.values(), key=lambda entry: -(entry.downloads or 0))


def _entry(info: Any, task: str) -> Entry:
    tags = [tag for tag in info.tags or () if isinstance(tag, str)]
    weights = getattr(info, "safetensors", None)
    licence = next((tag.removeprefix("license:") for tag in tags if tag.startswith("license:")), None)
    return Entry(
        id=info.id,
        source="hub",
        task=info.pipeline_tag or task,
        parameters=weights.total if weights else None,
        licence=licence,
        gated=None if info.gated is None else bool(info.gated),
        format=next((name for name in _FORMATS if name in (info.library_name, *tags)), None),
        downloads=info.downloads,
    )
