"""A column of patients that nobody named as groups is told, by counts alone."""

import numpy as np
import pytest
from datasets import Value
from helpers.targets import AB, table

from hf_transferability.data.targets import load_target

PATIENTS = ["Meier"] * 20 + [f"Huber {i // 2}" for i in range(20)]


def account(values=PATIENTS, *, column="patient_id", kind="string", **options):
    return load_target(table([0, 1] * 20, AB, **{column: (values, Value(kind))}), sample=20, **options).account


@pytest.mark.parametrize("column", ["patient", "PatientID", "Study Instance UID", "lesion_id", "slide-nr"])
def test_the_column_and_its_counts_are_told_and_no_value(column):
    line = account(column=column)
    assert f"The column {column} holds 11 values for 40 images; `--group-column {column}` keeps those of one together." in line
    assert "Meier" not in line and "Huber" not in line


def test_numbers_are_groups_too():
    assert "holds 8 values" in account([i // 5 for i in range(40)], kind="int64")


@pytest.mark.parametrize(
    "values, column, kind",
    [
        (PATIENTS, "hospital", "string"),
        ([f"p{i}" for i in range(40)], "patient", "string"),  # one image each
        (["case", "control"] * 20, "case", "string"),
        ([None, *PATIENTS[1:]], "patient", "string"),  # which --group-column would refuse
        ([i // 5 + 0.5 for i in range(40)], "case", "float64"),
        ([i // 5 for i in range(40)], "volume", "int64"),  # a measurement
        (["CT", "MR", "US", "XR", "PET"] * 8, "exam", "string"),
        (np.linspace(0, 1, 40).round(1).tolist(), "lesion", "bool"),
    ],
)
def test_other_columns_are_not_taken_for_groups(values, column, kind):
    assert "group-column" not in account(
        [bool(value) for value in values] if kind == "bool" else values, column=column, kind=kind
    )


def test_whoever_named_groups_or_asks_for_these_labels_is_told_nothing():
    assert "keeps those" not in account(group_column="patient_id")
    assert "keeps those" not in account([i // 5 for i in range(40)], kind="int64", label_column="patient_id")
