"""Candidates: whether a model card names the target as training data."""

import pytest

from hf_transferability.ranking.candidates import trained_on


@pytest.mark.parametrize(
    ("target", "named", "leak"),
    [
        ("hf-vision/chest-xray", ["imagenet-1k", "hf-vision/chest-xray"], "hf-vision/chest-xray"),
        ("HF-Vision/Chest-XRay", ["hf-vision/chest-xray"], "hf-vision/chest-xray"),
        ("hf-vision/chest-xray", ["chest-xray"], "chest-xray"),  # pre-trained on a folder
        ("{folder}", ["blood", "retina"], "retina"),  # a union
        ("{folder}/", ["owner/retina"], "owner/retina"),
        ("{folder}/../retina/.", ["retina"], "retina"),
        ("{folder}", ["retina-oct"], None),
        ("hf-vision/chest-xray", ["hf-vision/other"], None),
        ("hf-vision/chest-xray", [], None),
    ],
)
def test_a_target_is_recognised_by_its_name(tmp_path, target, named, leak):
    (tmp_path / "retina").mkdir()
    assert trained_on(named, target.format(folder=tmp_path / "retina")) == leak


def test_the_folder_that_one_stands_in_has_a_name(tmp_path, monkeypatch):
    (tmp_path / "retina").mkdir()
    monkeypatch.chdir(tmp_path / "retina")
    assert trained_on(["retina"], ".") == "retina"
