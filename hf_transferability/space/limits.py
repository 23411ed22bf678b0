"""What one visitor may ask of the page; a request beyond a bound is refused with the reason and a remedy."""

import re
from collections.abc import Sequence
from pathlib import Path

from hf_transferability import hub
from hf_transferability.data.array_files import check_size, read_arrays
from hf_transferability.errors import UsageError

IMAGES = 500
CHECKPOINTS = 6
PARAMETERS = 100_000_000  # of one checkpoint
DATASET_BYTES = 500 * 10**6
CHECKPOINT_BYTES = 10**9  # of all checkpoints together
FILES = 20
FILE_BYTES = 128 * 2**20  # arrays of one file, unpacked
SECONDS = 600.0
MEMORY = 12 * 2**30  # bytes that one visitor's work may map

_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_ELSEWHERE = "On your own machine `hf-transferability rank` has no such bound."


def check_request(dataset: str, checkpoints: Sequence[str], sample_size: int) -> None:
    """Refuse what is not a public Hub id, and more than the page can do, before anything is downloaded.

    Raises:
        UsageError: names the bound that is exceeded, or says why a repository cannot be read.
    """
    if not checkpoints:
        raise UsageError("`checkpoints` must name at least one checkpoint; got none. Write one Hub id per line.")
    if len(checkpoints) > CHECKPOINTS:
        raise UsageError(f"this page ranks at most {CHECKPOINTS} checkpoints at once; got {len(checkpoints)}. {_ELSEWHERE}")
    if not 12 <= sample_size <= IMAGES:
        raise UsageError(f"this page takes 12 to {IMAGES} images; got {sample_size}. {_ELSEWHERE}")
    _check_id("dataset", dataset)
    for name in checkpoints:
        _check_id("checkpoint", name.partition("@")[0])
    _check_dataset(dataset)
    _check_checkpoints(checkpoints)


def check_files(paths: Sequence[str | Path]) -> None:
    """Refuse too many or too large files of features, and those that cannot be read.

    Raises:
        UsageError: names the bound that is exceeded, or the file that cannot be read.
    """
    if not paths:
        raise UsageError("`files` must name at least one file of features; got none. Choose one first.")
    if len(paths) > FILES:
        raise UsageError(f"this page scores at most {FILES} files at once; got {len(paths)}. Upload fewer.")
    for path in paths:
        check_size(path, FILE_BYTES)
        try:
            read_arrays(path)
        except UsageError as error:  # the folder of uploads means nothing to the visitor
            raise UsageError(str(error).replace(str(path), Path(path).name)) from error


def _check_id(what: str, name: str) -> None:
    # Paths of this machine are private, and a local folder would be read instead of the Hub's repository.
    if not _ID.fullmatch(name) or Path(name).exists():
        raise UsageError(f"`{what}` must be a Hub id, OWNER/NAME; got {name!r}. Copy it from the Hub's page.")


def _check_dataset(name: str) -> None:
    size = sum(_size("dataset", name, None).files.values())
    if size > DATASET_BYTES:
        raise UsageError(
            f"this page reads datasets of at most {DATASET_BYTES / 1e6:.0f} MB; {name} has {size / 1e6:.0f} MB. {_ELSEWHERE}"
        )


def _check_checkpoints(names: Sequence[str]) -> None:
    total = 0
    for name in names:
        repo_id, _, revision = name.partition("@")
        size = _size("model", repo_id, revision or None)
        weights = sum(n for file, n in size.files.items() if "/" not in file and file.endswith(".safetensors"))
        parameters = size.parameters or weights // 4  # four bytes each, unless the Hub states the number
        if parameters > PARAMETERS:
            raise UsageError(
                f"this page ranks checkpoints of at most {PARAMETERS / 1e6:.0f} million parameters; {name} has "
                f"{parameters / 1e6:.0f} million. {_ELSEWHERE}"
            )
        total += weights
    if total > CHECKPOINT_BYTES:
        raise UsageError(
            f"this page downloads at most {CHECKPOINT_BYTES / 1e6:.0f} MB of checkpoints; these have {total / 1e6:.0f} MB. "
            f"Name fewer or smaller ones. {_ELSEWHERE}"
        )


def _size(kind: str, repo_id: str, revision: str | None) -> hub.Size:
    try:
        return hub.size_of(kind, repo_id, revision, token=False)
    except Exception as error:
        raise UsageError(f"{hub.explain(error, kind, repo_id)} This page reads public repositories only.") from error
