"""Read from the Hub: resolve a name to a commit, and download files at that commit.

A name is resolved first, and all further requests are for that commit, so an outage can never silently give an older version.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants, hf_hub_download
from huggingface_hub.errors import OfflineModeIsEnabled
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.hf_api import RepoFile, RepoSibling
from tqdm import tqdm

from hf_transferability.hub.cached import COMMIT, Snapshot, cached_commits, cached_model, remember_commit
from hf_transferability.hub.retries import ask, call, caused_by, is_connection_error
from hf_transferability.hub.verified import DamagedFileError, has_blob_id, is_complete, remove

TIMEOUT = 10.0  # seconds for a request of metadata
DownloadCallback = Callable[[str, int, int | None], None]
_download_callback: DownloadCallback | None = None


@contextlib.contextmanager
def reported_downloads(callback: DownloadCallback) -> Iterator[None]:
    """Report downloads inside the block to a callback.

    Args:
        callback: gets the name of the file, the bytes so far and the bytes in total (None if unknown).
    """
    global _download_callback
    outer_callback, _download_callback = _download_callback, callback
    try:
        yield
    finally:
        _download_callback = outer_callback


def resolve_model(repo_id: str, revision: str | None = None, token: str | None = None) -> Snapshot:
    """The current commit of a model at a revision, and its files.

    Without network, a full commit that is in the cache can still be used; in offline mode, any cached revision.

    Args:
        repo_id: OWNER/NAME.
        revision: branch, tag or commit; default main.
        token: default that of `hf auth login`.

    Raises:
        Exception: the client's error, for `explain`.
    """
    try:
        info = ask(HfApi(token=token).model_info, repo_id, revision=revision, timeout=TIMEOUT, files_metadata=True)
    except Exception as error:
        pinned = revision and COMMIT.fullmatch(revision)
        usable = caused_by(error, OfflineModeIsEnabled) or (pinned and is_connection_error(error))
        if usable and (cached := cached_model(repo_id, revision)):
            return cached
        raise
    root = [file for file in info.siblings or () if "/" not in file.rfilename]
    model = Snapshot(repo_id, str(info.sha), tuple(file.rfilename for file in root), _sha256_of_large_files(root))
    remember_commit(model, revision)
    return model


def pull_request_with_safetensors(repo_id: str, token: str | None = None) -> str | None:
    """The newest pull request of a model with safetensors at its root, among the last five, as a revision ("refs/pr/4").

    Returns:
        None if there is no such pull request or the Hub does not answer, as this is only a hint.
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
    """The current commit of a dataset at a revision.

    In offline mode it is the commit that was loaded last, the only one that `datasets` offers then.

    Args:
        repo_id: OWNER/NAME.
        revision: branch, tag or commit; default main.
        token: default that of `hf auth login`.

    Raises:
        Exception: the client's error, for `explain`.
    """
    api = HfApi(token=token)
    try:
        info = ask(api.dataset_info, repo_id, revision=revision, timeout=TIMEOUT)
        if info.gated:  # metadata of gated datasets is public; `datasets` would report missing files
            call(api.auth_check, repo_id, repo_type="dataset")
        return str(info.sha)
    except Exception as error:
        commits = cached_commits("dataset", repo_id) if caused_by(error, OfflineModeIsEnabled) else []
        if commits and revision in (None, commits[-1]):
            return commits[-1]
        raise


def dataset_head(repo_id: str, token: str | None = None) -> Snapshot:
    """The newest commit of a dataset and all of its files.

    Raises:
        Exception: the client's error, for `explain`.
    """
    api = HfApi(token=token)
    info = call(api.dataset_info, repo_id, timeout=TIMEOUT, files_metadata=True)
    if info.gated:  # metadata of gated datasets is public
        call(api.auth_check, repo_id, repo_type="dataset")
    files = info.siblings or []
    return Snapshot(
        repo_id,
        str(info.sha),
        tuple(file.rfilename for file in files),
        _sha256_of_large_files(files),
        "dataset",
        bool(info.private),
    )


def remove_damaged_files(repo_id: str, commit: str, token: str | None = None) -> list[str]:
    """Compare a dataset's downloaded files with the content that the Hub states, and remove those that differ.

    The clients name a download by the ETag of the answer alone: two files with one ETag would become one.

    Returns:
        The paths of the removed files; empty too where the Hub does not say, as in offline mode.
    """
    folder = Path(constants.HF_HUB_CACHE, repo_folder_name(repo_id=repo_id, repo_type="dataset"), "snapshots", commit)
    if not folder.is_dir():
        return []
    try:
        tree = call(
            lambda: list(HfApi(token=token).list_repo_tree(repo_id, recursive=True, revision=commit, repo_type="dataset"))
        )
    except Exception:
        return []
    damaged = []
    for entry in tree:
        path = folder / entry.path
        if not isinstance(entry, RepoFile) or not path.is_file():
            continue
        whole = is_complete(path, entry.lfs.sha256) if entry.lfs else has_blob_id(path, entry.blob_id)
        if not whole:
            damaged.append(entry.path)
    for name in damaged:
        remove(folder / name)
    return damaged


def download(
    snapshot: Snapshot, files: Sequence[str], token: str | None = None, shown: Callable[[], bool] = lambda: True
) -> Path:
    """Download files of a repository into the Hub cache; returns the folder of the last one.

    Args:
        snapshot: the repository at a commit.
        files: their paths.
        token: default that of `hf auth login`.
        shown: whether it is reported to the callback of `reported_downloads` at present.

    Raises:
        Exception: the client's error, for `explain`; DamagedFileError if a file arrives damaged twice.
    """
    for name in files:
        path = fetch(snapshot, name, token, shown)
    return path.parent


def fetch(snapshot: Snapshot, name: str, token: str | None = None, shown: Callable[[], bool] = lambda: True) -> Path:
    """Download one file of a repository into the Hub cache; see `download`."""
    options: dict[str, Any] = {"repo_type": snapshot.kind, "revision": snapshot.commit, "token": token}
    for _ in range(2):
        path = Path(call(hf_hub_download, snapshot.repo_id, name, **options, tqdm_class=_progress_bar(name, shown)))
        if is_complete(path, snapshot.sha256.get(name)):
            return path
        remove(path)
    raise DamagedFileError(f"{name} arrived damaged twice")


def _sha256_of_large_files(files: Iterable[RepoSibling]) -> dict[str, str]:
    return {file.rfilename: file.lfs.sha256 for file in files if file.lfs is not None}


def _progress_bar(name: str, shown: Callable[[], bool]) -> type[tqdm] | None:
    """A progress bar that draws nothing and calls the callback; None, for the client's own bars, if there is no callback."""
    if _download_callback is None:
        return None
    callback = _download_callback

    class CallbackBar(tqdm):
        def __init__(self, *args: Any, total: int | None = None, initial: int = 0, **options: Any):
            super().__init__(total=total, initial=initial, disable=True)
            self.n_bytes, self.n_total = initial, total

        def update(self, n: float | None = 1) -> bool | None:
            self.n_bytes += int(n or 0)
            if shown():
                callback(name, self.n_bytes, self.n_total)
            return None

    return CallbackBar
