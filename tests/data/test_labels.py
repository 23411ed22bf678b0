"""What a label column holds, and what is refused and why."""

import tracemalloc

import datasets
import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, LargeList, List, Value
from helpers.targets import AB, ABC, refused, table

from hf_transferability.data.groups import group_codes
from hf_transferability.data.labels import LabelReader
from hf_transferability.data.targets import check_images, load_target


@pytest.mark.parametrize(
    "values, feature, names",
    [
        ([0, 1], AB, ["a", "b"]),
        ([2, 0], ABC, ["a", "c"]),  # a declared class that does not occur
        ([0, 2, 5], Value("int64"), ["0", "2", "5"]),
        ([7, 255], Value("uint8"), ["7", "255"]),
        ([-1, 1], Value("int32"), ["-1", "1"]),
        (["no finding", "Ödem"], Value("string"), ["no finding", "Ödem"]),
        (["x", "y"], Value("large_string"), ["x", "y"]),
        ([False, True], Value("bool"), ["False", "True"]),
    ],
)
def test_labels_of_every_kind(values, feature, names):
    data = table(values * 12, feature)
    target = load_target(data, sample="all")
    assert target.task == "single_label"
    assert target.class_names == names
    assert target.labels.dtype == np.int64
    assert sorted(set(target.labels.tolist())) == list(range(len(names)))
    given = data["label"][:]
    for code, row in zip(target.labels, target.positions, strict=True):
        shown = feature.names[given[row]] if isinstance(feature, ClassLabel) else str(given[row])
        assert names[code] == shown
    assert target.provenance["classes"] == names


@pytest.mark.parametrize(
    "values, feature, names, expected",
    [
        ([[0, 2], [], [1]], List(ABC), ["a", "b", "c"], [[1, 0, 1], [0, 0, 0], [0, 1, 0]]),
        ([[0, 2], [], [1]], LargeList(ABC), ["a", "b", "c"], [[1, 0, 1], [0, 0, 0], [0, 1, 0]]),
        ([[0, 1, 0], [1, 1, 0]], List(Value("int8")), ["0", "1", "2"], [[0, 1, 0], [1, 1, 0]]),
        ([[0, 1, 0], [1, 1, 0]], List(Value("int64"), length=3), ["0", "1", "2"], [[0, 1, 0], [1, 1, 0]]),
        ([[True, False], [True, True]], List(Value("bool")), ["0", "1"], [[1, 0], [1, 1]]),
        ([[3, 5], [9], []], List(Value("int32")), ["3", "5", "9"], [[1, 1, 0], [0, 0, 1], [0, 0, 0]]),
        ([["x", "y"], ["z"], []], List(Value("string")), ["x", "y", "z"], [[1, 1, 0], [0, 0, 1], [0, 0, 0]]),
    ],
)
def test_multi_label_is_recognised(values, feature, names, expected):
    target = load_target(table(values * 12, feature), sample="all")
    assert target.task == "multi_label"
    assert target.class_names == names
    assert target.labels.tolist() == [expected[row % len(values)] for row in target.positions]
    checked, _ = check_images(target)
    assert checked.labels.tolist() == target.labels.tolist()
    assert checked.class_names == names


def test_default_size_of_a_multi_label_sample_is_by_its_labels():
    target = load_target(table([[0], [1], []] * 70, List(AB)))
    assert len(target) == 200


def test_multi_label_cannot_be_stratified():
    refused("`draw` must be random for a multi-label target", table([[0], [1], []] * 8, List(AB)), draw="stratified")


@pytest.mark.parametrize("feature", [List(Value("float32")), List(List(Value("int8")))])
def test_labels_of_other_types_are_refused(feature):
    value = [1.0] if feature == List(Value("float32")) else [[1]]
    assert "label holds" in refused("`label_column` must hold classes", table([value] * 24, feature))


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_numbers_to_predict_are_a_regression_target(kind):
    ages = [20 + i / 7 for i in range(48)]
    target = load_target(table(ages, Value(kind)))
    assert target.task == "regression"
    assert sorted(target.labels) == pytest.approx(ages)
    assert check_images(target)[0].labels.tolist() == target.labels.tolist()
    refused("`draw` must be random for a regression target", table(ages, Value(kind)), draw="stratified")
    refused("must have a label for every image", table([float("nan"), *ages[1:]], Value(kind)))


def test_classes_that_a_table_turned_into_floats_are_not_taken_for_numbers():
    assert "Cast classes to integers" in refused(
        "`task` must be given, because label may hold classes or numbers", table([0.0, 1.0] * 24, Value("float64"))
    )


@pytest.mark.parametrize(
    "values, feature",
    [
        ([None, "a", "b"], Value("string")),
        ([None, 1, 2], Value("int64")),
        ([-1, 0, 1], AB),
        ([None, [0], [1]], List(AB)),
        ([[0, None], [0], [1]], List(AB)),
        ([[-1], [0], [1]], List(AB)),
        ([[0, -1], [1, 0], [1, 1]], List(Value("int8"))),  # "uncertain", as some chest X-ray datasets have it
    ],
)
def test_missing_labels_are_refused(values, feature):
    data = table(values * 8, feature)
    text = r"must have a label for every image; got none \(null, empty, or -1 of named classes\) for 8 of 24 "
    text += r"\(first: row 0; rows count from 0\)"
    refused(text, data)
    refused("got none", data.to_iterable_dataset(), sample=24)


@pytest.mark.parametrize(("values", "told"), [([-1, 0, 1], True), ([-1, 1], False), ([0, 1, 2], False)])
def test_a_code_below_zero_may_mean_no_label(values, told):
    """As "uncertain" does in some chest X-ray datasets; -1 and 1 are two classes."""
    target = load_target(table(values * 12, Value("int64")))
    assert len(target.class_names) == len(values)
    assert ("Label -1 is a class of its own" in target.account) == told


def test_labels_beyond_the_declared_classes_are_refused():
    data = table([0, 5] * 12, Value("int64"))
    wrong = Dataset(data.data.table, info=datasets.DatasetInfo(features=Features({"image": datasets.Image(), "label": AB})))
    refused("`label` must hold codes of its 2 class names; got 5 in row 1; rows count from 0", wrong)


def test_one_class_and_too_few_images_are_refused():
    refused(r"at least 2 classes; got only \['a'\]", table([0] * 24, AB))
    refused("at least 12 images; got 11", table([0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0], AB))
    refused("at least 12 images; got 10", table([0, 1] * 12, AB), sample=10)
    refused("at least 12 images; got 0", table([], AB))
    assert len(load_target(table([0, 1] * 6, AB))) == 12


def test_small_classes_are_flagged():
    assert load_target(table([0] * 20 + [1], AB)).flags == {"single_image_class": "b"}
    assert load_target(table([0] * 20 + [1] * 9, AB)).flags == {"few_images_per_class": "b: 9"}


def test_a_class_that_the_sample_lacks_is_flagged():
    rare = table([0] * 300 + [1] * 300 + [2], ABC)
    target = load_target(rare, sample=60)
    assert target.class_names == ["a", "b"]
    assert target.flags == {"class_not_drawn": "c"}
    assert check_images(target)[0].flags == target.flags
    assert "class_not_drawn" not in load_target(rare, sample=60, draw="stratified").flags
    assert load_target(table([0] * 20 + [1] * 10, AB)).flags == {}


def test_one_long_text_does_not_make_all_labels_long():
    """In an array of texts each takes the room of the longest: 20,000 x 40,000 characters would be 3 GiB."""
    values = ["x" * 40_000, *(f"{i % 5}" for i in range(20_000))]
    tracemalloc.start()
    try:
        reader = LabelReader("label", Value("string"))
        _, codes, names = reader.encode(values)
        assert len(np.unique(reader.group_codes(values))) == len(reader.counts(values)) == len(names) == 6
        assert group_codes(values)[:3].tolist() == [0, 1, 2]
        assert [names[code] for code in codes] == values
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**24


def test_counts_of_several_labels_are_those_of_the_matrix():
    for feature, values in (
        (List(AB), [[0], [0, 1], [], [1]]),
        (List(Value("string")), [["x", "y"], ["y"], [], ["z"]]),
        (List(Value("int64")), [[0, 1, 1], [1, 0, 0], [0, 0, 1], [1, 1, 1]]),
    ):
        reader = LabelReader("label", feature)
        settled = reader.settle(values)
        _, matrix, names = reader.encode(settled)
        assert reader.counts(settled) == dict(zip(names, matrix.sum(axis=0).tolist(), strict=True))
