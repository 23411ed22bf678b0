"""Words of splits in names of files: splits where all have one, an error or a note where not."""

import pytest
from datasets import Dataset, Features, Image
from helpers.targets import AB, png, refused

from hf_transferability.data.file_names import name_notes, named_splits
from hf_transferability.data.opening import split_names
from hf_transferability.data.options import SampleOptions
from hf_transferability.data.targets import load_target
from hf_transferability.data.test_split import read_test_images


def write(folder, *names, n=12):
    for k, name in enumerate(names):
        for i in range(n):
            file = folder / name.format(i)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(png(100 * k + i))


@pytest.mark.parametrize("name", ["{0}_{{}}", "{{}}_{0}", "brain-{0}-{{}}", "x{{}}.{0}"])
def test_files_that_all_name_their_split(tmp_path, name):
    write(tmp_path, *(f"{label}/{name.format(split)}.png" for label in "ab" for split in ("train", "test")))
    target = load_target(tmp_path, sample_size="all")
    assert target.account.startswith("splits: test 24, train 24 of 48 image files; used: train; 2 classes")
    assert len(target) == 24


def test_files_of_which_some_name_their_split(tmp_path):
    write(tmp_path, "a/{}.png", "a/train_{}.png", "a/test_{}.png", "b/{}.png", "b/test_{}.png")
    text = r"the names of 12 files say train and of 24 test, such as a/train_0.png and a/test_0.png, but not those of all 60. "
    assert "--split train+test (all)" in refused(text, tmp_path)
    assert len(load_target(tmp_path, split="train", sample_size="all")) == 36
    assert set(split_names(tmp_path)) == {"train", "test"}
    joined = load_target(tmp_path, split="train+test", sample_size="all")
    assert len(joined) == 60 and joined.account.endswith("left out: nothing.")
    assert len(read_test_images(tmp_path, SampleOptions(split="train"), 100).origins.rows) == 24


def test_words_of_the_class_and_parts_of_words_do_not_count(tmp_path):
    write(tmp_path, *(f"{name}/{name}_{{}}.png" for name in ("train_station", "test_tube", "contest")))
    target = load_target(tmp_path, sample_size="all")
    assert target.account.endswith("left out: nothing.")
    assert len(target) == 36


def test_a_word_for_testing_beside_names_without_one_is_told(tmp_path):
    write(tmp_path, "a/{}.png", "a/{}_test.png", "b/{}.png")
    note = "Of 36 file names 12 have the word test; move test images away if they are not to count."
    assert load_target(tmp_path, sample_size="all").account.endswith(note)


@pytest.mark.parametrize(
    ("names", "note"),
    [
        (["internal_1", "external_1", "external_2"], "Names of files say internal (1), external (2); move those away"),
        (["1", "unseen_1"], "Names of files say unseen (1), none of these (1);"),
        (["internal_1", "2"], None),
        (["external_1", "external_2"], None),
        (["latest_1", "protest", "externals"], None),
        (["", "1"], None),
    ],
)
def test_parts_of_a_study_are_told(names, note):
    notes = name_notes([f"{name}.png" if name else "" for name in names], ["x"] * len(names))
    assert len(notes) == bool(note)
    assert not note or notes[0].startswith(note)


def test_names_of_embedded_images_are_told():
    cells = [{"bytes": png(i), "path": f"{'train' if i < 12 else 'test'}_{i}.png"} for i in range(24)]
    rows = Dataset.from_dict({"image": cells, "label": [0, 1] * 12}, features=Features({"image": Image(), "label": AB}))
    assert "Of 24 file names 12 have the word test and 12 the word train" in load_target(rows, sample_size="all").account
    folders = [{**cell, "path": cell["path"].replace("_", "/")} for cell in cells]
    rows = Dataset.from_dict({"image": folders, "label": [0, 1] * 12}, features=Features({"image": Image(), "label": AB}))
    target = load_target(rows, sample_size="all")
    assert "Names of the images' folders say that some may be for testing" in target.account
    assert "such as test, train" in target.account and "such as" not in target.provenance["account"]["line"]


def test_short_words_count_only_where_all_names_have_one():
    assert set(named_splits(["tr_1.png", "ts_1.png"], {}).splits.values()) == {"train", "test"}
    assert named_splits(["tr_1.png", "ts_1.png", "1.png"], {}).splits == {}


def test_short_words_over_all_classes_are_asked_for(tmp_path):
    write(tmp_path, *(f"{label}/{word}_{{}}.png" for label in "ab" for word in ("TR", "TS")))
    text = "names of all 48 files may tell splits, such as a/TR_0.png and a/TS_0.png, but such short words may mean something"
    assert "--split train, or --split train+test to use all" in refused(text, tmp_path)
    assert len(load_target(tmp_path, split="train", sample_size="all")) == 24
    assert len(load_target(tmp_path, split="train+test", sample_size="all")) == 48
    for file in sorted(tmp_path.rglob("*.png")):  # the other remedy
        place = tmp_path / ("train" if file.name.startswith("TR") else "test") / file.parent.name / file.name
        place.parent.mkdir(parents=True, exist_ok=True)
        file.rename(place)
    for label in "ab":
        (tmp_path / label).rmdir()
    assert load_target(tmp_path, sample_size="all").account.startswith("splits: test 24, train 24 of 48 image files; used: tr")


def test_words_of_classes_are_no_splits(tmp_path):
    """TS for tuberous sclerosis tells the class; train of one class and test of another are asked for."""
    write(tmp_path / "short", "tuberous sclerosis/TS_{}.png", "trauma/TR_{}.png")
    assert load_target(tmp_path / "short", sample_size="all").account.endswith("left out: nothing.")
    write(tmp_path / "long", "a/train_{}.png", "b/test_{}.png")
    text = refused("such as a/train_0.png and b/test_0.png, but no class has several", tmp_path / "long")
    assert text.endswith("or pass --split train+test to use all.")
    assert len(load_target(tmp_path / "long", split="train+test", sample_size="all")) == 24


def test_numbers_to_predict_are_no_classes():
    names = [f"{'train' if i < 12 else 'test'}_{i}.png" for i in range(24)]
    found = named_splits(names, {name: 0.5 + i for i, name in enumerate(names)})
    assert not found.doubt and set(found.splits.values()) == {"train", "test"}
