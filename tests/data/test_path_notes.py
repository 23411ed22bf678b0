"""Rows whose paths say more than their labels."""

import pytest
from helpers.targets import png

from hf_transferability.data.path_notes import path_notes
from hf_transferability.data.targets import load_target
from hf_transferability.errors import UsageError

PATHS = ["/d/a/site1/1.png", "/d/a/site2/1.png", "/d/b/site1/1.png", ""]


def test_folders_below_those_of_the_classes():
    notes, examples = path_notes(PATHS, [0, 0, 1, 1], class_folders=True, files=True)
    assert notes == ["Images of 2 folders that are no classes are used together."]
    assert list(examples.values()) == ["site1, site2"]
    assert path_notes(PATHS, [0, 0, 1, 1], class_folders=False, files=True) == ([], {})


def test_folders_of_test_images():
    paths = [path.replace("site2", "external") for path in PATHS]
    with pytest.raises(UsageError, match="the folders external, site1, of which some may be for testing"):
        path_notes(paths, "aabb", class_folders=False, files=True)
    notes, _ = path_notes(paths, "aabb", class_folders=False, files=False)
    assert notes == ["Names of the images' folders say that some may be for testing; leave those out if they are."]
    assert path_notes([], [], class_folders=False, files=True) == ([], {})


def test_names_for_testing_are_right_in_a_test_split(tmp_path):
    paths = [f"/d/{part}/test_{i}.png" for part in ("internal_test", "external_test") for i in range(2)]
    assert path_notes(paths, "abab", class_folders=False, files=True, for_testing=True) == ([], {})
    with pytest.raises(UsageError, match="external_test, internal_test"):
        path_notes(paths, "abab", class_folders=False, files=True)
    for split in ("train", "test"):
        for label in "ab":
            (tmp_path / split / label).mkdir(parents=True)
            for i in range(12):
                (tmp_path / split / label / f"test_{i}.png").write_bytes(png(i + 12 * (label == "b")))
    note = "Of 24 file names 24 have the word test; move test images away if they are not to count."
    assert load_target(tmp_path).provenance["account"]["notes"] == [note]
    for split in ("test", "test[:90%]"):
        assert load_target(tmp_path, split=split).provenance["account"]["notes"] == []
