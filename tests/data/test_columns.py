"""Which columns hold the images and the labels."""

import datasets
import pytest
from datasets import List, Value
from helpers.targets import AB, ABC, png, refused, table

from hf_transferability.data.columns import find_image_column
from hf_transferability.data.targets import check_images, load_target
from hf_transferability.errors import UsageError


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
    refused("`label_column` must be one of label, age; got 'class'", data, label_column="class")
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


@pytest.mark.parametrize("joined", ["image;label", "image\tlabel"])
def test_tables_with_other_signs_between_columns_are_told(joined):
    features = datasets.Features({joined: datasets.Value("string")})
    with pytest.raises(UsageError, match="separated by commas"):
        find_image_column(features, None)
