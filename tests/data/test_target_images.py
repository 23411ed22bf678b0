"""Images that are corrupt, that are no images, or that have more than 8 bits."""

import io
import shutil

import datasets
import numpy as np
import pytest
from datasets import Dataset, Features
from helpers.targets import AB, ABC, png, refused, table
from PIL import Image

from hf_transferability.data.images import Images
from hf_transferability.data.targets import check_images, load_target
from hf_transferability.errors import TargetError, UsageError


def with_damage(rows: tuple[int, ...] = (3, 17), n: int = 24) -> Dataset:
    data = [{"bytes": png(i)[:60] if i in rows else png(i), "path": None} for i in range(n)]
    features = Features({"image": datasets.Image(), "label": AB})
    return Dataset.from_dict({"image": data, "label": [i % 2 for i in range(n)]}, features=features)


@pytest.mark.parametrize("stream", [False, True])
def test_corrupt_images_are_named_by_row(stream):
    data = with_damage()
    target = load_target(data.to_iterable_dataset() if stream else data, sample=24)
    with pytest.raises(TargetError, match="2 of 24 images cannot be decoded") as caught:
        check_images(target)
    assert "row 3 (" in str(caught.value)
    assert "row 17 (" in str(caught.value)
    assert "--skip-corrupt" in str(caught.value)


def test_skip_corrupt_goes_on_and_counts():
    target = load_target(with_damage())
    checked, report = check_images(target, skip_corrupt=True)
    assert len(checked) == len(checked.labels) == len(checked.positions) == len(checked.images.encoded) == 22
    assert checked.flags["corrupt_skipped"] == "2 of 24 images (b 2)"
    assert checked.provenance["corrupt_skipped"] == 2
    assert checked.provenance["images"] == 22
    assert checked.key not in {target.key, load_target(with_damage(())).key}
    assert sorted(checked.positions) == [row for row in range(24) if row not in (3, 17)]
    assert [target.images.encoded[target.positions.index(row)] for row in checked.positions] == checked.images.encoded
    again, _ = check_images(target, skip_corrupt=True, report=report)
    assert again.key == checked.key
    assert len(report.corrupt) == 2


def test_many_corrupt_images_are_not_all_listed():
    target = load_target(with_damage(tuple(range(9))))
    with pytest.raises(TargetError, match=r"9 of 24 images .* and 4 more; rows count from 0\. Replace or remove them"):
        check_images(target)


def test_skipping_may_leave_too_little():
    with pytest.raises(UsageError, match="at least 12 images; got 9"):
        check_images(load_target(with_damage(tuple(range(15)))), skip_corrupt=True)


@pytest.mark.parametrize(
    "classes, lost", [((1,), "class b would be lost: none of its 10 images"), ((0, 2), "and 1 more classes")]
)
def test_a_class_that_would_lose_all_its_images_is_refused(classes, lost):
    images = [{"bytes": b"" if i % 3 in classes else png(i), "path": None} for i in range(30)]
    features = Features({"image": datasets.Image(), "label": ABC})
    data = Dataset.from_dict({"image": images, "label": [i % 3 for i in range(30)]}, features=features)
    with pytest.raises(TargetError, match=lost):
        check_images(load_target(data), skip_corrupt=True)


@pytest.mark.parametrize("missing", [None, "file"])
def test_rows_without_an_image_are_corrupt(tmp_path, missing):
    record = None if missing is None else {"bytes": None, "path": str(tmp_path / "gone.png")}
    images = [record if i == 4 else {"bytes": png(i), "path": None} for i in range(24)]
    features = Features({"image": datasets.Image(), "label": AB})
    target = load_target(Dataset.from_dict({"image": images, "label": [0, 1] * 12}, features=features))
    with pytest.raises(TargetError, match=r"row 4 .*\(the file is missing, empty or unreadable\)"):
        check_images(target)


def test_an_imagefolder_with_a_file_that_is_no_image(layouts, tmp_path):
    shutil.copytree(layouts["folder"], tmp_path / "folder")
    damaged = sorted((tmp_path / "folder" / "train").rglob("*.png"))[7]
    damaged.write_bytes(b"<html>quota exceeded</html>")
    with pytest.raises(
        TargetError, match=rf"1 of 48 images cannot be decoded: row 7 class 0/{damaged.name} \(not an image file"
    ):
        check_images(load_target(tmp_path / "folder"))


def deep(high: int, mode: str = "I;16") -> Dataset:
    """Scans with values from 0 to `high`, in 16 bits."""
    images = []
    for i in range(24):
        values = np.random.default_rng(i).integers(0, high + 1, (6, 6)).astype(np.uint16 if mode == "I;16" else np.float32)
        buffer = io.BytesIO()
        Image.fromarray(values).save(buffer, "TIFF")
        images.append({"bytes": buffer.getvalue(), "path": None})
    features = Features({"image": datasets.Image(), "label": AB})
    return Dataset.from_dict({"image": images, "label": [0, 1] * 12}, features=features)


def test_deep_images_are_flagged_with_their_scale():
    checked, report = check_images(load_target(deep(65535)))
    assert report.modes == {"I;16": 24}
    assert checked.flags["windowed"] == "24 images of mode I;16 by 0..65535"
    assert checked.provenance["modes"] == {"I;16": 24}
    checked, _ = check_images(load_target(deep(4095), window=(0, 4095)))
    assert checked.flags["windowed"] == "24 images of mode I;16 by 0..4095"
    assert checked.provenance["window"] == [0, 4095]
    assert np.mean([image.mean() for image in checked.images]) > 100
    checked, report = check_images(load_target(deep(4095)))  # the usual scan of 12 bits, almost black
    dark = "24 images of mode I;16 by 0..65535, which leaves them dark (at most 16 of 255): choose --window LOW,HIGH"
    assert checked.flags["windowed"] == dark
    assert check_images(load_target(deep(4095)), report=report)[0].flags == checked.flags
    checked, _ = check_images(load_target(deep(9, "F")))
    assert checked.flags["windowed"] == "24 images of mode F by their own range"
    assert "windowed" not in check_images(load_target(table([0, 1] * 12, AB)))[0].flags


@pytest.mark.parametrize("window", [(5, 5), (9, 1), (float("nan"), 3)])
def test_wrong_windows_are_refused(window):
    refused(r"`window` must be \(low, high\), finite, with low below high", deep(9), window=window)


def test_modes_may_be_mixed():
    modes = ["RGB", "L", "RGBA", "P", "1", "LA"]
    images = [{"bytes": png(i, modes[i % 6]), "path": None} for i in range(24)]
    features = Features({"image": datasets.Image(), "label": AB})
    target = load_target(Dataset.from_dict({"image": images, "label": [0, 1] * 12}, features=features))
    checked, report = check_images(target)
    assert report.modes == dict.fromkeys(sorted(modes), 4)
    assert {image.shape for image in checked.images} == {(8, 8, 3)}
    assert {image.dtype for image in checked.images} == {np.dtype(np.uint8)}


def test_images_are_read_but_not_decoded_before_they_are_checked(monkeypatch):
    monkeypatch.setattr(Images, "__getitem__", lambda self, index: pytest.fail("decoded"))
    assert len(load_target(with_damage())) == 24
