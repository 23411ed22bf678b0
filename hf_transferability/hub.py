"""Every call to the Hub goes through here: retries with backoff, and errors that say what to do.

The clients retry some calls and not others and sometimes report a lost connection as a missing file; here a name is resolved to a
commit first and everything else is asked for at that commit, so that an outage can never silently give an older version.
"""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import HfApi, constants, hf_hub_download, scan_cache_dir, try_to_load_from_cache
from huggingface_hub.errors import (
    CacheNotFound,
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

T = TypeVar("T")
_ATTEMPTS = 5
_LONGEST_WAIT = 60.0
_TRANSIENT = {408, 429, 500, 502, 503, 504}
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class HubModel:
    """A model repository at one commit: its root-level files and what its card says."""

    repo_id: str
    commit: str
    files: tuple[str, ...]


def call(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call a Hub client's function, again when the failure is one that passes: busy or broken server, lost connection.

    Waits 1, 2, 4, 8 seconds, or as long as the server's Retry-After says (at most a minute).

    Raises:
        Exception: the last failure, or the first that does not pass.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return function(*args, **kwargs)
        except Exception as error:
            wait = _wait_before_retry(error, attempt)
            if wait is None or attempt + 1 == _ATTEMPTS:
                raise
        time.sleep(wait)
    raise AssertionError("unreachable")


def explain(error: Exception, kind: str, name: str) -> str:
    """What happened and what to do, in one or two sentences; `kind` is "model" or "dataset"."""
    causes = [error, error.__cause__, error.__context__]
    address = f"{constants.ENDPOINT}/{'datasets/' if kind == 'dataset' else ''}{name}"
    if any(isinstance(cause, GatedRepoError) for cause in causes):
        return (
            f"{kind} {name} is gated: ask for access at {address}, then log in with `hf auth login` "
            "(or set HF_TOKEN) and run again."
        )
    if any(isinstance(cause, DisabledRepoError) for cause in causes):
        return f"{kind} {name} has been disabled on the Hub. Choose another."
    if any(isinstance(cause, RevisionNotFoundError) for cause in causes):
        return f"{kind} {name} has no such revision. See {address}/commits/main for those that exist."
    if any(isinstance(cause, RepositoryNotFoundError) for cause in causes):
        return (
            f"{kind} {name} is neither a local folder nor found on the Hub. Check the spelling; "
            "if it is private, log in with `hf auth login` (or set HF_TOKEN)."
        )
    if any(isinstance(cause, HFValidationError) for cause in causes):
        return f"{name!r} is neither an existing local folder nor a valid Hub id (owner/name)."
    if any(isinstance(cause, OfflineModeIsEnabled) for cause in causes):
        return f"offline mode is on (HF_HUB_OFFLINE) and {kind} {name} is not in the local cache.{_cached_note(kind, name)}"
    if is_connection_error(error):
        return (
            f"no network: the Hub at {constants.ENDPOINT} cannot be reached for {kind} {name}."
            f"{_cached_note(kind, name)} Check the connection and run again."
        )
    return f"the Hub failed for {kind} {name}: {_first_line(error)}. Run again later; what is finished is kept."


def is_connection_error(error: BaseException | None) -> bool:
    """Whether an error, or one that it came from, is a lost or refused connection."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        # The HTTP library under huggingface_hub changed its name between 1.x and 2.x.
        if isinstance(error, ConnectionError | TimeoutError) or (
            type(error).__module__.split(".")[0] in {"httpx", "httpx2", "requests", "urllib3", "aiohttp"}
            and getattr(error, "response", None) is None
        ):
            return True
        error = error.__cause__ or error.__context__
    return False


def resolve_model(repo_id: str, revision: str | None = None, token: str | None = None) -> HubModel:
    """The commit that a model id means now, and its files.

    Without network, a commit that is pinned in full and cached is used; in offline mode, the cached revision.

    Raises:
        Exception: the client's error, for `explain`.
    """
    try:
        info = call(HfApi(token=token).model_info, repo_id, revision=revision, timeout=20)
    except Exception as error:
        pinned = bool(revision and _COMMIT.fullmatch(revision))
        if isinstance(error, OfflineModeIsEnabled) or (pinned and is_connection_error(error)):
            if cached := _cached_model(repo_id, revision or "main"):
                return cached
        raise
    files = tuple(sibling.rfilename for sibling in info.siblings or () if "/" not in sibling.rfilename)
    return HubModel(repo_id, str(info.sha), files)


def resolve_dataset(repo_id: str, revision: str | None = None, token: str | None = None) -> str | None:
    """The commit that a dataset id means now; None in offline mode, where only the cache can answer.

    Raises:
        Exception: the client's error, for `explain`.
    """
    try:
        return str(call(HfApi(token=token).dataset_info, repo_id, revision=revision, timeout=20).sha)
    except OfflineModeIsEnabled:
        return None


def download(model: HubModel, files: Sequence[str], token: str | None = None) -> Path:
    """Download files of a model at its commit into the Hub cache; returns the folder that holds them.

    Raises:
        Exception: the client's error, for `explain`.
    """
    paths = [
        Path(call(hf_hub_download, model.repo_id, name, revision=model.commit, token=token)) for name in files
    ]
    return paths[0].parent


def _wait_before_retry(error: Exception, attempt: int) -> float | None:
    """Seconds to wait, or None if trying again cannot help."""
    final = (GatedRepoError, DisabledRepoError, RepositoryNotFoundError, RevisionNotFoundError, RemoteEntryNotFoundError)
    cause = error.__cause__ or error.__context__
    if isinstance(error, (*final, OfflineModeIsEnabled)) or isinstance(cause, (*final, OfflineModeIsEnabled)):
        return None
    if isinstance(error, HfHubHTTPError):
        if error.response.status_code not in _TRANSIENT:
            return None
        after = error.response.headers.get("Retry-After", "")
        return min(float(after), _LONGEST_WAIT) if after.isdigit() else 2.0**attempt
    if isinstance(error, LocalEntryNotFoundError) or is_connection_error(error):
        # A name that does not resolve or a port that refuses will not mend within seconds: one more try.
        return 2.0**attempt if attempt == 0 or "Connect" not in type(cause or error).__name__ else None
    return None


def _cached_model(repo_id: str, revision: str) -> HubModel | None:
    path = try_to_load_from_cache(repo_id, "config.json", revision=revision)
    if not isinstance(path, str):
        return None
    folder = Path(path).parent
    return HubModel(repo_id, folder.name, tuple(sorted(file.name for file in folder.iterdir() if file.is_file())))


def _cached_note(kind: str, name: str) -> str:
    try:
        repos = [repo for repo in scan_cache_dir().repos if repo.repo_id == name and repo.repo_type == kind]
    except CacheNotFound:
        repos = []
    commits = [revision.commit_hash for repo in repos for revision in repo.revisions]
    if not commits:
        return " Nothing of it is cached."
    return f" Cached: {', '.join(sorted(commits))}; set HF_HUB_OFFLINE=1 to use the cache."


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
