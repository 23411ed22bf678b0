"""The size of a repository, before a download."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from huggingface_hub import HfApi

from hf_transferability.hub.reading import TIMEOUT
from hf_transferability.hub.retries import ask


@dataclass(frozen=True)
class Size:
    """Path -> bytes of all files of a repository, and the number of parameters of a model if the Hub knows it."""

    files: Mapping[str, int]
    parameters: int | None = None


def size_of(kind: str, repo_id: str, revision: str | None = None, token: str | bool | None = None) -> Size:
    """The size of a repository at a revision.

    Args:
        kind: "model" or "dataset".
        repo_id: OWNER/NAME.
        revision: branch, tag or commit; default main.
        token: default that of `hf auth login`; False for none, so that only public repositories are found.

    Raises:
        Exception: the client's error, for `explain`.
    """
    api = HfApi(token=token)
    request: Callable[..., Any] = api.model_info if kind == "model" else api.dataset_info
    info = ask(request, repo_id, revision=revision, timeout=TIMEOUT, files_metadata=True)
    weights = getattr(info, "safetensors", None)
    return Size({file.rfilename: file.size or 0 for file in info.siblings or ()}, weights.total if weights else None)
