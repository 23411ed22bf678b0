"""What fine-tuning says of images that occur twice."""

import re

import datasets
import pytest
from helpers.splits import in_memory

from hf_transferability.training.overlap import draw_findings
from hf_transferability.training.samples import Splits

pytestmark = pytest.mark.usefixtures("one_thread")


def test_test_images_that_training_has_and_training_images_with_other_labels():
    data = in_memory({"train": [0, 1, 2] * 8, "validation": [0, 1, 2] * 4, "test": [0, 1, 2] * 4}, datasets.Value("int64"))
    assert draw_findings(Splits(data, 24).draw(0, 8, 4)) == []
    data["test"] = datasets.concatenate_datasets([data["test"], data["train"].select([5, 7])])
    (found,) = draw_findings(Splits(data, 24).draw(0, 8, 4))
    assert found.kept.startswith("2 of 14 test images are also in training or validation: rows ")
    assert found.kept.endswith(
        ("12 and 5, 13 and 7, counted from 0 (test and training)", "13 and 7, 12 and 5, counted from 0 (test and training)")
    )
    assert found.told == found.kept  # images in memory have no files
    other = data["train"].select([3]).map(lambda row: {"label": 1})
    data["train"] = datasets.concatenate_datasets([data["train"], other])
    labels, _ = draw_findings(Splits(data, 24).draw(0, 9, 4))
    assert labels.kept.startswith("1 pair of equal training images with different labels: rows ")
    assert {"3", "24"} < set(re.findall(r"\d+", labels.kept))


def test_files_are_told_and_rows_are_kept(tmp_path):
    data = in_memory({"train": [0, 1] * 12, "test": [0, 1] * 6}, datasets.Value("int64"))
    for split, table in data.items():
        for i, (image, label) in enumerate(zip(table["image"], table["label"], strict=True)):
            file = tmp_path / split / "ab"[label] / f"Doe_{i}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            image.save(file)
    (tmp_path / "train/b/Roe.png").write_bytes((tmp_path / "train/a/Doe_4.png").read_bytes())
    (found,) = draw_findings(Splits(tmp_path, 24).draw(0, 10, 2))
    assert "b/Roe.png" in found.told
    assert "Doe" not in found.kept
    assert "Roe" not in found.kept
