"""Hub datasets: folders that `datasets` reads otherwise than they are named are refused, and cards that lead elsewhere."""

import io
import json
import tarfile
import zipfile
from dataclasses import replace

import pytest
from helpers.loopback_hub import LoopbackHub
from helpers.loopback_hub.clients import client
from helpers.targets import mask_png, png

SCRIPT = """
import json, sys
from hf_transferability.data.targets import load_target
answers = {}
for name in sys.argv[1:]:
    try:
        options = {"image_column": "path"} if name in ("a/table", "a/merged", "a/column") else {}
        target = load_target(name, sample="all", **options)
        answers[name] = [target.account, len(target), target.class_names]
    except Exception as error:
        answers[name] = f"{type(error).__name__}: {error}"
    try:
        streamed = load_target(name, sample_size=20, streaming=True, **options)
        answers[name + " streamed"] = len(streamed)
    except Exception as error:
        answers[name + " streamed"] = f"{type(error).__name__}: {error}"
print(json.dumps(answers))
"""


def images(*folders: str, n: int = 12) -> dict[str, bytes]:
    return {f"{folder}/{i}.png".lstrip("/"): png(100 * k + i) for k, folder in enumerate(folders) for i in range(n)}


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def rows(n: int) -> bytes:
    return b"file_name,label\n" + b"".join(b"%d.png,%s\n" % (i, b"ab"[i % 2 : i % 2 + 1]) for i in range(n))


def table_of(n: int, split_column: str = "") -> bytes:
    """A table of images in scans/ and labels; the last half of the rows is for testing, if a column is to say so."""
    lines = [["path", "label", *filter(None, [split_column])]]
    for i in range(n):
        lines.append([f"scans/{i}.png", "ab"[i % 2], *(["train", "test"][2 * i // n :][:1] if split_column else [])])
    return "\n".join(map(",".join, lines)).encode()


@pytest.fixture(scope="module")
def answers(libraries, tmp_path_factory):
    """What a process answers for each of these datasets."""
    with LoopbackHub(tmp_path_factory.mktemp("hub")) as hub, LoopbackHub(tmp_path_factory.mktemp("other")) as other:
        card = f"---\nconfigs:\n- config_name: default\n  data_files: zip://x.csv::{other.url}/x.zip\n---\n".encode()
        datasets = {
            "a/plain": images("train/a", "train/b", "test/a", "test/b"),
            "a/capitals": images("Training/a", "Training/b", "Testing/a", "Testing/b"),
            "a/words": images("bus", "train_interior", "train_station"),
            "a/nested": images("a/40X", "a/100X", "b/40X"),
            "a/zip": {"data.zip": zipped(images("a", "b"))},
            "a/zip-each": {"a.zip": zipped(images("")), "b.zip": zipped(images(""))},
            "a/zip-table": {"data.zip": zipped({**images("x", n=24), "x/metadata.csv": rows(24)})},
            "a/avif": {**images("a", "b"), "b/x.avif": b"x"},
            "a/heic": {**images("a", "b"), **{f"c/{i}.heic": b"x" for i in range(12)}},
            "a/no-ending": {**images("a", "b"), **{f"c/{i}": png(i) for i in range(12)}},
            "a/tar": {**images("a", "b"), "c/x.tar": b"\0" * 512},
            "a/hidden-class": images("a", "b", "__c"),
            "a/notes": {**images("train/a", "train/b"), "notes/x.xml": b"<a/>", "README.md": b"# x"},
            "a/volumes": {f"{name}/{i}.nii.gz": b"" for name in "ab" for i in range(12)},
            "a/foreign": {**images("train/a", "train/b"), "README.md": card},
            "a/table": {
                **images("scans", n=26),
                "train.csv": table_of(24),
                "other.jsonl": b"{}",
                "more.zip": b"x",
                "notes.txt": b"x",
                "README.md": b"---\nconfigs:\n- config_name: default\n  data_files: train.csv\n---\n",
            },
            "a/merged": {"Train.csv": table_of(12), "Test.csv": table_of(12)},
            "a/column": {"train.csv": table_of(24, "fold"), **images("scans", n=24)},
            "a/tgz": {"x.tar.gz": tarred(images("a", "b"))},
            "a/labels": {**images("scans", n=24), "labels.csv": table_of(24), "patients.csv": b"patient,age\n1,2\n"},
            "a/test-classes": images("test_positive", "test_negative"),
            "a/latin": {**images("scans", n=24), "metadata.csv": rows(24).replace(b",a", b",\xf6")},
            "a/masks": {**images("a", "b"), **{f"a/{i}_mask.png": mask_png(i) for i in range(12)}},
            "a/hidden": {**images("train/a", "train/b"), ".huggingface.yaml": card.replace(b"---\n", b"")},
        }
        for name, files in datasets.items():
            hub.commit("dataset", name, files)
        yield client(libraries, hub, tmp_path_factory.mktemp("home"), SCRIPT, *datasets)
        assert not other.requests


def test_usual_folders_are_read_whole_and_as_a_stream(answers):
    line = (
        "splits: train 24, test 24 of 48 image files; used: train; 2 classes (folder level 2): a: 12 images, b: 12; "
        "left out: nothing."
    )
    assert answers["a/plain"] == [line, 24, ["a", "b"]]
    assert answers["a/plain streamed"] == 20


def test_files_that_no_configuration_and_no_row_names_are_counted(answers):
    line = (
        "split train 24; 2 classes: a: 12 images, b: 12; left out: 1 .jsonl files that are not read, such as other.jsonl, "
        "2 .png files that are not read, such as scans/24.png, 1 .zip files that are not read, such as more.zip."
    )
    assert answers["a/table"] == [line, 24, ["a", "b"]]
    assert answers["a/table streamed"] == 20


@pytest.mark.parametrize("way", ["", " streamed"])
def test_rows_of_a_test_split_are_not_taken_for_training(answers, way):
    assert "the name of Test.csv does not tell its split. Download it" in answers[f"a/merged{way}"]
    assert "column fold assigns rows to several splits (test, train)" in answers[f"a/column{way}"]


@pytest.mark.parametrize("way", ["", " streamed"])
def test_folders_that_would_be_read_otherwise_are_refused(answers, way):
    for name in ("a/capitals", "a/words", "a/test-classes"):
        assert f"UsageError: `datasets` reads other splits from {name} than its folders name" in answers[name + way]
        assert "pass the local folder" in answers[name + way]
    assert "UsageError: `class_level` must be named" in answers["a/nested" + way]


LOST = {
    "a/zip": "holds class folders in archives, whose classes `datasets` cannot tell",
    "a/zip-each": "`datasets` reads no classes from a/zip-each",
    "a/volumes": "`datasets` reads no classes from a/volumes",
    "a/avif": "`datasets` does not read 1 image files of a/avif, such as b/x.avif. Download it",
    "a/heic": "class c of split train would be lost: its 12 files (.heic) are files that `datasets` does not read",
    "a/no-ending": "class c of split train would be lost: its 12 files (no ending)",
    "a/tar": "class c of split train would be lost: its 1 files (.tar)",
}


@pytest.mark.parametrize("way", ["", " streamed"])
@pytest.mark.parametrize("name", LOST)
def test_classes_that_datasets_would_lose_are_refused(answers, name, way):
    assert f"UsageError: {'dataset ' + name + ' ' if name == 'a/zip' else ''}{LOST[name]}" in answers[name + way]
    assert f"Download it (`hf download {name} --repo-type dataset`) and pass the local folder." in answers[name + way]


REMEDY = "Download it (`hf download {0} --repo-type dataset`) and pass the local folder."


@pytest.mark.parametrize("way", ["", " streamed"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "a/tgz",
            "archives of images without labels, such as x.tar.gz. Download it (`hf download {0} --repo-type dataset`), unpack",
        ),
        (
            "a/labels",
            "`datasets` reads the images of a/labels, but not labels.csv beside them. " + REMEDY + " Name its column of paths",
        ),
        ("a/latin", "metadata.csv must be in UTF-8; got another encoding. " + REMEDY + " Replace it by what `iconv -f cp1252"),
    ],
)
def test_what_datasets_reads_without_labels_is_named_with_the_remedy(answers, name, text, way):
    assert text.format(name) in answers[name + way]


def test_masks_beside_images(answers):
    assert answers["a/masks"][0].startswith(
        "split train 36 of 36 image files; 2 classes (folder level 1): a: 12 images, b: 12; left out: 12 masks"
    )
    assert answers["a/masks"][1] == 24
    assert "the stream holds masks beside their images" in answers["a/masks streamed"]


def test_hidden_classes_and_folders_without_images_are_named(answers):
    assert "folder __c would be lost with its 12 images" in answers["a/hidden-class"]
    assert answers["a/notes"][0].endswith("left out: 1 .xml files, 1 folders without images (notes).")
    assert answers["a/zip-table"][1:] == [24, ["a", "b"]]


@pytest.mark.parametrize("way", ["", " streamed"])
@pytest.mark.parametrize("name, file", [("a/foreign", "README.md"), ("a/hidden", ".huggingface.yaml")])
def test_a_card_that_leads_elsewhere_is_refused(answers, name, file, way):
    assert f"TargetError: {file} names a file outside the dataset: 'zip://x.csv::http://127.0.0.1" in answers[name + way]


def test_answers_are_plain(answers):
    assert len(json.dumps(answers)) < 10_000


def test_files_that_share_an_etag_are_compared_with_what_the_hub_states(libraries, tmp_path):
    """The client keeps a download under its ETag, so all images would be the first one."""
    with LoopbackHub(tmp_path / "hub") as hub:
        hub.commit("dataset", "a/plain", images("train/a", "train/b"))
        honest = hub.state
        hub.state = replace(honest, etag_of=lambda file: '"same"')
        (tmp_path / "home").mkdir()
        answer = client(libraries, hub, tmp_path / "home", SCRIPT, "a/plain")["a/plain"]
        assert "files of dataset a/plain differ from what the Hub states, for example train/" in answer
        hub.state = honest
        assert client(libraries, hub, tmp_path / "home", SCRIPT, "a/plain")["a/plain"][1] == 24


TABLE = """
import json
from hf_transferability.data.targets import load_target
options = ({"group_column": "patient"}, {"streaming": True, "sample": 20})
targets = [load_target("a/csv", image_column="image", **o) for o in options]
print(json.dumps([[target.class_names, target.provenance.get("groups")] for target in targets]))
"""


def test_names_in_a_csv_file_of_the_hub_stay_as_they_are_written(libraries, tmp_path):
    lines = [f"img/{i}.png,{('01', '1', 'NA')[i % 3]},{('01', '1', '001')[i % 3]}" for i in range(24)]
    card = b"---\nconfigs:\n- config_name: default\n  data_files: train.csv\n---\n"
    files = {"train.csv": "\n".join(["image,label,patient", *lines]).encode(), "README.md": card, **images("img", n=24)}
    (tmp_path / "home").mkdir()
    with LoopbackHub(tmp_path / "hub") as hub:
        hub.commit("dataset", "a/csv", files)
        assert client(libraries, hub, tmp_path / "home", TABLE) == [[["01", "1", "NA"], 3], [["01", "1", "NA"], None]]
