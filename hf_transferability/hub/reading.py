"""Names become commits, and files at those commits arrive whole.

A name is resolved first and everything else is asked for at that commit, so that an outage can never silently give an older
version.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import OfflineModeIsEnabled
from huggingface_hub.hf_api import RepoSibling
from tqdm import tqdm

from hf_transferability.hub.cached import COMMIT, Snapshot, cached_commits, cached_model, remember_commit
from hf_transferability.hub.calls import ask, call, find, is_connection_error
from hf_transferability.hub.verified import DamagedFileError, is_whole, throw_away

TIMEOUT = 10.0  # seconds for a question
DownloadCallback = Callable[[str, int, int | None], None]
_download_callback: DownloadCallback | None = None


@contextlib.contextmanager
def reported_downloads(callback: DownloadCallback) -> Iterator[None]:
    """Call back with file name, bytes so far and bytes in total (None if unknown) for every download within the block."""
    global _download_callback
    before, _download_callback = _download_callback, callback
    try:
        yield
    finally:
        _download_callback = before


def resolve_model(repo_id: str, revision: str | None = None, token: str | None = None) -> Snapshot:
    """The commit that a model id means now, and its files.

    Without network, a commit that is pinned in full and cached is used; in offline mode, the cached revision.

    Raises:
        Exception: the client's error, for `explain`.
    """
    try:
        info = ask(HfApi(token=token).model_info, repo_id, revision=revision, timeout=TIMEOUT, files_metadata=True)
    except Exception as error:
        pinned = revision and COMMIT.fullmatch(revision)
        usable = find(error, OfflineModeIsEnabled) or (pinned and is_connection_error(error))
        if usable and (cached := cached_model(repo_id, revision)):
            return cached
        raise
    root = [file for file in info.siblings or () if "/" not in file.rfilename]
    model = Snapshot(repo_id, str(info.sha), tuple(file.rfilename for file in root), _stated_sha256(root))
    remember_commit(model, revision)
    return model


def pull_request_with_safetensors(repo_id: str, token: str | None = None) -> str | None:
    """The newest of a model's last five pull requests that has safetensors at its root, as a revision ("refs/pr/4").

    None where there is no such request, or where the Hub does not answer: this is only a hint.
    """
    api = HfApi(token=token)
    with contextlib.suppress(Exception):
        references = api.list_repo_refs(repo_id, include_pull_requests=True).pull_requests or []
        newest = sorted((ref.ref for ref in references), key=lambda ref: int(ref.rpartition("/")[2]), reverse=True)
        for reference in newest[:5]:
            info = api.model_info(repo_id, revision=reference, timeout=TIMEOUT)
            if any(file.rfilename.endswith(".safetensors") and "/" not in file.rfilename for file in info.siblings or ()):
                return reference
    return None


def resolve_dataset(repo_id: str, revision: str | None = None, token: str | None = None) -> str | None:
    """The commit that a dataset id means now.

    In offline mode the commit that was loaded last, which is the only one that `datasets` gives then.

    Raises:
        Exception: the client's error, for `explain`.
    """
    api = HfApi(token=token)
    try:
        info = ask(api.dataset_info, repo_id, revision=revision, timeout=TIMEOUT)
        if info.gated:  # its name may be known to all; `datasets` would call its files missing
            call(api.auth_check, repo_id, repo_type="dataset")
        return str(info.sha)
    except Exception as error:
        commits = cached_commits("dataset", repo_id) if find(error, OfflineModeIsEnabled) else []
        if commits and revision in (None, commits[-1]):
            return commits[-1]
        raise


def dataset_head(repo_id: str, token: str | None = None) -> Snapshot:
    """A dataset's newest commit and all of its files.

    Raises:
        Exception: the client's error, for `explain`.
    """
    api = HfApi(token=token)
    info = call(api.dataset_info, repo_id, timeout=TIMEOUT, files_metadata=True)
    if info.gated:  # its name may be known to all
        call(api.auth_check, repo_id, repo_type="dataset")
    files = info.siblings or []
    return Snapshot(
        repo_id, str(info.sha), tuple(file.rfilename for file in files), _stated_sha256(files), "dataset", bool(info.private)
    )


def download(snapshot: Snapshot, files: Sequence[str], token: str | None = None) -> Path:
    """Download files of a repository at its commit into the Hub cache; returns the folder that holds the last of them.

    Raises:
        Exception: the client's error, for `explain`; DamagedFileError for a file that arrives damaged twice.
    """
    for name in files:
        path = fetch(snapshot, name, token)
    return path.parent


def fetch(snapshot: Snapshot, name: str, token: str | None = None) -> Path:
    """Download one file; see `download`."""
    options: dict[str, Any] = {"repo_type": snapshot.kind, "revision": snapshot.commit, "token": token}
    for _ in range(2):
        path = Path(call(hf_hub_download, snapshot.repo_id, name, **options, tqdm_class=_watched(name)))
        if is_whole(path, snapshot.sha256.get(name)):
            return path
        throw_away(path)
    raise DamagedFileError(f"{name} arrived damaged twice")


def _stated_sha256(files: Iterable[RepoSibling]) -> dict[str, str]:
    return {file.rfilename: file.lfs.sha256 for file in files if file.lfs is not None}


def _watched(name: str) -> type[tqdm] | None:
    """A bar for the client that draws nothing and passes its figures on; None leaves the client's own bars."""
    if _download_callback is None:
        return None
    callback = _download_callback

    class Watched(tqdm):
        def __init__(self, *args: Any, total: int | None = None, initial: int = 0, **options: Any):
            super().__init__(total=total, initial=initial, disable=True)
            self.done, self.whole = initial, total

        def update(self, n: float | None = 1) -> bool | None:
            self.done += int(n or 0)
            callback(name, self.done, self.whole)
            return None

    return Watched
