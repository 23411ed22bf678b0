"""Bad files of arrays, through `score`."""

import io
import json
import os
import struct
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from hf_transferability.cli import main
from hf_transferability.metrics import all_metrics

N = 24
LABELS = np.arange(N) % 2


def features(n: int = N, d: int = 5) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, d))


def probabilities(n: int = N, c: int = 4) -> np.ndarray:
    values = np.random.default_rng(1).random((n, c))
    return values / values.sum(axis=1, keepdims=True)


GOOD = {
    "features": features(), "labels": LABELS, "source_probabilities": probabilities(),
    "gradient_norms": np.abs(features(8, 2)),
}  # fmt: skip


def score(words: list[str]) -> int:
    return main(["score", *words, "--no-intervals", "--cache-dir", "arrays"])


def saved(arrays: dict[str, Any], folder: Path) -> int:
    np.savez(folder / "a.npz", **arrays)
    return score(["a.npz"])


def undefined(key: str, arrays: dict[str, Any], folder: Path, but: tuple[str, ...] = ()) -> int:
    """Arrays of which one is bad or says nothing: no metric that needs it may have a value, and each must say why,
    but those that are defined."""
    np.savez(folder / "a.npz", **arrays)
    status = score(["a.npz", "--metric", "all", "--output", "o.json"])
    if status == 0:
        (row,) = json.loads((folder / "o.json").read_text("utf-8"))["rows"]
        for metric in all_metrics().values():
            if key in metric.inputs and not metric.is_composite and metric.name not in but:
                valued = any(
                    row.get(name) is not None for name in (metric.name, *(f"{metric.name}_{c}" for c in metric.components))
                )
                assert not valued, f"{metric.name} has a value from bad {key}"
                assert f"`{key}`" in row["undefined"][metric.name], f"{metric.name} does not say what is wrong with {key}"
    return status


def raw(name: str, content: bytes, folder: Path) -> int:
    (folder / name).write_bytes(content)
    return score([name])


def npy(header: bytes, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header + data


def archive(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def array_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def safetensors(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


SHAPES: dict[str, np.ndarray] = {
    "0-d": np.array(1.0), "1-d": np.zeros(N), "3-d": np.zeros((N, 2, 2)), "4-d": np.zeros((N, 2, 2, 2)),
    "empty": np.empty(0), "no rows": np.empty((0, 5)), "no columns": np.empty((N, 0)), "one row": np.zeros((1, 5)),
    "other length": features(N + 1), "constant": np.ones((N, 5)), "NaN": np.full((N, 5), np.nan),
    "infinite": np.full((N, 5), np.inf), "huge": features() * 1e200, "tiny": features() * 1e-200,
    "complex": features().astype(complex), "text": np.full((N, 5), "x"), "boolean": features() > 0,
    "dates": np.zeros((N, 5), "datetime64[D]"), "durations": np.zeros((N, 5), "timedelta64[D]"), "bytes": np.full((N, 5), b"x"),
    "objects": np.full((N, 5), None), "structured": np.zeros(N, [("a", "f4"), ("b", "i4")]), "void": np.zeros((N, 5), "V4"),
    "half": features().astype(np.float16), "long double": features().astype(np.longdouble), "fortran": np.asfortranarray(features()),
    "big endian": features().astype(">f8"), "unsigned": np.ones((N, 5), np.uint64), "negative": -np.abs(features()),
}  # fmt: skip
MAY_WORK = {"half", "long double", "fortran", "big endian", "unsigned", "boolean", "negative", "tiny", "huge"}
READABLE = {"features": MAY_WORK, "source_probabilities": set(), "gradient_norms": set()}
LABEL_SHAPES: dict[str, np.ndarray] = {
    "0-d": np.array(1), "2-d": np.zeros((N, 2), int), "2-d of one": np.zeros((N, 1), int), "3-d": np.zeros((N, 2, 2), int),
    "empty": np.empty(0, int), "empty float": np.empty(0), "short": LABELS[:-1], "one class": np.zeros(N, int),
    "NaN": np.full(N, np.nan), "some NaN": np.where(np.arange(N) == 3, np.nan, LABELS), "infinite": np.full(N, np.inf),
    "floats": LABELS / 3.0, "whole floats": LABELS.astype(float), "complex": LABELS.astype(complex),
    "text": LABELS.astype(str), "bytes": LABELS.astype("S"), "objects": LABELS.astype(object),
    "dates": LABELS.astype("datetime64[D]"), "durations": LABELS.astype("timedelta64[D]"), "structured": np.zeros(N, [("a", "i4")]),
    "void": np.zeros(N, "V4"), "all different": np.arange(N), "huge": LABELS.astype(np.uint64) * (2**63),
    "2-d of 2": np.full((N, 2), 2), "2-d NaN": np.full((N, 2), np.nan), "2-d of no column": np.empty((N, 0)),
    "2-d text": np.full((N, 2), "x"), "long text": np.array(["x" * 5000, "y"])[LABELS], "control characters": np.array(["\x1b[31m", "b"])[LABELS],
}  # fmt: skip
LABELS_WORK = {
    "2-d of one",
    "text",
    "floats",
    "huge",
    "long text",
    "control characters",
    "all different",
    "whole floats",
    "bytes",
    "NaN",
}


def cases(good: SimpleNamespace) -> Iterator[tuple]:
    for name, array in SHAPES.items():
        for key in ("features", "source_probabilities", "gradient_norms"):
            # A metric whose array is bad has no value, and the row says why; the others are ranked.
            but = (
                ("logme",) if (key, name) == ("features", "constant") else ()
            )  # it has no intercept, so that a constant is one
            act = saved if name in READABLE[key] else partial(undefined, key, but=but)
            work = {"may_work": name in READABLE[key] or key != "features" or bool(but)}
            yield f"{key}: {name}", partial(act, {**GOOD, key: array}), work
            if key == "features":
                yield f"only {key}: {name}", partial(act, {key: array, "labels": LABELS}), work
    for name, array in LABEL_SHAPES.items():
        yield f"labels: {name}", partial(saved, {**GOOD, "labels": array}), {"may_work": name in LABELS_WORK}
        yield (
            f"labels with features: {name}",
            partial(saved, {"features": features(), "labels": array}),
            {"may_work": name in LABELS_WORK},
        )
    yield from _containers(good)
    yield from _broken()


def _containers(good: SimpleNamespace) -> Iterator[tuple]:
    for value in (np.array(0), np.array(-1), np.array(1.5), np.array(np.nan), np.array("x"), np.array([1, 2]), np.empty(0)):
        yield f"parameters {value!r}", partial(saved, {**GOOD, "parameters": value})
    yield "no arrays", partial(saved, {})
    yield "no labels", partial(saved, {"features": features()})
    yield "only labels", partial(saved, {"labels": LABELS})
    yield "unknown array", partial(saved, {**GOOD, "other": LABELS})
    yield "positional", lambda folder: (np.savez(folder / "a.npz", features(), LABELS), score(["a.npz"]))[1]
    for name in ("0-d", "1-d", "3-d", "empty", "no columns", "NaN", "text", "infinite", "complex"):
        yield (
            f"logits: {name}",
            partial(saved, {"features": features(), "labels": LABELS, "logits": SHAPES[name]}),
            {"may_work": False},
        )
    yield "pickled objects", _pickled
    wide = {"features": np.random.default_rng(0).normal(size=(N, 20_000)).astype(np.float32), "labels": LABELS}
    yield "features 20,000 wide", partial(saved, wide), {"may_work": True}
    wide = {"features": np.random.default_rng(0).normal(size=(400, 20_000)).astype(np.float32), "labels": np.arange(400) % 4}
    yield "400 features 20,000 wide", partial(saved, wide), {"may_work": True}
    yield "a fifo", _fifo
    yield "a fifo as safetensors", partial(_fifo, name="a.safetensors")
    yield "a folder", lambda folder: ((folder / "a.npz").mkdir(), score(["a.npz"]))[1]
    yield "a missing file", lambda folder: score(["none.npz"])
    yield "a link to itself", lambda folder: (os.symlink("a.npz", folder / "a.npz"), score(["a.npz"]))[1]
    yield "a link to a device", lambda folder: (os.symlink("/dev/zero", folder / "a.npz"), score(["a.npz"]))[1]
    yield "an endless device", lambda folder: score(["/dev/zero"])
    yield "a name of 300 characters", lambda folder: score(["x" * 300 + ".npz"])
    yield "undecodable bytes in a missing name", lambda folder: score([os.fsdecode(b"\xff\xfe.npz")])
    yield "undecodable bytes in a name", _undecodable, {"may_work": True}
    yield "~nosuchuser", lambda folder: score(["~nosuchuser/a.npz"])
    yield "a NUL in a name", lambda folder: score(["a\0.npz"])
    yield "an empty name", lambda folder: score([""])
    for ending in ("csv", "npy", "pt", "h5", "NPZ", "zip", ""):
        yield f"ending {ending!r}", partial(raw, f"a.{ending}", b"x"), {"may_work": False}
    yield (
        "other labels",
        lambda folder: (np.savez(folder / "b.npz", features=features(), labels=1 - LABELS), score([str(good.arrays), "b.npz"]))[
            1
        ],
    )
    yield "the same file twice", lambda folder: score([str(good.arrays), str(good.arrays)]), {"may_work": True}


def _broken() -> Iterator[tuple]:
    whole = archive(features=array_bytes(features()), labels=array_bytes(LABELS))
    for share in (0, 1, 10, 100, len(whole) // 2, len(whole) - 1):
        yield f"first {share} bytes of an archive", partial(raw, "a.npz", whole[:share])
    flipped = bytearray(whole)
    flipped[200] ^= 0xFF
    yield "a flipped byte", partial(raw, "a.npz", bytes(flipped))
    headers = {
        "no header": b"", "no literal": b"hello world\n", "a number": b"1\n", "a list": b"[1]\n", "no shape": b"{'descr': '<f8'}\n",
        "open": b"{'descr': '<f8', 'fortran_order': False, 'shape': (24, 5\n", "unknown type": b"{'descr': '<q9', 'fortran_order': False, 'shape': (2,)}\n",
        "negative shape": b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}\n", "shape of text": b"{'descr': '<f8', 'fortran_order': False, 'shape': 'x'}\n",
        "a huge shape": b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999, 9999999999)}\n",
        "shape beyond 64 bits": b"{'descr': '<f8', 'fortran_order': False, 'shape': (" + b"9" * 40 + b",)}\n", "undecodable": b"\xff\xfe\xfd\n",
        "code": b"__import__('os').system('true')\n", "NUL": b"\0\0\0\n", "nested": b"(" * 3000 + b")" * 3000 + b"\n", "nested lists": b"[" * 9000 + b"\n",
        "a type of itself": b"{'descr': [('a', [('b', 'f8')]), 1], 'fortran_order': False, 'shape': (2,)}\n", "bytes shape": b"{'descr': '<f8', 'fortran_order': 3, 'shape': (2,)}\n",
    }  # fmt: skip
    for name, header in headers.items():
        content = npy(header, b"\0" * 64)
        yield f".npy header: {name}", partial(raw, "a.npz", archive(features=content, labels=array_bytes(LABELS)))
        yield f".npy header of labels: {name}", partial(raw, "a.npz", archive(features=array_bytes(features()), labels=content))
    for version in (b"\x00\x00", b"\x09\x00", b"\x03\x00", b"\x02\x00"):
        yield (
            f".npy version {version[0]}",
            partial(raw, "a.npz", archive(features=npy(b"{}\n", version=version), labels=array_bytes(LABELS))),
        )
    yield "a member that is no array", partial(raw, "a.npz", archive(features=b"hello", labels=array_bytes(LABELS)))
    yield "an empty member", partial(raw, "a.npz", archive(features=b"", labels=array_bytes(LABELS)))
    yield "a bare .npy", partial(raw, "a.npz", array_bytes(features()))
    tensor = {"dtype": "F64", "shape": [2, 2], "data_offsets": [0, 32]}
    bad = {
        "empty": b"", "short": b"\x01", "huge header": struct.pack("<Q", 2**62), "no JSON": safetensors(b"{"), "a list": safetensors([]),
        "nested": safetensors(b'{"a":' * 20000), "undecodable": safetensors(b"\xff\xff"), "no tensors": safetensors({}),
        "offsets": safetensors({"features": {**tensor, "data_offsets": [0, 999]}}, b"\0" * 32), "negative": safetensors({"features": {**tensor, "shape": [-1, 2]}}, b"\0" * 32),
        "type": safetensors({"features": {**tensor, "dtype": "X9"}}, b"\0" * 32), "bfloat16": safetensors({"labels": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}, b"\0" * 4),
        "float8": safetensors({"labels": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}}, b"\0" * 2), "float4": safetensors({"labels": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}}, b"\0"),
        "0-d labels": safetensors({"labels": {"dtype": "I64", "shape": [], "data_offsets": [0, 8]}}, b"\0" * 8),
        "no elements": safetensors({"labels": {"dtype": "I64", "shape": [0], "data_offsets": [0, 0]}}), "metadata": safetensors({"__metadata__": {"parameters": "x"}, "labels": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]}}, b"\0" * 8),
    }  # fmt: skip
    for name, content in bad.items():
        yield f"safetensors: {name}", partial(raw, "a.safetensors", content)
    yield "encrypted", _encrypted
    yield "unknown compression", _compression


def _pickled(folder: Path) -> int:
    np.savez(folder / "a.npz", features=np.array([{}, []], dtype=object), labels=LABELS)
    return score(["a.npz"])


def _fifo(folder: Path, name: str = "a.npz") -> int:
    os.mkfifo(folder / name)
    return score([name])


def _undecodable(folder: Path) -> int:
    name = os.fsdecode(b"\xff\xfe.npz")
    with open(name, "wb") as file:
        np.savez(file, features=features(), labels=LABELS)
    return main(["score", name, "--format", "json", "--output", "out.json", "--no-intervals", "--cache-dir", "arrays"])


def _patched(content: bytes, change: Callable[[bytearray, int], None]) -> bytes:
    """An archive whose headers of members are changed: local ones and those of the directory."""
    changed = bytearray(content)
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = changed.find(signature)
        while start >= 0:
            change(changed, start + place)
            start = changed.find(signature, start + 4)
    return bytes(changed)


def _encrypted(folder: Path) -> int:
    def change(content: bytearray, place: int) -> None:
        content[place] |= 1

    return raw("a.npz", _patched(archive(features=array_bytes(features()), labels=array_bytes(LABELS)), change), folder)


def _compression(folder: Path) -> int:
    def change(content: bytearray, place: int) -> None:
        content[place + 2] = 97

    return raw("a.npz", _patched(archive(features=array_bytes(features()), labels=array_bytes(LABELS)), change), folder)
