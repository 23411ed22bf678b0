"""Every call to the Hub goes through here: retries with backoff, and errors that say what to do.

The clients retry some calls and not others and sometimes report a lost connection as a missing file. Here a name is resolved to
a commit first and everything else is asked for at that commit, so that an outage can never silently give an older version.
"""

import email.utils
import errno
import hashlib
import itertools
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
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
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils import parse_ratelimit_headers
from tqdm import tqdm

T = TypeVar("T")
_ATTEMPTS = 5
_LONGEST_WAIT = 60.0  # seconds, over all attempts of one call
_TIMEOUT = 10.0
_TRANSIENT = {408, 429, 500, 502, 503, 504}
_FINAL = (
    GatedRepoError,
    DisabledRepoError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    RemoteEntryNotFoundError,
    OfflineModeIsEnabled,
)
_CANNOT_STORE = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS}
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# The HTTP library under huggingface_hub changed its name between 1.x and 2.x.
_HTTP_LIBRARIES = {"httpx", "httpx2", "requests", "urllib3", "aiohttp"}
# Hears the file, the bytes so far and the bytes in all of every download; None leaves the client's own bars.
on_download: Callable[[str, int, int | None], None] | None = None
_last_unreachable: tuple[float, Exception] | None = None


@dataclass(frozen=True)
class HubModel:
    """A model repository at one commit, and its root-level files."""

    repo_id: str
    commit: str
    files: tuple[str, ...]


class DamagedFileError(OSError):
    """A file that arrived with another content than the Hub states."""


def call(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call a Hub client's function, again when the failure is one that passes: busy or broken server, broken connection.

    Waits 1, 2, 4, 8 seconds, or as long as the server says, but never more than a minute in all. A Hub that cannot be reached
    at all gets one more try.

    Raises:
        Exception: the last failure, or the first that does not pass.
    """
    waited = 0.0
    for attempt in itertools.count():
        try:
            return function(*args, **kwargs)
        except Exception as error:
            wait = _wait_before_retry(error, attempt)
            if wait is None or waited + wait > _LONGEST_WAIT:
                raise
        time.sleep(wait)
        waited += wait
    raise AssertionError("unreachable")


def explain(error: Exception, kind: str, name: str) -> str:
    """What happened and what to do, in one or two sentences; `kind` is "model" or "dataset", `name` may have an @revision."""
    repo_id = name.partition("@")[0]
    address = f"{constants.ENDPOINT}/{'datasets/' if kind == 'dataset' else ''}{repo_id}"
    if _find(error, GatedRepoError):
        return (
            f"{kind} {name} is gated: ask for access at {address}, then log in with `hf auth login` "
            "(or set HF_TOKEN) and run again."
        )
    if _find(error, DisabledRepoError):
        return f"{kind} {name} has been disabled on the Hub. Choose another."
    if _find(error, RevisionNotFoundError):
        return f"{kind} {name} has no such revision. See {address}/commits/main for those that exist."
    if _find(error, RepositoryNotFoundError):
        return (
            f"{kind} {name} is neither a local folder nor found on the Hub. Check the spelling; "
            "if it is private, log in with `hf auth login` (or set HF_TOKEN)."
        )
    if _find(error, HFValidationError):
        return f"{name!r} is neither an existing local folder nor a valid Hub id (owner/name). Check the spelling."
    if _find(error, DamagedFileError):
        return f"{kind} {name}: {error}. Run again later, or over another connection; what is finished is kept."
    if answer := _answer(error):
        return _explain_status(answer, kind, name)
    if _find(error, OfflineModeIsEnabled) or (constants.HF_HUB_OFFLINE and is_connection_error(error)):
        return f"offline mode is on (HF_HUB_OFFLINE) and {kind} {name} is not in the local cache.{_cached_note(kind, repo_id)}"
    if full := next((link for link in _chain(error) if isinstance(link, OSError) and link.errno in _CANNOT_STORE), None):
        return (
            f"{kind} {name} cannot be stored in {constants.HF_HOME}: {full.strerror}. "
            "Free some space there, or set HF_HOME to another folder."
        )
    if is_connection_error(error) and not _cannot_connect(error):
        return (
            f"the connection to the Hub at {constants.ENDPOINT} broke while {kind} {name} was read ({_detail(error)}). "
            "Run again: what is finished is kept."
        )
    if is_connection_error(error) or _find(error, LocalEntryNotFoundError):
        return (
            f"no network: {kind} {name} is not a local folder, and the Hub at {constants.ENDPOINT} cannot be reached "
            f"({_detail(error)}).{_cached_note(kind, repo_id)} Check the connection and run again."
        )
    return f"the Hub failed for {kind} {name}: {_first_line(error)}. Run again later; what is finished is kept."


def is_connection_error(error: BaseException | None) -> bool:
    """Whether an error, or one that it came from, is a lost or refused connection."""
    return any(_is_lost_connection(link) for link in _chain(error))


def resolve_model(repo_id: str, revision: str | None = None, token: str | None = None) -> HubModel:
    """The commit that a model id means now, and its files.

    Without network, a commit that is pinned in full and cached is used; in offline mode, the cached revision.

    Raises:
        Exception: the client's error, for `explain`.
    """
    try:
        info = _ask(HfApi(token=token).model_info, repo_id, revision=revision, timeout=_TIMEOUT)
    except Exception as error:
        pinned = revision and _COMMIT.fullmatch(revision)
        usable = _find(error, OfflineModeIsEnabled) or (pinned and is_connection_error(error))
        if usable and (cached := _cached_model(repo_id, revision)):
            return cached
        raise
    files = tuple(sibling.rfilename for sibling in info.siblings or () if "/" not in sibling.rfilename)
    model = HubModel(repo_id, str(info.sha), files)
    _remember_commit(model, revision)
    return model


def resolve_dataset(repo_id: str, revision: str | None = None, token: str | None = None) -> str | None:
    """The commit that a dataset id means now.

    In offline mode the commit that was loaded last, which is the only one that `datasets` gives then.

    Raises:
        Exception: the client's error, for `explain`.
    """
    api = HfApi(token=token)
    try:
        info = _ask(api.dataset_info, repo_id, revision=revision, timeout=_TIMEOUT)
        if info.gated:  # its name may be known to all; `datasets` would call its files missing
            call(api.auth_check, repo_id, repo_type="dataset")
        return str(info.sha)
    except Exception as error:
        commits = _cached_commits("dataset", repo_id) if _find(error, OfflineModeIsEnabled) else []
        if commits and revision in (None, commits[-1]):
            return commits[-1]
        raise


def download(model: HubModel, files: Sequence[str], token: str | None = None) -> Path:
    """Download files of a model at its commit into the Hub cache; returns the folder that holds them.

    The clients check no more than the size of what arrives, so large files are compared with their sha256, and a damaged one is
    thrown away and downloaded once more.

    Raises:
        Exception: the client's error, for `explain`.
    """
    for name in files:
        options: dict[str, Any] = {"revision": model.commit, "token": token, "tqdm_class": _watched(name)}
        path = Path(call(hf_hub_download, model.repo_id, name, **options))
        if not _is_whole(path):
            _throw_away(path)
            path = Path(call(hf_hub_download, model.repo_id, name, **options))
            if not _is_whole(path):
                _throw_away(path)
                raise DamagedFileError(f"{name} arrived damaged twice")
    return path.parent


def _watched(name: str) -> type[tqdm] | None:
    """A bar for the client that draws nothing and tells `on_download`."""
    if on_download is None:
        return None
    tell = on_download

    class Watched(tqdm):
        def __init__(self, *args: Any, total: int | None = None, initial: int = 0, **options: Any):
            super().__init__(total=total, initial=initial, disable=True)
            self.done, self.whole = initial, total

        def update(self, n: float | None = 1) -> bool | None:
            self.done += int(n or 0)
            tell(name, self.done, self.whole)
            return None

    return Watched


def _is_whole(path: Path) -> bool:
    """Whether a cached file has the sha256 by which the cache names it; true where it is named by something else."""
    stored = path.resolve()
    if not _SHA256.fullmatch(stored.name):
        return True
    with stored.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == stored.name


def _throw_away(path: Path) -> None:
    path.resolve().unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def _ask(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """`call`, but for half a minute after the Hub could not be reached every further question fails at once."""
    global _last_unreachable
    if _last_unreachable and time.monotonic() - _last_unreachable[0] < 30:
        raise _last_unreachable[1]
    try:
        return call(function, *args, **kwargs)
    except Exception as error:
        if _cannot_connect(error):
            _last_unreachable = time.monotonic(), error
        raise


def _wait_before_retry(error: Exception, attempt: int) -> float | None:
    """Seconds to wait, or None if trying again cannot help or has been tried enough."""
    if constants.HF_HUB_OFFLINE or _find(error, *_FINAL):
        return None
    if answer := _answer(error):
        # Where the client reports a missing local file, it has itself tried for half a minute.
        attempts = 2 if _find(error, LocalEntryNotFoundError) else _ATTEMPTS
        if answer.status_code not in _TRANSIENT or attempt + 1 >= attempts:
            return None
        return _asked_to_wait(answer) or 2.0**attempt
    if _cannot_connect(error):  # a name that does not resolve or a port that refuses will not mend within seconds
        timed_out = any(type(link).__name__ == "ConnectTimeout" for link in _chain(error))
        return 1.0 if attempt == 0 and not timed_out else None
    broken = is_connection_error(error) or _find(error, LocalEntryNotFoundError)
    return 2.0**attempt if broken and attempt + 1 < 3 else None


def _asked_to_wait(answer: Any) -> float:
    """Seconds that a busy server asks for, in one of three ways; 0 if it does not say."""
    after = answer.headers.get("Retry-After", "").strip()
    if after.isdigit():
        return float(after)
    if after:
        try:
            return max(email.utils.parsedate_to_datetime(after).timestamp() - time.time(), 0.0)
        except ValueError:
            pass
    limit = parse_ratelimit_headers(answer.headers)
    return float(limit.reset_in_seconds) if limit else 0.0


def _explain_status(answer: Any, kind: str, name: str) -> str:
    said = f"{answer.status_code} {answer.reason_phrase}".strip()
    if answer.status_code in (401, 403):
        return (
            f"the Hub does not accept your token for {kind} {name} ({said}). Log in again with `hf auth login`, "
            "or correct or unset HF_TOKEN."
        )
    if answer.status_code in _TRANSIENT:
        wait = _asked_to_wait(answer)
        when = f"in {wait:.0f} seconds, as it asks" if wait > _LONGEST_WAIT else "in a few minutes"
        return f"the Hub is busy or broken and did not give {kind} {name} ({said}). Run again {when}; what is finished is kept."
    return f"the Hub refused {kind} {name} ({said}). Check the name and your access."


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it came from."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _find(error: BaseException, *types: type[BaseException]) -> bool:
    return any(isinstance(link, types) for link in _chain(error))


def _answer(error: BaseException) -> Any:
    """The HTTP answer that an error came from, if there was one."""
    answers = (getattr(link, "response", None) for link in _chain(error) if isinstance(link, HfHubHTTPError))
    return next((answer for answer in answers if answer is not None), None)


def _is_lost_connection(error: BaseException) -> bool:
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    return type(error).__module__.split(".")[0] in _HTTP_LIBRARIES and getattr(error, "response", None) is None


def _cannot_connect(error: BaseException) -> bool:
    """Whether the Hub was not reached at all, as against a connection that broke."""
    names = {"ConnectError", "ConnectTimeout", "ConnectionRefusedError", "gaierror", "ProxyError"}
    return any(type(link).__name__ in names for link in _chain(error))


def _cached_model(repo_id: str, revision: str | None) -> HubModel | None:
    """A model as the cache has it: at the revision, or without one at the last that "main" meant, or at the only one there."""
    path = try_to_load_from_cache(repo_id, "config.json", revision=revision or "main")
    if not isinstance(path, str) and revision is None and len(commits := _cached_commits("model", repo_id)) == 1:
        path = try_to_load_from_cache(repo_id, "config.json", revision=commits[0])
    if not isinstance(path, str):
        return None
    folder = Path(path).parent
    files = tuple(sorted(file.name for file in folder.iterdir() if file.is_file()))
    return HubModel(repo_id, folder.name, files) if _holds_weights(files) else None


def _remember_commit(model: HubModel, revision: str | None) -> None:
    """Note in the Hub cache what a branch or tag means now, as the clients do unless they are asked for a commit."""
    if revision and _COMMIT.fullmatch(revision):
        return
    reference = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=model.repo_id, repo_type="model") / "refs"
    try:
        (reference / (revision or "main")).parent.mkdir(parents=True, exist_ok=True)
        (reference / (revision or "main")).write_text(model.commit)
    except OSError:
        return  # only offline mode would have used it


def _cached_commits(kind: str, repo_id: str) -> list[str]:
    """The commits of a repository that can be used without network, the last used one last."""
    if kind == "dataset":
        import datasets
        from datasets.naming import camelcase_to_snakecase

        *owner, name = repo_id.split("/")
        folder = Path(datasets.config.HF_DATASETS_CACHE) / "___".join([*owner, camelcase_to_snakecase(name)])
        paths = [path for path in folder.glob("*/*/*") if path.is_dir() and _COMMIT.fullmatch(path.name)]
        return list(dict.fromkeys(path.name for path in sorted(paths, key=lambda path: path.stat().st_mtime)))
    try:
        repos = [repo for repo in scan_cache_dir().repos if repo.repo_id == repo_id and repo.repo_type == kind]
    except CacheNotFound:
        return []
    revisions = sorted((each for repo in repos for each in repo.revisions), key=lambda each: each.last_modified)
    return [each.commit_hash for each in revisions if _holds_weights(file.file_name for file in each.files)]


def _holds_weights(files: Iterable[str]) -> bool:
    return any(name.endswith((".safetensors", ".bin")) for name in files)


def _cached_note(kind: str, repo_id: str) -> str:
    commits = _cached_commits(kind, repo_id)
    if not commits:
        return " Nothing of it is cached."
    if kind == "dataset":
        use = "leave out --revision" if constants.HF_HUB_OFFLINE else "set HF_HUB_OFFLINE=1"
        return f" Cached: commit {commits[-1]}; {use} to take it."
    pinned = f"name one as {repo_id}@COMMIT"
    return (
        f" Cached: {', '.join(commits)}; {pinned}{'' if constants.HF_HUB_OFFLINE else ' or set HF_HUB_OFFLINE=1'} to take it."
    )


def _detail(error: Exception) -> str:
    """The innermost text of a connection error."""
    links = [link for link in _chain(error) if _is_lost_connection(link)] or [error]
    return _first_line(links[-1])


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
