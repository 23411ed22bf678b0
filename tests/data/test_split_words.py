"""Words of splits and of parts of a study."""

import pytest

from hf_transferability.data.split_words import (
    cohort_words,
    is_cohort,
    is_numbered_part,
    kinds_within,
    says_nothing,
    split_kind,
    words_of,
)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("01_train", "train"), ("2-test", "test"), ("TestData", "test"), ("test_set", "test"), ("VALset", "validation"),
        ("hold_out", "test"), ("bus", None), ("contest", None), ("no_test", None), ("2ts", None), ("external", None),
    ],
)  # fmt: skip
def test_whole_names(name, kind):
    assert split_kind(name) == kind


def test_words_within_names():
    assert kinds_within("external_test") == kinds_within("myTestImages") == {"test"}
    assert kinds_within("contest") == kinds_within("protested") == kinds_within("attestation") == set()
    assert kinds_within("train_test") == {"train", "test"}
    assert kinds_within("imagesTs") == kinds_within("labels_TS") == {"test"}
    assert kinds_within("BraTS") == kinds_within("BraTS2020") == set()
    assert kinds_within("BraTS2020_TrainingData") == {"train"}
    assert words_of("TestData_1") == ["test", "data", "1"]


def test_parts_of_a_study():
    assert all(map(is_cohort, ("internal", "External_set", "01_external", "ReplicationCohort")))
    assert not any(map(is_cohort, ("external_ear", "interna", "exter")))
    assert cohort_words("external_ear") == {"external"}


def test_names_that_say_nothing():
    assert all(map(says_nothing, ("images", "IMG", "photos_2", "raw")))
    assert not any(map(says_nothing, ("benign", "imagery", "test_images")))


def test_numbered_parts():
    assert all(map(is_numbered_part, ("images_001", "HAM10000_images_part_2", "batch 3", "Part1")))
    assert not any(map(is_numbered_part, ("grade1", "images", "007", "stage_2", "part_a", "type 1")))
