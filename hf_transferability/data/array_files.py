"""Files of arrays that users have extracted themselves: read without pickle, and only if they fit the memory."""

import io
import zipfile
import zlib
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors

from hf_transferability.errors import UsageError
from hf_transferability.metrics._registry import INPUTS

# KeyError: a type that numpy lacks; RuntimeError: an encrypted archive, or (NotImplementedError) an unknown compression.
_UNREADABLE = (ValueError, OSError, KeyError, RuntimeError, EOFError, zlib.error, zipfile.BadZipFile, SafetensorError)


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a .npz or .safetensors file, by name: features, labels, source_probabilities, gradient_norms.

    An array called logits becomes source_probabilities.

    Raises:
        UsageError: no such file, another format, a pickled array, a damaged or encrypted archive, more than the memory holds,
            or names that are not these.
    """
    path = Path(path)
    try:
        if path.suffix == ".npz":
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
                arrays = dict(file)
        elif path.suffix == ".safetensors":
            arrays = load_safetensors(path.read_bytes())
        else:
            raise UsageError(f"`file` must end in .npz or .safetensors; got {path}. Save the arrays with numpy.savez.")
    except FileNotFoundError:
        raise UsageError(f"there is no file {path}. Check the path.") from None
    except UsageError:
        raise
    except MemoryError as error:
        raise UsageError(f"{path} does not fit the memory. Save fewer images, or one candidate per file.") from error
    except _UNREADABLE as error:
        cause = "it is no such archive, or holds pickled objects" if "pickle" in str(error) else error
        raise UsageError(
            f"{path} cannot be read: {cause}. Save whole arrays of plain numbers, no bfloat16, no objects (a pickle)."
        ) from error
    if "logits" in arrays and "source_probabilities" not in arrays:
        arrays["source_probabilities"] = _softmax(arrays.pop("logits"))
    if unknown := [name for name in arrays if name not in INPUTS]:
        raise UsageError(f"{path} must hold arrays called {', '.join(INPUTS)}; got {', '.join(unknown)}. Rename or drop these.")
    if "labels" not in arrays:
        raise UsageError(f"{path} must hold an array called labels; got {', '.join(arrays) or 'none'}. Add it.")
    return arrays


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Source probabilities [n_samples, n_source_classes] of a source head's logits, computed in float64."""
    values = np.asarray(logits, dtype=np.float64)
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
