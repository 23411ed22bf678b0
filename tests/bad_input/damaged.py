"""Good files with seeded damage at random: bytes flipped, cut, lost, repeated and put in, values of JSON exchanged.

No case was thought of beforehand, so the code cannot have been written for it. Another --seed of the matrix gives other damage.
"""

import gzip
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hf_transferability.cli import main

EACH = 12  # damaged copies of each file
WORKS = {"may_work": True}
DIFFERS = 3  # exit status: the result is another than of the file before its damage
_IMAGES = (".png", ".dcm", ".gz", ".jpg", ".tif", ".bmp", ".gif", ".webp")
_VALUES: tuple[Any, ...] = (
    None,
    "x",
    "",
    -1,
    0,
    10**9,
    2**70,
    1.5,
    1e308,
    [],
    [1, "a"],
    {},
    {"a": 1},
    True,
    [[[[1]]]],
    "\x00",
    "é" * 300,
)
_TEXTS = (".json", ".jsonl", ".csv", ".md")


def cases(good: SimpleNamespace) -> Iterator[tuple]:
    """All cases of this kind: each file below the made folder, through the door that reads it."""
    made = _made(good)
    for door, folder, act in (
        ("rank", made / "named", partial(_rank_dataset, good)),
        ("rank", made / "jsonl", partial(_rank_dataset, good)),
        ("rank", made / "series", partial(_rank_dataset, good)),
        ("rank", made / "volumes", partial(_rank_dataset, good)),
        ("rank", made / "formats", partial(_rank_dataset, good)),
        ("rank", made / "saved", partial(_rank_dataset, good)),
        ("rank", good.dataset, partial(_rank_dataset, good)),
        ("rank of", good.checkpoint, partial(_rank_checkpoint, good)),
        ("rank of", good.timm, partial(_rank_checkpoint, good)),
        ("score", made / "arrays", _score),
        ("saved", made / "ranking", _draw),
        ("cached", made / "cache", partial(_rank_cached, good, made)),
        ("resumed", made / "runs", partial(_finetune, good)),
        ("resumed", made / "choice", partial(_choose, good, made / "another")),
    ):
        for file in _chosen(folder):
            for number in range(EACH):
                draw = random.Random(f"{good.seed} {folder.name}/{file} {number}")
                yield f"{door} {folder.name}/{file} {number}", partial(_damaged, draw, folder, file, act), WORKS


def _chosen(folder: Path) -> list[Path]:
    """The files below the folder, of images only some; relative to it."""
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    images = [file for file in files if file.suffix in _IMAGES]
    return [file for file in files if file not in images[5:]]


def _damaged(draw: random.Random, whole: Path, file: Path, act: Callable[[Path], int], folder: Path) -> int:
    copy = folder / whole.name
    shutil.copytree(whole, copy)
    content = (copy / file).read_bytes()
    (copy / file).unlink()
    (copy / file).write_bytes(damage(draw, content, file.suffix))
    return act(copy)


def damage(draw: random.Random, content: bytes, suffix: str) -> bytes:
    """The content with one to three faults; of text, half keep its form."""
    for _ in range(draw.randint(1, 3)):
        if suffix in _TEXTS and draw.random() < 0.7:
            content = _damaged_text(draw, content, suffix)
        else:
            content = _damaged_bytes(draw, content)
    return content


def _damaged_bytes(draw: random.Random, content: bytes) -> bytes:
    reach = len(content) if draw.random() < 0.5 else min(len(content), 400)  # headers are where readers fail
    start = draw.randrange(reach + 1)
    end = min(len(content), start + draw.choice((1, 2, 4, 16, 200)))
    middle = {
        "flip": bytes(byte ^ 1 << draw.randrange(8) for byte in content[start:end]),
        "lose": b"",
        "zero": bytes(end - start),
        "full": b"\xff" * (end - start),
        "twice": content[start:end] * 2,
        "put in": draw.randbytes(draw.choice((1, 3, 50))) + content[start:end],
    }
    how = draw.choice((*middle, "cut"))
    return content[:start] if how == "cut" else content[:start] + middle[how] + content[end:]


def _damaged_text(draw: random.Random, content: bytes, suffix: str) -> bytes:
    text = content.decode("utf-8", "replace")
    if suffix == ".json":
        try:
            return json.dumps(_exchanged(draw, json.loads(text))).encode()
        except (ValueError, RecursionError):
            return content
    lines = text.split("\n")
    at = draw.randrange(len(lines))
    cells = lines[at].split(",")
    cells[draw.randrange(len(cells))] = str(draw.choice(_VALUES))
    lines[at : at + 1] = draw.choice(
        ([], [lines[at]] * 2, [",".join(cells)], [lines[at] + ",x"], [lines[at][: len(lines[at]) // 2]])
    )
    return "\n".join(lines).encode()


def _exchanged(draw: random.Random, content: Any) -> Any:
    """The JSON with one value anywhere exchanged, lost or named otherwise."""
    if not isinstance(content, dict | list) or not content or draw.random() < 0.1:
        return draw.choice(_VALUES)
    key = draw.choice(sorted(content)) if isinstance(content, dict) else draw.randrange(len(content))
    if draw.random() < 0.15:
        lost = content.pop(key)
        if isinstance(content, dict) and draw.random() < 0.5:
            content["another"] = lost
    else:
        content[key] = _exchanged(draw, content[key])
    return content


def _rank_dataset(good: SimpleNamespace, folder: Path) -> int:
    return main(["rank", str(folder), str(good.checkpoint), "--metric", "knn", "--no-intervals", "--cache-dir", "arrays"])


def _rank_checkpoint(good: SimpleNamespace, folder: Path) -> int:
    cache = str(good.folder / "arrays")
    return main(["rank", str(good.dataset), str(folder), "--metric", "knn", "--no-intervals", "--cache-dir", cache])


def _score(folder: Path) -> int:
    return main(["score", *(str(path) for path in sorted(folder.iterdir())), "--no-intervals", "--cache-dir", "scores"])


def _draw(folder: Path) -> int:
    statuses = [
        main([command, str(folder / "ranking.json"), "--output", f"r.{ending}"])
        for command, ending in (("report", "html"), ("plot", "png"))
    ]
    compared = main(["benchmark", "compare", "--scores", str(folder / "ranking.json")])
    return max(*statuses, compared)


def _ranked_with(good: SimpleNamespace, cache: Path, output: Path) -> int:
    words = ("--metric", "knn", "--metric", "logme", "--cache-dir", str(cache), "--output", str(output))
    return main(["rank", str(good.dataset), str(good.timm), str(good.checkpoint), *words])


def _rank_cached(good: SimpleNamespace, made: Path, cache: Path) -> int:
    status = _ranked_with(good, cache, cache.parent / "again.json")
    if status:
        return status
    before, after = (_values(path) for path in (made / "ranking" / "ranking.json", cache.parent / "again.json"))
    return 0 if before == after else DIFFERS


def _values(ranking: Path) -> list:
    rows = json.loads(ranking.read_text())["rows"]
    return [(row["checkpoint"], *(round(row[name], 4) for name in ("knn", "logme"))) for row in rows]


def _finetune(good: SimpleNamespace, output: Path) -> int:
    grid = output.parent / "grid.json"
    grid.write_text('{"batch_size": [8], "learning_rate": [0.01], "momentum": [0.9], "weight_decay": [0]}')
    words = ("--grid", str(grid), "--seeds", "1", "--epochs", "1", "--image-size", "16", "--train-per-class", "4")
    more = ("--validation-per-class", "2", "--output", str(output))
    return main(["finetune", "--dataset", str(good.dataset), "--checkpoint", str(good.timm), *words, *more])


def _choose(good: SimpleNamespace, another: Path, output: Path) -> int:
    words = ("--budget", "1", "--image-size", "16", "--cache-dir", str(good.folder / "arrays"), "--output", str(output))
    return main(["choose", str(good.dataset), str(good.timm), str(another), *words])


def _made(good: SimpleNamespace) -> Path:
    """The folder of whole files; made in a process of its own, as the other good inputs are."""
    folder = good.folder / "damaged"
    if not folder.exists():
        child = os.fork()
        if child == 0:
            status = 1
            try:
                _make(good, folder)
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0, "the files to damage could not be made"
    return folder


def _make(good: SimpleNamespace, folder: Path) -> None:
    import datasets
    import numpy as np
    from helpers import medical
    from helpers.formats import save_timm
    from PIL import Image

    images = sorted((good.images / "train").rglob("*.png"))
    for name, table in (("named", "metadata.csv"), ("jsonl", "metadata.jsonl")):
        (folder / name).mkdir(parents=True)
        rows = [{"file_name": path.name, "label": path.parent.name, "age": 40 + number} for number, path in enumerate(images)]
        for path in images:
            shutil.copy(path, folder / name)
        lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
        (folder / name / table).write_text("\n".join(lines if table.endswith("csv") else map(json.dumps, rows)))
        (folder / name / "README.md").write_text(
            "---\nlicense: mit\nconfigs:\n- config_name: default\n  data_dir: .\n---\n# Photographs\n"
        )
    for number, path in enumerate(images):
        pixels = np.asarray(Image.open(path))
        for kind in ("series", "volumes", "formats"):
            (folder / kind / path.parent.name).mkdir(parents=True, exist_ok=True)
        depth = pixels[..., 0].astype(np.uint16) * 16
        (folder / "series" / path.parent.name / f"{number}.dcm").write_bytes(medical.dicom(depth))
        volume = medical.nifti(np.repeat(depth[..., None], 3, 2))
        (folder / "volumes" / path.parent.name / f"{number}.nii.gz").write_bytes(gzip.compress(volume))
        ending = ("jpg", "tif", "bmp", "gif", "webp")[number % 5]
        Image.open(path).save(folder / "formats" / path.parent.name / f"{number}.{ending}")
    datasets.load_dataset("imagefolder", data_dir=str(good.images), split="train").save_to_disk(folder / "saved")
    (folder / "arrays").mkdir()
    (folder / "ranking").mkdir()
    save_timm(folder / "another", "test_vit", {}, 2)
    rng = np.random.default_rng(0)
    for name in ("one", "two"):
        np.savez(folder / "arrays" / f"{name}.npz", features=rng.normal(size=(24, 5)), labels=np.arange(24) % 2)
    assert _ranked_with(good, folder / "cache", folder / "ranking" / "ranking.json") == 0
    assert _finetune(good, folder / "runs") == 0
    assert _choose(good, folder / "another", folder / "choice") == 0
