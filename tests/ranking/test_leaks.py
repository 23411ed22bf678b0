"""Whether a checkpoint's source dataset holds the target's images."""

from dataclasses import replace

import datasets
import numpy as np
import pytest
from helpers.inputs import blobs
from PIL import Image

from hf_transferability.data import source_images
from hf_transferability.data.account import Account
from hf_transferability.data.opening import Opened
from hf_transferability.data.source_images import open_source, source_hashes
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


def opened(images: list, revision: str | None = None) -> Opened:
    where = {"id": "lab/source", "revision": revision, "config": None, "split": "train"}
    return Opened(table(images).to_iterable_dataset(), where, None, Account({"train": -1}))


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

    def check(sources, *card, largest=100):
        def open_one(name, token):
            if name not in sources:
                raise UsageError(f"there is no dataset {name}. Check its name.")
            return opened(sources[name], "sha")

        monkeypatch.setattr(leaks, "open_source", open_one)
        candidate = Candidate("lab/model", facts={"training_datasets": list(card)})
        (candidate,), notes = with_leaks([candidate], target, largest, Cache(tmp_path), None, NullProgress())
        return candidate, notes

    return check


def test_images_of_the_source_are_counted(checked, images):
    candidate, notes = checked({"lab/source": images[10:]}, "lab/source")
    assert candidate.facts["seen_share"] == 0.5
    assert candidate.seen_images == "10 of 20 images are among 30 of lab/source (50 %)"
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


def test_damaged_images_are_passed_over(images):
    source = opened(images[:4])
    rows = [
        {"image": {"bytes": b"damaged", "path": None}},
        *table(images[:4]).cast_column("image", datasets.Image(decode=False)),
    ]
    stream = datasets.Dataset.from_list(rows, features=source.table.features).to_iterable_dataset()
    assert source_hashes(replace(source, table=stream), 100).shape == (4, 4)
    assert np.array_equal(source_hashes(replace(source, table=stream), 100), source_hashes(source, 100))
