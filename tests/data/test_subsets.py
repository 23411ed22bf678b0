"""Parts of a sample: every beginning of the nested order is a smaller sample of the same classes."""

import numpy as np
import pytest
from datasets import Value
from helpers.targets import AB, table

from hf_transferability.data.subsets import labels_of, nested_order, part_of
from hf_transferability.data.targets import load_target


@pytest.fixture(scope="module")
def target():
    """60 images of class a and 20 of class b."""
    return load_target(table([0] * 60 + [1] * 20, AB))


@pytest.mark.parametrize("size", [8, 20, 41])
def test_every_beginning_has_the_classes_in_proportion(target, size):
    order = nested_order(target)
    assert sorted(order) == list(range(80))
    of_b = (target.labels[order[:size]] == target.class_names.index("b")).sum()
    assert abs(of_b - size / 4) <= 1


def test_a_part_holds_its_images_and_has_a_key_of_its_own(target):
    rows = nested_order(target)[20:30]
    part, other = part_of(target, rows), part_of(target, rows[::-1])
    assert part.images.encoded == [target.images.encoded[i] for i in rows]
    assert np.array_equal(part.labels, target.labels[rows])
    assert part.positions == [target.positions[i] for i in rows]
    assert len({target.key, part.key, other.key}) == 3
    assert part.key == part_of(target, rows).key == labels_of(target, rows).key


def test_one_image_of_every_group_comes_before_a_second_of_any():
    names = [f"patient {i // 4}" for i in range(40)]
    grouped = load_target(table([i % 2 for i in range(40)], AB, patient=(names, Value("string"))), group_column="patient")
    groups = labels_of(grouped, nested_order(grouped)[:20]).groups
    assert groups is not None and sorted(np.bincount(groups)) == [2] * 10
