"""The Hub's own list of models, as entries of the catalogue."""

from typing import Any

from hf_transferability.catalogue.entries import Entry
from hf_transferability.catalogue.filters import Filters
from hf_transferability.errors import UsageError
from hf_transferability.hub.listing import explain_listing, list_models

TASKS = ("image-classification", "image-feature-extraction", "zero-shot-image-classification")
_FORMATS = ("timm", "transformers", "open_clip")


def search(filters: Filters, limit: int = 100, token: str | None = None) -> list[Entry]:
    """The most downloaded models of the Hub for images, as entries; what the Hub does not tell is None.

    `parameters` counts everything that the weights hold, with the head and other towers, since the Hub tells no other number.

    Args:
        filters: what the Hub can filter itself is left to it: text, task, licences and size.
        limit: most models per task and licence.
        token: default that of `hf auth login`.

    Raises:
        UsageError: the Hub cannot be asked; the text says why and what to do.
    """
    tasks = [filters.task] if filters.task else TASKS
    licences: list[str | None] = [*filters.licences] or [None]
    by_id: dict[str, Entry] = {}
    try:
        for task in tasks:
            for licence in licences:
                for info in list_models(filters.search, task, licence, filters.max_params, limit, token):
                    by_id.setdefault(info.id, _entry(info, task))
    except Exception as error:
        raise UsageError(explain_listing(error)) from error
    return sorted(by_id.values(), key=lambda entry: -(entry.downloads or 0))


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
