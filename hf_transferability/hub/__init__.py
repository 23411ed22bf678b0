"""Every call to the Hub goes through here: retries with backoff, and errors that say what to do.

`calls` calls the clients, `reading` and `writing` ask and tell, `cached` knows what works without network, `verified` compares
what arrives with its sha256, and `messages` makes sentences of errors.
"""

from collections.abc import Callable

from hf_transferability.hub.cached import Snapshot
from hf_transferability.hub.calls import call, is_connection_error
from hf_transferability.hub.messages import explain
from hf_transferability.hub.reading import dataset_head, download, fetch, resolve_dataset, resolve_model
from hf_transferability.hub.verified import DamagedFileError

__all__ = [
    "DamagedFileError",
    "Snapshot",
    "call",
    "dataset_head",
    "download",
    "explain",
    "fetch",
    "is_connection_error",
    "on_download",
    "resolve_dataset",
    "resolve_model",
]

# Hears the file, the bytes so far and the bytes in all of every download; None leaves the client's own bars.
on_download: Callable[[str, int, int | None], None] | None = None
