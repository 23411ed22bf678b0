"""Datasets that can be read in another way than they are meant: rows of several splits, masks, encodings, frames."""

import json
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bad_input.datasets import class_folders, png, rank
from hf_transferability.cli import main

N = 24
WORKS = {"may_work": True}

SPLIT_CELLS: dict[str, Callable[[str], dict[str, Any]]] = {
    "struct": lambda split: {"meta": {"split": split}}, "deep struct": lambda split: {"a": {"b": {"c": {"Subset": split}}}}, "list": lambda split: {"split": [split]}, "list of structs": lambda split: {"meta": [{"partition": split}]},
    "struct called split": lambda split: {"split": {"name": split}}, "boolean in a struct": lambda split: {"meta": {"is_test": split == "test"}}, "JSON text": lambda split: {"meta": json.dumps({"split": split})}, "another name": lambda split: {"meta": {"part": split}},
}  # fmt: skip
HARMLESS_CELLS: dict[str, Any] = {
    "numbers": {"split": {"fold": 1}}, "broken JSON": {"meta": '{"split": "test"'}, "deep JSON": {"meta": "[" * 5000}, "null": {"meta": None}, "empty list": {"split": []}, "mixed": {"meta": [1, 2.5]}, "one split": {"meta": {"split": "train"}},
}  # fmt: skip
NAMES_OF_TABLES = {
    "development and holdout": ("development", "holdout"), "train and unseen": ("train", "unseen"), "internal and external": ("internal", "external"), "labels and hold_out": ("labels", "hold_out"), "external": ("external",), "holdout": ("holdout",), "blind set": ("blind_set",),
    "derivation and validation": ("derivation", "validation"),
}  # fmt: skip


def cases(good: SimpleNamespace) -> Iterator[tuple]:
    """All cases of this kind."""
    for name, cell in SPLIT_CELLS.items():
        for file in ("metadata.jsonl", "data.jsonl"):
            for words in ((), ("--streaming", "--sample-size", "20")):
                yield f"split in a {name} of {file} {' '.join(words[:1])}".strip(), partial(_cells, cell, file, words)
    for name, value in HARMLESS_CELLS.items():
        for file in ("metadata.jsonl", "data.jsonl"):
            yield f"no split in {name} of {file}", partial(_cells, lambda split, v=value: v, file, ()), WORKS
    for name, tables in NAMES_OF_TABLES.items():
        yield f"tables called {name}", partial(_tables, tables)
        yield f"folders called {name}", partial(_folders, tables), {"may_work": tables in (("external",), ("blind_set",))}
    for encoding in ("latin-1", "utf-16", "cp1252"):
        for file in ("labels.csv", "labels.tsv", "labels.jsonl", "labels.json", "metadata.csv", "metadata.jsonl"):
            yield f"{file} in {encoding}", partial(_encoded, encoding, file)
    for ending in ("csv", "jsonl", "parquet"):
        yield f"labels.{ending} beside patients.{ending}", partial(_two_tables, ending), WORKS
    for parts in (("internal", "external"), ("main", "test_set"), ("01_train", "rest"), ("a_train", "a_val", "b")):
        yield f"folders {' and '.join(parts)} below classes", partial(_below, parts)
    yield "file names of which some say train and test", _some_names
    yield "patients called NA", _unknown_patients
    for file in ("x.tar", "x.tar.gz", "x.tar.xz", "x.tgz", "x.7z"):
        yield f"class folders in {file}", partial(_archive, file)
    for words in (("--frame", "1"), ("--frame", "9" * 18), ("--frame", "1", "--skip-corrupt")):
        yield f"frames out of range: {' '.join(words)}", partial(_frames, good, words)
    yield "masks beside images", partial(_masks, (), N), WORKS
    yield "photographs called masks", partial(_masks, (), 2 * N, png), WORKS
    yield "masks that are kept", partial(_masks, ("--keep-masks",), 2 * N), WORKS
    yield "masks in a stream", partial(_masks, ("--streaming", "--sample-size", str(2 * N)), 0)
    yield "masks only", lambda folder: (class_folders(folder / "d"), _renamed(folder / "d", "_mask"), rank("d"))[2], WORKS


def _images(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for i in range(N):
        (folder / f"{i}.png").write_bytes(png(i))
    return folder


def _cells(cell: Callable[[str], Any], file: str, words: tuple[str, ...], folder: Path) -> int:
    path, more = ("file_name", ()) if file.startswith("metadata") else ("image", ("--image-column", "image"))
    rows = [{path: f"{i}.png", "label": "ab"[i % 2], **cell("test" if i < 12 else "train")} for i in range(N)]
    (_images(folder / "d") / file).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return rank("d", *more, *words)


def _tables(names: tuple[str, ...], folder: Path) -> int:
    place = _images(folder / "d")
    for name in names:
        (place / f"{name}.csv").write_text("path,label\n" + "".join(f"{i}.png,{'ab'[i % 2]}\n" for i in range(N)))
    return rank("d", "--image-column", "path")


def _folders(names: tuple[str, ...], folder: Path) -> int:
    for name in names:
        class_folders(folder / "d" / name)
    return rank("d", "--class-level", "2")


def _encoded(encoding: str, file: str, folder: Path) -> int:
    column = "file_name" if file.startswith("metadata") else "path"
    rows = [{column: f"{i}.png", "label": ("gutartig", "bösartig")[i % 2]} for i in range(N)]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    separator = "\t" if file.endswith("tsv") else ","
    texts = {"jsonl": "\n".join(lines), "json": f"[{','.join(lines)}]"}
    text = texts.get(file.rpartition(".")[2]) or "\n".join(
        separator.join(row) for row in ([column, "label"], *(r.values() for r in rows))
    )
    (_images(folder / "d") / file).write_bytes(text.encode(encoding))
    return rank("d", *(() if column == "file_name" else ("--image-column", "path")))


def _two_tables(ending: str, folder: Path) -> int:
    import pandas as pd

    place = _images(folder / "d")
    labels = pd.DataFrame({"path": [f"{i}.png" for i in range(N)], "label": list("ab") * (N // 2)})
    for name, frame in (("labels", labels), ("patients", pd.DataFrame({"patient": [1, 2], "age": [3, 4]}))):
        if ending == "parquet":
            frame.to_parquet(place / f"{name}.parquet")
        elif ending == "csv":
            frame.to_csv(place / f"{name}.csv", index=False)
        else:
            frame.to_json(place / f"{name}.jsonl", orient="records", lines=True)
    status = rank("d", "--image-column", "path")
    if status == 0:
        from hf_transferability.data.targets import load_target

        account = load_target("d", image_column="path").account
        assert f"patients.{ending}" in account and "Tables without the columns of images and labels are left out." in account
    return status


def _below(parts: tuple[str, ...], folder: Path) -> int:
    """Parts of a study below the classes."""
    for label in "ab":
        for part in parts:
            _images(folder / "d" / label / part)
    return rank("d", "--class-level", "1")


def _some_names(folder: Path) -> int:
    for place in sorted(class_folders(folder / "d").iterdir()):
        for k, file in enumerate(sorted(place.iterdir())):
            file.rename(file.with_name(f"{('train_', 'test_', '')[k % 3]}{file.name}"))
    return rank("d")


def _unknown_patients(folder: Path) -> int:
    rows = [f"{i}.png,{'ab'[i % 2]},{('NA', 'p1', 'p2')[i % 3]}\n" for i in range(N)]
    (_images(folder / "d") / "metadata.csv").write_text("file_name,label,patient\n" + "".join(rows))
    return rank("d", "--group-column", "patient")


def _archive(file: str, folder: Path) -> int:
    class_folders(folder / "made")
    (folder / "d").mkdir()
    with tarfile.open(folder / "d" / file, "w") as archive:
        archive.add(folder / "made", ".")
    return rank("d")


def _frames(good: SimpleNamespace, words: tuple[str, ...], folder: Path) -> int:
    """Through a checkpoint that exists: files are decoded before the first one is used."""
    class_folders(folder / "d")
    return main(["rank", "d", str(good.checkpoint), "--metric", "knn", "--no-intervals", "--cache-dir", "arrays", *words])


def _renamed(place: Path, end: str) -> None:
    for file in sorted(place.rglob("*.png")):
        file.rename(file.with_name(f"{file.stem}{end}.png"))


def _masks(words: tuple[str, ...], expected: int, *content_and_folder: Any) -> int:
    """The masks are left out unless they are asked for, and the account says so."""
    from helpers.targets import mask_png

    *content, folder = content_and_folder
    draw = content[0] if content else mask_png
    for place in sorted(class_folders(folder / "d").iterdir()):
        for file in sorted(place.iterdir()):
            file.with_name(f"{file.stem}_mask.png").write_bytes(draw(int(file.stem) + 50))
    status = rank("d", *words)
    if status == 0:
        from hf_transferability.data.targets import load_target

        target = load_target("d", sample_size="all", keep_masks="--keep-masks" in words)
        assert len(target) == expected
        assert ("masks beside their images" in target.account) == (expected == N)
    return status
