"""Parts of a dataset in folders below or above the classes: a test part is never joined without a word."""

import pytest
from helpers.targets import png, refused

from hf_transferability.data.folders import arrange
from hf_transferability.data.targets import load_target
from hf_transferability.errors import UsageError

PARTLY = "look only partly like splits"


def write(folder, *names, n=12):
    for k, name in enumerate(names):
        for i in range(n):
            file = folder / name.format(i)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(png(100 * k + i))


def files(*names, n=12):
    return [name.format(i) for name in names for i in range(n)]


@pytest.mark.parametrize(
    "parts",
    [
        ("internal", "external"), ("main", "external_test"), ("main", "test_set"), ("main", "TestData"), ("main", "01_train"),
        ("01_development", "02_external"), ("train", "extra"), ("a_train", "a_val", "rest"), ("siteA", "holdout"),
    ],
)  # fmt: skip
def test_a_part_below_the_classes_that_may_be_for_testing(parts):
    names = files(*(f"{label}/{part}/{{}}.png" for label in "ab" for part in parts))
    with pytest.raises(UsageError, match=f"{PARTLY}.* or rename them to use all images; .* --class-level 2"):
        arrange(names, 1)
    above = files(*(f"{part}/{label}/{{}}.png" for label in "ab" for part in parts))
    with pytest.raises(UsageError, match=PARTLY):
        arrange(above, 2)


@pytest.mark.parametrize("parts", [("train", "test"), ("01_train", "02_test"), ("TrainData", "TestData")])
def test_splits_below_and_above_the_classes_are_splits(parts):
    for pattern in ("{1}/{0}/{{}}.png", "{0}/{1}/{{}}.png"):
        arrangement = arrange(files(*(pattern.format(part, label) for label in "ab" for part in parts)))
        assert {split: len(found) for split, found in arrangement.splits.items()} == {"train": 24, "test": 24}
        assert set(arrangement.classes.values()) == {"a", "b"}


@pytest.mark.parametrize("top", ["train_test_split", "Training data", "Test set v2", "BraTS20_Training"])
def test_splits_below_one_folder_of_all_images(top):
    arrangement = arrange(files(*(f"{top}/{part}/{label}/{{}}.png" for label in "ab" for part in ("train", "val"))))
    assert {split: len(found) for split, found in arrangement.splits.items()} == {"train": 24, "validation": 24}
    assert arrangement.class_level == 3


@pytest.mark.parametrize("top", ["train_and_test", "Test_data_of_site_A"])
def test_one_folder_of_all_images_that_may_be_of_several_splits(top):
    with pytest.raises(UsageError, match=f"{PARTLY}.* or rename them to use all images.$"):
        arrange(files(*(f"{top}/{label}/{{}}.png" for label in "ab")))


@pytest.mark.parametrize("top", ["MICCAI_BraTS_2019_Data_Training", "BraTS2020", "ISIC_2019_Training_Input"])
def test_names_of_public_datasets_that_are_no_splits(top):
    arrangement = arrange(files(*(f"{top}/{label}/{{}}.nii" for label in ("HGG", "LGG"))))
    assert list(arrangement.splits) == ["train"]
    assert arrangement.class_level == 2


@pytest.mark.parametrize("part", ["test", "external", "Test_images", "my_test"])
def test_a_test_folder_beside_images_of_a_class(tmp_path, part):
    write(tmp_path, f"a/{part}/{{}}.png", "a/{}.png", "b/{}.png")
    for options in ({}, {"class_level": 1}):
        refused(f"the folders {part} and the images beside them {PARTLY}", tmp_path, **options)


def test_other_folders_below_the_classes_are_told_but_their_names_are_not_kept(tmp_path):
    write(tmp_path, "a/site1/{}.png", "a/site2/{}.png", "a/{}.png", "b/site1/{}.png")
    target = load_target(tmp_path, class_level=1, sample_size="all")
    note = "Images of classes are used together with those of 2 further folders below them"
    assert target.account.endswith(f"left out: nothing. {note}, such as site1, site2.")
    assert target.provenance["account"]["notes"] == [f"{note}."]
    assert "site1" not in str(target.provenance)


@pytest.mark.parametrize("names", [("images/{}.png", "test_images/{}.png"), ("internal/{}.png", "external/{}.png")])
def test_folders_that_are_no_classes(tmp_path, names):
    write(tmp_path, *names)
    refused("do not look like classes. Name the column of a table's paths by --image-column; .* --class-level 1", tmp_path)
    assert len(load_target(tmp_path, class_level=1).class_names) == 2


@pytest.mark.parametrize("names", [("bus", "test"), ("contest", "protest"), ("external_ear", "internal_ear"), ("images", "x")])
def test_names_of_classes(names):
    assert set(arrange(files(*(f"{name}/{{}}.png" for name in names))).classes.values()) == set(names)


@pytest.mark.parametrize("pattern", ["{1}_{0}", "{0}_{1}", "{1}{0}"])
def test_one_class_in_folders_of_two_splits(tmp_path, pattern):
    write(
        tmp_path, *(f"{pattern.format(split, label)}/{{}}.png" for split in ("Train", "Test") for label in ("Benign", "Normal"))
    )
    refused("differ only in words of splits. Make folders such as train/benign and test/benign", tmp_path)
    assert len(load_target(tmp_path, class_level=1, sample_size="all").class_names) == 4
    for names in (
        ("train_front", "train_back"),
        ("pre_test", "post_test"),
        ("internal_ear", "external_ear"),
        ("train", "tram"),
    ):
        assert len(set(arrange(files(*(f"{name}/{{}}.png" for name in names))).classes.values())) == 2


def test_a_class_named_as_a_split_is_told(tmp_path):
    write(tmp_path, "tumor/{}.png", "normal/{}.png", "test/{}.png")
    account = load_target(tmp_path, sample_size="all").account
    assert "3 classes (folder level 1): normal: 12 images, test: 12, tumor: 12" in account
    note = "Folders taken as classes may hold images that are not for training: test; move these away if they do."
    assert account.endswith(note)
    assert load_target(tmp_path, class_level=1, sample_size="all").account.endswith("left out: nothing.")  # the user says so


@pytest.mark.parametrize(
    "names", [("Train", "Bus"), ("valid", "invalid"), ("independent", "dependent"), ("test", "no_test"), ("unseen", "seen")]
)
def test_ordinary_classes_with_words_of_splits_are_no_alarm(tmp_path, names):
    write(tmp_path, *(f"{name}/{{}}.png" for name in names))
    assert load_target(tmp_path, sample_size="all").account.endswith("left out: nothing.")


def metadata(folder, paths, labels):
    text = "".join(f"{path},{label}\n" for path, label in zip(paths, labels, strict=True))
    (folder / "metadata.csv").write_text("file_name,label\n" + text)


@pytest.mark.parametrize("names", [("{}.png", "test/{}.png"), ("p1/{}.png", "external/{}.png"), ("x/{}.png", "x_test/{}.png")])
def test_folders_of_images_that_metadata_names(tmp_path, names):
    write(tmp_path, *names)
    metadata(tmp_path, files(*names), "ab" * 12)
    assert "--class-level" not in refused(PARTLY, tmp_path)


def test_folders_that_metadata_calls_its_labels_or_does_not_name(tmp_path):
    write(tmp_path, "bus/{}.png", "test/{}.png", "tests/{}.png")
    metadata(tmp_path, files("bus/{}.png", "test/{}.png"), "b" * 12 + "t" * 12)
    target = load_target(tmp_path, sample_size="all")
    assert (len(target), target.class_names) == (24, ["b", "t"])
    assert "12 images that metadata does not name" in target.account


def test_folders_of_images_that_a_table_names(tmp_path):
    write(tmp_path, "images/{}.png", "test_images/{}.png")
    paths = files("images/{}.png", "test_images/{}.png")
    (tmp_path / "labels.csv").write_text("path,label\n" + "".join(f"{p},{'ab'[i % 2]}\n" for i, p in enumerate(paths)))
    text = r"the rows name images in the folders images, test_images, of which some may be for testing"
    refused(text, tmp_path, image_column="path")
    refused(text, tmp_path, image_column="path", streaming=True, sample_size=24)
    (tmp_path / "test_images").rename(tmp_path / "others")
    (tmp_path / "labels.csv").write_text((tmp_path / "labels.csv").read_text().replace("test_images", "others"))
    assert len(load_target(tmp_path, image_column="path", sample_size="all")) == 24
