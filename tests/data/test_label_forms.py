"""Label columns whose values may mean two things: what is decided, what is asked, and what is noted."""

import numpy as np
import pytest
from datasets import ClassLabel, List, Value
from helpers.targets import AB, ABC, refused, table

from hf_transferability.data.label_forms import alike, common_separator, copies, missing_names
from hf_transferability.data.targets import check_images, load_target
from hf_transferability.errors import UsageError

RNG = np.random.default_rng(0)
VECTORS = RNG.integers(0, 2, (24, 5)).tolist()
NO_YES = ClassLabel(names=["no", "yes"])
FINDINGS = ClassLabel(names=["a", "b", "c", "d", "e"])


@pytest.mark.parametrize("feature", [List(NO_YES), List(Value("int8")), List(FINDINGS), List(NO_YES, length=5)])
def test_vectors_of_several_findings(feature):
    target = load_target(table(VECTORS, feature), sample="all")
    assert target.task == "multi_label"
    assert target.labels.tolist() == [VECTORS[row] for row in target.positions]
    assert target.class_names == (list("abcde") if feature.feature == FINDINGS else list("01234"))


def test_lists_that_repeat_ids_are_asked_about():
    refused("must hold ids of its 2 classes or 0/1 vectors of one length", table([[0, 0, 1], [1, 1]] * 12, List(NO_YES)))


@pytest.mark.parametrize(
    "values, feature, names",
    [
        ([[0], [1]], List(Value("int64")), ["0", "1"]),
        ([[0], [1]], List(AB, length=1), ["a", "b"]),
        ([["x"], ["y"]], List(Value("string")), ["x", "y"]),
        ([[1, 0], [0, 1]], List(Value("int64")), ["0", "1"]),
        ([[1, 0, 0], [0, 0, 1], [0, 1, 0]], List(Value("bool")), ["0", "1", "2"]),
        ([[1, 0, 0], [0, 0, 1], [0, 1, 0]], List(ABC), ["a", "b", "c"]),
    ],
)
def test_one_label_in_a_list_is_a_class_and_noted(values, feature, names):
    target = load_target(table(values * (24 // len(values)), feature), sample="all")
    assert target.task == "single_label"
    assert target.class_names == names
    assert "read as its class" in target.account
    codes = [value.index(1) if len(value) > 1 else values.index(value) for value in values]
    assert target.labels.tolist() == [codes[row % len(values)] for row in target.positions]


def test_a_task_keeps_vectors_as_they_are():
    target = load_target(table([[1, 0], [0, 1]] * 12, List(Value("int64"))), task="multi_label")
    assert target.task == "multi_label"
    refused("`task` must not be multi_label", table([0, 1] * 12, AB), task="multi_label")


CHEST = ["No Finding", "Effusion", "Effusion|Mass", "Mass|Nodule", "Mass"]


def test_several_labels_in_one_text_are_asked_about_or_separated():
    data = table([CHEST[i % 5] for i in range(25)], Value("string"))
    text = refused(r"`label_separator` must be given, because texts such as 'Effusion\|Mass'", data)
    assert "Pass --label-separator '|'" in text
    target = load_target(data, label_separator="|", sample="all")
    assert target.task == "multi_label"
    assert target.class_names == ["Effusion", "Mass", "No Finding", "Nodule"]
    expected = [[0, 0, 1, 0], [1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 0, 1], [0, 1, 0, 0]]
    assert target.labels.tolist() == [expected[row % 5] for row in target.positions]
    assert check_images(target)[0].labels.tolist() == target.labels.tolist()
    single = load_target(data, label_separator="", sample="all")
    assert (single.task, len(single.class_names)) == ("single_label", 5)
    refused("`label_separator` must be left out", table([0, 1] * 12, AB), label_separator="|")


@pytest.mark.parametrize(
    "values, separator",
    [
        (CHEST, "|"), (["a;b", "b; c", "c"], ";"), (["left, upper", "left, lower", "right, upper"], ","),
        (["benign, grade 1", "malignant, grade 2"], None), (["a|b", "c"], None), (["a|", "a"], None), (["x", "y"], None),
    ],
)  # fmt: skip
def test_which_texts_look_like_several_labels(values, separator):
    assert common_separator(values) == separator


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_text_is_a_missing_label(empty):
    refused(
        r"got none .* for 8 of 24 \(first: row 1; rows count from 0\)",
        table(["b", empty, "m"] * 8, Value("string")),
    )


def test_names_that_differ_in_case_or_white_space():
    assert alike({"benign": 3, "benign ": 2, "malignant": 1, "Benign": 4}) == "'Benign' (4) and 'benign' (3) and 'benign ' (2)"
    assert alike({"a": 1, "b": 2}) == ""


def test_many_whole_numbers_are_asked_about():
    ages = (20 + np.arange(60) % 45).tolist()
    data = table(ages, Value("int64"))
    assert "--task regression" in refused("label holds 45 whole numbers for 60 images", data)
    target = load_target(data, task="regression")
    assert (target.task, sorted(target.labels.tolist())) == ("regression", sorted(map(float, ages)))
    assert load_target(data, task="single_label").task == "single_label"
    refused("`task` must not be regression", table(["x", "y"] * 12, Value("string")), task="regression")


def test_whole_floats_are_classes_or_numbers_by_task():
    data = table([0.0, 1.0, 2.0] * 8, Value("float32"))
    refused("`task` must be given", data)
    classes = load_target(data, task="single_label")
    assert (classes.task, classes.class_names) == ("single_label", ["0", "1", "2"])
    assert "Whole floats are read as classes" in classes.account
    assert load_target(data, task="regression").task == "regression"
    refused("holds fractions", table([0.5, 1.0] * 12, Value("float32")), task="single_label")
    with pytest.raises(UsageError, match="`task` must be one of single_label, multi_label, regression"):
        load_target(data, task="classification")


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["b", "b - Copy", "a"], "'b - Copy' of 'b'"),
        (["Copy of b", "b"], "'Copy of b' of 'b'"),
        (["b", "b_old", "b (1)"], "'b (1)' of 'b', 'b_old' of 'b'"),
        (["stage (1)", "stage (2)"], ""),
        (["photocopy", "photo", "old", "very_bold"], ""),
    ],
)
def test_classes_that_may_be_copies(names, told):
    assert copies(dict.fromkeys(names, 1)) == told


def test_names_of_classes_that_stand_for_missing_labels():
    assert missing_names({"nan": 3, "a": 2, "none": 1, "unknown": 1, " NA": 4}) == "'nan' (3), ' NA' (4)"
    rows = table(["a", "b", "nan"] * 8, Value("string"))
    assert "The class 'nan' (8) may stand for missing labels; remove its images if it does." in load_target(rows).account
    rows = table(["a", "a - Copy"] * 8, Value("string"))
    assert "Classes may be copies of others: 'a - Copy' of 'a'; move them away" in load_target(rows).account
