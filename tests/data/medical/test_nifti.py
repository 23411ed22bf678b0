"""NIfTI volumes: the slice, its orientation and values against nibabel, the feature Nifti of `datasets`, what is refused."""

import gzip
import sys

import datasets
import nibabel
import numpy as np
import pytest
from helpers import medical
from helpers.targets import png

from hf_transferability.data.medical import nifti
from hf_transferability.data.medical.image import OWN, PLAIN
from hf_transferability.data.targets import check_images, load_target
from hf_transferability.errors import UsageError

VOLUME = np.arange(3 * 4 * 5, dtype=np.int16).reshape(3, 4, 5)


def read(encoded: bytes, window=None, slice_=None, axis=None, frame=None, max_pixels=None):
    return nifti.read(encoded, window, slice_, axis, frame, max_pixels)


def canonical(encoded: bytes) -> np.ndarray:
    """Scaled values with axes towards right, front and head."""
    return nibabel.as_closest_canonical(nibabel.Nifti1Image.from_bytes(encoded)).get_fdata()


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("axes", ["RAS", "LPS", "SPL", "ARI"])
def test_slices_are_the_same_view_however_the_volume_is_stored(axes, axis):
    encoded = medical.nifti(VOLUME, axes)
    expected = canonical(encoded)
    for number in range(expected.shape[axis]):
        image = read(encoded, window=(0, 255), slice_=number, axis=axis)
        # Rows from the head (or front) down, columns from the patient's right (or front).
        np.testing.assert_array_equal(image.pixels, np.take(expected, number, axis)[::-1, ::-1].T)
        assert image.slices == expected.shape[axis]


def test_the_middle_slice_of_axis_2_is_the_default():
    encoded = medical.nifti(VOLUME)
    np.testing.assert_array_equal(read(encoded, (0, 255)).pixels, VOLUME[::-1, ::-1, 2].T)
    np.testing.assert_array_equal(read(encoded, (0, 255), "middle", 2).pixels, read(encoded, (0, 255)).pixels)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_slope_and_intercept_are_applied_before_the_window(pack):
    encoded = medical.nifti(VOLUME, slope=2.0, intercept=-5.0)
    expected = (VOLUME[::-1, ::-1, 2].T * 2.0 - 5).clip(10, 90)
    assert read(pack(encoded), window=(10, 90)).pixels == pytest.approx((expected - 10) / 80 * 255, abs=0.51)


def test_without_window_a_slice_has_its_own_range_and_8_bits_stay():
    image = read(medical.nifti(VOLUME))
    plane = VOLUME[::-1, ::-1, 2].T.astype(float)
    assert image.scale == OWN
    assert image.pixels == pytest.approx((plane - plane.min()) / (plane.max() - plane.min()) * 255, abs=0.51)
    image = read(medical.nifti(VOLUME.astype(np.uint8)))
    assert image.scale == PLAIN
    np.testing.assert_array_equal(image.pixels, plane)


def test_points_in_time_colour_planes_and_files_without_orientation():
    times = np.stack([VOLUME, VOLUME + 60, VOLUME + 120], axis=-1)
    assert read(medical.nifti(times), (0, 255)).frames == 3
    np.testing.assert_array_equal(read(medical.nifti(times), (0, 255), frame="middle").pixels, VOLUME[::-1, ::-1, 2].T + 60)
    colour = np.zeros((3, 4, 5), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    colour["G"] = VOLUME
    image = read(nibabel.Nifti1Image(colour, np.eye(4)).to_bytes())
    np.testing.assert_array_equal(image.pixels[..., 1], VOLUME[::-1, ::-1, 2].T)
    assert not image.grey and not image.pixels[..., 0].any()
    np.testing.assert_array_equal(read(medical.nifti(VOLUME[:, :, :1]), (0, 255)).pixels, VOLUME[::-1, ::-1, 0].T)
    flat = nibabel.Nifti1Image(VOLUME[:, :, 0], None).to_bytes()
    np.testing.assert_array_equal(read(flat, (0, 255)).pixels, VOLUME[::-1, ::-1, 0].T)
    version2 = nibabel.Nifti2Image(VOLUME, np.eye(4)).to_bytes()
    np.testing.assert_array_equal(read(version2, (0, 255)).pixels, VOLUME[::-1, ::-1, 2].T)


@pytest.mark.parametrize(
    "encoded, options, text",
    [
        (medical.nifti(VOLUME)[:-40], {"slice_": 4}, "a damaged NIfTI file"),
        (gzip.compress(medical.nifti(VOLUME))[:120], {}, "a damaged NIfTI file"),
        (medical.nifti(VOLUME), {"slice_": 4, "axis": 1}, "there is no slice 4 among 4"),
        (medical.nifti(np.where(VOLUME > 5, VOLUME, np.nan).astype(np.float32)), {"slice_": 0}, "NaN or infinite"),
        (medical.nifti(VOLUME.astype(np.complex64)), {}, "complex values"),
        (medical.nifti(VOLUME), {"max_pixels": 5}, "more than the limit of 5"),
    ],
)
def test_what_cannot_be_read_has_a_reason(encoded, options, text):
    with pytest.raises(ValueError, match=text):
        read(encoded, **options)


def test_a_header_that_claims_too_much_is_refused_before_it_is_read():
    encoded = bytearray(medical.nifti(VOLUME))
    encoded[42:48] = (30000).to_bytes(2, "little") * 3
    with pytest.raises(ValueError, match="a NIfTI volume of more than 2 GiB"):
        read(gzip.compress(bytes(encoded)))


def volumes(folder, n: int = 7, ending: str = ".nii.gz") -> dict[str, np.ndarray]:
    """Class folders of volumes whose middle slice is a phantom."""
    written = {}
    for code, name in enumerate(("normal", "nodule")):
        (folder / name).mkdir(parents=True)
        for i in range(n):
            volume = np.stack(
                [np.zeros((24, 24), np.int16), medical.phantom(code, 100 * code + i), np.zeros((24, 24), np.int16)], -1
            )
            content = medical.nifti(volume)
            (folder / name / f"{i}{ending}").write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
            written[f"{name}/{i}{ending}"] = volume[::-1, ::-1, 1].T
    return written


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_volumes_in_class_folders(ending, tmp_path):
    written = volumes(tmp_path, ending=ending)
    target, report = check_images(load_target(tmp_path, window=(-200, 200)))
    assert not report.corrupt
    assert target.class_names == ["nodule", "normal"]
    assert target.flags["one_slice"] == "14 of 14 images, of which the middle slice along axis 2 is used"
    assert target.flags["windowed"] == "14 NIfTI slices by -200..200"
    for position, file in enumerate(target.files):
        expected = (written[file].clip(-200, 200) + 200.0) / 400 * 255
        assert target.images[position][..., 0] == pytest.approx(expected, abs=0.51)


def test_the_nifti_feature_of_datasets(tmp_path):
    written = volumes(tmp_path / "files")
    names = ["normal", "nodule"]
    for kind in ("bytes", "path"):
        here = tmp_path / "files"
        records = [{"bytes": (here / file).read_bytes(), "path": file} for file in written]
        if kind == "path":
            records = [{"bytes": None, "path": str(here / file)} for file in written]
        features = datasets.Features({"scan": datasets.Nifti(), "label": datasets.ClassLabel(names=names)})
        table = datasets.Dataset.from_dict(
            {"scan": records, "label": [names.index(file.split("/")[0]) for file in written]}, features=features
        )
        target = load_target(table, axis=2, slice=1, window=(-200, 200))
        assert target.provenance["image_column"] == "scan"
        assert (target.provenance["slice"], target.provenance["axis"]) == (1, 2)
        expected = (written[target.files[0]].clip(-200, 200) + 200.0) / 400 * 255
        assert target.images[0][..., 0] == pytest.approx(expected, abs=0.51)
        (tmp_path / kind).mkdir()
        if kind == "bytes":
            table.to_parquet(tmp_path / kind / "train.parquet")
            assert load_target(tmp_path / kind, slice=1, window=(-200, 200)).key == target.key


def test_another_slice_is_another_sample(tmp_path):
    volumes(tmp_path)
    keys = {load_target(tmp_path, **options).key for options in ({}, {"slice": 0}, {"axis": 0}, {"window": (0, 100)})}
    assert len(keys) == 4
    assert load_target(tmp_path).key == load_target(tmp_path, slice="middle", axis=2).key


def test_a_slice_that_some_volumes_lack_is_named(tmp_path):
    volumes(tmp_path)
    with pytest.raises(
        UsageError, match=r"`slice` must be in every file; 14 of 14 have no slice 3, such as row .*--slice middle"
    ):
        check_images(load_target(tmp_path, slice=3))


def test_volumes_beside_images_are_counted_together(tmp_path):
    volumes(tmp_path)
    (tmp_path / "normal" / "photo.png").write_bytes(png(1))
    target = load_target(tmp_path)
    assert len(target) == 15
    assert target.flags["one_slice"].startswith("14 of 15 images")


def test_without_nibabel_the_extra_is_named(tmp_path, monkeypatch):
    volumes(tmp_path)
    monkeypatch.setitem(sys.modules, "nibabel", None)
    monkeypatch.setattr(datasets.config, "NIBABEL_AVAILABLE", False)
    with pytest.raises(UsageError, match=r"NIfTI files, which need nibabel\. Run pip install 'hf-transferability.medical.'"):
        load_target(tmp_path)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("offset", [2.0**30, -352.0, 2.0**100])
def test_values_that_begin_far_away_are_refused_before_anything_is_unpacked(version, offset, monkeypatch):
    """A packed gigabyte of zeros before them takes a megabyte, and nibabel would hold it in memory as extensions."""
    kind = nibabel.Nifti1Image if version == 1 else nibabel.Nifti2Image
    encoded = bytearray(kind(VOLUME, np.eye(4)).to_bytes())
    if version == 1:
        encoded[108:112] = np.array(offset, "<f4").tobytes()
    else:
        encoded[168:176] = int(offset if abs(offset) < 2**62 else 2**62).to_bytes(8, "little", signed=True)
    monkeypatch.setattr(kind, "from_stream", None)
    for content in (bytes(encoded), gzip.compress(bytes(encoded))):
        with pytest.raises(ValueError, match="a NIfTI file whose values begin after more than 32 MiB"):
            read(content)


def test_big_endian_files_are_read():
    image = nibabel.Nifti1Image(VOLUME, np.eye(4), nibabel.Nifti1Header(endianness=">"))
    np.testing.assert_array_equal(read(image.to_bytes(), (0, 255)).pixels, VOLUME[::-1, ::-1, 2].T)


def test_a_window_in_which_no_slice_shows_anything_is_refused(tmp_path):
    volumes(tmp_path)
    with pytest.raises(UsageError, match=r"`window` must hold values of the images; 5000..6000 makes each of 14 one grey"):
        load_target(tmp_path, window=(5000, 6000))
