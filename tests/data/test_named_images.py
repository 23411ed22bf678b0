"""Tables beside images that name these: of public datasets such as NIH chest X-rays, HAM10000, CheXpert and APTOS."""

import pytest
from helpers.targets import png, refused

from hf_transferability.data.named_images import NOTE
from hf_transferability.data.targets import load_target
from hf_transferability.errors import TargetError


def images(folder, name, numbers):
    for i in numbers:
        file = folder / name.format(i)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(i))


def write(file, column, name, numbers):
    rows = [f"{name.format(i)},{'ab'[i % 2]},{30 + i}\n" for i in numbers]
    file.write_text(f"{column},label,age\n" + "".join(rows))


@pytest.mark.parametrize("name", ["images_{:03d}/images", "HAM10000_images_part_{}", "imgs_part_{}", "batch_{}"])
def test_numbered_parts_are_no_classes_where_a_table_names_the_images(tmp_path, name):
    for part in (1, 2):
        images(tmp_path / name.format(part), "{:08d}_000.png", range(12 * part, 12 * part + 12))
    assert load_target(tmp_path).account.endswith("left out: nothing.")  # nothing else could be the classes
    write(tmp_path / "labels.csv", "image", "{:08d}_000", range(12, 36))
    text = refused("do not look like classes. Name the column of a table's paths by --image-column", tmp_path)
    assert "--class-level 1" in text
    assert load_target(tmp_path, class_level=1).provenance["account"]["classes"] == {
        name.format(part).split("/")[0]: 12 for part in (1, 2)
    }


def test_a_table_that_names_images_in_class_folders_is_told(tmp_path):
    for label in "ab":
        images(tmp_path / label, f"{label}_{{}}.png", range(12))
    (tmp_path / "sizes.csv").write_text("hospital,beds\n1,2\n")
    assert NOTE not in load_target(tmp_path).provenance["account"]["notes"]
    write(tmp_path / "patients.csv", "path", "C:\\scans\\a\\a_{}.png", range(12))
    target = load_target(tmp_path)
    assert NOTE in target.provenance["account"]["notes"]
    assert "names the images, such as patients.csv." in target.account_here


@pytest.mark.parametrize(
    ("cells", "remedy"),
    [
        ("{:08d}.png", "Write their paths relative to data, such as scans/train/00000000.png."),
        ("{:08d}", "Write their paths relative to data, such as scans/train/00000000.png."),
        ("scans\\train\\{:08d}.png", "Write their paths relative to data, such as scans/train/00000000.png."),
        ("train/{:08d}.PNG", "Write their paths relative to data, with their folders and endings."),
    ],
)
def test_rows_that_do_not_lead_to_the_images(tmp_path, cells, remedy):
    folder = tmp_path / "data"
    images(folder / "scans" / "train", "{:08d}.png", range(24))
    write(folder / "labels.csv", "id", cells, range(24))
    with pytest.raises(TargetError) as caught:
        load_target(folder, image_column="id")
    text = f"the table names 24 files, none of which is in the folder, for example {cells.format(0)}. {remedy}"
    assert str(caught.value) == text
    write(folder / "labels.csv", "id", "scans/train/{:08d}.png", range(24))  # the remedy
    assert len(load_target(folder, image_column="id")) == 24


def test_a_name_that_two_images_have_is_no_example(tmp_path):
    for split in ("one", "two"):
        images(tmp_path / split, "{:04d}.png", range(12))
    write(tmp_path / "labels.csv", "id", "{:04d}.png", range(12))
    with pytest.raises(TargetError, match="with their folders and endings"):
        load_target(tmp_path, image_column="id")


@pytest.mark.parametrize(
    ("start", "sign"), [("/home/bob/study/", "/"), ("C:\\Users\\bob\\", "\\"), ("/data/scans/train/", "/")]
)
def test_paths_of_another_machine(tmp_path, start, sign):
    folder = tmp_path / "data"
    images(folder / "scans" / "train", "{:08d}.png", range(24))
    path = f"{start}scans{sign}train{sign}{{:08d}}.png"
    for name, column, options in (("labels.csv", "id", {"image_column": "id"}), ("metadata.csv", "file_name", {})):
        write(folder / name, column, path, range(24))
        with pytest.raises(TargetError) as caught:
            load_target(folder, **options)
        assert f"Cut {start} from " in str(caught.value)
        assert "relative to" in str(caught.value) and str(caught.value).endswith("such as scans/train/00000000.png.")
        (folder / name).write_text((folder / name).read_text().replace(start, "").replace(sign, "/"))  # the remedy
        assert len(load_target(folder, **options)) == 24
        (folder / name).unlink()


def test_paths_of_another_machine_with_other_folders(tmp_path):
    images(tmp_path / "scans", "{:08d}.png", range(24))
    write(tmp_path / "labels.csv", "id", "/mnt/raw/{:08d}.png", range(24))
    text = rf"by paths outside the folder, for example /mnt/raw/00000000.png. Write their paths relative to {tmp_path.name}"
    with pytest.raises(TargetError, match=f"{text}, such as scans/00000000.png."):
        load_target(tmp_path, image_column="id")
    write(tmp_path / "labels.csv", "id", "/mnt/raw/x{:08d}.png", range(24))
    with pytest.raises(TargetError, match=f"Write their paths relative to {tmp_path.name}[.]$"):
        load_target(tmp_path, image_column="id")
    write(tmp_path / "metadata.csv", "file_name", "/mnt/raw/x{:08d}.png", range(24))
    with pytest.raises(TargetError, match=r"names a file outside the dataset: .*Correct it, or choose another dataset"):
        load_target(tmp_path)


@pytest.mark.parametrize(("place", "table"), [("", ""), ("images/", ""), ("train/", "train/"), ("train/images/", "train/")])
def test_metadata_of_names_without_endings(tmp_path, place, table):
    images(tmp_path, f"{place}ISIC_{{:04d}}.jpg", range(24))
    write(tmp_path / table / "metadata.csv", "file_name", "ISIC_{:04d}", range(24))
    right = f"{place}ISIC_0000.jpg".removeprefix(table)
    text = "names 24 files, none of which is an image in the folder, for example .*ISIC_0000. Correct file_name"
    with pytest.raises(TargetError, match=f"{text}, relative to the metadata file, such as {right}[.]"):
        load_target(tmp_path)
    write(tmp_path / table / "metadata.csv", "file_name", f"{place}ISIC_{{:04d}}.jpg".removeprefix(table), range(24))
    assert len(load_target(tmp_path)) == 24
