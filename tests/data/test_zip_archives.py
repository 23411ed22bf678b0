"""Class folders in ZIP archives are read in place, and what is not safe to read is refused by name."""

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers import medical
from helpers.targets import pairs, png, refused

from hf_transferability.data import zip_archives
from hf_transferability.data.image_files import image_bytes, place_of
from hf_transferability.data.targets import check_images, load_target
from hf_transferability.errors import TargetError


def pack(archive: Path, *folders: str, n: int = 12, seed: int = 0, **more: bytes) -> None:
    """An archive with n images in each of these folders ("" for its top), and more members by name."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for k, folder in enumerate(folders):
            for i in range(n):
                file.writestr(f"{folder}/{i}.png".lstrip("/"), png(seed + 100 * k + i))
        for name, content in more.items():
            file.writestr(name, content)


def plain(root: Path) -> None:
    for k, name in enumerate("ab"):
        (root / name).mkdir(parents=True)
        for i in range(12):
            (root / name / f"{i}.png").write_bytes(png(100 * k + i))


LAYOUTS = {
    "a zip of class folders": [("data.zip", ("a", "b"), 0)],
    "a zip for each class": [("a.zip", ("",), 0), ("b.zip", ("",), 100)],
    "a zip for each class with its folder": [("a.zip", ("a",), 0), ("b.zip", ("b",), 100)],
    "a zip in each class folder": [("a/images.zip", ("",), 0), ("b/images.zip", ("",), 100)],
    "a zip for a split": [("train.zip", ("a", "b"), 0), ("test.zip", ("a", "b"), 500)],
    "below a folder": [("study/train.zip", ("train/a", "train/b"), 0)],
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_archives_are_read_as_if_they_were_unpacked(name, tmp_path):
    for archive, folders, seed in LAYOUTS[name]:
        pack(tmp_path / "zip" / archive, *folders, seed=seed)
    plain(tmp_path / "plain")
    target = load_target(tmp_path / "zip", sample="all")
    assert pairs(target) == pairs(load_target(tmp_path / "plain", sample="all"))
    assert f"2 classes (folder level {target.provenance['account']['class_level']}): a: 12 images, b: 12" in target.account
    checked, report = check_images(target)
    assert not report.corrupt and len(checked) == 24


def test_one_class_packed_and_the_other_not(tmp_path):
    plain(tmp_path)
    for file in (tmp_path / "b").iterdir():
        file.unlink()
    (tmp_path / "b").rmdir()
    pack(tmp_path / "b.zip", "")
    start = "split train 24 of 24 image files; 2 classes (folder level 1): a: 12 images, b: 12"
    assert load_target(tmp_path).account.startswith(start)


def test_what_is_left_out_of_an_archive_is_counted(tmp_path):
    pack(tmp_path / "x.zip", "a", "b", **{"__MACOSX/a/._1.png": b"", "a/notes.txt": b"", "b/t.csv": b"", "a/._2.png": b""})
    account = load_target(tmp_path).account
    assert account.endswith("left out: 1 .csv files, 1 .txt files, 2 hidden files.")


def test_a_class_in_an_archive_that_would_vanish_is_an_error(tmp_path):
    pack(tmp_path / "x.zip", "a", "b", **{"c/1.npy": b"", "c/2.npy": b""})
    refused(r"class c of split train would be lost: its 2 files \(.npy\)", tmp_path)
    pack(tmp_path / "x.zip", "a", "b", ".c")
    refused("folder x/.c would be lost with its 12 images", tmp_path)


def test_medical_files_and_files_without_ending_in_an_archive(tmp_path):
    encoded = [medical.dicom(np.full((6, 6), i, np.uint8)) for i in range(12)]
    pack(tmp_path / "x.zip", "a", **{f"b/IM{i}": content for i, content in enumerate(encoded)})
    target, report = check_images(load_target(tmp_path, sample="all"))
    assert (target.class_names, len(target), report.corrupt) == (["a", "b"], 24, {})


def test_a_damaged_image_is_named_with_its_folder(tmp_path):
    pack(tmp_path / "x.zip", "a", "b", **{"a/bad.png": b"damaged"})
    with pytest.raises(TargetError, match=r"1 of 25 images cannot be decoded: row \d+ a/bad.png"):
        check_images(load_target(tmp_path, sample="all"))


def test_an_archive_beside_its_own_unpacked_files_is_refused(tmp_path):
    plain(tmp_path)
    pack(tmp_path / "a.zip", "")
    with pytest.raises(TargetError, match=r"a.zip holds files that are also beside it, such as a/0.png"):
        load_target(tmp_path)
    (tmp_path / "a.zip").rename(tmp_path / "backup.zip")
    pack(tmp_path / "backup.zip", "a", "b")
    refused("nested: .* move backup.zip away if it is unpacked beside it", tmp_path)


@pytest.mark.parametrize("name", ["../x.png", "/etc/x.png", "a/../../x.png", "C:\\x.png", "http://h/x.png"])
def test_members_outside_the_archive_are_refused(name, tmp_path):
    pack(tmp_path / "x.zip", "a", "b", **{name: png(0)})
    with pytest.raises(TargetError, match=r"x.zip holds a file outside itself"):
        load_target(tmp_path)


def test_bombs_are_refused_before_anything_is_unpacked(tmp_path, monkeypatch):
    pack(tmp_path / "x.zip", "a", "b", **{"a/bomb.png": b"\0" * 3_000_000})
    monkeypatch.setattr(zip_archives, "_LARGE", 2**20)
    with pytest.raises(TargetError, match=r"x.zip of 0 MiB unpacks to 0 GiB, too much. Unpack it yourself"):
        load_target(tmp_path)
    monkeypatch.setattr(zip_archives, "_MOST_MEMBERS", 20)
    with pytest.raises(TargetError, match="in 25 files, too much"):
        load_target(tmp_path)


def test_members_that_overlap_are_refused(tmp_path):
    """The kind of bomb whose members share their packed bytes."""
    pack(tmp_path / "x.zip", "a", "b")
    content = bytearray((tmp_path / "x.zip").read_bytes())
    start = content.index(b"PK\1\2")
    struct.pack_into("<I", content, start + 20, 2**30)  # packed size of the first member
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(TargetError, match=r"too much. Unpack it yourself"):
        load_target(tmp_path)


def test_what_is_no_archive_or_has_a_password_is_refused(tmp_path):
    plain(tmp_path)
    (tmp_path / "x.zip").write_bytes(b"hello")
    with pytest.raises(TargetError, match=r"x.zip is no whole ZIP archive. Replace it, or move it away"):
        load_target(tmp_path)
    pack(tmp_path / "x.zip", "c")
    content = bytearray((tmp_path / "x.zip").read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(TargetError, match=r"x.zip is protected by a password"):
        load_target(tmp_path)


def test_a_member_is_read_within_its_bound(tmp_path, monkeypatch):
    monkeypatch.setattr("hf_transferability.data.image_files.LARGEST", 1000)
    pack(tmp_path / "x.zip", **{"large.png": b"\0" * 5000, "small.png": b"x"})
    place = place_of(str(tmp_path), None)
    record = {"bytes": None, "path": f"zip://small.png::{tmp_path / 'x.zip'}"}
    assert image_bytes(record, place) == b"x"
    with pytest.raises(TargetError, match="must have at most"):
        image_bytes({**record, "path": record["path"].replace("small", "large")}, place)
    assert image_bytes({**record, "path": record["path"].replace("small", "gone")}, place) == b""


def test_the_index_of_an_archive_is_read_once(tmp_path, monkeypatch):
    pack(tmp_path / "x.zip", "a", "b")
    opened = []
    real = zipfile.ZipFile.__init__
    monkeypatch.setattr(zipfile.ZipFile, "__init__", lambda self, *a, **o: (opened.append(a), real(self, *a, **o))[1])
    load_target(tmp_path, sample="all")
    assert len(opened) <= 3
