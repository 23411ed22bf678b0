"""Arrays on disk: one safetensors file per checkpoint, sample and extraction method, found by a key of their contents.

Every file holds the sha256 of what was written: where a bit has changed since, the file counts as absent.
"""

import contextlib
import hashlib
import json
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub import cached_assets_path
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from hf_transferability.errors import UsageError
from hf_transferability.files import replace_file

EXTRACTION_VERSION = 7  # part of every key of arrays: raise it when the same input would give other arrays or facts
ARRAYS = ("features", "source_probabilities", "gradient_norms")
_ABANDONED = 24 * 3600  # seconds; an unfinished file of this age was left by a killed process


@dataclass
class Arrays:
    """The result of one pass of a network over a sample. An array may be replaced by another, but not be written to.

    Attributes:
        features: float32 [n_samples, n_features].
        source_probabilities: float32 [n_samples, n_source_classes], or None without a source head.
        gradient_norms: float64 [n_batches, 2], or None for a multi-label target or without two layers.
        facts: about the checkpoint and the extraction, for the row of results.
        flags: flag -> detail.
        with_gradients: False if gradient norms were not asked for, so that their absence says nothing.
    """

    features: np.ndarray
    source_probabilities: np.ndarray | None
    gradient_norms: np.ndarray | None
    facts: dict[str, Any]
    flags: dict[str, str]
    with_gradients: bool = True
    _digests: dict[str, tuple[np.ndarray, str]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def digest(self, names: Collection[str] = ARRAYS) -> str:
        """sha256 over these arrays; each array is read once, however often and with whichever others it is asked for."""
        return _sha256("".join(self._digest(name) for name in ARRAYS if name in names))

    def _digest(self, name: str) -> str:
        """Name, form and sha256 of the values of an array; nothing where there is none."""
        if (array := getattr(self, name)) is None:
            return ""
        known = self._digests.get(name)
        if known is None or known[0] is not array:
            values = hashlib.sha256(np.ascontiguousarray(array).data)  # a copy only where it must be
            known = self._digests[name] = array, f"{name} {array.dtype} {array.shape} {values.hexdigest()}\n"
        return known[1]


_NOT_THERE = (OSError, SafetensorError, KeyError, TypeError, ValueError)  # no file, or one that is damaged


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _entry(file: Any, key: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str], bool]:
    """Facts, flags and with_gradients of the arrays in an open file.

    Raises:
        KeyError: they are of another key.
        ValueError: they are not what was written.
    """
    text = file.metadata()["entry"]
    if file.metadata()["entry_sha256"] != _sha256(text):
        raise ValueError("damaged")
    stored = json.loads(text)
    if stored["key"] != key:
        raise KeyError("another key")
    return stored["facts"], stored["flags"], stored.get("with_gradients", True)  # earlier versions stored no others


class Cache:
    """A folder of arrays and small JSON entries, keyed by everything that determines them.

    Args:
        folder: default huggingface_hub's assets cache (moves with HF_HOME and HF_ASSETS_CACHE).

    Attributes:
        failure: why something could not be stored; None if nothing failed.

    Raises:
        UsageError: the folder cannot be created.
    """

    def __init__(self, folder: str | Path | None = None):
        try:
            self.folder = Path(folder) if folder else cached_assets_path("hf-transferability", "arrays", "v1")
            self.folder.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError, RuntimeError) as error:  # ValueError: the Hub's client, where a file is in the way
            place = f"`cache_dir` must be a folder that can be written to; {folder}" if folder else "the Hub's assets cache"
            raise UsageError(
                f"{place} cannot be made: {getattr(error, 'strerror', None) or error}. Pass --cache-dir with another."
            ) from error
        self.failure: str | None = None
        for part in self.folder.glob("*.part"):  # left by a killed run
            with contextlib.suppress(OSError):  # another process has just finished it
                if time.time() - part.stat().st_mtime > _ABANDONED:
                    part.unlink()

    def read(self, key: dict[str, Any]) -> Arrays | None:
        """The arrays stored under a key; None if there are none or the file is damaged."""
        try:
            with safe_open(self._path(key, "safetensors"), framework="numpy") as file:
                facts, flags, complete = _entry(file, key)
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
                digest = file.metadata()["arrays_sha256"]
            probabilities, norms = tensors.get("source_probabilities"), tensors.get("gradient_norms")
            arrays = Arrays(tensors["features"], probabilities, norms, facts, flags, complete)
            return arrays if arrays.digest() == digest else None
        except _NOT_THERE:
            return None

    def holds(self, key: dict[str, Any], with_gradients: bool) -> bool:
        """Whether arrays are stored under a key, and gradient norms were asked for with them if need be. Only the head of the
        file is read, which also tells a file that was cut."""
        try:
            with safe_open(self._path(key, "safetensors"), framework="numpy") as file:
                complete = _entry(file, key)[2]
                return "features" in file.keys() and (complete or not with_gradients)  # noqa: SIM118 - not a dict
        except _NOT_THERE:
            return False

    def write(self, key: dict[str, Any], arrays: Arrays) -> bool:
        """Store arrays atomically; returns whether that succeeded, else see `failure`."""
        tensors = {name: getattr(arrays, name) for name in ARRAYS if getattr(arrays, name) is not None}
        partial = {} if arrays.with_gradients else {"with_gradients": False}
        entry = json.dumps({"key": key, "facts": arrays.facts, "flags": arrays.flags} | partial)
        contiguous = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
        metadata = {"entry": entry, "entry_sha256": _sha256(entry), "arrays_sha256": arrays.digest()}
        return self._store(self._path(key, "safetensors"), save(contiguous, metadata=metadata))

    def read_json(self, key: dict[str, Any]) -> Any:
        """The small entry stored under a key; None if there is none or it is damaged."""
        try:
            digest, _, text = self._path(key, "entry").read_text("utf-8").partition("\n")
            return json.loads(text) if digest == _sha256(text) else None
        except (OSError, ValueError):
            return None

    def write_json(self, key: dict[str, Any], value: Any) -> bool:
        """Store a small entry atomically; returns whether that succeeded, else see `failure`."""
        text = json.dumps(value)
        return self._store(self._path(key, "entry"), f"{_sha256(text)}\n{text}".encode())

    def _path(self, key: dict[str, Any], suffix: str) -> Path:
        digest = _sha256(json.dumps(key, sort_keys=True))
        return self.folder / f"{digest}.{suffix}"

    def _store(self, path: Path, content: bytes) -> bool:
        try:
            replace_file(path, content, durable=True)
            return True
        except OSError as error:  # a full disk is no reason to lose what is in memory
            self.failure = f"results could not be stored in {self.folder}: {error.strerror or error}."
            return False
