"""The local caches of the Hub clients, for work without network."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from huggingface_hub import constants, scan_cache_dir, try_to_load_from_cache
from huggingface_hub.errors import CacheNotFound
from huggingface_hub.file_download import repo_folder_name

COMMIT = re.compile(r"[0-9a-f]{40}")
_CONFIGURATIONS = ("config.json", "open_clip_config.json", "adapter_config.json")  # one of them is in every checkpoint


@dataclass(frozen=True)
class Snapshot:
    """A repository at one commit.

    Attributes:
        repo_id: OWNER/NAME.
        commit: 40 hexadecimal digits.
        files: paths of its files; for a model only those at its root.
        sha256: path -> sha256 as the Hub states it, for large files; empty if it was not requested.
        kind: "model", "dataset" or "space".
        private: whether reading needs a permission.
    """

    repo_id: str
    commit: str
    files: tuple[str, ...]
    sha256: Mapping[str, str] = field(default_factory=dict, compare=False)
    kind: str = "model"
    private: bool = False


def cached_model(repo_id: str, revision: str | None) -> Snapshot | None:
    """A model in the cache: at the revision, or without one at the latest known commit of "main", or at the only cached commit.

    Returns:
        None if the cache does not hold its weights at that commit.
    """
    revisions = [revision or "main"]
    if revision is None and len(commits := cached_commits("model", repo_id)) == 1:
        revisions.append(commits[0])
    paths = (try_to_load_from_cache(repo_id, file, revision=tried) for tried in revisions for file in _CONFIGURATIONS)
    path = next((path for path in paths if isinstance(path, str)), None)
    if path is None:
        return None
    folder = Path(path).parent
    files = tuple(sorted(file.name for file in folder.iterdir() if file.is_file()))
    return Snapshot(repo_id, folder.name, files) if holds_weights(files) else None


def remember_commit(model: Snapshot, revision: str | None) -> None:
    """Store in the Hub cache which commit a branch or tag means now, as the clients do for downloads by branch or tag."""
    if revision and COMMIT.fullmatch(revision):
        return
    reference = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=model.repo_id, repo_type="model") / "refs"
    try:
        (reference / (revision or "main")).parent.mkdir(parents=True, exist_ok=True)
        (reference / (revision or "main")).write_text(model.commit)
    except OSError:
        return  # only offline mode needs it


def cached_commits(kind: str, repo_id: str) -> list[str]:
    """The commits of a repository that can be used without network; the most recently used is last."""
    if kind == "dataset":
        import datasets
        from datasets.naming import camelcase_to_snakecase

        *owner, name = repo_id.split("/")
        folder = Path(datasets.config.HF_DATASETS_CACHE) / "___".join([*owner, camelcase_to_snakecase(name)])
        paths = [path for path in folder.glob("*/*/*") if path.is_dir() and COMMIT.fullmatch(path.name)]
        return list(dict.fromkeys(path.name for path in sorted(paths, key=lambda path: path.stat().st_mtime)))
    try:
        repos = [repo for repo in scan_cache_dir().repos if repo.repo_id == repo_id and repo.repo_type == kind]
    except CacheNotFound:
        return []
    revisions = sorted((revision for repo in repos for revision in repo.revisions), key=lambda revision: revision.last_modified)
    return [revision.commit_hash for revision in revisions if holds_weights(file.file_name for file in revision.files)]


def holds_weights(files: Iterable[str]) -> bool:
    """Whether there are weights among these files."""
    return any(name.endswith((".safetensors", ".bin")) for name in files)
