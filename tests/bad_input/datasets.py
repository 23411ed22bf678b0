"""Bad datasets, through `rank` with a checkpoint that does not exist: a dataset that is read ends as one failed row."""

import base64
import csv
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bad_input.made import NO_CHECKPOINT
from hf_transferability.cli import main

READ = "has no config.json"


def rank(dataset: str, *words: str) -> int:
    """0 if the dataset was read (the row of the checkpoint says that it is none), else the status of the error."""
    import contextlib

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        status = main(["rank", dataset, NO_CHECKPOINT, "--cache-dir", "arrays", "--format", "json", *words])
    print(said.getvalue())
    return 0 if status == 1 and READ in said.getvalue() else status


def png(seed: int = 0, mode: str = "RGB", size: tuple[int, int] = (8, 8)) -> bytes:
    import numpy as np
    from PIL import Image

    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


def bomb(side: int) -> bytes:
    """A PNG whose header says that it is so large."""
    import struct
    import zlib

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def class_folders(folder: Path, classes: tuple[str, ...] = ("a", "b"), n: int = 12) -> Path:
    for k, name in enumerate(classes):
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        for i in range(n):
            (place / f"{i}.png").write_bytes(png(100 * k + i))
    return folder


IMAGES: dict[str, bytes] = {
    "empty": b"", "text": b"hello", "cut": png()[:60], "header only": png()[:33], "zeros": b"\0" * 1000, "a bomb": bomb(40_000),
    "a bomb beyond 32 bits": bomb(2**31 - 1), "zero size": bomb(0), "HTML": b"<html><body>404</body></html>", "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "a gzip": b"\x1f\x8b\x08\0" + b"\0" * 50, "a PDF": b"%PDF-1.4\n", "GIF header": b"GIF89a\0\0\0\0", "JPEG header": b"\xff\xd8\xff\xe0\0\x10JFIF", "TIFF header": b"II*\0\xff\xff\xff\xff",
    "an LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "WEBP header": b"RIFF\0\0\0\0WEBPVP8 ", "BMP header": b"BM" + b"\xff" * 60, "DICOM": b"\0" * 128 + b"DICM",
}  # fmt: skip

CARD_VALUES: dict[str, Any] = {
    "number": 1, "list": [1, [2]], "text": "x", "null": None, "true": True, "dict": {"a": {"b": 1}}, "date": "2020-01-01", "long": "x" * 100_000, "negative": -1, "deep": [[[[[[]]]]]],
}  # fmt: skip


def parquet(columns: dict[str, Any], folder: Path, *words: str) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / "d").mkdir()
    pq.write_table(pa.table(columns), folder / "d" / "train.parquet")
    return rank("d", *words)


def _with_image(content: bytes, folder: Path, everywhere: bool = False, *words: str) -> int:
    class_folders(folder / "d")
    for file in sorted((folder / "d" / "a").iterdir())[: None if everywhere else 1]:
        file.write_bytes(content)
    return rank("d", *words)


def _card(text: str | bytes, folder: Path, good: SimpleNamespace) -> int:
    shutil.copytree(good.dataset, folder / "d")
    (folder / "d" / "README.md").write_bytes(text if isinstance(text, bytes) else text.encode())
    return rank("d")


def _yaml(content: dict[str, Any]) -> str:
    return f"---\n{json.dumps(content)}\n---\n# Card\n"


def _metadata(rows: list[dict[str, Any]] | str | bytes, folder: Path, ending: str = "csv") -> int:
    place = folder / "d"
    place.mkdir()
    for i in range(24):
        (place / f"{i}.png").write_bytes(png(i))
    if isinstance(rows, list) and ending == "csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]) if rows else ["file_name"])
        writer.writeheader()
        writer.writerows(rows)
        rows = text.getvalue()
    elif isinstance(rows, list):
        rows = "".join(json.dumps(row) + "\n" for row in rows)
    (place / f"metadata.{ending}").write_bytes(rows if isinstance(rows, bytes) else rows.encode("utf-8", "surrogateescape"))
    return rank("d")


def _names(change: Callable[[int], Any]) -> list[dict[str, Any]]:
    return [{"file_name": change(i), "label": "ab"[i % 2]} for i in range(24)]


def cases(good: SimpleNamespace) -> Iterator[tuple]:
    for name, content in IMAGES.items():
        yield f"one image is {name}", partial(_with_image, content)
        yield f"a class is {name}", partial(_with_image, content, everywhere=True)
        yield f"a class is {name}, skipped", lambda folder, c=content: _with_image(c, folder, True, "--skip-corrupt")
        yield f"embedded: {name}", partial(_embedded, content)
    yield from _tables()
    yield from _cards(good)
    yield from _metadata_files()
    yield from _folders(good)
    yield from _places()
    yield from _saved(good)


def _embedded(content: bytes, folder: Path) -> int:
    images = [{"bytes": png(i) if i else content, "path": None} for i in range(24)]
    return parquet({"image": images, "label": ["ab"[i % 2] for i in range(24)]}, folder, "--image-column", "image")


LABELS: dict[str, Callable[[int], Any]] = {
    "null": lambda i: None, "some null": lambda i: None if i == 3 else i % 2, "one class": lambda i: 0, "all different": str, "float": lambda i: i % 2 + 0.5,
    "NaN": lambda i: float("nan"), "infinite": lambda i: float("inf"), "dict": lambda i: {"a": i}, "list": lambda i: [i % 2], "lists of unequal length": lambda i: [1] * (i % 3),
    "lists of text": lambda i: ["a", "b"][: i % 3], "nested lists": lambda i: [[i]], "bytes": lambda i: b"ab"[i % 2 : i % 2 + 1], "undecodable bytes": lambda i: b"\xff" * (i % 2 + 1), "boolean": lambda i: i % 2 == 0,
    "empty text": lambda i: "", "blank": lambda i: " " * (i % 2 + 1), "long text": lambda i: "xy"[i % 2] * 100_000, "control characters": lambda i: "\x1b[31m" + "ab"[i % 2], "beyond 32 bits": lambda i: 2**62 + i % 2,
    "negative": lambda i: -(i % 2), "commas": lambda i: "a,b" if i % 2 else "a", "empty lists": lambda i: [], "date": lambda i: __import__("datetime").date(2020, 1, i % 2 + 1), "decimal": lambda i: __import__("decimal").Decimal(i % 2),
    "line breaks": lambda i: f"a\n{i % 2}", "bidi": lambda i: f"\u202e{i % 2}", "lists of null": lambda i: [None, 1], "text numbers": lambda i: str(i % 2), "HTML": lambda i: f"<script>{i % 2}</script>",
}  # fmt: skip
_LABELS_WORK = {
    "some null", "all different", "float", "list", "lists of text", "boolean", "long text", "control characters", "beyond 32 bits", "negative", "commas", "line breaks",
    "bidi", "text numbers", "HTML", "blank", "lists of unequal length", "bytes", "date", "decimal", "undecodable bytes",
}  # fmt: skip


def _tables() -> Iterator[tuple]:
    images = [{"bytes": png(i), "path": None} for i in range(24)]
    words = ("--image-column", "image")
    for name, label in LABELS.items():
        work = {"may_work": name in _LABELS_WORK}
        columns = {"image": images, "label": [label(i) for i in range(24)]}
        yield f"labels: {name}", lambda folder, c=columns: parquet(c, folder, *words), work
        for task in ("single_label", "multi_label", "regression"):
            yield (
                f"labels: {name}, {task}",
                lambda folder, c=columns, t=task: parquet(c, folder, *words, "--task", t),
                {"may_work": True},
            )
    labels = ["ab"[i % 2] for i in range(24)]
    columns_of = {
        "texts": ["x"] * 24, "numbers": list(range(24)), "null": [None] * 24, "bytes of text": [b"x"] * 24, "lists": [[1, 2]] * 24, "dicts of other keys": [{"a": 1}] * 24,
        "base64": [base64.b64encode(png(i)).decode() * 40 for i in range(24)], "long texts": ["x" * 5000] * 24, "NUL": ["a\0b"] * 24, "names of 300 characters": ["x" * 300 + ".png"] * 24,
        "~nosuchuser": ["~nosuchuser/a.png"] * 24, "path of a number": [{"bytes": None, "path": 3}] * 24, "bytes of a number": [{"bytes": 3, "path": None}] * 24, "neither": [{"bytes": None, "path": None}] * 24,
        "a device": [{"bytes": None, "path": "/dev/zero"}] * 24, "absolute": [{"bytes": None, "path": "/etc/passwd"}] * 24, "parent": [{"bytes": None, "path": "../../x.png"}] * 24, "ftp": [{"bytes": None, "path": "ftp://host/x.png"}] * 24,
        "http": [{"bytes": None, "path": "http://127.0.0.1:9/x.png"}] * 24, "chained": [{"bytes": None, "path": "zip://x::http://127.0.0.1:9/x.zip"}] * 24, "other repository": [{"bytes": None, "path": "hf://datasets/a/b/c.png"}] * 24,
        "file": [{"bytes": None, "path": "file:///etc/passwd"}] * 24, "missing": [{"bytes": None, "path": "gone.png"}] * 24, "empty path": [{"bytes": None, "path": ""}] * 24, "folder": [{"bytes": None, "path": "."}] * 24,
    }  # fmt: skip
    for name, column in columns_of.items():
        yield f"image column: {name}", lambda folder, c=column: parquet({"image": c, "label": labels}, folder, *words)
    yield "no rows", lambda folder: parquet({"image": [], "label": []}, folder, *words)
    yield "no image column", lambda folder: parquet({"label": labels}, folder)
    yield "no label column", lambda folder: parquet({"image": images}, folder, *words)
    yield (
        "another label column",
        lambda folder: parquet({"image": images, "label": labels}, folder, *words, "--label-column", "x\x1b[31m"),
    )
    yield (
        "image column as label",
        lambda folder: parquet({"image": images, "label": labels}, folder, *words, "--label-column", "image"),
    )
    for name in (
        "train.parquet",
        "train.arrow",
        "train.csv",
        "train.json",
        "train.jsonl",
        "train.tar",
        "train.zip",
        "train.txt",
        "train.xml",
        "train.h5",
    ):
        for kind, content in {
            "empty": b"",
            "text": b"hello",
            "zeros": b"\0" * 100,
            "braces": b"{" * 1000,
            "undecodable": b"\xff\xfe\xfd",
        }.items():
            yield f"{name}: {kind}", partial(_one_file, name, content)


def _one_file(name: str, content: bytes, folder: Path) -> int:
    (folder / "d").mkdir()
    (folder / "d" / name).write_bytes(content)
    return rank("d")


def _cards(good: SimpleNamespace) -> Iterator[tuple]:
    harmless = {"may_work": True}
    for name, value in CARD_VALUES.items():
        for key in ("configs", "dataset_info", "license", "data_files"):
            yield f"card {key}: {name}", lambda folder, c=_yaml({key: value}): _card(c, folder, good), harmless
        for key in ("data_files", "config_name", "data_dir"):
            yield (
                f"card configs {key}: {name}",
                lambda folder, c=_yaml({"configs": [{"config_name": "default", key: value}]}): _card(c, folder, good),
                harmless,
            )
        yield (
            f"card features: {name}",
            lambda folder, c=_yaml({"dataset_info": {"features": value, "splits": value}}): _card(c, folder, good),
            harmless,
        )
    texts = {
        "no YAML": "---\n[\n---\n", "undecodable": b"---\nlicense: \xff\xfe\n---\n", "aliases": "---\n" + "a0: &a0 [x,x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)) + "configs: *a11\n---\n", "deep": "---\na: " + "[" * 10_000 + "\n---\n",
        "an object": "---\na: !!python/object/apply:os.system ['true']\n---\n", "a circle": "---\nconfigs: &a [*a]\n---\n", "large": "---\nlicense: mit\n---\n" + "x" * 20_000_000, "open": "---\nlicense: mit\n", "date": "---\nconfigs: 2020-13-45\n---\n", "int": "---\nconfigs: 0o99_:1\n---\n", "large number": "---\na: " + "9" * 10_000 + "\n---\n",
        "set": "---\nconfigs: !!set {a, b}\n---\n", "binary": "---\nconfigs: !!binary abc\n---\n", "double keys": "---\nconfigs: [{config_name: a, config_name: b}]\n---\n", "timestamps": "---\nconfigs: [{config_name: 2020-01-01, data_files: data/*}]\n---\n", "NUL": b"---\na: \0\n---\n", "unhashable key": "---\n? [a]\n: b\n---\n",
    }  # fmt: skip
    for name, text in texts.items():
        yield f"card: {name}", lambda folder, t=text: _card(t, folder, good), harmless


def _metadata_files() -> Iterator[tuple]:
    values = {
        "missing": "gone.png", "absolute": "/etc/passwd", "parent": "../x.png", "http": "http://127.0.0.1:9/x.png", "ftp": "ftp://127.0.0.1:9/x.png", "chained": "zip://x::http://127.0.0.1:9/x.zip", "empty": "", "NUL": "a\0b.png", "long": "x" * 300 + ".png",
        "very long": "x" * 100_000, "~nosuchuser": "~nosuchuser/x.png", "control": "\x1b[31m.png", "undecodable": "\udcff.png", "folder": ".", "number": 3, "hf": "hf://datasets/a/b/x.png", "null": None, "list": ["0.png"], "file": "file:///etc/passwd", "windows": "C:\\x.png",
    }  # fmt: skip
    for name, value in values.items():
        if name != "list":
            yield f"metadata.csv file_name: {name}", partial(_metadata, _names(lambda i, v=value: v))
        if name != "undecodable":
            yield f"metadata.jsonl file_name: {name}", partial(_metadata, _names(lambda i, v=value: v), ending="jsonl")
        if name not in ("list", "undecodable"):
            yield (
                f"metadata.csv one file_name: {name}",
                partial(_metadata, _names(lambda i, v=value: f"{i}.png" if i else v)),
                {
                    "may_work": name
                    not in ("absolute", "parent", "http", "ftp", "chained", "hf", "file", "windows", "~nosuchuser")
                },  # as missing: the account says so
            )
    texts = {"empty": b"", "text": b"hello", "no file_name": b"a,b\n1,2\n", "only header": b"file_name,label\n", "undecodable": b"file_name,label\n\xff,\xfe\n", "quotes": b'file_name,label\n"0.png,a\n', "NUL": b"file_name,label\n\0\n", "ragged": b"file_name,label\n0.png\n1.png,a,b,c\n", "double columns": b"file_name,file_name\n0.png,1.png\n", "braces": b"{" * 20_000, "list": b"[1, 2]\n", "UTF-16": "file_name,label\n0.png,a\n".encode("utf-16")}  # fmt: skip
    for name, text in texts.items():
        for ending in ("csv", "jsonl", "parquet"):
            yield f"metadata.{ending}: {name}", partial(_metadata, text, ending=ending)


def _folders(good: SimpleNamespace) -> Iterator[tuple]:
    def made(change: Callable[[Path], Any], may_work: bool = False, *words: str) -> tuple:
        def act(folder: Path) -> int:
            class_folders(folder / "d")
            change(folder / "d")
            return rank("d", *words)

        return act, {"may_work": may_work}

    yield "empty folder", lambda folder: ((folder / "d").mkdir(), rank("d"))[1]
    yield "only text", lambda folder: ((folder / "d").mkdir(), (folder / "d" / "a.txt").write_text("x"), rank("d"))[2]
    yield "one class folder", lambda folder: (class_folders(folder / "d", ("a",)), rank("d"))[1]
    yield "few images", lambda folder: (class_folders(folder / "d", n=2), rank("d"))[1]
    yield "an empty class", *made(lambda d: (d / "c").mkdir(), True)  # the account says so
    yield "a fifo image", *made(lambda d: os.mkfifo(d / "a" / "x.png"))
    yield "a link to a device", *made(lambda d: os.symlink("/dev/zero", d / "a" / "x.png"))
    yield "a link in a circle", *made(lambda d: os.symlink("x.png", d / "a" / "x.png"))
    yield "a folder in a circle", *made(lambda d: os.symlink("..", d / "a" / "up"), True)
    yield "a link outside", *made(lambda d: os.symlink("/etc/passwd", d / "a" / "x.png"))
    yield "a link that leads nowhere", *made(lambda d: os.symlink("gone", d / "a" / "x.png"))
    yield "a folder called x.png", *made(lambda d: (d / "a" / "x.png").mkdir(), True)
    yield "undecodable bytes in a class", *made(lambda d: (d / "b").rename(d / os.fsdecode(b"\xff\xfe")), True)
    yield "undecodable bytes in an image", *made(lambda d: (d / "b" / "0.png").rename(d / "b" / os.fsdecode(b"\xff.png")), True)
    yield "control characters in a class", *made(lambda d: (d / "b").rename(d / "\x1b[31m\n"), True)
    yield "a class of 255 characters", *made(lambda d: (d / "b").rename(d / ("x" * 255)), True)
    yield "a class of 255 bytes", *made(lambda d: (d / "b").rename(d / ("é" * 127)), True)
    yield "a class called CON", *made(lambda d: (d / "b").rename(d / "CON"), True)
    yield "a class with brackets", *made(lambda d: (d / "b").rename(d / "[x]*?"), True)
    yield "a class with a hash", *made(lambda d: (d / "b").rename(d / "a#b::c"), True)
    yield "a zip that is none", *made(lambda d: (d / "x.zip").write_bytes(b"hello"), True)
    yield "a second data file", *made(lambda d: (d / "x.parquet").write_bytes(b"PAR1"), True)
    for name in (
        "state.json",
        "dataset_info.json",
        "dataset_dict.json",
        "metadata.jsonl",
        ".huggingface.yaml",
        "dataset_infos.json",
    ):
        for kind, content in {"empty": b"", "number": b"1", "deep": b"[" * 10_000, "undecodable": b"\xff"}.items():
            yield f"{name} is {kind}", *made(lambda d, n=name, c=content: (d / n).write_bytes(c), True)
    yield "a script", *made(lambda d: (d / "d.py").write_text("import os"), True)
    for options in (("--split", "x"), ("--split", "train[:0]"), ("--split", "train[9999:]"), ("--split", "["), ("--split", ""), ("--split", "\x1b"), ("--config", "x"), ("--config", ""), ("--revision", "x"), ("--class-level", "9"),
                    ("--label-column", "x"), ("--image-column", "label"), ("--label-column", "image"), ("--image-column", ""), ("--window", "0,1"), ("--sample-size", "1"), ("--split", "train+train"), ("--split", "train[" + "9" * 5000 + ":]"), ("--split", "x" * 10_000), ("--frame", "9" * 30), ("--frame", "5"), ("--streaming",),
                    ("--max-pixels", "1"), ("--label-separator", ""), ("--task", "regression"), ("--task", "multi_label"), ("--draw", "stratified", "--sample-size", "3")):  # fmt: skip
        yield (
            f"good folder with {' '.join(options)[:60]!r}",
            lambda folder, o=options: rank(str(good.dataset), *o),
            {"may_work": options[0] in ("--frame", "--label-separator", "--streaming", "--split", "--revision")},
        )


def _places() -> Iterator[tuple]:
    names = {
        "~nosuchuser": "~nosuchuser", "~nosuchuser/x": "~nosuchuser/x", "300 characters": "x" * 300, "300 characters below": "a/" + "x" * 300, "5000 characters": "x/" * 2500, "NUL": "a\0b", "empty": "", "blank": " ", "undecodable": os.fsdecode(b"\xff\xfe"), "undecodable below": os.fsdecode(b"a/\xff"),
        "control": "\x1b[31m/x", "dots": "..", "device": "/dev/zero", "a file": "/etc/passwd", "URL": "http://127.0.0.1:9/x", "hf": "hf://datasets/a/b", "three parts": "a/b/c", "leading slash": "/nowhere", "at": "a/b@c", "s3": "s3://a/b", "ftp": "ftp://127.0.0.1:9/x", "chained": "zip://a::http://127.0.0.1:9/x", "backslash": "a\\b",
        "imagefolder": "imagefolder", "csv": "csv", "a pattern": "*", "/proc": "/proc/self/fd", "unicode": "ünïcode/dätä", "bidi": "\u202ea/b", "surrogate": "a/\ud800",
    }  # fmt: skip
    for name, text in names.items():
        yield f"named {name}", partial(lambda text, folder: rank(text), text)


def _saved(good: SimpleNamespace) -> Iterator[tuple]:
    def changed(change: Callable[[Path], Any], folder: Path) -> int:
        import datasets

        datasets.Dataset.from_parquet(str(good.dataset / "data" / "train-00000-of-00001.parquet"), cache_dir="c").save_to_disk(
            folder / "d"
        )
        change(folder / "d")
        return rank("d")

    states = {
        "empty": b"",
        "number": b"3",
        "list": b"[]",
        "files number": b'{"_data_files": 3}',
        "file absolute": b'{"_data_files": [{"filename": "/etc/passwd"}]}',
        "no fingerprint": b'{"_data_files": []}',
        "deep": b"[" * 10_000,
        "undecodable": b"\xff",
    }
    for name, content in states.items():
        yield f"saved state.json: {name}", partial(changed, lambda d, c=content: (d / "state.json").write_bytes(c))
        yield (
            f"saved dataset_info.json: {name}",
            partial(changed, lambda d, c=content: (d / "dataset_info.json").write_bytes(c)),
            {"may_work": True},
        )
    for share in (0, 10, 1000):
        yield (
            f"saved table cut at {share}",
            partial(changed, lambda d, s=share: [f.write_bytes(f.read_bytes()[:s]) for f in d.glob("*.arrow")]),
        )
    yield "saved table missing", partial(changed, lambda d: [f.unlink() for f in d.glob("*.arrow")])
