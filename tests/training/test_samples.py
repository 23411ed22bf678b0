"""Samples for training: their splits, sizes and notes."""

import datasets
import pytest
import torch
from helpers.splits import in_memory

from hf_transferability import TargetError, UsageError
from hf_transferability.training import samples
from hf_transferability.training.samples import Splits
from hf_transferability.training.settings import SplitNames

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_seed_draws_samples_and_the_test_split_is_complete(target):
    splits = Splits(target, 16)
    draw, again, other = splits.draw(0, 8, 4), splits.draw(0, 8, 4), splits.draw(1, 8, 4)
    assert (len(draw.train), len(draw.validation), len(draw.test)) == (24, 12, 36)
    assert draw.fingerprint == again.fingerprint != other.fingerprint
    assert draw.notes == ()


def test_without_a_validation_split_it_is_drawn_from_training(make_target):
    draw = Splits(make_target(n=36, splits=("train", "test")), 16).draw(0, 8, 4)
    assert (len(draw.train), len(draw.validation)) == (24, 12)
    assert draw.train.pool is draw.validation.pool
    assert not set(draw.train.positions.tolist()) & set(draw.validation.positions.tolist())
    assert draw.notes == ("no validation split: drawn from training",)


def test_too_few_images_are_divided_four_to_one_with_a_note(make_target):
    draw = Splits(make_target(n=36, splits=("train", "test")), 16).draw(0)
    assert (len(draw.train), len(draw.validation)) == (28, 8)
    assert draw.notes[1:] == ("28 training images, not 300", "8 validation images, not 75")


def test_classes_missing_from_a_split_are_noted():
    names = datasets.ClassLabel(names=["a", "b", "c"])
    data = in_memory({"train": [0, 1, 2] * 8, "validation": [2, 0] * 8, "test": [2, 1] * 8}, names)
    draw = Splits(data, 16).draw(0, 8, 4)
    assert draw.notes == ("not in the validation sample: b", "not in the test sample: a")
    assert draw.test.labels.unique().tolist() == [1, 2]


@pytest.mark.parametrize(
    ("splits", "names", "message"),
    [
        (
            ("train",),
            {},
            r"`test_split` must be one of train; got 'test'\. Pass --test-split NAME, or make folders",
        ),
        (("train", "test"), {"train": "training"}, r"`train_split` must be one of train, test; got 'training'"),
    ],
)
def test_a_missing_split_is_refused(make_target, splits, names, message):
    with pytest.raises(UsageError, match=message):
        Splits(make_target(splits=splits), 16, SplitNames(**names))


@pytest.mark.parametrize("names", [{"test": "validation"}, {"train": "validation"}])
def test_a_split_in_use_is_not_chosen_for_validation(make_target, names):
    draw = Splits(
        make_target(n=36, splits=("train", "validation", "test")[: 2 if "test" in names else 3]), 16, SplitNames(**names)
    ).draw(0, 8, 4)
    assert draw.train.pool is draw.validation.pool is not draw.test.pool
    assert not set(draw.train.positions.tolist()) & set(draw.validation.positions.tolist())
    assert "no validation split: drawn from training" in draw.notes


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"test": "train"}, "`train_split` and `test_split` must be different .* of train. Pass another --test-split"),
        ({"validation": "test"}, "`validation_split` and `test_split` must be different .* of test. Pass another --test-split"),
        ({"validation": "train[:50%]"}, "`train_split` and `validation_split` .* of train. Pass another --validation-split"),
        ({"validation": "validation+test[:5]"}, "`validation_split` and `test_split` must be different .* of test"),
    ],
)
def test_one_split_in_two_roles_is_refused(target, names, message):
    with pytest.raises(UsageError, match=message):
        Splits(target, 16, SplitNames(**names))


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_split_of_one_class_is_refused_by_its_name(split):
    labels = dict.fromkeys(("train", "validation", "test"), [0, 1, 2] * 8) | {split: [1] * 24}
    with pytest.raises(UsageError, match=rf"split {split}: the target must have at least 2 classes; got only \['b'\]"):
        Splits(in_memory(labels, datasets.ClassLabel(names=["a", "b", "c"])), 16)


def test_a_regression_target_is_refused():
    numbers = [k + 0.5 for k in range(16)]
    data = in_memory({"train": numbers, "test": numbers}, datasets.Value("float32"))
    with pytest.raises(UsageError, match="its labels are numbers"):
        Splits(data, 16)


def test_a_corrupt_image_is_named(target):
    splits = Splits(target, 16)
    pool = splits.pools["train"]
    pool.target.images.encoded[3] = b"no image"
    place = rf"row {pool.target.positions[3]} \(counted from 0\) of split train"
    with pytest.raises(TargetError, match=rf"{place} .* cannot be decoded.*Repair"):
        pool.pixels(torch.tensor([3]))


def grouped(groups: dict[str, list[str]]) -> datasets.DatasetDict:
    """Splits of two classes whose images are of these groups."""
    data = in_memory(
        {split: [0, 1] * (len(names) // 2) for split, names in groups.items()}, datasets.ClassLabel(names=["a", "b"])
    )
    return datasets.DatasetDict({split: data[split].add_column("patient", names) for split, names in groups.items()})


def named(prefix: str, n: int, each: int = 4) -> list[str]:
    return [f"{prefix}{i // each}" for i in range(n)]


def test_validation_drawn_from_training_keeps_groups_whole():
    splits = Splits(grouped({"train": ["big"] * 40 + named("p", 60), "test": named("t", 20)}), 16, group_column="patient")
    for seed in range(5):
        draw = splits.draw(seed, 20, 5)
        names = splits.pools["train"].target.group_names
        train, validation = ({names[i] for i in sample.positions.tolist()} for sample in (draw.train, draw.validation))
        assert not train & validation
        assert "big" in train
        assert len(draw.validation) == 10
        assert f"groups (patient): {len(train)} in training, {len(validation)} in validation, 5 in test" in draw.notes


def test_one_patient_does_not_fill_the_training_sample():
    data = grouped({"train": ["big"] * 40 + named("p", 60), "validation": named("v", 20), "test": named("t", 20)})
    draw = Splits(data, 16, group_column="patient").draw(0, 16, 4)
    names = draw.train.pool.target.group_names
    assert [names[i] for i in draw.train.positions.tolist()].count("big") <= 2
    assert not any("share" in note for note in draw.notes)


def test_a_test_split_with_patients_of_training_is_refused():
    data = grouped({"train": named("p", 40), "validation": named("v", 20), "test": [*named("t", 16), *["p0"] * 4]})
    with pytest.raises(UsageError, match=r"1 of patient are in both, with 4 of 20 test images\. Move each group"):
        Splits(data, 16, group_column="patient")
    assert len(Splits(data, 16).draw(0, 8, 4).train) == 16
    data["test"] = data["test"].remove_columns("patient").add_column("patient", [*named("t", 16), *["v1"] * 4])
    with pytest.raises(UsageError, match="must not share groups with `validation_split`"):
        Splits(data, 16, group_column="patient")


def test_a_validation_split_with_patients_of_training_is_noted():
    data = grouped({"train": named("p", 40), "validation": [*named("v", 16), *["p3"] * 4], "test": named("t", 20)})
    notes = Splits(data, 16, group_column="patient").draw(0, 8, 4).notes
    assert "training and validation share 1 groups (4 validation images)" in notes


@pytest.fixture
def decoded(monkeypatch) -> list[int]:
    """Positions whose image is decoded."""
    positions, decode = [], samples.Pool._decode
    monkeypatch.setattr(samples.Pool, "_decode", lambda pool, position: positions.append(position) or decode(pool, position))
    return positions


def test_networks_of_several_sizes_may_take_turns(target, decoded):
    """Runs come seed by seed, so that sizes change from run to run."""
    train = Splits(target, 16).draw(0).train
    sizes = [(8, 8), (12, 12), (10, 14)]
    for size in sizes * 3:
        assert train.pool.at(size).pixels(train.positions).shape[2:] == size
    assert len(decoded) == len(sizes) * len(train)


def test_remembered_sizes_stay_within_the_memory_budget(target, decoded, monkeypatch):
    pool = Splits(target, 16).draw(0).train.pool
    n = len(pool.target)
    monkeypatch.setattr(samples, "MEMORY_BUDGET", n * 3 * (16 * 16 + 12 * 12 + 8 * 8))
    positions = torch.arange(n)
    pool.pixels(positions)
    decoded.clear()
    for size in [(8, 8), (12, 12), (10, 10), (8, 8)]:  # the third leaves no room for the second
        pool.at(size).pixels(positions)
        held = [pool, *pool._resized.values()]
        assert sum(part._pixels.nbytes for part in held if part._pixels is not None) <= samples.MEMORY_BUDGET
    assert len(decoded) == 3 * n, "the first still fits beside the third"
    pool.at((12, 12)).pixels(positions)
    assert len(decoded) == 4 * n
    pool.at((40, 40)).pixels(positions)  # too large to be kept
    assert (12, 12) in pool._resized
