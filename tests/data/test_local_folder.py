"""What is no dataset is named as what it is, with the remedy."""

import datasets
import pytest
from helpers.targets import png, refused

from hf_transferability.data.targets import load_target
from hf_transferability.errors import TargetError, UsageError


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("image.png", "got the image .*image.png. Pass a folder with a sub-folder of images for each class"),
        ("scan.dcm", "got the image"),
        ("scan", "got the image"),
        ("data.zip", "got the archive .*data.zip. Unpack it"),
        ("labels.csv", "got the table .*labels.csv. Pass the folder that holds it"),
        ("features.npz", "got the arrays .*. Rank them by `hf-transferability score`"),
        ("notes.txt", "got the file"),
    ],
)
def test_a_file_in_the_place_of_a_folder(tmp_path, name, text):
    (tmp_path / name).write_bytes(png(0) if name == "scan" else b"x")
    refused(text, tmp_path / name)


def test_a_checkpoint_in_the_place_of_the_dataset(tmp_path):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    refused(r"^`dataset` must be images with labels; .* is a checkpoint. Name the dataset first", tmp_path)


def test_names_that_may_be_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    refused("there is no folder a/b/c. Check the path", "a/b/c")
    (tmp_path / "mine").mkdir()
    for name in ("data/breast", "mine/breast"):
        with pytest.raises(TargetError, match=f"^there is no folder {name}; "):
            load_target(name)
    with pytest.raises(TargetError, match=r"^offline mode is on"):
        load_target("someone/breast")


def test_metadata_of_other_images(tmp_path):
    for i in range(24):
        (tmp_path / f"{i}.png").write_bytes(png(i))
    (tmp_path / "metadata.csv").write_text("file_name,label\n" + "".join(f"gone/{i}.png,{i % 2}\n" for i in range(24)))
    with pytest.raises(TargetError, match=r"metadata.csv names 24 files, none of which is an image .*, for example gone/0.png"):
        load_target(tmp_path)


def test_a_folder_of_datasets_is_refused_by_their_names(tmp_path):
    for name in ("eyes", "lungs"):
        for i in range(12):
            place = tmp_path / name / "train" / "ab"[i % 2]
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{i}.png").write_bytes(png(i))
        (tmp_path / name / "README.md").write_text("---\nlicense: mit\n---\n")
    with pytest.raises(UsageError, match=r"must be one dataset; .* holds several \(eyes, lungs\)"):
        load_target(tmp_path, sample_size="all")
    assert len(load_target(tmp_path / "eyes", sample_size="all")) == 12
