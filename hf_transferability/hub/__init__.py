"""Every call to the Hub goes through here: retries with backoff, and errors that say what to do.

`calls` calls the clients, `reading` and `writing` ask and tell, `cached` knows what works without network, `verified` compares
what arrives with its sha256, and `messages` makes sentences of errors.
"""

from hf_transferability.hub.cached import Snapshot
from hf_transferability.hub.calls import call, first_line, is_connection_error
from hf_transferability.hub.messages import explain
from hf_transferability.hub.reading import dataset_head, download, fetch, reported_downloads, resolve_dataset, resolve_model
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
    "fetch",
    "first_line",
    "is_connection_error",
    "reported_downloads",
    "resolve_dataset",
    "resolve_model",
    "size_of",
]
