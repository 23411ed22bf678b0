"""List models of the Hub by its own filters."""

from itertools import islice
from typing import Any

from huggingface_hub import HfApi

from hf_transferability.hub.calls import call

_EXPAND = ["pipeline_tag", "library_name", "safetensors", "gated", "downloads", "tags"]


def list_models(search: str | None, task: str | None, licence: str | None, limit: int, token: str | None = None) -> list[Any]:
    """The most downloaded models that pass the Hub's filters, as `huggingface_hub.ModelInfo`.

    Args:
        search: words of the id.
        task: the Hub's name of a task.
        licence: the Hub's name of a licence.
        limit: most models.
        token: default that of `hf auth login`.

    Raises:
        Exception: the client's error, for `explain`.
    """
    filters = [f"license:{licence}"] if licence else None

    def listed() -> list[Any]:
        models = HfApi(token=token).list_models(
            search=search, pipeline_tag=task, filter=filters, sort="downloads", limit=limit, expand=_EXPAND
        )
        return list(islice(models, limit))

    return call(listed)
