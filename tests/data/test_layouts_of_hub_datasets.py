"""The same repositories from the Hub and as folders: their accounts, refusals, masks and notes are the same."""

import io
import json
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset, Features, Image, Value
from helpers.loopback_hub import LoopbackHub
from helpers.loopback_hub.clients import client
from helpers.targets import AB, png
from PIL import Image as Pillow

from hf_transferability.data.targets import load_target
from hf_transferability.errors import TransferabilityError

SCRIPT = """
import json, sys
from hf_transferability.data.targets import load_target
answers = {}
for name, options in json.loads(sys.argv[1]).items():
    try:
        target = load_target(name, sample="all", **options)
        answers[name] = [target.provenance["account"]["line"], len(target), target.class_names]
    except Exception as error:
        answers[name] = f"{type(error).__name__}: {error}"
print(json.dumps(answers))
"""


def photos(*folders: str, n: int = 12, name: str = "{}.png") -> dict[str, bytes]:
    return {
        f"{folder}/{name.format(i)}".lstrip("/"): png(100 * k + i, size=16)
        for k, folder in enumerate(folders)
        for i in range(n)
    }


def mask(seed: int) -> bytes:
    pixels = np.zeros((16, 16), np.uint8)
    pixels[2 : 6 + seed % 5, 3:9] = 255
    buffer = io.BytesIO()
    Pillow.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def parquet(n: int = 24, paths: str = "{}.png", **more: list) -> bytes:
    cells = [{"bytes": png(i, size=16), "path": paths.format(i)} for i in range(n)]
    columns = {
        "image": cells,
        "label": [i % 2 for i in range(n)],
        **{key: [v[i % len(v)] for i in range(n)] for key, v in more.items()},
    }
    kinds = {key: Value("string" if isinstance(values[0], str) else "int64") for key, values in more.items()}
    buffer = io.BytesIO()
    Dataset.from_dict(columns, features=Features({"image": Image(), "label": AB, **kinds})).to_parquet(buffer)
    return buffer.getvalue()


def masked_parquet() -> bytes:
    cells = [{"bytes": mask(i) if i % 2 else png(i, size=16), "path": f"{i // 2}{'_lesion' * (i % 2)}.png"} for i in range(48)]
    buffer = io.BytesIO()
    features = Features({"image": Image(), "label": AB})
    Dataset.from_dict({"image": cells, "label": [0, 0, 1, 1] * 12}, features=features).to_parquet(buffer)
    return buffer.getvalue()


def rows(paths: list[str], separator: str = ",", copies: int = 1, **more: list) -> bytes:
    """A metadata.csv in which so many rows after each other have one label."""
    lines = [["file_name", "label", *more]]
    lines += [[path, "ab"[i // copies % 2], *(str(v[i % len(v)]) for v in more.values())] for i, path in enumerate(paths)]
    return "\n".join(map(separator.join, lines)).encode()


def webdataset() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for i in range(24):
            for ending, content in (("png", png(i, size=16)), ("cls", b"%d" % (i % 2))):
                entry = tarfile.TarInfo(f"{i:03}.{ending}")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


FLAT = [f"{i}.png" for i in range(24)]
SHARD = "data/{}-00000-of-00001.parquet"
LAYOUTS: dict[str, tuple[dict[str, bytes], dict]] = {
    "parquet-splits": ({SHARD.format(split): parquet(n) for split, n in (("train", 24), ("validation", 12), ("test", 12))}, {}),
    "parquet-test-only": ({SHARD.format("test"): parquet()}, {}),
    "parquet-folds": ({SHARD.format("train"): parquet(fold=[1, 2, 3, 4, 5])}, {}),
    "parquet-split-column": ({SHARD.format("train"): parquet(split=["train", "test"])}, {}),
    "parquet-patients": ({SHARD.format("train"): parquet(patient=["p1", "p2", "p3"])}, {"group_column": "patient"}),
    "parquet-unknown-patients": ({SHARD.format("train"): parquet(patient=["NA", "p2"])}, {"group_column": "patient"}),
    "parquet-masks": ({SHARD.format("train"): masked_parquet()}, {}),
    "parquet-masks-kept": ({SHARD.format("train"): masked_parquet()}, {"keep_masks": True}),
    "parquet-names": ({SHARD.format("train"): parquet(paths="external_{}.png")}, {}),
    "parquet-folders": ({SHARD.format("train"): parquet(paths="{}/test.png")}, {}),
    "folders": (photos("train/a", "train/b", "test/a", "test/b"), {}),
    "folders-test-only": (photos("test/a", "test/b"), {}),
    "folders-masks": (photos("a", "b") | {f"a/{i}_lesion.png": mask(i) for i in range(12)}, {}),
    "folders-class-of-masks": (photos("images") | {f"lesions/{i}.png": mask(i) for i in range(12)}, {}),
    "folders-parts": (photos("a/internal", "a/external", "b/internal", "b/external"), {"class_level": 1}),
    "folders-test-beside": (photos("a", "b", "a/external"), {}),
    "folders-no-classes": (photos("internal", "external"), {}),
    "folders-names": (photos("a", "b") | photos("a", "b", name="{}_external.png"), {}),
    "metadata": (photos("", n=24) | {"metadata.csv": rows(FLAT, fold=[0, 1])}, {}),
    "metadata-some-named": (photos("", n=30) | {"metadata.csv": rows(FLAT)}, {}),
    "metadata-patients": (photos("", n=24) | {"metadata.csv": rows(FLAT, patient=["nan", "p"])}, {"group_column": "patient"}),
    "metadata-splits": (photos("", n=24) | {"metadata.csv": rows(FLAT, split=["train", "test"])}, {}),
    "metadata-masks": (
        photos("", n=24)
        | {f"{i}_lesion.png": mask(i) for i in range(24)}
        | {"metadata.csv": rows([f"{i}{end}.png" for i in range(24) for end in ("", "_lesion")], copies=2)},
        {},
    ),
    "folders-some-names": (photos("a", "b") | photos("a", name="train_{}.png") | photos("b", name="test_{}.png"), {}),
    "folders-all-names": (photos("a", "b", name="x_train_{}.png") | photos("a", "b", name="x_test_{}.png"), {}),
    "folders-list": (photos("a", "b") | {"lists/splits.txt": b"a/1.png"}, {}),
    "metadata-list": (photos("", n=24) | {"metadata.csv": rows(FLAT), "lists/splits.json": b"{}"}, {}),
    "parquet-list": ({SHARD.format("train"): parquet(), "test_list.txt": b"1.png"}, {}),
    "webdataset": ({"train.tar": webdataset(), "test.tar": webdataset()}, {"label_column": "cls"}),
}  # fmt: skip
PHOTOS = {f"images/{i}.png": png(i, size=16) for i in range(24)}
TRAIN = b"id,image,label\n" + b"".join(b"%d,images/%d.png,%s\n" % (i, i, b"ab"[i % 2 :][:1]) for i in range(24))
DOWNLOAD = "Download it (`hf download a/{} --repo-type dataset`) and pass the local folder."
# Those that `datasets` reads otherwise than this program, what the Hub's copy gives, and the end of the folder's account.
OTHERS: dict[str, tuple[dict[str, bytes], dict, str, str]] = {
    "folders-test-list": (
        photos("a", "b") | {"test_list.txt": b"a/1.png"}, {},
        "`datasets` reads other splits from a/folders-test-list than its folders name. " + DOWNLOAD,
        "Move images for testing away if they are named by a file that is not read.",
    ),
    "metadata-semicolons": (
        photos("", n=24) | {"metadata.csv": rows(FLAT, ";")}, {},
        "metadata of a/metadata-semicolons must have a column file_name, with commas between columns. " + DOWNLOAD,
        "The columns of the table are separated by semicolons, and read so.",
    ),
    "table-semicolons": (
        PHOTOS | {"train.csv": TRAIN.replace(b",", b";")}, {"image_column": "image"},
        "the table's columns must be separated by commas; got one column 'id;image;label'.",
        "The columns of the table are separated by semicolons, and read so.",
    ),
    "kaggle": (
        PHOTOS | {"train.csv": TRAIN, "test.csv": b"id,image\n1,images/1.png\n"}, {"image_column": "image"},
        "the tables of a/kaggle have different columns (train.csv, test.csv). " + DOWNLOAD,
        "Tables without the columns of images and labels are left out.",
    ),
    "folders-numbered-parts": (
        photos("images_001", "images_002") | {"labels.csv": b"image,label\n" + b"".join(
            b"images_%03d/%d.png,%s\n" % (1 + i % 2, i // 2, b"ab"[i // 2 % 2 :][:1]) for i in range(24))},
        {"image_column": "image"},
        "`datasets` reads the images of a/folders-numbered-parts, but not labels.csv beside them. " + DOWNLOAD,
        "left out: nothing.",
    ),
    "folders-and-metadata": (
        photos("a", "b") | {"metadata.csv": b"file_name,age\n" + b"".join(
            b"%s/%d.png,%d\n" % (label, i, 30 + i) for label in (b"a", b"b") for i in range(12))},
        {},
        "`datasets` reads no classes from a/folders-and-metadata, though its folders name them. " + DOWNLOAD,
        "Labels come from the folders, because the metadata have no label column; another needs --label-column.",
    ),
    "folders-sites": (
        photos("a/site1", "a/site2", "b/site1", "b/site2"), {"class_level": 1},
        "`datasets` reads other classes from a/folders-sites than folder level 1. " + DOWNLOAD,
        "Images of 2 folders that are no classes are used together.",
    ),
}  # fmt: skip


def locally(folder: Path, files: dict[str, bytes], options: dict) -> list | str:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    try:
        target = load_target(folder, sample="all", **options)
    except TransferabilityError as error:
        return f"{type(error).__name__}: {error}"
    return [target.provenance["account"]["line"], len(target), target.class_names]


@pytest.fixture(scope="module")
def answers(libraries, tmp_path_factory):
    """What the Hub's copies give."""
    with LoopbackHub(tmp_path_factory.mktemp("hub")) as hub:
        wanted = {}
        for name, (files, options, *_) in {**LAYOUTS, **OTHERS}.items():
            hub.commit("dataset", f"a/{name}", files)
            wanted[f"a/{name}"] = options
        yield client(libraries, hub, tmp_path_factory.mktemp("home"), SCRIPT, json.dumps(wanted))


def sorted_splits(answer: list | str) -> list | str:
    """An answer with the splits of its account in alphabetical order."""
    if isinstance(answer, str):
        return answer.replace(" or 'nan'", "")  # which `datasets` reads as an empty cell of metadata.csv
    line = re.sub("splits: ([^;]*?)( of|;)", lambda found: f"{', '.join(sorted(found[1].split(', ')))}{found[2]}", answer[0])
    return [line, *answer[1:]]


@pytest.mark.parametrize("name", LAYOUTS)
def test_hub_and_folder_say_the_same(answers, name, tmp_path):
    files, options = LAYOUTS[name]
    assert sorted_splits(locally(tmp_path / name, files, options)) == sorted_splits(answers[f"a/{name}"])


@pytest.mark.parametrize("name", OTHERS)
def test_what_datasets_reads_otherwise_is_refused_with_the_remedy_that_works(answers, name, tmp_path):
    files, options, refusal, end = OTHERS[name]
    assert f"UsageError: {refusal.format(name)}" in answers[f"a/{name}"]
    here = locally(tmp_path / name, files, options)
    assert here[0].endswith(end)


def test_layouts_are_refused_told_or_read_whole(answers):
    """So that the comparison is not one of equal errors."""
    kinds = {name: "refused" if isinstance(answers[f"a/{name}"], str) else answers[f"a/{name}"][0] for name in LAYOUTS}
    assert sorted(name for name, kind in kinds.items() if kind == "refused") == [
        "folders-class-of-masks", "folders-no-classes", "folders-parts", "folders-some-names", "folders-test-beside",
        "folders-test-only", "metadata-patients", "metadata-splits", "parquet-split-column", "parquet-test-only",
        "parquet-unknown-patients",
    ]  # fmt: skip
    for name in ("folders-masks", "metadata-masks", "parquet-masks"):
        assert "masks beside their images" in kinds[name]
    for name in ("folders-list", "metadata-list", "parquet-list"):
        assert "if they are named by a file that is not read" in kinds[name]
    assert kinds["metadata-some-named"].endswith("left out: 6 images that metadata does not name.")
    for name in ("parquet-folds", "metadata"):
        assert "Column fold has" in kinds[name]
