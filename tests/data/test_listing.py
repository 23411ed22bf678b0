"""The files of a local folder: by content where the name says nothing, hidden ones, and no class lost without a word."""

import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from helpers import medical
from helpers.targets import png, refused
from PIL import Image

from hf_transferability.data.content import LOOKED_AT, is_image_file, is_image_start
from hf_transferability.data.targets import check_images, load_target


def images(root: Path, *folders: str, n: int = 12, name: str = "{}.png") -> None:
    for k, folder in enumerate(folders):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            (root / folder / name.format(i)).write_bytes(png(100 * k + i))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "JPEG2000", "AVIF"])
def test_images_without_an_ending_are_read(kind, tmp_path):
    images(tmp_path, "a")
    (tmp_path / "b").mkdir()
    for i in range(12):
        Image.open(io.BytesIO(png(i))).save(tmp_path / "b" / f"scan.{i:04}", kind)
        (tmp_path / "b" / f"scan.{i:04}").rename(tmp_path / "b" / f"scan{i}")
    target, report = check_images(load_target(tmp_path, sample="all"))
    assert (len(target), target.class_names, report.corrupt) == (24, ["a", "b"], {})


def test_dicom_without_an_ending_or_a_preamble_is_read(tmp_path):
    images(tmp_path, "png")
    for name, start in (("whole", 0), ("bare", 132)):
        (tmp_path / name).mkdir()
        for i in range(12):
            encoded = medical.dicom(np.full((6, 6), 10 * i, np.uint8))
            (tmp_path / name / f"IM{i:06}").write_bytes(encoded[start:])
    target, report = check_images(load_target(tmp_path, sample="all"))
    assert (len(target), target.class_names, report.corrupt) == (36, ["bare", "png", "whole"], {})


def test_other_files_are_no_images():
    volume = medical.nifti(np.zeros((4, 4, 4), np.uint8))
    assert is_image_start("x", volume[:LOOKED_AT])
    assert is_image_start("x.img", png(0)[:LOOKED_AT])
    for start in (b"", b"BM is how this text begins", b"hello", b"\x93NUMPY", gzip.compress(b"x" * 500), b"PK\3\4"):
        assert not is_image_start("x", start)
    assert not is_image_start("dicomdir", medical.dicom(np.zeros((4, 4), np.uint8))[:LOOKED_AT])


def test_a_pipe_is_not_opened(tmp_path):
    __import__("os").mkfifo(tmp_path / "pipe")
    assert not is_image_file(tmp_path / "pipe")
    assert not is_image_file(tmp_path / "gone")


@pytest.mark.parametrize("name", [".normal", "__other"])
def test_a_hidden_class_folder_is_an_error(name, tmp_path):
    images(tmp_path, "a", "b", f"{name}/deeper")
    text = refused(f"folder {name} would be lost with its 12 images", tmp_path)
    assert "Rename it, or move it away" in text


def test_a_class_of_hidden_files_is_an_error(tmp_path):
    images(tmp_path, "a", "b")
    images(tmp_path, "c", name=".{}.png")
    refused("class c of split train would be lost: its 12 files .* hidden", tmp_path)


def test_what_programs_leave_behind_is_hidden(tmp_path):
    images(tmp_path, "a", "b")
    images(tmp_path, "__MACOSX/a", ".git", ".ipynb_checkpoints")
    images(tmp_path, "a", name="._{}.png")
    target = load_target(tmp_path, sample="all")
    assert len(target) == 24
    assert target.account.endswith("left out: 15 hidden files.")


def test_folders_without_images_are_named(tmp_path):
    images(tmp_path, "a", "b")
    for name in ("xml", "docs", "more", "papers"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.xml").write_text("<a/>")
    (tmp_path / "docs" / "LICENSE").write_text("free")
    account = load_target(tmp_path).account
    assert account.endswith("left out: 4 .xml files, 4 folders without images (docs, more, papers, ...), 1 no-ending files.")


def test_a_class_that_is_an_archive_of_an_unknown_kind_is_an_error(tmp_path):
    images(tmp_path, "a", "b")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "images.tar").write_bytes(b"\0" * 10240)
    refused(r"class c of split train would be lost: its 1 files \(.tar\)", tmp_path)
