"""What one visitor may ask of the page; a request beyond a bound is refused with the reason and a remedy."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from hf_transferability import hub
from hf_transferability.catalogue.filters import in_short
from hf_transferability.data.array_files import check_size, read_arrays
from hf_transferability.errors import UsageError, shown

IMAGES = 500
CHECKPOINTS = 6
PARAMETERS = 100_000_000  # of one checkpoint
DATASET_BYTES = 1500 * 10**6  # hf-vision/chest-xray-pneumonia, one of the examples, has 1,230 MB
CHECKPOINT_BYTES = 10**9  # of all checkpoints together
BYTES_PER_PARAMETER = 4  # where the Hub does not tell the number of parameters
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
        raise UsageError("`checkpoints` must name at least one checkpoint; got none. Choose or type a Hub id.")
    for text in exceeded(dataset, checkpoints):
        raise UsageError(text)
    if not 12 <= sample_size <= IMAGES:
        raise UsageError(f"this page takes 12 to {IMAGES} images; got {sample_size}. {_ELSEWHERE}")
    _check_dataset(dataset)
    _check_checkpoints(checkpoints)


def exceeded(dataset: str | None, checkpoints: Sequence[str]) -> Iterator[str]:
    """What is wrong with names before the Hub is asked, one text each: too many, or no Hub ids; None stands for no dataset."""
    if len(checkpoints) > CHECKPOINTS:
        yield f"this page ranks at most {CHECKPOINTS} checkpoints at once; got {len(checkpoints)}. {_ELSEWHERE}"
    datasets = [] if dataset is None else [("dataset", dataset)]
    for what, name in (*datasets, *(("checkpoint", name.partition("@")[0]) for name in checkpoints)):
        if not name.strip():
            yield f"the {what} must be a Hub id, OWNER/NAME. Copy it from the Hub's page."
        elif not is_id(name):
            yield f"`{what}` must be a Hub id, OWNER/NAME; got {shown(name)}. Copy it from the Hub's page."


def is_id(name: str) -> bool:
    """Whether a name has the form of a Hub id, and is no path of this machine: these are private, and would be read instead."""
    return bool(_ID.fullmatch(name)) and not Path(name).exists()


def too_large(name: str, parameters: int) -> str:
    """What to tell about a checkpoint with more parameters than the page takes; "" for others."""
    if parameters <= PARAMETERS:
        return ""
    return (
        f"this page ranks checkpoints of at most {in_short(PARAMETERS)} parameters; {name} has {in_short(parameters)}. "
        f"{_ELSEWHERE}"
    )


def too_much(weight_bytes: int) -> str:
    """What to tell about checkpoints whose weights are more than the page downloads; "" for others."""
    if weight_bytes <= CHECKPOINT_BYTES:
        return ""
    return (
        f"this page downloads at most {CHECKPOINT_BYTES / 1e6:.0f} MB of checkpoints; these have {weight_bytes / 1e6:.0f} MB. "
        f"Name fewer or smaller ones. {_ELSEWHERE}"
    )


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
        if text := too_large(name, size.parameters or weights // BYTES_PER_PARAMETER):
            raise UsageError(text)
        total += weights
    if text := too_much(total):
        raise UsageError(text)


def _size(kind: str, repo_id: str, revision: str | None) -> hub.Size:
    try:
        return hub.size_of(kind, repo_id, revision, token=False)
    except Exception as error:
        raise UsageError(f"{hub.explain(error, kind, repo_id)} This page reads public repositories only.") from error
