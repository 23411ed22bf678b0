"""Whether a checkpoint's source dataset holds the target's images."""

import io
import json
import re
from dataclasses import replace

import datasets
import numpy as np
import pytest
from helpers.inputs import blobs
from helpers.medical import dicom, nifti, phantom
from PIL import Image

from hf_transferability import rank
from hf_transferability.data import source_images
from hf_transferability.data.account import Account
from hf_transferability.data.opening import Opened
from hf_transferability.data.options import SampleOptions
from hf_transferability.data.source_images import open_source
from hf_transferability.data.targets import check_images, load_target
from hf_transferability.errors import TargetError, UsageError
from hf_transferability.extraction.cache import Cache
from hf_transferability.progress import NullProgress
from hf_transferability.ranking import leaks
from hf_transferability.ranking.candidates import Candidate
from hf_transferability.ranking.leaks import with_leaks


def table(images: list, **columns) -> datasets.Dataset:
    features = datasets.Features({"image": datasets.Image()})
    return datasets.Dataset.from_dict({"image": [Image.fromarray(image) for image in images]}, features=features)


def opened(images: list | datasets.IterableDataset, revision: str | None = None) -> Opened:
    rows = images if isinstance(images, datasets.IterableDataset) else table(images).to_iterable_dataset()
    where = {"id": "lab/source", "revision": revision, "config": None, "split": "train"}
    return Opened(rows, where, None, Account({"train": -1}))


@pytest.fixture(scope="module")
def images():
    return blobs(40, 2)[0]


@pytest.fixture(scope="module")
def target(images):
    labelled = table(images[:20]).add_column("label", [0, 1] * 10)
    return check_images(load_target(labelled.cast_column("label", datasets.ClassLabel(names=["a", "b"])), sample="all"))[0]


@pytest.fixture
def checked(target, tmp_path, monkeypatch):
    """checked(sources, *card, largest=100): a candidate with that card, and the notes; `sources`: name -> images."""

    def check(sources, *card, largest=100):  # a source is a list of pictures, or a stream of rows
        def open_one(name, token):
            if name not in sources:
                raise UsageError(f"there is no dataset {name}. Check its name.")
            return opened(sources[name], "sha")

        monkeypatch.setattr(leaks, "open_source", open_one)
        candidate = Candidate("lab/model", facts={"training_datasets": list(card)})
        (candidate,), notes = with_leaks([candidate], target, SampleOptions(), largest, Cache(tmp_path), None, NullProgress())
        return candidate, notes

    return check


def test_images_of_the_source_are_counted(checked, images):
    candidate, notes = checked({"lab/source": images[10:]}, "lab/source")
    assert candidate.facts["seen_share"] == 0.5
    assert candidate.seen_images == "10 of 20 images are among 30 of lab/source (50%)"
    assert notes == []


def test_a_share_of_nothing_is_no_flag(checked, images):
    candidate, _ = checked({"lab/source": images[20:]}, "lab/source")
    assert (candidate.facts["seen_share"], candidate.seen_images) == (0.0, None)


def test_only_the_first_images_are_looked_at(checked, images):
    assert checked({"lab/source": images[18:]}, "lab/source", largest=1)[0].facts["seen_share"] == 1 / 20


def test_an_image_that_two_sources_hold_counts_once(checked, images):
    candidate, _ = checked({"a/a": images[10:], "b/b": images[15:]}, "a/a", "b/b")
    assert candidate.facts["seen_share"] == 0.5
    assert "10 of 20 images are among 30 of a/a; 5 of 20 images are among 25 of b/b" in candidate.seen_images


def test_what_cannot_be_opened_is_a_note(checked, images):
    candidate, notes = checked({"lab/source": images[10:]}, "lab/gone", "lab/source")
    assert candidate.facts["seen_share"] == 0.5
    assert notes == ["leak check: lab/gone cannot be compared: there is no dataset lab/gone. Check its name."]
    candidate, notes = checked({}, "lab/gone")
    assert "seen_share" not in candidate.facts


def test_a_card_without_sources_is_a_note(checked):
    assert checked({})[1] == ["leak check: 1 model cards name no source dataset, for example that of lab/model."]


def test_hashes_of_a_commit_are_kept(checked, images, monkeypatch):
    first = checked({"lab/source": images[10:]}, "lab/source")[0]
    monkeypatch.setattr(leaks, "source_hashes", lambda *arguments: pytest.fail("read again"))
    assert checked({"lab/source": images[10:]}, "lab/source")[0] == first


@pytest.mark.parametrize(
    "name", ["/etc", "../private", "~/data", "a/../b", "https://host/data", "zip://x::y", "a/b/c", "x" * 300]
)
def test_a_card_leads_to_no_folder_and_no_host(name):
    with pytest.raises(UsageError, match="is no Hub dataset"):
        open_source(name)


def test_a_folder_of_that_name_is_not_opened(make_target, monkeypatch):
    """A card's `photos` must not become the user's folder ./photos."""
    folder = make_target()
    monkeypatch.chdir(folder.parent)
    asked = []

    def refuse(name, options, token):
        asked.append((name, options.streaming))
        raise TargetError("no network. Try again.")

    monkeypatch.setattr(source_images, "open_hub_dataset", refuse)
    with pytest.raises(TargetError):
        open_source(folder.name)
    assert asked == [(folder.name, True)]


def stream(rows: list[bytes]) -> datasets.IterableDataset:
    """A stream of these encoded images."""
    features = datasets.Features({"image": datasets.Image()})
    cells = [{"image": {"bytes": encoded, "path": None}} for encoded in rows]
    return datasets.Dataset.from_list(cells, features=features).to_iterable_dataset()


def encoded(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def test_damaged_images_are_passed_over_and_counted(images, checked):
    rows = [b"damaged", *(encoded(image) for image in images[:4])]
    candidate, notes = checked({"lab/source": stream(rows)}, "lab/source")
    assert candidate.facts.get("seen_share") == 4 / 20, notes
    (note,) = notes
    assert note.startswith("leak check: 1 of 5 images of lab/source cannot be decoded")


def test_a_share_is_unknown_where_no_source_image_can_be_decoded(checked):
    candidate, notes = checked({"lab/source": stream([b"damaged"] * 3)}, "lab/source")
    assert "seen_share" not in candidate.facts
    (note,) = notes
    assert note.startswith("leak check: lab/source cannot be compared: none of its first 3 images can be decoded (")


def test_nothing_found_is_unknown_where_one_of_two_sources_is_missing(checked, images):
    candidate, _ = checked({"lab/source": images[20:]}, "lab/source", "lab/gone")
    assert "seen_share" not in candidate.facts


def test_source_images_of_one_grey_level_tell_nothing(checked):
    candidate, notes = checked({"lab/source": [np.zeros((24, 24, 3), np.uint8)] * 5}, "lab/source")
    assert "seen_share" not in candidate.facts
    assert notes == ["leak check: lab/source cannot be compared: its images are of nearly one grey level."]


def medical_rows(kind: str) -> tuple[list[bytes], SampleOptions]:
    """Encoded files that need more than a plain decoder, and the options that read them."""
    scans = [phantom(code % 2, code, 48) for code in range(16)]
    if kind == "DICOM":
        return [
            dicom((scan + 1024).astype(np.uint16), RescaleIntercept=-1024, RescaleSlope=1) for scan in scans
        ], SampleOptions(window=(-60.0, 160.0))
    if kind == "NIfTI":
        volumes = [np.stack([np.zeros_like(scan), scan, np.zeros_like(scan), scan.T], axis=2) for scan in scans]
        return [nifti(volume) for volume in volumes], SampleOptions(slice=1)
    return [encoded((scan * 40 + 8000).astype(np.uint16)) for scan in scans], SampleOptions(window=(6000.0, 14000.0))


@pytest.mark.parametrize("kind", ["DICOM", "NIfTI", "16 bits"])
def test_images_of_a_source_are_read_as_the_targets_are(kind, tmp_path, monkeypatch):
    rows, options = medical_rows(kind)
    table = datasets.Dataset.from_dict(
        {"image": [{"bytes": row, "path": None} for row in rows], "label": [0, 1] * 8},
        features=datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])}),
    )
    target, _ = check_images(load_target(table, replace(options, sample_size="all")))
    monkeypatch.setattr(leaks, "open_source", lambda name, token: opened(stream(rows[:8])))
    candidate = Candidate("lab/model", facts={"training_datasets": ["lab/source"]})
    arguments = (100, Cache(tmp_path), None, NullProgress())
    (candidate,), notes = with_leaks([candidate], target, options, *arguments)
    assert (candidate.facts["seen_share"], notes) == (0.5, [])


def folders(place, test: list[int], images):
    """Class folders of 20 training images, and of test images by their numbers."""
    for split, numbers in {"train": range(20), "test": test}.items():
        for number in numbers:
            folder = place / split / "ab"[number % 2]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[number]).save(folder / f"{number:02}.png")
    return place


@pytest.mark.parametrize(("test", "overlap"), [([3, 6, *range(20, 32)], 2), (list(range(20, 34)), 0)])
def test_images_of_the_test_split_are_flagged(test, overlap, images, make_checkpoint, tmp_path):
    data = folders(tmp_path / "data", test, images)
    progress = Notes()
    options = {"cache_dir": tmp_path / "cache", "intervals": False, "progress": progress}
    ranking = rank(data, [make_checkpoint(seed=0)], **options)
    assert ("comparing images with the test split", len(test)) in progress.stages
    details = ranking.rows[0]["flag_details"]
    assert ("in_test_split" in ranking.rows[0]["flags"]) == bool(overlap)
    if overlap:
        text = "2 of 20 images are among 14 of the test split: "
        assert re.fullmatch(
            text + r"rows \d+ and \d+, \d+ and \d+, counted from 0 \(sample and test\)", details["in_test_split"]
        )
        assert any(note.startswith(text + "b/") or note.startswith(text + "a/") for note in progress.notes)
        assert ".png" not in json.dumps(ranking.to_dict())
        again = rank(data, [make_checkpoint(seed=0)], **options, leak_check=12)  # less than what is always compared
        assert again.rows[0]["flag_details"] == details


def test_a_test_split_without_labels_is_compared_too(images, make_checkpoint, tmp_path):
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    splits = {"train": (range(20), [0, 1] * 10), "test": ([3, 30, 31], [-1] * 3)}
    data = datasets.DatasetDict(
        {
            split: datasets.Dataset.from_dict(
                {"image": [Image.fromarray(images[i]) for i in numbers], "label": labels}, features=features
            )
            for split, (numbers, labels) in splits.items()
        }
    )
    ranking = rank(data, [make_checkpoint(seed=0)], cache_dir=tmp_path / "cache", intervals=False)
    assert ranking.rows[0]["flag_details"]["in_test_split"].startswith(
        "1 of 20 images are among 3 of the test split: rows 3 and 0"
    )
    stream = {"streaming": True, "cache_dir": tmp_path / "cache", "intervals": False}
    streams = {split: table.to_iterable_dataset() for split, table in data.items()}
    unchecked, checked = (
        rank(datasets.IterableDatasetDict(streams), [make_checkpoint(seed=0)], leak_check=n, **stream) for n in (0, 10)
    )
    assert "in_test_split" not in unchecked.rows[0]["flags"]
    assert "in_test_split" in checked.rows[0]["flags"]


def test_a_test_split_that_cannot_be_read_is_a_note(images, make_checkpoint, tmp_path, monkeypatch):
    def fail(*arguments):
        raise TargetError("the network is gone. Run it again.")

    monkeypatch.setattr(leaks, "read_test_images", fail)
    data = folders(tmp_path / "data", [20, 22, 24], images)
    ranking = rank(data, [make_checkpoint(seed=0)], cache_dir=tmp_path / "cache", intervals=False)
    assert "leak check: the test split cannot be compared: the network is gone. Run it again." in ranking.notes


class Notes(NullProgress):
    """Keeps the notes, and the stages with their numbers of steps."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.stages: list[tuple[str, int | None]] = []

    def stage(self, name: str, total: int | None = None, unit: str = "images") -> None:
        self.stages.append((name, total))

    def note(self, text: str) -> None:
        self.notes.append(text)
