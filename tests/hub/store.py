"""Storage of the loopback Hub: repositories, commits and refs in memory, file contents on disk by sha256."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

REPO_TYPES = ("model", "dataset", "space")

# The Hub decides by .gitattributes; these are the suffixes of its defaults that matter here. A file that is not one of
# them is still LFS above LFS_SIZE.
LFS_SUFFIXES = frozenset(
    {
        *(".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".wav", ".webp"),
        *(".bin", ".ckpt", ".h5", ".msgpack", ".onnx", ".pickle", ".pkl", ".pt", ".pth", ".safetensors"),
        *(".arrow", ".npy", ".npz", ".parquet"),
        *(".7z", ".bz2", ".gz", ".tar", ".tgz", ".xz", ".zip", ".zst"),
    }
)
LFS_SIZE = 10 * 2**20

# Commits are dated by their number and not by the clock, so that the same calls give the same commit ids in every run.
FIRST_DATE = datetime(2025, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class StoredFile:
    """One version of one file; `commit` is the sha of the commit that brought it."""

    path: str
    size: int
    sha256: str
    oid: str  # git's blob id: of the pointer when the file is LFS, of the content otherwise
    pointer_size: int | None  # None unless the file is LFS
    commit: str = ""

    @property
    def is_lfs(self) -> bool:
        """Whether the Hub keeps this file outside git."""
        return self.pointer_size is not None

    @property
    def etag(self) -> str:
        """The identity a client sees: sha256 for LFS files, git's blob id for others."""
        return self.sha256 if self.is_lfs else self.oid


@dataclass(frozen=True)
class Commit:
    """A full listing of a repository at one moment."""

    sha: str
    parent: str | None
    title: str
    date: datetime
    files: Mapping[str, StoredFile]

    def is_folder(self, path: str) -> bool:
        """Whether `path` is a folder here; the root ("") always is."""
        return not path or any(name.startswith(path + "/") for name in self.files)

    def folders(self) -> list[str]:
        """All folders that hold a file, however deep."""
        found = {str(parent) for name in self.files for parent in PurePosixPath(name).parents}
        return sorted(found - {"."})

    def folder_oid(self, path: str) -> str:
        """An id for a folder that changes when and only when something in it does (not git's own tree id)."""
        inside = sorted(f"{name} {file.oid}" for name, file in self.files.items() if name.startswith(path + "/"))
        return hashlib.sha1("\n".join(inside).encode()).hexdigest()


@dataclass
class Repository:
    """One repository with its commits and the names that point to them."""

    repo_type: str
    repo_id: str
    private: bool = False
    gated: str | bool = False
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def resolve(self, revision: str) -> Commit | None:
        """The commit that a branch, a tag, a full ref or a commit sha means; None if there is no such thing."""
        name = revision.removeprefix("refs/heads/").removeprefix("refs/tags/")
        return self.commits.get(self.branches.get(name) or self.tags.get(name) or revision)

    def history(self, commit: Commit) -> list[Commit]:
        """`commit` and its ancestors, newest first."""
        found = [commit]
        while found[-1].parent is not None:
            found.append(self.commits[found[-1].parent])
        return found


class Store:
    """All repositories of one hub. Every change takes the lock and puts new objects in place, so reads need none."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._blobs = Path(root) / "blobs"
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._repositories: dict[tuple[str, str], Repository] = {}
        self._lock = threading.RLock()

    def get(self, repo_type: str, repo_id: str) -> Repository | None:
        """The repository of that type and id, if there is one."""
        return self._repositories.get((repo_type, repo_id))

    def blob(self, file: StoredFile) -> Path:
        """Where the content of a file lies on disk."""
        return self._blobs / file.sha256

    def read(self, file: StoredFile) -> bytes:
        """The content of a file."""
        return self.blob(file).read_bytes()

    def create(self, repo_type: str, repo_id: str) -> Repository:
        """The repository of that type and id, made (public, without commits) if it is not there yet."""
        if repo_type not in REPO_TYPES:
            raise ValueError(f"repo_type must be one of {REPO_TYPES}, not {repo_type!r}")
        if repo_id.count("/") != 1:
            raise ValueError(f"a repository id has the form owner/name, not {repo_id!r}")
        with self._lock:
            return self._repositories.setdefault((repo_type, repo_id), Repository(repo_type, repo_id))

    def commit(
        self,
        repository: Repository,
        files: Mapping[str, bytes | Path],
        *,
        delete: Iterable[str] = (),
        branch: str = "main",
        title: str = "Upload files",
    ) -> Commit:
        """Add a commit to a branch: `files` are added or replaced, `delete` removed, all others stay."""
        stored = [self._keep(path, content) for path, content in files.items()]
        with self._lock:
            parent = repository.commits.get(repository.branches.get(branch, ""))
            listing = dict(parent.files) if parent else {}
            for path in delete:
                del listing[path]
            number = len(repository.commits)
            sha = hashlib.sha1(
                repr(
                    (
                        (repository.repo_type, repository.repo_id, number, parent and parent.sha, title),
                        sorted(delete),
                        sorted((file.path, file.sha256) for file in stored),
                    )
                ).encode()
            ).hexdigest()
            for file in stored:
                old = listing.get(file.path)
                if old is None or old.sha256 != file.sha256:  # an unchanged file keeps the commit that brought it
                    listing[file.path] = replace(file, commit=sha)
            date = FIRST_DATE + timedelta(minutes=number)
            commit = Commit(sha, parent.sha if parent else None, title, date, dict(sorted(listing.items())))
            repository.commits[sha] = commit
            repository.branches[branch] = sha
            return commit

    def _keep(self, path: str, content: bytes | Path) -> StoredFile:
        """Put one file's content into the blob folder."""
        parts = PurePosixPath(path).parts
        if not parts or path != "/".join(parts) or {".", "..", "/"} & set(parts):
            raise ValueError(f"not a path inside a repository: {path!r}")
        data = content if isinstance(content, bytes) else Path(content).read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        blob = self._blobs / sha256
        if not blob.exists():
            partial = blob.with_name(f"{sha256}.{threading.get_ident()}")
            partial.write_bytes(data)
            partial.replace(blob)  # a reader must never meet half a file
        if PurePosixPath(path).suffix.lower() not in LFS_SUFFIXES and len(data) <= LFS_SIZE:
            return StoredFile(path, len(data), sha256, git_blob_id(data), None)
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(data)}\n".encode()
        return StoredFile(path, len(data), sha256, git_blob_id(pointer), len(pointer))


def git_blob_id(data: bytes) -> str:
    """The id that git gives to a file with this content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def files_of(source: str | os.PathLike[str] | Mapping[str, bytes]) -> dict[str, bytes | Path]:
    """The files of a folder (by their paths relative to it), or of a dict as it is."""
    if isinstance(source, Mapping):
        return dict(source)
    folder = Path(source)
    if not folder.is_dir():
        raise ValueError(f"not a folder: {folder}")
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
