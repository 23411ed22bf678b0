"""Which images are drawn, in which order, and the key of what was drawn."""

import shutil

import datasets
import numpy as np
import pytest
from datasets import Dataset, Value
from helpers.targets import AB, ABC, pairs, png, refused, table

from hf_transferability.data.targets import Target, load_target
from hf_transferability.extraction.passes import gradient_batches


@pytest.mark.parametrize("draw", ["random", "stratified"])
def test_sample_is_drawn_by_seed(layouts, draw):
    def load(seed: int, **options) -> Target:
        return load_target(layouts["parquet"], sample=30, draw=draw, seed=seed, **options)

    assert load(1).key == load(1).key
    assert len({load(seed).key for seed in range(4)}) == 4
    target = load(1)
    assert len(target) == 30 == len(set(target.positions))
    assert target.provenance["seed"] == 1
    assert target.provenance["draw"] == draw
    if draw == "stratified":
        assert np.bincount(target.labels).tolist() == [10, 10, 10]


def test_fewer_images_than_asked_for_are_all(layouts):
    target = load_target(layouts["parquet"])
    assert len(target) == 48
    assert target.provenance["images_available"] == 48


def test_streaming_is_the_same_kind_of_draw(layouts):
    def load(seed: int, **options) -> Target:
        return load_target(layouts["parquet"], streaming=True, seed=seed, **options)

    whole = load_target(layouts["parquet"], sample="all")
    target = load(0, sample=30)
    assert len(target) == 30 == len(set(target.positions))
    assert target.class_names == whole.class_names
    assert not pairs(target) - pairs(whole)
    assert target.key == load(0, sample=30).key
    assert len({load(seed, sample=30).key for seed in range(4)}) == 4
    by_row = dict(zip(whole.positions, whole.images.encoded, strict=True))
    assert target.images.encoded == [by_row[row] for row in target.positions]  # named by their rows, too
    assert pairs(load(0)) == pairs(whole)  # 300 asked for
    assert target.provenance["images_available"] == 48
    assert pairs(load_target(layouts["folder"], streaming=True)) == pairs(whole)


def test_streaming_draws_a_hundred_images_for_each_class_that_occurs():
    data = table([0, 2] * 160, ABC)  # the second declared class does not occur
    assert len(load_target(data.to_iterable_dataset())) == len(load_target(data)) == 200


def test_streaming_refuses_what_it_cannot_do(layouts):
    refused("a random draw of a limited size", layouts["parquet"], streaming=True, draw="stratified", sample=20)
    refused("a random draw of a limited size", layouts["parquet"], streaming=True, sample="all")
    strings = table(["x", "y"] * 12, Value("string")).to_iterable_dataset()
    refused("`sample_size` must be given with streaming", strings)
    assert load_target(strings, sample=20).class_names == ["x", "y"]
    untyped = datasets.IterableDataset.from_generator(lambda: iter([{"image": 1, "label": 2}]))
    refused("does not declare its columns", untyped, sample=20)


@pytest.mark.parametrize("sample", [150, "all", None])
@pytest.mark.parametrize("kind", ["memory", "stream"])
def test_a_class_sorted_dataset_gives_mixed_gradient_batches(sample, kind):
    """Each batch of a sorted dataset has the class mix that it has when the dataset was shuffled before."""
    if kind == "stream" and sample == "all":
        sample = 1000
    labels = [0] * 60 + [1] * 60 + [2] * 60
    in_order = table(labels, ABC)
    spread = {}
    for name, data in {"sorted": in_order, "shuffled": in_order.shuffle(seed=0)}.items():
        mixes = []
        for seed in range(3):
            target = load_target(data.to_iterable_dataset() if kind == "stream" else data, sample=sample, seed=seed)
            batches = gradient_batches(len(target))
            assert len(batches) == 6
            mixes += [np.bincount(target.labels[batch], minlength=3) / len(target.labels[batch]) for batch in batches]
        assert min(mix.min() for mix in mixes) > 0.05
        assert max(mix.max() for mix in mixes) < 0.7
        spread[name] = np.std(mixes)  # expected: sqrt(2/9 / batch size), about 0.09
    assert 0.5 < spread["sorted"] / spread["shuffled"] < 2


def test_the_same_content_has_the_same_key_wherever_it_lies(layouts, tmp_path):
    key = load_target(layouts["parquet"]).key
    shutil.copytree(layouts["parquet"], tmp_path / "copy")
    assert load_target(tmp_path / "copy").key == key
    (tmp_path / "copy" / "README.md").write_text("# A card\n")
    assert load_target(tmp_path / "copy").key == key
    for name in ("saved dict", "saved one"):
        assert load_target(layouts[name]).key == key


def test_other_content_has_another_key():
    labels = [0, 1] * 12
    data = table(labels, AB)
    base = load_target(data)
    seen = {base.key}
    pixels = [{"bytes": png(i if i != 5 else 999), "path": None} for i in range(24)]
    changed = {
        "pixels": Dataset.from_dict({"image": pixels, "label": labels}, features=data.features),
        "labels": table([1, 1, *labels[2:]], AB),
        "order": data.select([1, 0, *range(2, 24)]),
        "fewer": data.select(range(23)),
    }
    for other in changed.values():
        key = load_target(other).key
        assert key not in seen
        seen.add(key)
    for options in ({"seed": 1}, {"sample": 20}, {"max_pixels": 10**6}):
        key = load_target(data, **options).key
        assert key not in seen
        seen.add(key)
    assert load_target(table(["x", "y"] * 12, Value("string"))).key == base.key  # names do not change any array
