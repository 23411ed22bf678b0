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
    description: str = ""
    author: str = "loopback"

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
class Discussion:
    """A discussion or, if it has a target, a pull request; the head of that is `Repository.pulls[ref]`."""

    number: int
    title: str
    description: str
    author: str
    date: datetime
    status: str = "open"  # "draft", "closed" and "merged" are the others
    target: str | None = None  # the branch into which a pull request shall be merged
    start: str | None = None  # the commit from which a pull request started
    merged_as: str | None = None

    @property
    def ref(self) -> str:
        """The name of a pull request's head."""
        return f"refs/pr/{self.number}"


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
    pulls: dict[str, str] = field(default_factory=dict)
    discussions: list[Discussion] = field(default_factory=list)
    sdk: str | None = None  # of a Space

    def resolve(self, revision: str) -> Commit | None:
        """The commit that a branch, a tag, a full ref or a commit sha means; None if there is no such thing."""
        name = revision.removeprefix("refs/heads/").removeprefix("refs/tags/")
        return self.commits.get(self.branches.get(name) or self.tags.get(name) or self.pulls.get(name) or revision)

    def discuss(self, title: str, description: str, author: str, target: str | None, start: str | None) -> Discussion:
        """Open a discussion, or a pull request whose head is still the commit that it starts from."""
        number = len(self.discussions) + 1
        date = FIRST_DATE + timedelta(days=1, minutes=number)
        discussion = Discussion(number, title, description, author, date, target=target, start=start)
        self.discussions.append(discussion)
        if start is not None:
            self.pulls[discussion.ref] = start
        return discussion

    def history(self, commit: Commit) -> list[Commit]:
        """`commit` and its ancestors, newest first."""
        found = [commit]
        while found[-1].parent is not None:
            found.append(self.commits[found[-1].parent])
        return found


class Store:
    """All repositories of one hub.

    Every change puts new objects in place, so reads need no lock. A change takes it, and so does who must not be
    disturbed between looking at a head and moving it.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.lock = threading.RLock()
        self._blobs = Path(root) / "blobs"
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._repositories: dict[tuple[str, str], Repository] = {}

    def all(self, repo_type: str) -> list[Repository]:
        """The repositories of a kind."""
        return [repository for (kind, _), repository in list(self._repositories.items()) if kind == repo_type]

    def get(self, repo_type: str, repo_id: str) -> Repository | None:
        """The repository of that type and id, if there is one."""
        return self._repositories.get((repo_type, repo_id))

    def blob(self, sha256: str) -> Path:
        """Where the content with this sha256 lies on disk, if it is there."""
        return self._blobs / sha256

    def read(self, file: StoredFile) -> bytes:
        """The content of a file."""
        return self.blob(file.sha256).read_bytes()

    def create(self, repo_type: str, repo_id: str) -> Repository:
        """The repository of that type and id, made (public, without commits) if it is not there yet."""
        if repo_type not in REPO_TYPES:
            raise ValueError(f"repo_type must be one of {REPO_TYPES}, not {repo_type!r}")
        if repo_id.count("/") != 1:
            raise ValueError(f"a repository id has the form owner/name, not {repo_id!r}")
        with self.lock:
            return self._repositories.setdefault((repo_type, repo_id), Repository(repo_type, repo_id))

    def delete(self, repository: Repository) -> None:
        """Forget a repository; its content stays on disk."""
        with self.lock:
            del self._repositories[repository.repo_type, repository.repo_id]

    def commit(
        self,
        repository: Repository,
        files: Mapping[str, bytes | Path],
        *,
        kept: Mapping[str, str] | None = None,
        delete: Iterable[str] = (),
        branch: str = "main",
        title: str = "Upload files",
        description: str = "",
        author: str = "loopback",
    ) -> Commit:
        """Add a commit to a branch or a pull request (refs/pr/N).

        `files` are added or replaced, and so are the paths of `kept`, as LFS files whose content, named by its sha256, is
        in the store already; the paths of `delete` are removed; all others stay.
        """
        stored = [self._store(path, content) for path, content in files.items()]
        stored += [_lfs_file(path, self.blob(sha256).stat().st_size, sha256) for path, sha256 in (kept or {}).items()]
        with self.lock:
            heads = repository.pulls if branch in repository.pulls else repository.branches
            parent = repository.commits.get(heads.get(branch, ""))
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
            parent_sha = parent.sha if parent else None
            commit = Commit(sha, parent_sha, title, date, dict(sorted(listing.items())), description, author)
            repository.commits[sha] = commit
            heads[branch] = sha
            return commit

    def squash(self, repository: Repository, branch: str, title: str) -> Commit:
        """Replace the history of a branch by one commit with its files."""
        with self.lock:
            head = repository.commits[repository.branches[branch]]
            sha = hashlib.sha1(f"{head.sha} {len(repository.commits)} {title}".encode()).hexdigest()
            files = {path: replace(file, commit=sha) for path, file in head.files.items()}
            date = FIRST_DATE + timedelta(minutes=len(repository.commits))
            commit = Commit(sha, None, title, date, files)
            repository.commits[sha] = commit
            repository.branches[branch] = sha
            return commit

    def keep(self, data: bytes) -> str:
        """Put content into the blob folder, and return its sha256."""
        sha256 = hashlib.sha256(data).hexdigest()
        blob = self.blob(sha256)
        if not blob.exists():
            partial = blob.with_name(f"{sha256}.{threading.get_ident()}")
            partial.write_bytes(data)
            partial.replace(blob)  # a reader must never meet half a file
        return sha256

    def _store(self, path: str, content: bytes | Path) -> StoredFile:
        """Keep one file of a commit."""
        if not is_inside(path):
            raise ValueError(f"not a path inside a repository: {path!r}")
        data = content if isinstance(content, bytes) else Path(content).read_bytes()
        sha256 = self.keep(data)
        if is_lfs(path, len(data)):
            return _lfs_file(path, len(data), sha256)
        return StoredFile(path, len(data), sha256, git_blob_id(data), None)


def is_inside(path: str) -> bool:
    """Whether a path is one that a file of a repository may have."""
    parts = PurePosixPath(path).parts
    return bool(parts) and path == "/".join(parts) and not {".", "..", "/"} & set(parts)


def is_lfs(path: str, size: int) -> bool:
    """Whether a file is one for LFS."""
    return PurePosixPath(path).suffix.lower() in LFS_SUFFIXES or size > LFS_SIZE


def _lfs_file(path: str, size: int, sha256: str) -> StoredFile:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
    return StoredFile(path, size, sha256, git_blob_id(pointer), len(pointer))


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
