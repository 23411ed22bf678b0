"""Calls to the Hub, with retries and with errors that say what to do.

`calls` retries, `reading` and `writing` hold the requests, `cached` finds what works without network, `verified` compares
downloads with their sha256, and `messages` turns errors into sentences for the user.
"""

from hf_transferability.hub.cached import Snapshot
from hf_transferability.hub.messages import explain, explain_name, is_unknown, may_be_id
from hf_transferability.hub.reading import (
    dataset_head,
    download,
    fetch,
    pull_request_with_safetensors,
    remove_damaged_files,
    reported_downloads,
    resolve_dataset,
    resolve_model,
)
from hf_transferability.hub.retries import call, is_connection_error
from hf_transferability.hub.sizes import Size, size_of
from hf_transferability.hub.verified import DamagedFileError

__all__ = [
    "DamagedFileError",
    "Size",
    "Snapshot",
    "call",
    "dataset_head",
    "download",
    "explain",
    "explain_name",
    "fetch",
    "is_connection_error",
    "is_unknown",
    "may_be_id",
    "pull_request_with_safetensors",
    "remove_damaged_files",
    "reported_downloads",
    "resolve_dataset",
    "resolve_model",
    "size_of",
]
