"""Files of arrays that users have extracted themselves: read without pickle, and only if they fit the memory."""

import io
import stat
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load as load_safetensors

from hf_transferability.errors import UsageError, shown
from hf_transferability.metrics._registry import INPUTS
from hf_transferability.metrics._validation import one_column

# KeyError: a type that numpy lacks; RuntimeError: an encrypted archive, or (NotImplementedError) an unknown compression.
# RecursionError (a RuntimeError), TypeError, SyntaxError, MemoryError, tokenize's error: a header of .npy that is none.
_UNREADABLE = (
    ValueError, OSError, KeyError, RuntimeError, EOFError, zlib.error, zipfile.BadZipFile, SafetensorError, TypeError,
    SyntaxError, AttributeError, OverflowError, IndexError, struct.error, tokenize.TokenError,
)  # fmt: skip


_LABELS = "iubfUTO"  # kinds of types
_NUMBERS = "biuf"
_NAMES = (*INPUTS, "groups")
_PARAMETERS = "parameters"  # the number of a network's parameters, beside its arrays


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name; see `read_candidate`."""
    return read_candidate(path)[0]


def read_candidate(path: str | Path) -> tuple[dict[str, np.ndarray], int | None]:
    """What a .npz or .safetensors file holds of one candidate.

    Returns:
        Its arrays by name: features, labels, source_probabilities, gradient_norms, groups; and the number of the network's
        parameters (without source head) where the file has it: an entry `parameters` of a .npz file, or of the metadata of a
        .safetensors file.

    An array called logits becomes source_probabilities.

    Raises:
        UsageError: no such file, another format, a pickled array, a damaged or encrypted archive, more than the memory holds,
            names that are not these, features, probabilities or norms that are no numbers, or a number of parameters that is
            not a positive whole number.
    """
    path = Path(path)
    arrays, size = _content(path)
    size = arrays.pop(_PARAMETERS, size)
    if "logits" in arrays and "source_probabilities" not in arrays:
        arrays["source_probabilities"] = _softmax(arrays.pop("logits"))
    if unknown := [name for name in arrays if name not in _NAMES]:
        raise UsageError(f"{path} must hold arrays called {', '.join(_NAMES)}; got {', '.join(unknown)}. Rename or drop these.")
    if "labels" not in arrays:
        raise UsageError(f"{path} must hold an array called labels; got {', '.join(arrays) or 'none'}. Add it.")
    _check_numbers(arrays, path)
    arrays["labels"] = one_column(arrays["labels"])
    _check_labels(arrays["labels"], path)
    return arrays, None if size is None else _count(size, path)


def _content(path: Path) -> tuple[dict[str, np.ndarray], Any]:
    """All arrays of a file, and the number of parameters in its metadata."""
    try:
        if path.suffix in (".npz", ".safetensors") and not stat.S_ISREG(path.stat().st_mode):
            raise UsageError(f"{path} must be a regular file. Save the arrays in one.")  # a pipe or a device may never end
        if path.suffix == ".npz":
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
                arrays = dict(file)
            if odd := [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]:
                raise UsageError(f"{path} holds {odd[0]}, which is no array. Save the arrays with numpy.savez.")
            return arrays, None
        if path.suffix == ".safetensors":
            arrays = load_safetensors(path.read_bytes())
            with safe_open(path, framework="numpy") as file:
                return arrays, (file.metadata() or {}).get(_PARAMETERS)
        raise UsageError(f"`file` must end in .npz or .safetensors; got {path}. Save the arrays with numpy.savez.")
    except FileNotFoundError:
        raise UsageError(f"there is no file {shown(str(path))}. Check the path.") from None
    except UsageError:
        raise
    except MemoryError as error:
        raise UsageError(f"{path} does not fit the memory. Save fewer images, or one candidate per file.") from error
    except _UNREADABLE as error:
        cause = "it is not a valid archive, or holds pickled objects" if "pickle" in str(error) else error
        raise UsageError(
            f"{path} cannot be read: {cause}. Save whole arrays of plain numbers, no bfloat16, no objects (a pickle)."
        ) from error


def _check_numbers(arrays: dict[str, np.ndarray], path: Path) -> None:
    """Refuse arrays of dates, texts or complex numbers where a metric needs real numbers."""
    for name, array in arrays.items():
        if name not in ("labels", "groups") and array.dtype.kind not in _NUMBERS:
            raise UsageError(f"`{name}` of {path} must be real numbers; got {array.dtype}. Save them as floats.")


def _check_labels(labels: np.ndarray, path: Path) -> None:
    """Refuse labels that are neither one per image nor a row per image, or of a type that is no label."""
    if labels.ndim not in (1, 2) or 0 in labels.shape:
        raise UsageError(
            f"`labels` of {path} must have one entry or one row per image; got shape {labels.shape}. Save them as [n_images]."
        )
    if labels.dtype.kind not in _LABELS:
        raise UsageError(
            f"`labels` of {path} must be integers, texts, booleans or floats; got {labels.dtype}. Encode classes as integers."
        )


def _count(value: Any, path: Path) -> int:
    try:
        number = float(np.asarray(value).item())
        if number > 0 and number == int(number):
            return int(number)
    except (ValueError, TypeError, OverflowError):
        pass
    raise UsageError(f"`{_PARAMETERS}` of {path} must be one positive whole number; got {value}. Count the network's weights.")


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Source probabilities [n_samples, n_source_classes] of a source head's logits, computed in float64."""
    values = np.asarray(logits)
    if values.dtype.kind not in "iuf" or values.ndim != 2 or 0 in values.shape or not np.isfinite(values).all():
        raise UsageError(
            f"`logits` must be finite, [n_images, n_classes]; got {values.dtype}, shape {values.shape}. Correct or drop them."
        )
    values = values.astype(np.float64)
    exponents = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=-1, keepdims=True))


def check_size(path: str | Path, largest: int) -> None:
    """Refuse a file whose arrays would fill the memory; a small .npz can unpack to much more than its own size.

    Args:
        path: .npz or .safetensors.
        largest: bytes of the arrays, unpacked.

    Raises:
        UsageError: it is larger, missing, or no such archive.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if path.suffix == ".npz":
            with zipfile.ZipFile(path) as archive:
                size = sum(member.file_size for member in archive.infolist())
    except FileNotFoundError:
        raise UsageError(f"there is no file {path.name}. Check the path.") from None
    except (*_UNREADABLE, MemoryError) as error:
        raise UsageError(f"{path.name} cannot be read: {error}. Save it with numpy.savez.") from error
    if size > largest:
        raise UsageError(
            f"{path.name} must have at most {largest / 2**20:.0f} MiB of arrays; got {size / 2**20:.0f}. "
            "Score it on your own machine."
        )
