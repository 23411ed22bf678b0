"""Masks beside their images are no images of the class: they are left out and counted, at every door."""

import io
import re

import numpy as np
import PIL.Image
import pytest
from datasets import Dataset, Features, Image
from helpers.medical import nifti, phantom
from helpers.targets import AB, mask_png, png, refused

from hf_transferability.data.masks import masks_of
from hf_transferability.data.targets import load_target

NOTE = "Masks beside their images are left out; pass --keep-masks to take them as images."


def write(folder, *names, n=12, photographs=False):
    """Files of each name: masks where it says so, unless all are to be photographs."""
    for k, name in enumerate(names):
        is_mask = not photographs and re.search("mask|_label|_seg|_gt|_Seg", name)
        for i in range(n):
            file = folder / name.format(i)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(mask_png(i) if is_mask else png(100 * k + i, size=16))


def test_masks_beside_images_are_counted_and_may_be_kept(tmp_path):
    write(tmp_path, "benign/benign ({}).png", "benign/benign ({})_mask.png", "normal/normal ({}).png")
    write(tmp_path, "benign/benign ({})_mask_1.png", n=2)
    target = load_target(tmp_path, sample_size="all")
    assert len(target) == 24
    assert target.account.endswith(
        "2 classes (folder level 1): benign: 12 images, normal: 12; left out: 14 masks beside their images, such as "
        f"benign/benign (0)_mask.png. {NOTE}"
    )
    assert "benign (0)" not in target.provenance["account"]["line"]
    assert target.provenance["account"]["left_out"] == {"masks beside their images": 14}
    assert len(load_target(tmp_path, sample_size="all", keep_masks=True)) == 38
    refused(
        r"the stream holds masks beside their images, such as benign/.* --keep-masks", tmp_path, sample_size=38, streaming=True
    )
    streamed = load_target(tmp_path, sample_size=38, streaming=True, keep_masks=True)
    assert len(streamed) == 38
    assert streamed.account.endswith("Of a stream, repeated images are looked for in the drawn sample only.")


def test_a_folder_of_masks_beside_one_of_images(tmp_path):
    write(tmp_path, *(f"{kind}/{label}/{{}}.png" for kind in ("images", "masks") for label in "ab"))
    refused("`class_level` must be named", tmp_path)
    target = load_target(tmp_path, sample_size="all", class_level=2)
    assert (len(target), target.class_names) == (24, ["a", "b"])
    assert "left out: 24 masks beside their images, such as a/0.png" in target.account


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("img/{}.png", "mask/{}.png"), "the class mask holds masks of the class img: 12 of 12 files"),
        (("images/{}.png", "masks/{}_mask.png"), "the class masks holds masks of the class images: 12 of 12 files"),
        (("bmode/{}.png", "masks/{}.png"), "the class masks holds masks of the class bmode"),
        (("benign/{}.png", "benign_mask/{}.png", "normal/{}.png"), "the class benign_mask holds masks of the class benign"),
        (("with_mask/{}.png", "without_mask/{}.png"), None),
        (("mask/{}.png", "no_mask/{}.png"), None),
        (("masks/{}.png", "hats/{}.png", "shoes/{}.png"), None),
        (("mask/b{}.png", "images/{}.png"), None),
    ],
)
def test_a_class_of_masks(tmp_path, names, message):
    write(tmp_path, *names, photographs=not message)
    if message:
        refused(rf"{message}.* --image-column .* --keep-masks", tmp_path)
    assert len(load_target(tmp_path, sample_size="all", keep_masks=True)) == 12 * len(names)
    if not message:
        assert len(load_target(tmp_path, sample_size="all")) == 12 * len(names)


@pytest.mark.parametrize("names", [("seg", "band"), ("masks", "gloves"), ("mask", "img"), ("labels", "stamps"), ("gt", "suv")])
def test_classes_with_ordinary_words_and_equal_names(tmp_path, names):
    """Of photographs, and of drawings in black and white; nothing is left out or told."""
    write(tmp_path / "photographs", *(f"{name}/{{}}.png" for name in names), photographs=True)
    assert load_target(tmp_path / "photographs", sample_size="all").account.endswith("left out: nothing.")
    if "img" not in names:
        write(tmp_path / "drawings", *(f"{name}/{{}}_mask.png" for name in names))
        assert load_target(tmp_path / "drawings", sample_size="all").account.endswith("left out: nothing.")


@pytest.mark.parametrize("name", ["a/gt_{}.png", "a/{}_mask.png", "a/masks/{}.png", "a/{}_label_3.png"])
def test_a_few_photographs_that_are_called_masks_are_images_and_told(tmp_path, name):
    write(tmp_path, "a/{}.png", "b/{}.png", photographs=True)
    write(tmp_path, name, photographs=True, n=5)
    target = load_target(tmp_path, class_level=1, sample_size="all")
    assert len(target) == 29
    note = "Files that are called masks but look like images are used (5); move them away if they are masks."
    assert note in target.provenance["account"]["notes"]
    assert f"if they are masks, such as {name.format(0).partition('/')[2] if 'masks/' in name else name.format(0)}." in (
        target.account
    )
    streamed = load_target(tmp_path, class_level=1, sample_size=29, streaming=True)
    assert len(streamed) == 29 and note in streamed.provenance["account"]["notes"]
    kept = load_target(tmp_path, class_level=1, sample_size="all", keep_masks=True)
    assert len(kept) == 29 and note not in kept.provenance["account"]["notes"]


@pytest.mark.parametrize("name", ["a/gt_{}.png", "a/{}_mask.png"])
def test_where_every_image_has_one_that_looks_like_an_image_it_may_be_a_soft_mask(tmp_path, name):
    write(tmp_path, "a/{}.png", "b/{}.png", name, photographs=True)
    refused("12 of 36 files are called masks, .* their content does not tell. Pass --keep-masks", tmp_path, sample_size="all")
    assert len(load_target(tmp_path, sample_size="all", keep_masks=True)) == 36


def test_a_drawing_beside_a_drawing_is_asked_for(tmp_path):
    write(tmp_path, "a/{}.png", "b/{}.png", photographs=True)
    write(tmp_path, "a/{}_label.png")
    for i in range(12):
        (tmp_path / "a" / f"{i}.png").write_bytes(mask_png(i + 50))
    refused("12 of 36 files are called masks, .* their content does not tell", tmp_path, sample_size="all")


def test_masks_that_differ_are_each_looked_at(tmp_path):
    """An empty or a damaged mask is left out with the others; a photograph among masks may be a soft one."""
    write(tmp_path, "a/{}.png", "b/{}.png", photographs=True)
    write(tmp_path, "a/{}_mask.png")
    empty = io.BytesIO()
    PIL.Image.new("L", (16, 16)).save(empty, "PNG")
    (tmp_path / "a" / "4_mask.png").write_bytes(empty.getvalue())
    (tmp_path / "a" / "3_mask.png").write_bytes(b"x")
    target = load_target(tmp_path, sample_size="all")
    assert len(target) == 24 and "12 masks beside their images" in target.account
    (tmp_path / "a" / "2_mask.png").write_bytes(png(7, size=16))
    refused("2 of 36 files are called masks, such as a/2_mask.png", tmp_path, sample_size="all")


def test_maps_of_many_regions_are_masks(tmp_path):
    regions = np.kron(np.random.default_rng(0).permutation(256).reshape(16, 16), np.ones((30, 30))).astype(np.uint8)
    buffer = io.BytesIO()
    PIL.Image.fromarray(regions).save(buffer, "PNG")
    write(tmp_path, "a/{}.png", "b/{}.png", "a/{}_superpixels.png")
    for i in range(12):
        (tmp_path / "a" / f"{i}_superpixels.png").write_bytes(buffer.getvalue())
    assert len(load_target(tmp_path, sample_size="all")) == 24


def test_volumes_are_looked_at_as_well(tmp_path):
    for label in "ab":
        (tmp_path / label).mkdir()
        for i in range(12):
            scan, organ = (np.stack([phantom(label == "b", 10 * i + k) for k in range(3)], axis=2) for _ in range(2))
            (tmp_path / label / f"{i}.nii.gz").write_bytes(nifti(scan))
            (tmp_path / label / f"{i}_seg.nii.gz").write_bytes(nifti((organ > np.median(organ)).astype(np.int16)))
    assert load_target(tmp_path, sample_size="all").provenance["account"]["left_out"] == {"masks beside their images": 24}
    for path in tmp_path.rglob("*_seg.nii.gz"):
        path.write_bytes(path.with_name(path.name.replace("_seg", "")).read_bytes())
    refused("24 of 48 files are called masks", tmp_path, sample_size="all")


def test_what_content_does_not_tell_is_refused_with_a_remedy(tmp_path):
    write(tmp_path, "a/{}.png", "b/{}.png", "a/{}_mask.png")
    levels = np.random.default_rng(0).integers(0, 20, (16, 16), dtype=np.uint8) * 9
    buffer = io.BytesIO()
    PIL.Image.fromarray(levels).save(buffer, "PNG")
    for i in range(12):
        (tmp_path / "a" / f"{i}_mask.png").write_bytes(buffer.getvalue())
    text = "12 of 36 files are called masks, such as a/0_mask.png of a/0.png, and their content does not tell. Pass"
    refused(text, tmp_path, sample_size="all")
    refused("the stream holds masks", tmp_path, sample_size=36, streaming=True)
    assert len(load_target(tmp_path, sample_size="all", keep_masks=True)) == 36
    for i in range(12):
        (tmp_path / "a" / f"{i}_mask.png").unlink()
    assert len(load_target(tmp_path, sample_size="all")) == 24


def test_a_class_of_masks_beside_a_table(tmp_path):
    write(tmp_path, "img/{}.png", "mask/{}.png", n=24)
    (tmp_path / "labels.csv").write_text("image,label\n" + "".join(f"img/{i}.png,{'ab'[i % 2]}\n" for i in range(24)))
    refused("--image-column", tmp_path)
    assert load_target(tmp_path, sample_size="all", image_column="image").class_names == ["a", "b"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["x", *(f"x_label_{i}" for i in range(1, 20))], "38 of 40 files .* a/x_label_1.png of a/x.png: 19 for each image"),
        ([f"x{i}{end}" for i in range(12) for end in ("", *(f"_seg_{k}" for k in range(4)))], "96 of 120 files .*: 4 for each"),
        ([f"y{i}" for i in range(20)] + ["x", *(f"x_gt_{i}" for i in range(4))], "8 of 50 files .*: 4 for each image"),
        ([f"x{i}{end}" for i in range(4) for end in ("", "_mask")], "8 of 16 files .*: only 8 images remain"),
        ([f"x{i}{end}" for i in range(6) for end in ("", "_mask", "_mask_1", "_mask_2")], None),
    ],
)
def test_masks_that_may_be_images(tmp_path, files, message):
    write(tmp_path, *(f"{label}/{file}.png" for label in "ab" for file in files), n=1)
    if message:
        refused(f"{message}.* --keep-masks", tmp_path)
        assert len(load_target(tmp_path, sample_size="all", keep_masks=True)) == 2 * len(files)
    else:
        assert len(load_target(tmp_path, sample_size="all")) == 12


def test_masks_that_a_table_names(tmp_path):
    write(tmp_path, "x/{}.png", "x/{}_Segmentation.png", n=24)
    names = [f"x/{i}{end}.png" for i in range(24) for end in ("", "_Segmentation")]
    (tmp_path / "metadata.csv").write_text(
        "file_name,label\n" + "".join(f"{name},{'ab'[k // 2 % 2]}\n" for k, name in enumerate(names))
    )
    assert len(load_target(tmp_path, sample_size="all")) == 24


def test_masks_among_embedded_images():
    cells = [{"bytes": (mask_png if i % 2 else png)(i), "path": f"{i // 2}{'_mask' * (i % 2)}.png"} for i in range(48)]
    features = Features({"image": Image(), "label": AB})
    rows = Dataset.from_dict({"image": cells, "label": [0, 0, 1, 1] * 12}, features=features)
    assert len(load_target(rows, sample_size="all")) == 24
    assert len(load_target(rows, sample_size="all", keep_masks=True)) == 48


@pytest.mark.parametrize(
    ("paths", "labels"),
    [
        (["with/0_mask.png", "without/0.png"], "ab"),
        (["0_mask.png", "0.png"], "ab"),  # names without folders: another class is another face
        (["a/0_mask.png", "a/1_mask.png"], "aa"),
        (["mask/0.png", "bare/0.png"], "aa"),
        (["a/mask.png", "a/0.png"], "aa"),
        (["a/0_masked.png", "a/0.png"], "aa"),
        (["a/masks/0.png", "a/hats/0.png", "a/shoes/0.png"], "aaa"),
        (["a/masks/0.png", "a/no_mask/0.png"], "aa"),
        (["labels/a/0.png", "labels/a/1.png"], "aa"),
        (["", ""], "aa"),
    ],
)
def test_names_that_are_no_masks_of_another_image(paths, labels):
    assert masks_of(paths, labels) == {}


@pytest.mark.parametrize(
    ("mask", "image"),
    [
        ("a/x_mask.png", "a/x.jpg"),
        ("a/x (1)_MASK_2.png", "a/x (1).png"),
        ("a/x-seg.nii.gz", "a/x.nii.gz"),
        ("zip://a/x_gt.png::/d/x.zip", "zip://a/x.png::/d/x.zip"),
        ("zip://0.png::/d/masks.zip", "zip://0.png::/d/images.zip"),
        ("zip://masks/0.png::/d/masks.zip", "zip://images/0.png::/d/images.zip"),
        ("a/masks/x.png", "a/x.png"),
        ("a/Ground truth/x_mask.png", "a/imgs/x.png"),
        ("a/mask_1.png", "a/1.png"),
        ("a/1_mask.png", "a/1_image.png"),
        ("a/x (1)_mask (1).png", "a/x (1).png"),
        ("images_mask/a/x.png", "images/a/x.png"),
        ("a/masks/mask_1.png", "a/images/img_1.png"),
        ("a/masks/1.png", "a/bmode/1.png"),
        ("a/mask/1_mask.png", "a/CXR_png/1.png"),
        ("a/ground_truths/1.png", "a/images/1.png"),
        ("a/segmentation_masks/1.png", "a/images/1.png"),
        ("a/mask_images/1.png", "a/images/1.png"),
    ],
)
def test_names_of_masks(mask, image):
    assert masks_of([mask, image], "aa") == {0: 1}
