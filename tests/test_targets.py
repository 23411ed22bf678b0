"""What is read from a labelled dataset, in which layout, and what is refused and why."""

import io
import shutil
from collections import Counter
from pathlib import Path

import datasets
import numpy as np
import pytest
from builders import blobs
from datasets import ClassLabel, Dataset, DatasetDict, Features, LargeList, List, Value
from PIL import Image

from hf_transferability.errors import TargetError, UsageError
from hf_transferability.extraction import gradient_batches
from hf_transferability.images import Images
from hf_transferability.targets import Target, check_images, load_target

AB = ClassLabel(names=["a", "b"])
ABC = ClassLabel(names=["a", "b", "c"])


def png(seed: int, mode: str = "RGB", size: int = 8) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


def table(labels: list, feature, n_images: int | None = None, **more) -> Dataset:
    """A dataset of one random image for each label; `more`: further columns, name=(values, feature)."""
    columns = {"image": [{"bytes": png(i), "path": None} for i in range(len(labels))], "label": labels}
    features = {"image": datasets.Image(), "label": feature}
    for name, (values, kind) in more.items():
        columns[name], features[name] = values, kind
    return Dataset.from_dict(columns, features=Features(features))


def refused(text: str, *arguments, **options) -> str:
    with pytest.raises(UsageError, match=text) as caught:
        load_target(*arguments, **options)
    return str(caught.value)


def pairs(target: Target) -> Counter:
    """What is in a target, whatever the order: encoded images with their labels' names."""
    names = [target.class_names[code] for code in target.labels]
    return Counter(zip(target.images.encoded, names, strict=True))


# Labels


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
    refused("`draw` must be random for a multi-label target", table([[0], [1]] * 12, List(AB)), draw="stratified")


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
    assert "Cast classes to integers" in refused("classes or numbers to predict", table([0.0, 1.0] * 24, Value("float64")))


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
    refused(r"`label` must have a label for every image; got none \(null or -1\) for 8 of 24 \(first: row 0\)", data)
    refused("got none", data.to_iterable_dataset(), sample=24)


def test_labels_beyond_the_declared_classes_are_refused():
    data = table([0, 5] * 12, Value("int64"))
    wrong = Dataset(data.data.table, info=datasets.DatasetInfo(features=Features({"image": datasets.Image(), "label": AB})))
    refused("`label` must hold codes of its 2 class names; got 5 in row 1", wrong)


def test_one_class_and_too_few_images_are_refused():
    refused(r"at least 2 classes; got only \['a'\]", table([0] * 24, AB))
    refused("at least 12 images; got 11", table([0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0], AB))
    refused("at least 12 images; got 10", table([0, 1] * 12, AB), sample=10)
    refused("at least 12 images; got 0", table([], AB))
    assert len(load_target(table([0, 1] * 6, AB))) == 12


def test_small_classes_are_flagged():
    assert load_target(table([0] * 20 + [1], AB)).flags == {"single_image_class": "b"}
    assert load_target(table([0] * 20 + [1] * 9, AB)).flags == {"few_images_per_class": "b: 9"}
    assert load_target(table([0] * 20 + [1] * 10, AB)).flags == {}


# Columns


def test_label_column_is_found_by_type_then_by_name():
    other = ([i % 3 for i in range(24)], ABC)
    number = ([i * 7 for i in range(24)], Value("int64"))
    by_name = table([0, 1] * 12, AB, site=other, age=number)
    assert load_target(by_name).provenance["label_column"] == "label"
    by_type = by_name.rename_column("label", "diagnosis").remove_columns("site")
    assert load_target(by_type).provenance["label_column"] == "diagnosis"
    untyped = table(["x", "y"] * 12, Value("string"), age=number, name=(["n"] * 24, Value("string")))
    assert load_target(untyped).provenance["label_column"] == "label"
    several = by_name.rename_column("label", "diagnosis")
    text = refused("`label_column` must be named", several)
    assert all(name in text for name in ("diagnosis", "site", "age", "--label-column"))
    assert load_target(several, label_column="site").class_names == ["a", "b", "c"]
    assert load_target(several, label_column="diagnosis").class_names == ["a", "b"]


def test_image_column_is_found_by_type():
    mask = ([{"bytes": png(100 + i, "L"), "path": None} for i in range(24)], datasets.Image())
    assert load_target(table([0, 1] * 12, AB).rename_column("image", "scan")).provenance["image_column"] == "scan"
    several = table([0, 1] * 12, AB, mask=mask)
    assert "several image columns (image, mask)" in refused("`image_column` must be named", several)
    report = check_images(load_target(several, image_column="mask"))[1]
    assert report.modes == {"L": 24}
    none = several.remove_columns(["image", "mask"])
    assert "no image column among label" in refused("--image-column", none)


def test_columns_that_do_not_exist_or_do_not_fit():
    data = table([0, 1] * 12, AB, age=([1] * 24, Value("int64")))
    refused("`image_column` must be one of image, label, age; got 'scan'", data, image_column="scan")
    refused("`label_column` must be one of image, label, age; got 'class'", data, label_column="class")
    refused("`image_column` must hold one image, .* in each row; age holds int64", data, image_column="age")
    refused("`label_column` must hold classes", data, label_column="image")
    slices = [[{"bytes": png(i), "path": None}] * 2 for i in range(24)]
    lists = table([0, 1] * 12, AB, slices=(slices, List(datasets.Image())))
    refused("slices holds List", lists, image_column="slices")


def test_images_as_plain_bytes_structs_or_paths(tmp_path):
    """Parquet files that were not written by `datasets`."""
    files = []
    for i in range(24):
        files.append(tmp_path / f"{i}.png")
        files[-1].write_bytes(png(i))
    plain = table([0, 1] * 12, AB)
    expected = load_target(plain)
    struct = {"bytes": Value("binary"), "path": Value("string")}
    more = {
        "raw": ([png(i) for i in range(24)], Value("binary")),
        "record": ([{"bytes": png(i), "path": None} for i in range(24)], struct),
        "file": ([str(file) for file in files], Value("string")),
    }
    for name, column in more.items():
        target = load_target(table([0, 1] * 12, AB, **{name: column}), image_column=name)
        assert target.key == expected.key


# Layouts


@pytest.fixture(scope="module")
def layouts(make_target, tmp_path_factory):
    """One dataset as parquet, imagefolder and `save_to_disk`: name -> folder."""
    parquet = make_target(n=48, splits=("train", "test"))
    home = tmp_path_factory.mktemp("layouts")
    loaded = datasets.load_dataset(str(parquet))
    loaded.save_to_disk(home / "saved dict")
    loaded["train"].save_to_disk(home / "saved one")
    for split, part in loaded.items():
        names = part.features["label"].names
        for i, record in enumerate(part.cast_column("image", datasets.Image(decode=False))):
            file = home / "folder" / split / names[record["label"]] / f"{i:03}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(record["image"]["bytes"])
    return {"parquet": parquet, **{name: home / name for name in ("saved dict", "saved one", "folder")}}


@pytest.mark.parametrize("name", ["parquet", "saved dict", "saved one", "folder"])
def test_every_layout_holds_the_same(layouts, name):
    target = load_target(layouts[name], sample="all")
    assert target.provenance["split"] == "train"
    assert target.provenance["images_available"] == target.provenance["images"] == len(target) == 48
    assert target.class_names == ["class 0", "class 1", "class 2"]
    assert pairs(target) == pairs(load_target(str(layouts["parquet"]), sample="all"))
    images, codes = blobs(48, 3)
    expected = Counter((image.tobytes(), f"class {code}") for image, code in zip(images, codes, strict=True))
    found = Counter(
        (image.tobytes(), target.class_names[code]) for image, code in zip(target.images, target.labels, strict=True)
    )
    assert found == expected
    if name != "saved one":
        assert load_target(layouts[name], sample="all", split="test").provenance["split"] == "test"


def test_loaded_objects(layouts):
    loaded = datasets.load_dataset(str(layouts["parquet"]))
    expected = load_target(layouts["parquet"], sample=20)
    for dataset in (loaded, loaded["train"], loaded["train"].with_format("torch"), loaded["train"].with_format("numpy")):
        target = load_target(dataset, sample=20)
        assert target.key == expected.key
        assert target.provenance["id"] == "(in memory)"
        assert target.provenance["split"] == "train"
    stream = datasets.load_dataset(str(layouts["parquet"]), streaming=True)
    keys = {load_target(dataset, sample=20).key for dataset in (stream, stream["train"])}
    assert keys == {load_target(layouts["parquet"], sample=20, streaming=True).key}
    refused("`split` must be left out for a single loaded dataset", loaded["train"], split="train")
    refused("`dataset` must be a Hub id, a folder or a dataset of `datasets`; got list", [1, 2])


def test_a_selected_and_shuffled_dataset_is_read_in_its_order(layouts):
    loaded = datasets.load_dataset(str(layouts["parquet"]), split="train").shuffle(seed=3).select(range(5, 40))
    target = load_target(loaded, sample="all")
    raw = loaded.cast_column("image", datasets.Image(decode=False))
    assert target.images.encoded == [raw[row]["image"]["bytes"] for row in target.positions]
    assert [target.class_names[code] for code in target.labels] == [f"class {loaded[row]['label']}" for row in target.positions]


@pytest.mark.parametrize("name", ["parquet", "saved dict", "folder"])
def test_split_expressions(layouts, name):
    half = load_target(layouts[name], sample="all", split="train[:50%]")
    assert len(half) == 24
    assert half.provenance["split"] == "train[:50%]"
    assert len(load_target(layouts[name], sample="all", split="train+test")) == 96
    assert len(load_target(layouts[name], sample="all", split="train[-20:]+test[:4]")) == 24
    text = refused("`split` must be one of", layouts[name], split="validation")
    assert "test" in text and "train" in text and "'validation'" in text
    refused("split|instruction", layouts[name], split="train[:half]")


@pytest.mark.parametrize("name", ["parquet", "folder", "saved dict", "saved one", "dict"])
def test_a_test_split_is_never_taken_unasked(make_target, tmp_path, name):
    parquet = make_target(n=24, splits=("test",))
    part = datasets.load_dataset(str(parquet), split="test")
    source: object = tmp_path / "data"
    if name == "parquet":
        source = parquet
    elif name == "folder":
        for i, record in enumerate(part):
            file = tmp_path / "data" / "test" / str(record["label"]) / f"{i}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            record["image"].save(file)
    elif name == "saved dict":
        DatasetDict(test=part).save_to_disk(source)
    elif name == "saved one":
        part.save_to_disk(source)
    else:
        source = DatasetDict(test=part)
    refused("there is no train split, only test. Pass --split; the test split is never taken unasked", source)
    assert load_target(source, split="test").provenance["split"] == "test"


def test_the_only_split_is_taken_unless_there_is_a_choice(make_target):
    assert load_target(make_target(n=24, splits=("validation",))).provenance["split"] == "validation"
    text = refused("there is no train split, only ", make_target(n=24, splits=("validation", "test")))
    assert "validation" in text


def test_datasets_that_cannot_be_opened(tmp_path, make_target):
    (tmp_path / "empty").mkdir()
    refused("doesn't contain any data files", tmp_path / "empty")
    refused("there is no folder", tmp_path / "nowhere")
    refused("there is no folder ./nowhere", "./nowhere")
    text = refused("'ct' not found", make_target(n=24), config="ct")
    assert "default" in text and "--config" in text
    broken = make_target(n=24)
    next(broken.glob("data/*.parquet")).write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(TargetError, match=r"cannot be loaded: .*Check that its files are whole"):
        load_target(broken)
    truncated = make_target(n=24)
    file = next(truncated.glob("data/*.parquet"))
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(TargetError, match="cannot be loaded"):
        load_target(truncated)


def test_imagefolder_without_classes(tmp_path):
    for i in range(24):
        (tmp_path / f"{i}.png").write_bytes(png(i))
    refused("must have labels beside its column image.*one sub-folder for each", tmp_path)


# The sample


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


# Identity


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
    for options in ({"seed": 1}, {"sample": 20}, {"window": (0, 4095)}):
        key = load_target(data, **options).key
        assert key not in seen
        seen.add(key)
    assert load_target(table(["x", "y"] * 12, Value("string"))).key == base.key  # names do not change any array


# Corrupt images


def with_damage(rows: tuple[int, ...] = (3, 17), n: int = 24) -> Dataset:
    data = [{"bytes": png(i)[:60] if i in rows else png(i), "path": None} for i in range(n)]
    features = Features({"image": datasets.Image(), "label": AB})
    return Dataset.from_dict({"image": data, "label": [i % 2 for i in range(n)]}, features=features)


@pytest.mark.parametrize("stream", [False, True])
def test_corrupt_images_are_named_by_row(stream):
    data = with_damage()
    target = load_target(data.to_iterable_dataset() if stream else data, sample=24)
    with pytest.raises(TargetError, match="2 of 24 images cannot be decoded") as caught:
        check_images(target)
    assert "row 3 (" in str(caught.value)
    assert "row 17 (" in str(caught.value)
    assert "--skip-corrupt" in str(caught.value)


def test_skip_corrupt_goes_on_and_counts():
    target = load_target(with_damage())
    checked, report = check_images(target, skip_corrupt=True)
    assert len(checked) == len(checked.labels) == len(checked.positions) == len(checked.images.encoded) == 22
    assert checked.flags["corrupt_skipped"] == "2 of 24 images"
    assert checked.provenance["corrupt_skipped"] == 2
    assert checked.provenance["images"] == 22
    assert checked.key not in {target.key, load_target(with_damage(())).key}
    assert sorted(checked.positions) == [row for row in range(24) if row not in (3, 17)]
    assert [target.images.encoded[target.positions.index(row)] for row in checked.positions] == checked.images.encoded
    again, _ = check_images(target, skip_corrupt=True, report=report)
    assert again.key == checked.key
    assert len(report.corrupt) == 2


def test_many_corrupt_images_are_not_all_listed():
    target = load_target(with_damage(tuple(range(9))))
    with pytest.raises(TargetError, match=r"9 of 24 images .* and 4 more\. Mend or remove them"):
        check_images(target)


def test_skipping_may_leave_too_little():
    with pytest.raises(UsageError, match="at least 12 images; got 9"):
        check_images(load_target(with_damage(tuple(range(15)))), skip_corrupt=True)
    with pytest.raises(UsageError, match=r"at least 2 classes; got only \['b'\]"):
        check_images(load_target(with_damage(tuple(range(0, 24, 2)))), skip_corrupt=True)


def test_a_class_that_loses_all_its_images_is_gone():
    images = [{"bytes": b"" if i % 3 == 1 else png(i), "path": None} for i in range(30)]
    features = Features({"image": datasets.Image(), "label": ABC})
    data = Dataset.from_dict({"image": images, "label": [i % 3 for i in range(30)]}, features=features)
    checked, _ = check_images(load_target(data), skip_corrupt=True)
    assert checked.class_names == ["a", "c"]
    assert set(checked.labels.tolist()) == {0, 1}
    assert [checked.class_names[code] for code in checked.labels] == [["a", "b", "c"][row % 3] for row in checked.positions]


@pytest.mark.parametrize("missing", [None, "file"])
def test_rows_without_an_image_are_corrupt(tmp_path, missing):
    record = None if missing is None else {"bytes": None, "path": str(tmp_path / "gone.png")}
    images = [record if i == 4 else {"bytes": png(i), "path": None} for i in range(24)]
    features = Features({"image": datasets.Image(), "label": AB})
    target = load_target(Dataset.from_dict({"image": images, "label": [0, 1] * 12}, features=features))
    with pytest.raises(TargetError, match=r"row 4 .*\(the file is missing, empty or unreadable\)"):
        check_images(target)


def test_an_imagefolder_with_a_file_that_is_no_image(layouts, tmp_path):
    shutil.copytree(layouts["folder"], tmp_path / "folder")
    damaged = sorted((tmp_path / "folder" / "train").rglob("*.png"))[7]
    damaged.write_bytes(b"<html>quota exceeded</html>")
    with pytest.raises(
        TargetError, match=rf"1 of 48 images cannot be decoded: row 7 class 0/{damaged.name} \(not an image file"
    ):
        check_images(load_target(tmp_path / "folder"))


# Modes and windows


def deep(high: int, mode: str = "I;16") -> Dataset:
    """Scans with values from 0 to `high`, in 16 bits."""
    images = []
    for i in range(24):
        values = np.random.default_rng(i).integers(0, high + 1, (6, 6)).astype(np.uint16 if mode == "I;16" else np.float32)
        buffer = io.BytesIO()
        Image.fromarray(values).save(buffer, "TIFF")
        images.append({"bytes": buffer.getvalue(), "path": None})
    features = Features({"image": datasets.Image(), "label": AB})
    return Dataset.from_dict({"image": images, "label": [0, 1] * 12}, features=features)


def test_deep_images_are_flagged_with_their_scale():
    checked, report = check_images(load_target(deep(65535)))
    assert report.modes == {"I;16": 24}
    assert checked.flags["windowed"] == "24 images of mode I;16 by 0..65535"
    assert checked.provenance["modes"] == {"I;16": 24}
    checked, _ = check_images(load_target(deep(4095), window=(0, 4095)))
    assert checked.flags["windowed"] == "24 images of mode I;16 by 0..4095"
    assert checked.provenance["window"] == [0, 4095]
    assert np.mean([image.mean() for image in checked.images]) > 100
    checked, report = check_images(load_target(deep(4095)))  # the usual scan of 12 bits, almost black
    dark = "24 images of mode I;16 by 0..65535, which leaves them dark (at most 16 of 255): choose --window LOW,HIGH"
    assert checked.flags["windowed"] == dark
    assert check_images(load_target(deep(4095)), report=report)[0].flags == checked.flags
    checked, _ = check_images(load_target(deep(9, "F")))
    assert checked.flags["windowed"] == "24 images of mode F by their own range"
    assert "windowed" not in check_images(load_target(table([0, 1] * 12, AB)))[0].flags


@pytest.mark.parametrize("window", [(5, 5), (9, 1), (float("nan"), 3)])
def test_wrong_windows_are_refused(window):
    refused(r"`window` must be \(low, high\) with low below high", deep(9), window=window)


def test_modes_may_be_mixed():
    modes = ["RGB", "L", "RGBA", "P", "1", "LA"]
    images = [{"bytes": png(i, modes[i % 6]), "path": None} for i in range(24)]
    features = Features({"image": datasets.Image(), "label": AB})
    target = load_target(Dataset.from_dict({"image": images, "label": [0, 1] * 12}, features=features))
    checked, report = check_images(target)
    assert report.modes == dict.fromkeys(sorted(modes), 4)
    assert {image.shape for image in checked.images} == {(8, 8, 3)}
    assert {image.dtype for image in checked.images} == {np.dtype(np.uint8)}


def test_images_are_read_but_not_decoded_before_they_are_checked(monkeypatch):
    monkeypatch.setattr(Images, "__getitem__", lambda self, index: pytest.fail("decoded"))
    assert len(load_target(with_damage())) == 24


# Real data


def test_real_datasets(shared):
    folders = sorted(folder for folder in (shared / "datasets").iterdir() if folder.is_dir())
    assert folders
    for folder in folders[:: max(len(folders) // 3, 1)]:
        target, report = check_images(load_target(folder, sample=60))
        assert len(target) == 60
        assert report.corrupt == {}
        assert len(target.class_names) >= 2
        assert np.std([image.mean() for image in target.images]) > 0
        assert target.provenance["split"] == "train"


def test_pneumonia_by_name(shared):
    folder = Path(shared / "datasets" / "pneumonia_cxr")
    target, report = check_images(load_target(folder))
    assert target.class_names == ["normal", "pneumonia"]
    assert len(target) == 200
    assert target.provenance["images_available"] == 3000
    assert set(report.modes) == {"L"}
    assert target.images[0].shape == (28, 28, 3)
    stream = load_target(folder, streaming=True)
    assert len(stream) == 200
    assert 0.15 < np.mean(stream.labels == 0) < 0.40  # 1 in 4 is normal
    assert 0.15 < np.mean(target.labels == 0) < 0.40
