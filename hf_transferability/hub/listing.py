"""List models of the Hub by its own filters."""

from itertools import islice
from typing import Any

from huggingface_hub import HfApi
from huggingface_hub.errors import OfflineModeIsEnabled

from hf_transferability.errors import first_line
from hf_transferability.hub.retries import call, caused_by, is_connection_error

_EXPAND = ["pipeline_tag", "library_name", "safetensors", "gated", "downloads", "tags"]


def list_models(
    search: str | None, task: str | None, licence: str | None, max_params: int | None, limit: int, token: str | None = None
) -> list[Any]:
    """The most downloaded models that pass the Hub's filters, as `huggingface_hub.ModelInfo`.

    Args:
        search: words of the id.
        task: the Hub's name of a task.
        licence: the Hub's name of a licence.
        max_params: most parameters that the weights hold.
        limit: most models.
        token: default that of `hf auth login`.

    Raises:
        Exception: the client's error, for `explain`.
    """
    filters = [f"license:{licence}"] if licence else None
    size = f"max:{max_params}" if max_params is not None else None

    def listed() -> list[Any]:
        models = HfApi(token=token).list_models(
            search=search,
            pipeline_tag=task,
            filter=filters,
            num_parameters=size,
            sort="downloads",
            limit=limit,
            expand=_EXPAND,  # type: ignore[arg-type]
        )
        return list(islice(models, limit))

    return call(listed)


def explain_listing(error: Exception) -> str:
    """What happened to a request for a list of models, and what to do."""
    if caused_by(error, OfflineModeIsEnabled):
        return "The Hub is not asked in offline mode. Leave out --online, or unset HF_HUB_OFFLINE."
    if is_connection_error(error):
        return "The Hub cannot be reached. Leave out --online for the bundled catalogue, or check the network."
    return f"The Hub refused the list of models: {first_line(error)}. Change the filters, or leave out --online."
