"""From where the images of a dataset may be read, and how much of one."""

import os
import zipfile

import datasets
import pytest
from datasets import Dataset, Features, Value

from hf_transferability.data import image_files
from hf_transferability.data.image_files import image_bytes, place_of
from hf_transferability.data.targets import load_target
from hf_transferability.errors import TargetError


def read(path, place) -> bytes:
    return image_bytes({"bytes": None, "path": str(path)}, place)


@pytest.mark.parametrize("commit", [None, "c" * 40])
@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd", "../passwd", "file:///etc/passwd", "http://localhost/a.png", "https://example.com/a.png", "s3://a/b.png",
        "hf://datasets/other/data@main/a.png", "hf://datasets/own/data@main/a.png", "zip://a.png::/etc/a.zip",
        "hf://datasets/own/data@" + "c" * 40 + "/../../a.png", "zip://a.png::https://example.com/a.zip",
        "simplecache::hf://datasets/own/data@" + "c" * 40 + "/a.png",
    ],
)  # fmt: skip
def test_images_elsewhere_are_refused(tmp_path, commit, path):
    place = place_of("own/data" if commit else str(tmp_path), commit)
    with pytest.raises(TargetError, match=r"names an image outside itself: .*Embed the images") as caught:
        read(path, place)
    assert repr(path) in str(caught.value)


def test_a_hub_dataset_is_read_from_its_commit_its_cache_and_what_was_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(image_files.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(datasets.config, "EXTRACTED_DATASETS_PATH", tmp_path / "extracted")
    for folder in ("hub/datasets--own--data", "extracted", "hub/datasets--own--data-2"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.png").write_bytes(b"image")
    place = place_of("own/data", "c" * 40)
    assert read(tmp_path / "hub/datasets--own--data/a.png", place) == b"image"
    assert read(tmp_path / "extracted/a.png", place) == b"image"
    with pytest.raises(TargetError, match="outside itself"):
        read(tmp_path / "hub/datasets--own--data-2/a.png", place)
    asked = []
    monkeypatch.setattr(image_files, "_read", lambda path, token: asked.append(path) or b"image")
    urls = [f"hf://datasets/own/data@{'c' * 40}/a.png", f"zip://a.png::hf://datasets/own/data@{'c' * 40}/a.zip"]
    assert [read(url, place) for url in urls] == [b"image"] * 2
    assert asked == urls


def test_links_and_members_of_a_folder(tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "a.png").write_bytes(b"image")
    (tmp_path / "secret").write_bytes(b"secret")
    (own / "inside.png").symlink_to("a.png")
    (own / "outside.png").symlink_to(tmp_path / "secret")
    with zipfile.ZipFile(own / "a.zip", "w") as archive:
        archive.writestr("b/c.png", b"member")
    place = place_of(str(own), None)
    assert read(own / "inside.png", place) == b"image"
    assert read(f"zip://b/c.png::{own / 'a.zip'}", place) == b"member"
    for path in (own / "outside.png", own / ".." / "secret"):
        with pytest.raises(TargetError, match="outside itself"):
            read(path, place)


def test_a_folder_of_parquet_files_cannot_name_other_files(tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    rows = {"image": [str(tmp_path / "secret")] * 24, "label": ["a", "b"] * 12}
    features = Features({"image": Value("string"), "label": Value("string")})
    Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "data" / "train.parquet")
    for streaming in (False, True):
        with pytest.raises(TargetError, match="outside itself"):
            load_target(tmp_path / "data", image_column="image", streaming=streaming, sample=24)


@pytest.mark.parametrize("streaming", [False, True])
def test_an_archive_of_an_imagefolder_is_read(tmp_path, streaming):
    with zipfile.ZipFile(tmp_path / "train.zip", "w") as archive:
        for i in range(24):
            archive.writestr(f"{i}.png", b"image %d" % i)
        archive.writestr("metadata.csv", "file_name,label\n" + "".join(f"{i}.png,{'ab'[i % 2]}\n" for i in range(24)))
    target = load_target(tmp_path, streaming=streaming, sample=24)
    assert sorted(target.images.encoded) == sorted(b"image %d" % i for i in range(24))


def test_only_so_much_of_a_regular_file(tmp_path, monkeypatch):
    monkeypatch.setattr(image_files, "LARGEST", 5)
    place = place_of(str(tmp_path), None)
    (tmp_path / "a.png").write_bytes(b"12345")
    assert read(tmp_path / "a.png", place) == b"12345"
    (tmp_path / "b.png").write_bytes(b"123456")
    with pytest.raises(TargetError, match=r"b\.png' must have at most 0 MiB"):
        read(tmp_path / "b.png", place)
    os.mkfifo(tmp_path / "pipe")
    for where in (place, None):
        with pytest.raises(TargetError, match="must be a regular file"):
            read(tmp_path / "pipe", where)
    with pytest.raises(TargetError, match="must be a regular file"):
        read("/dev/zero", None)


@pytest.fixture
def linked(tmp_path):
    """Class folders of links to images in another folder, and a folder of links to such class folders."""
    (tmp_path / "store").mkdir()
    for i in range(24):
        (tmp_path / "store" / f"{i}.png").write_bytes(b"image %d" % i)
        folder = tmp_path / "files" / "train" / "ab"[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i}.png").symlink_to(tmp_path / "store" / f"{i}.png")
    (tmp_path / "folders" / "train").mkdir(parents=True)
    for name in "ab":
        (tmp_path / "folders" / "train" / name).symlink_to(tmp_path / "files" / "train" / name)
    return tmp_path


@pytest.mark.parametrize("kind", ["files", "folders"])
def test_links_out_of_a_folder_are_followed_only_by_name(linked, kind):
    with pytest.raises(TargetError, match=r"links in .* lead out of it, for example train/a.*Pass --follow-links"):
        load_target(linked / kind)
    target = load_target(linked / kind, follow_links=True)
    assert sorted(target.images.encoded) == sorted(b"image %d" % i for i in range(24))
    assert target.class_names == ["a", "b"]


def test_links_in_a_circle_end(linked):
    (linked / "files" / "train" / "a" / "again").symlink_to(linked / "files")
    assert len(load_target(linked / "files", follow_links=True)) == 24


def test_following_links_does_not_leave_the_folder_otherwise(linked):
    place = place_of(str(linked / "files"), None, follow_links=True)
    assert read(linked / "files" / "train" / "a" / "0.png", place) == b"image 0"
    for path in (linked / "store" / "0.png", linked / "files" / ".." / "store" / "0.png"):
        with pytest.raises(TargetError, match="outside itself"):
            read(path, place)


def test_relative_paths_start_in_the_folder_or_repository(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"image")
    assert read("a.png", place_of(str(tmp_path), None)) == b"image"
    asked = []
    monkeypatch.setattr(image_files, "_read", lambda path, token: asked.append(path) or b"image")
    assert read("images/a.png", place_of("own/data", "c" * 40)) == b"image"
    assert asked == [f"hf://datasets/own/data@{'c' * 40}/images/a.png"]


def test_an_image_in_a_text_column_is_not_printed(tmp_path):
    rows = {"image": ["QUJD" * 2000] * 24, "label": ["a", "b"] * 12}
    Dataset.from_dict(rows).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(TargetError, match=r"texts of 8000 characters, which are not paths\. Decode base64") as caught:
        load_target(tmp_path, image_column="image")
    assert "QUJD" not in str(caught.value)


@pytest.mark.parametrize("threads", [0, 4])
def test_a_stream_with_decoding_of_its_own(linked, threads):
    files = [str(linked / "store" / f"{i}.png") for i in range(24)]
    features = Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    stream = Dataset.from_dict({"image": files, "label": [0, 1] * 12}, features=features).to_iterable_dataset()
    stream = stream.decode(num_threads=threads) if threads else stream
    target = load_target(stream, sample=20)
    assert set(target.images.encoded) < {b"image %d" % i for i in range(24)}
