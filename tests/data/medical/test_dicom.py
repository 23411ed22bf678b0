"""DICOM files: pixel values against pydicom's own display pipeline, what is refused, and that no patient data is read."""

import numpy as np
import pytest
from helpers import medical
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from hf_transferability.data.images import Images
from hf_transferability.data.medical import dicom
from hf_transferability.data.medical.image import BITS, FILE, GIVEN, OWN, PLAIN
from hf_transferability.data.targets import check_images, load_target
from hf_transferability.errors import TargetError, UsageError

HOUNSFIELD = medical.phantom(1, 5)
STORED = (HOUNSFIELD + 1024).astype(np.uint16)
CT = {"BitsStored": 12, "RescaleSlope": 1, "RescaleIntercept": -1024}
WINDOW = {"WindowCenter": 40, "WindowWidth": 400}


def read(encoded: bytes, window=None, frame=None, max_pixels=None):
    return dicom.read(encoded, window, frame, max_pixels)


def lookup(values: np.ndarray, bits: int, first: int = 0) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(values), first, bits])
    item.add_new("LUTData", "US", values.tolist())
    return item


def displayed(made: Dataset, low: float, high: float) -> np.ndarray:
    """What pydicom shows, as 0..255 of the range low..high that its windowing gives out."""
    values = apply_voi_lut(apply_modality_lut(made.pixel_array, made), made)
    return (values.astype(float) - low) / (high - low) * 255


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("slope", [1, 0.5])
def test_rescaling_and_the_window_of_the_file_are_as_pydicom_applies_them(function, slope):
    made = medical.dataset(
        STORED, **CT | WINDOW | {"VOILUTFunction": function, "RescaleSlope": slope, "RescaleIntercept": -1024 * slope}
    )
    image = read(medical.saved(made))
    assert image.scale == FILE
    assert image.pixels == pytest.approx(displayed(made, -1024 * slope, 3071 * slope), abs=0.51)
    assert image.pixels.std() > 5


def test_a_window_of_the_call_wins_and_is_in_hounsfield():
    image = read(medical.dicom(STORED, **CT | WINDOW), window=(-100, 100))
    assert image.scale == GIVEN
    assert image.pixels == pytest.approx((HOUNSFIELD.clip(-100, 100) + 100) / 200 * 255, abs=0.51)


def test_the_first_of_several_windows_is_taken():
    image = read(medical.dicom(STORED, **CT, WindowCenter=[40, 600], WindowWidth=[400, 2000]))
    np.testing.assert_array_equal(image.pixels, read(medical.dicom(STORED, **CT, **WINDOW)).pixels)


def test_monochrome1_is_inverted():
    image = read(medical.dicom(STORED, **CT | WINDOW, PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(image.pixels, 255 - read(medical.dicom(STORED, **CT | WINDOW)).pixels)


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_without_window_the_stored_bits_are_the_range(bits):
    values = np.arange(64, dtype=np.uint16).reshape(8, 8) * (2**bits // 64)
    image = read(medical.dicom(values, BitsStored=bits))
    assert image.scale == BITS
    assert image.pixels == pytest.approx(values / (2**bits - 1) * 255, abs=0.51)


def test_signed_values_have_a_signed_range():
    image = read(medical.dicom(HOUNSFIELD, BitsStored=16))
    assert image.pixels == pytest.approx((HOUNSFIELD + 32768.0) / 65535 * 255, abs=0.51)


def test_eight_bits_are_taken_as_they_are_and_float_pixels_by_their_range():
    values = np.arange(64, dtype=np.uint8).reshape(8, 8)
    image = read(medical.dicom(values))
    assert image.scale == PLAIN
    np.testing.assert_array_equal(image.pixels, values)
    made = medical.dataset(values)
    del made.PixelData
    made.BitsAllocated = made.BitsStored = 32
    made.HighBit = 31
    made.FloatPixelData = values.astype(np.float32).tobytes()
    assert read(medical.saved(made)).scale == OWN


def test_lookup_tables_of_modality_and_display():
    stored = np.arange(64, dtype=np.uint8).reshape(8, 8)
    squares = np.arange(64) ** 2
    made = medical.dataset(stored)
    made.ModalityLUTSequence = Sequence([lookup(squares, 12)])
    made.ModalityLUTSequence[0].ModalityLUTType = "US"
    assert read(medical.saved(made)).pixels == pytest.approx(stored.astype(float) ** 2 / 4095 * 255, abs=0.51)
    made = medical.dataset(stored.astype(np.uint16) * 100)  # values far beyond a table of 8 bits are its last entry
    made.VOILUTSequence = Sequence([lookup(np.arange(128), 8, first=200)])
    expected = (stored * 100.0 - 200).clip(0, 127)
    np.testing.assert_array_equal(read(medical.saved(made)).pixels, expected)
    made = medical.dataset(stored)
    made.VOILUTSequence = Sequence([lookup(squares, 12)])
    image = read(medical.saved(made))
    assert image.scale == FILE
    assert image.pixels == pytest.approx(stored.astype(float) ** 2 / 4095 * 255, abs=0.51)


def test_colour_and_palette():
    colour = np.random.default_rng(0).integers(0, 256, (8, 10, 3), dtype=np.uint8)
    image = read(medical.dicom(colour))
    np.testing.assert_array_equal(image.pixels, colour)
    assert not image.grey
    planar = medical.dicom(colour, PlanarConfiguration=1, PixelData=colour.transpose(2, 0, 1).tobytes())
    np.testing.assert_array_equal(read(planar).pixels, colour)
    made = medical.dataset(np.arange(64, dtype=np.uint8).reshape(8, 8), PhotometricInterpretation="PALETTE COLOR")
    for k, name in enumerate(("Red", "Green", "Blue")):
        setattr(made, f"{name}PaletteColorLookupTableDescriptor", [64, 0, 16])
        setattr(made, f"{name}PaletteColorLookupTableData", (np.arange(64, dtype=np.uint16) * 256 * (k + 1)).tobytes())
    expected = apply_color_lut(made.pixel_array, made) / 65535 * 255
    assert read(medical.saved(made)).pixels == pytest.approx(expected, abs=0.51)


def test_ybr_is_made_rgb():
    ybr = np.full((8, 8, 3), (100, 90, 200), np.uint8)
    y, cb, cr = 100.0, 90.0 - 128, 200.0 - 128
    rgb = (y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb)  # ITU-T T.871
    image = read(medical.dicom(ybr, PhotometricInterpretation="YBR_FULL"))
    assert image.pixels == pytest.approx(np.full((8, 8, 3), rgb), abs=1)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_lossless_compression_changes_nothing(syntax):
    made = medical.dataset(np.tile(STORED, (3, 3)), **CT | WINDOW)  # JPEG 2000 needs some size
    plain = read(medical.saved(made)).pixels
    made.compress(syntax, generate_instance_uid=False)
    np.testing.assert_array_equal(read(medical.saved(made)).pixels, plain)


def test_frames_are_chosen_and_may_have_windows_of_their_own():
    stack = np.stack([STORED, STORED + 100, STORED + 200])
    encoded = medical.dicom(stack, **CT | WINDOW)
    assert read(encoded).frames == 3
    np.testing.assert_array_equal(read(encoded).pixels, read(medical.dicom(STORED, **CT | WINDOW)).pixels)
    np.testing.assert_array_equal(read(encoded, frame="middle").pixels, read(medical.dicom(STORED + 100, **CT | WINDOW)).pixels)
    with pytest.raises(ValueError, match="there is no frame 3 among 3"):
        read(encoded, frame=3)
    made = medical.dataset(stack, BitsStored=12)
    made.PerFrameFunctionalGroupsSequence = Sequence(
        [grouped("FrameVOILUTSequence", WindowCenter=c, WindowWidth=400) for c in (40, 140, 240)]
    )
    made.SharedFunctionalGroupsSequence = Sequence(
        [grouped("PixelValueTransformationSequence", RescaleSlope=1, RescaleIntercept=-1024)]
    )
    first = read(medical.dicom(STORED, **CT | WINDOW)).pixels
    for frame in range(3):  # each window follows its frame
        np.testing.assert_array_equal(read(medical.saved(made), frame=frame).pixels, first)


def grouped(macro: str, **elements) -> Dataset:
    item, group = Dataset(), Dataset()
    for name, value in elements.items():
        setattr(item, name, value)
    setattr(group, macro, Sequence([item]))
    return group


def without_pixels() -> bytes:
    made = medical.dataset(STORED)
    del made.PixelData
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    return medical.saved(made)


def in_syntax(uid: str) -> bytes:
    made = medical.dataset(STORED)
    made.compress(RLELossless, generate_instance_uid=False)
    made.file_meta.TransferSyntaxUID = uid
    return medical.saved(made)


WHOLE = medical.dicom(STORED, **CT | WINDOW)
REFUSED = {
    "a report": (without_pixels(), "without pixel data .Basic Text SR Storage"),
    "a segmentation": (medical.dicom(STORED, SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4"), "a DICOM segmentation"),
    "a video": (in_syntax("1.2.840.10008.1.2.4.102"), "MPEG-4 .* which is not read; export it"),
    "a damaged stream": (in_syntax(JPEG2000Lossless), "JPEG 2000 .* that no decoder reads"),
    "cut pixels": (WHOLE[:-200], "a damaged DICOM file"),
    "only the start": (WHOLE[:200], "a damaged DICOM file"),
    "a window of no width": (medical.dicom(STORED, **CT, WindowCenter=40, WindowWidth=0), "whose window has no width"),
    "a slope of 0": (medical.dicom(STORED, RescaleSlope=0, RescaleIntercept=0), "rescale slope is 0"),
    "colours": (medical.dicom(np.zeros((4, 4, 3), np.uint8), PhotometricInterpretation="HSV"), "colours that are not read"),
    "a size": (medical.dicom(STORED, Rows=60000, Columns=60000), "60000 x 60000 pixels are more than the limit"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_image_has_a_reason_that_quotes_nothing(name):
    encoded, text = REFUSED[name]
    with pytest.raises(ValueError, match=text) as caught:
        read(encoded)
    assert "Roe" not in str(caught.value) and "4711" not in str(caught.value)


def test_a_decoder_that_is_not_installed_is_named(monkeypatch):
    from pydicom.pixels.decoders.base import Decoder

    monkeypatch.setattr(Decoder, "is_available", property(lambda self: False))
    with pytest.raises(ValueError, match=r"JPEG-LS Lossless .* needs pip install 'hf-transferability.medical.'"):
        read(in_syntax(JPEGLSLossless))


def test_elements_of_the_patient_are_never_parsed(monkeypatch):
    import pydicom

    seen = {}
    real = pydicom.dcmread

    def watched(*arguments, **options):
        seen["dataset"] = real(*arguments, **options)
        return seen["dataset"]

    monkeypatch.setattr(pydicom, "dcmread", watched)
    read(WHOLE)
    assert "PixelData" in seen["dataset"]
    assert not {"PatientName", "PatientID", "PatientBirthDate"} & {element.keyword for element in seen["dataset"]}


def test_a_series_in_class_folders(tmp_path):
    written = medical.series(tmp_path)
    (tmp_path / "DICOMDIR").write_bytes(without_pixels())
    target, report = check_images(load_target(tmp_path))
    assert target.class_names == ["nodule", "normal"]
    assert "train 16 of 16 image files" in target.account
    assert "1 no-ending files" in target.account
    assert target.flags["windowed"] == "16 DICOM images by the window of each file"
    assert not report.corrupt
    for position, file in enumerate(target.files):
        expected = (written[file].astype(float) + 160).clip(0, 399) / 399 * 255  # centre 40, width 400: -160 to 239
        assert target.images[position] == pytest.approx(np.repeat(expected[..., None], 3, axis=2), abs=0.51)
    secrets = (medical.PATIENT, "4711", "19010203")
    assert not any(secret in repr((target.provenance, target.flags, report)) for secret in secrets)
    assert not any(secret.encode() in encoded for encoded in target.images.encoded for secret in secrets)


def test_splits_and_metadata(tmp_path):
    for split in ("train", "test"):
        medical.series(tmp_path / "folders" / split)
    assert load_target(tmp_path / "folders").account.startswith("splits: test 16, train 16 of 32 image files; used: train")
    medical.series(tmp_path / "named", classes=("all",), n_per_class=14)
    rows = [f"all/IM{i:04}{'.dcm' if i % 2 else ''},{'ab'[i % 2]}" for i in range(13)]
    (tmp_path / "named" / "metadata.csv").write_text("\n".join(["file_name,label", *rows]))
    target = load_target(tmp_path / "named")
    assert (len(target), target.class_names) == (13, ["a", "b"])
    assert "1 images that metadata does not name" in target.account


def test_bad_files_are_named_or_left_out_and_counted(tmp_path):
    medical.series(tmp_path)
    (tmp_path / "normal" / "report.dcm").write_bytes(without_pixels())
    with pytest.raises(
        TargetError, match=r"1 of 17 images .* normal/report.dcm .*without pixel data.* --skip-corrupt"
    ) as caught:
        check_images(load_target(tmp_path))
    assert "Roe" not in str(caught.value)
    target, _ = check_images(load_target(tmp_path), skip_corrupt=True)
    assert target.flags["corrupt_skipped"] == "1 of 17 images (normal 1)"
    assert len(target) == 16


def test_what_acts_is_told_and_what_cannot_act_is_refused(tmp_path):
    medical.series(tmp_path / "ct", BitsStored=16, WindowCenter=None, WindowWidth=None)
    flag = check_images(load_target(tmp_path / "ct"))[0].flags["windowed"]
    assert "16 DICOM images by the range of their stored bits" in flag
    assert "little contrast" in flag and "--window LOW,HIGH" in flag
    assert load_target(tmp_path / "ct", window=(-100, 100)).flags["windowed"] == "16 DICOM images by -100..100"
    with pytest.raises(UsageError, match="`slice` must be left out"):
        load_target(tmp_path / "ct", slice=3)
    for name in "ab":
        (tmp_path / "colour" / name).mkdir(parents=True)
        for i in range(6):
            (tmp_path / "colour" / name / f"{i}.dcm").write_bytes(medical.dicom(np.full((4, 4, 3), i, np.uint8)))
    with pytest.raises(UsageError, match="`window` must be left out"):
        load_target(tmp_path / "colour", window=(0, 10))
    assert "windowed" not in load_target(tmp_path / "colour").flags


def test_without_pydicom_the_extra_is_named(tmp_path, monkeypatch):
    medical.series(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    with pytest.raises(UsageError, match=r"DICOM files, which need pydicom\. Run pip install 'hf-transferability.medical.'"):
        load_target(tmp_path)


def test_a_frame_is_chosen_once(tmp_path):
    stack = np.stack([STORED, STORED + 100])
    for name in "ab":
        (tmp_path / name).mkdir()
        for i in range(6):
            (tmp_path / name / f"{i}.dcm").write_bytes(medical.dicom(stack + i, **CT | WINDOW))
    target, report = check_images(load_target(tmp_path, frame=1))
    assert not report.corrupt
    assert target.flags["several_frames"] == "12 of 12 images, of which frame 1 is used"
    assert isinstance(target.images, Images) and target.provenance["frame"] == 1


def deflated(made: Dataset) -> bytes:
    made.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return medical.saved(made)


def test_a_deflated_file_is_read_and_a_bomb_is_not_unpacked(monkeypatch):
    expected = read(medical.dicom(STORED, **CT | WINDOW)).pixels
    np.testing.assert_array_equal(read(deflated(medical.dataset(STORED, **CT | WINDOW))).pixels, expected)
    bomb = deflated(medical.dataset(np.zeros((9, 1000, 1000), np.uint8)))
    assert len(bomb) < 100_000
    monkeypatch.setattr(dicom, "LARGEST_DEFLATED", 2**22)
    monkeypatch.setattr("pydicom.dcmread", None)  # nothing else is done with it
    with pytest.raises(ValueError, match="a deflated DICOM file of more than 4 MiB; export it without compression"):
        read(bomb)


def test_the_compression_is_found_wherever_the_header_has_it(monkeypatch):
    """The header's stated length may be wrong, and long elements may come first."""
    made = medical.dataset(np.zeros((9, 1000, 1000), np.uint8))
    made.file_meta.SourceApplicationEntityTitle = "x"
    made.file_meta.PrivateInformationCreatorUID = "1.2"
    made.file_meta.PrivateInformation = b"\0" * 100_000
    bomb = bytearray(deflated(made))
    bomb[140:144] = (10).to_bytes(4, "little")
    monkeypatch.setattr(dicom, "LARGEST_DEFLATED", 2**22)
    with pytest.raises(ValueError, match="a deflated DICOM file of more than 4 MiB"):
        read(bytes(bomb))


PADDED = np.where(np.arange(24) < 6, 63536, STORED).astype(np.uint16)  # -2000 as unsigned


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("value, limit", [(63536, None), (-2000, None), (63530, 63540), (63540, 63530)])
def test_padding_is_black_in_either_kind_of_grey(photometric, value, limit):
    made = medical.dataset(PADDED, **CT | WINDOW | {"BitsStored": 16}, PhotometricInterpretation=photometric)
    for name, number in (("PixelPaddingValue", value), ("PixelPaddingRangeLimit", limit)):
        if number is not None:
            made.add_new(name, "SS" if number < 0 else "US", number)
    pixels = read(medical.saved(made)).pixels
    assert not pixels[:, :6].any()
    plain = medical.dicom(STORED, **CT | WINDOW, PhotometricInterpretation=photometric)
    np.testing.assert_array_equal(pixels[:, 6:], read(plain).pixels[:, 6:])


def test_padding_of_float_pixels_does_not_stretch_their_range():
    values = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    made = medical.dataset(values.astype(np.uint8))
    del made.PixelData
    made.BitsAllocated = made.BitsStored = 32
    made.HighBit = 31
    made.FloatPixelData = np.where(np.arange(8) < 2, np.float32(-9999), values).tobytes()
    made.FloatPixelPaddingValue = -9999.0
    pixels = read(medical.saved(made)).pixels
    assert not pixels[:, :2].any()
    shown = values[:, 2:]
    assert pixels[:, 2:] == pytest.approx((shown - shown.min()) / (shown.max() - shown.min()) * 255, abs=0.51)


def test_a_window_in_which_nothing_is_seen_is_refused_or_flagged(tmp_path):
    medical.series(tmp_path / "ct")
    for window in ((3000, 4000), (-3000, -2000)):
        with pytest.raises(UsageError, match=r"`window` must hold values of the images; .* makes each of 16 one grey"):
            load_target(tmp_path / "ct", window=window)
    for i in range(3):  # a window of the file that misses its values
        stored = (medical.phantom(0, i) + 1024).astype(np.uint16)
        (tmp_path / "ct" / "normal" / f"far{i}.dcm").write_bytes(medical.dicom(stored, **CT, WindowCenter=2500, WindowWidth=10))
    target = load_target(tmp_path / "ct", sample="all")
    assert target.flags["windowed"].endswith("3 images are one grey in their window: choose --window LOW,HIGH")


@pytest.mark.parametrize(("values", "signed"), [(STORED, False), (HOUNSFIELD, True)])
@pytest.mark.parametrize("high", [11, 13, 15])
def test_values_that_begin_above_the_lowest_bit_are_moved_down(values, signed, high):
    elements = {"BitsStored": 12, "RescaleIntercept": 0 if signed else -1024, "RescaleSlope": 1}
    moved = medical.dicom(values << (high - 11), **elements, HighBit=high)
    expected = read(medical.dicom(values, **elements), window=(-100, 100)).pixels
    assert expected.std() > 5
    np.testing.assert_array_equal(read(moved, window=(-100, 100)).pixels, expected)


@pytest.mark.parametrize(
    ("values", "elements"),
    [
        (STORED, {"BitsStored": 12, "HighBit": 15}),  # the values begin at the lowest bit all the same
        (STORED, {"BitsStored": 12, "HighBit": 7}),
        (STORED << 4, {"BitsStored": 12, "HighBit": 19}),
        (np.zeros((4, 5, 3), np.uint16), {"BitsStored": 12, "HighBit": 15}),
    ],
)
def test_a_high_bit_that_contradicts_the_file_is_refused(values, elements):
    with pytest.raises(ValueError, match="HighBit is not BitsStored - 1; correct the two"):
        read(medical.dicom(values, **elements))
