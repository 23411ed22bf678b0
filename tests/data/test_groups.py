"""A column of groups: drawn in turn, counted, never shown."""

import json
from collections import Counter

import numpy as np
import pytest
from datasets import ClassLabel, Value
from helpers.targets import AB, refused, table
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_transferability.data.array_labels import labelled_arrays
from hf_transferability.data.groups import shared_groups
from hf_transferability.data.options import SampleOptions
from hf_transferability.data.sampling import draw_sample
from hf_transferability.data.targets import check_images, groups_of_split, load_target
from hf_transferability.errors import UsageError

QUICK = settings(max_examples=60, deadline=None, derandomize=True)
PATIENTS = ["Meier"] * 20 + [f"Huber {i // 2}" for i in range(20)]


def patients(**more):
    return table([0, 1] * 20, AB, patient=(PATIENTS, Value("string")), **more)


@QUICK
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6)), min_size=12, max_size=80), st.integers(3, 60), st.integers(0, 99)
)
def test_groups_are_drawn_in_turn(images, size, seed):
    codes, groups = np.array(images).T
    drawn = draw_sample(codes, size, "random", seed, groups)
    assert len(set(drawn.tolist())) == len(drawn) == min(size, len(codes))
    here, there = Counter(groups[drawn].tolist()), Counter(groups.tolist())
    most = max(here.values())
    assert all(here[group] >= min(most - 1, there[group]) for group in there)


@QUICK
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6)), min_size=12, max_size=80), st.integers(3, 60), st.integers(0, 99)
)
def test_a_stratified_draw_keeps_the_shares_of_classes(images, size, seed):
    codes, groups = np.array(images).T
    with_groups, without = (codes[draw_sample(codes, size, "stratified", seed, g)] for g in (groups, None))
    assert Counter(with_groups.tolist()) == Counter(without.tolist())


@pytest.mark.parametrize("word", ["NA", "nan", "None", "unknown", "N/A", "null", "?", " "])
def test_words_for_an_unknown_patient_are_no_group(word):
    names = [word if i % 3 == 0 else f"p{i}" for i in range(24)]
    text = r"must name a group for every image; patient is empty.* for 8 of 24 \(first: row 0; rows count from 0\). Fill it in"
    assert (repr(word) in refused(text, table([0, 1] * 12, AB, patient=(names, Value("string"))), group_column="patient")) == (
        bool(word.strip())
    )
    with pytest.raises(UsageError, match=r"`groups` must hold a value for every image; got .* for 8 of 24 \(first: 0\)"):
        labelled_arrays(np.arange(24) % 2, {}, np.array(names))
    known = [f"x{i}" if i % 3 == 0 else name for i, name in enumerate(names)]
    assert len(load_target(table([0, 1] * 12, AB, patient=(known, Value("string"))), group_column="patient")) == 24


def test_the_order_stays_random():
    groups = np.repeat(np.arange(10), 10)
    drawn = draw_sample(groups % 2, 50, "random", 0, groups)
    assert len(set(groups[drawn[:10]].tolist())) < 10, "not one group after the other"


def test_one_patient_does_not_fill_the_sample():
    naive = load_target(patients(), sample=20)
    aware = load_target(patients(), sample=20, group_column="patient")
    assert naive.groups is None
    assert Counter(aware.groups.tolist()).most_common(1)[0][1] == 2
    assert (aware.provenance["group_column"], aware.provenance["groups"], aware.provenance["largest_group"]) == (
        "patient",
        11,
        2,
    )


def test_names_of_groups_stay_in_memory():
    target, _ = check_images(load_target(patients(), sample="all", group_column="patient"))
    assert "Meier" in target.group_names
    assert not {"Meier", "Huber"} & set(json.dumps(target.provenance).replace('"', " ").split())
    assert "Meier" not in repr(target)
    assert sorted(set(target.groups.tolist())) == list(range(11))


def test_groups_follow_their_images_when_corrupt_ones_are_left_out():
    data = patients(number=(list(range(40)), Value("int64")))
    images = [dict(image) for image in data.cast_column("image", data.features["image"].__class__(decode=False))["image"]]
    images[3] = {"bytes": b"damaged", "path": None}
    broken = table([0, 1] * 20, AB, patient=(PATIENTS, Value("string"))).remove_columns("image").add_column("image", images)
    target = load_target(broken.cast_column("image", data.features["image"]), sample="all", group_column="patient")
    checked, _ = check_images(target, skip_corrupt=True)
    assert len(checked) == len(checked.groups) == 39
    assert checked.group_names == [PATIENTS[position] for position in checked.positions]


def test_numbers_and_texts_name_the_same_groups():
    kinds = {"int64": [1, 2] * 20, "float64": [1.0, 2.0] * 20, "string": ["1", "2 "] * 20}
    names = [
        groups_of_split(table([0, 1] * 20, AB, g=(values, Value(kind))), SampleOptions(), "g") for kind, values in kinds.items()
    ]
    assert names[0] == names[1] == names[2]
    assert shared_groups(["a", "b"], ["b", "c", "b"]) == (1, 2)


@pytest.mark.parametrize(
    ("column", "values", "kind", "text"),
    [
        ("person", PATIENTS, Value("string"), "`group_column` must be .*patient"),
        ("label", PATIENTS, Value("string"), "must not be the column of images or labels"),
        ("patient", [*PATIENTS[:-2], None, " "], Value("string"), r"empty for 2 of 40 \(first: row 38; rows count from 0\)"),
        ("patient", [0.5] * 40, Value("float64"), "holds fractions"),
        ("patient", [float("inf")] * 40, Value("float64"), "holds fractions or numbers too large"),
        ("patient", [2.0**60] * 40, Value("float64"), "numbers too large to be exact"),
        ("patient", [float("nan")] * 40, Value("float64"), "empty for 40 of 40"),
        ("patient", ["same"] * 40, Value("string"), "at least 2 groups in the sample; got one"),
        ("patient", [{"id": "a"}] * 40, {"id": Value("string")}, "must hold one text or integer an image"),
    ],
)
def test_refusals(column, values, kind, text):
    refused(text, table([0, 1] * 20, AB, patient=(values, kind)), sample="all", group_column=column)


def test_a_stream_is_refused():
    refused("without streaming", patients().to_iterable_dataset(), sample=20, group_column="patient")


def test_groups_of_arrays():
    made = labelled_arrays(np.array([0, 1] * 10), {"id": "(files)"}, np.array(["b", "a"] * 10))
    assert made.groups.tolist() == [0, 1] * 10
    assert made.provenance["groups"] == 2
    with pytest.raises(UsageError, match="one entry per image"):
        labelled_arrays(np.array([0, 1] * 10), {"id": "(files)"}, np.array([1, 2]))


def test_without_a_column_that_could_group_the_remedy_is_a_metadata_file():
    data = table([0, 1] * 12, AB)
    text = r"`group_column` must be a column beside images and labels; got 'PatientID', and there is none.* in a metadata.csv"
    refused(text, data, group_column="PatientID")


def test_class_labels_are_groups_by_their_names():
    """Names that stand for unknown ones, and codes without a name, are missing, as in a column of texts."""
    for names, codes in ((["NA", "p1", "p2"], [0, 1, 2] * 8), (["p0", "p1"], [-1, 0, 1] * 8)):
        rows = table([0, 1] * 12, AB, patient=(codes, ClassLabel(names=names)))
        refused(r"patient is empty.* for 8 of 24 \(first: row 0; rows", rows, group_column="patient")
    rows = table([0, 1] * 12, AB, patient=([0, 1, 2] * 8, ClassLabel(names=["p0", "p1", "p2"])))
    assert set(load_target(rows, sample_size="all", group_column="patient").group_names) == {"p0", "p1", "p2"}
    assert groups_of_split(rows, SampleOptions(), "patient")[:3] == ["p0", "p1", "p2"]
