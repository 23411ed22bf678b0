"""Bad groups, DICOM files, NIfTI volumes and model cards for `--leak-check`, through `rank`; see datasets.py for the door."""

import csv
import datetime
import decimal
import gzip
import io
import shutil
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel
import numpy as np
from helpers import medical
from pydicom.uid import DeflatedExplicitVRLittleEndian

from bad_input.datasets import class_folders, parquet, png, rank
from hf_transferability.cli import main
from hf_transferability.data.medical import dicom

N = 24
WORKS = {"may_work": True}

GROUPS: dict[str, Callable[[int], Any]] = {
    "null": lambda i: None, "some null": lambda i: None if i == 3 else i % 5, "NaN": lambda i: float("nan"), "infinite": lambda i: float("inf"),
    "minus infinite": lambda i: -float("inf"), "some infinite": lambda i: float(i % 5) if i else float("inf"), "fractions": lambda i: i / 2, "large floats": lambda i: 2.0**60 + i, "one group": lambda i: "p",
    "dict": lambda i: {"id": i}, "list": lambda i: [i], "bytes": lambda i: b"ab"[i % 2 : i % 2 + 1], "empty text": lambda i: "", "blank": lambda i: " ", "date": lambda i: datetime.date(2020, 1, i + 1),
    "decimal": lambda i: decimal.Decimal(i), "time": lambda i: datetime.datetime(2020, 1, i + 1),
}  # fmt: skip
GROUPS_THAT_WORK: dict[str, Callable[[int], Any]] = {
    "whole floats": lambda i: float(i % 5), "boolean": lambda i: i % 2 == 0, "all different": str, "long text": lambda i: "x" * 100_000 + str(i % 3), "control characters": lambda i: f"\x1b[31m{i % 3}",
    "bidi": lambda i: f"\u202e{i % 3}", "line breaks": lambda i: f"a\n{i % 3}", "HTML": lambda i: f"<script>{i % 3}</script>", "zeros before": lambda i: "0" * (i % 3 + 1), "beyond 32 bits": lambda i: 2**62 + i % 3,
    "negative": lambda i: -(i % 3), "nan as text": lambda i: ("NA", "nan", "None")[i % 3],
}  # fmt: skip


def cases(good: SimpleNamespace) -> Iterator[tuple]:
    """All cases of this kind."""
    yield from _groups()
    yield from _dicom()
    yield from _nifti()
    yield from _leaks(good)


def _groups() -> Iterator[tuple]:
    images = [{"bytes": png(i), "path": None} for i in range(N)]
    labels = ["ab"[i % 2] for i in range(N)]
    words = ("--image-column", "image", "--group-column", "group")
    for name, group in (GROUPS | GROUPS_THAT_WORK).items():
        columns = {"image": images, "label": labels, "group": [group(i) for i in range(N)]}
        more = WORKS if name in GROUPS_THAT_WORK else {}
        yield f"group: {name}", partial(lambda c, folder: parquet(c, folder, *words), columns), more
        if name not in ("dict", "list", "bytes", "long text", "control characters", "line breaks"):
            works = {"may_work": name in GROUPS_THAT_WORK or name in ("NaN", "fractions", "date", "time", "minus infinite", "infinite",
                                                                        "some infinite", "large floats", "decimal")}  # fmt: skip
            yield f"group in metadata: {name}", partial(_named, [str(group(i) or "") for i in range(N)]), works
    columns = {"image": images, "label": labels, "group": [i % 5 for i in range(N)]}
    for option in ("", "x", "image", "label", "\x1b", "\udcff", "a\0b", "x" * 10_000):
        yield f"--group-column {option[:20]!r}", partial(_with_option, columns, option)
    yield "groups of a stream", lambda folder: parquet(columns, folder, *words, "--streaming")
    yield "groups of class folders", lambda folder: rank(str(class_folders(folder / "d")), "--group-column", "patient")
    yield (
        "20 digits in a metadata file",
        partial(_named, [str(10**19 + i % 5) for i in range(N)]),
        WORKS,
    )


def _with_option(columns: dict[str, Any], option: str, folder: Path) -> int:
    return parquet(columns, folder, "--image-column", "image", "--group-column", option)


def _named(groups: list[str], folder: Path) -> int:
    """A metadata.csv with a column of groups."""
    place = folder / "d"
    place.mkdir()
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["file_name", "label", "group"])
    for i in range(N):
        (place / f"{i}.png").write_bytes(png(i))
        writer.writerow([f"{i}.png", "ab"[i % 2], groups[i]])
    (place / "metadata.csv").write_text(text.getvalue())
    return rank("d", "--group-column", "group")


STORED = (medical.phantom(1, 5) + 1024).astype(np.uint16)
CT = {"BitsStored": 12, "RescaleSlope": "1.00000", "RescaleIntercept": "-1024.0", "WindowCenter": "40.0000", "WindowWidth": "400.000"}  # fmt: skip
FILE = medical.dicom(np.stack([STORED, STORED]), **CT, PixelPaddingValue=0, PlanarConfiguration=0)
SHORTS = {
    "Rows": (0x00280010, (0, 1, 7, 65535)), "Columns": (0x00280011, (0, 1, 7, 65535)), "SamplesPerPixel": (0x00280002, (0, 2, 3, 4, 65535)), "BitsAllocated": (0x00280100, (0, 1, 7, 8, 12, 32, 64, 65535)),
    "BitsStored": (0x00280101, (0, 1, 17, 65535)), "HighBit": (0x00280102, (0, 40, 65535)), "PixelRepresentation": (0x00280103, (1, 2, 65535)), "PlanarConfiguration": (0x00280006, (1, 2, 65535)),
    "PixelPaddingValue": (0x00280120, (1, 65535)),
}  # fmt: skip
TEXTS = {
    "RescaleSlope": (0x00281053, (b"0", b"nan", b"inf", b"1e400", b"1e308", b"-1", b"x", b"", b"1\\2")), "RescaleIntercept": (0x00281052, (b"nan", b"-inf", b"1e308", b"x", b"")), "WindowCenter": (0x00281050, (b"nan", b"inf", b"1e308", b"x", b"", b"1\\2")),
    "WindowWidth": (0x00281051, (b"0", b"-1", b"nan", b"inf", b"1e308", b"x", b"")), "NumberOfFrames": (0x00280008, (b"0", b"-1", b"9", b"x", b"")), "PhotometricInterpretation": (0x00280004, (b"", b"X", b"RGB", b"YBR_FULL", b"PALETTE COLOR", b"MONOCHROME1", b"\xff\xfe")),
}  # fmt: skip
SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.102",
            "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.1.98", "1.2.3", "")  # fmt: skip


def patched(tag: int, value: bytes) -> bytes:
    """FILE with another value of an element, padded with spaces to its length; a text may be longer."""
    start = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    at = FILE.index(start, 300)
    length = struct.unpack_from("<H", FILE, at + 6)[0]
    value = value.ljust(length + length % 2) if FILE[at + 4 : at + 6] != b"US" else value
    value += b" " * (len(value) % 2)
    return FILE[: at + 6] + struct.pack("<H", len(value)) + value + FILE[at + 8 + length :]


def _dicom() -> Iterator[tuple]:
    for name, (tag, numbers) in SHORTS.items():
        for number in numbers:
            yield from _of(f"DICOM {name} {number}", patched(tag, struct.pack("<H", number)), ".dcm")
    for name, (tag, texts) in TEXTS.items():
        for text in texts:
            yield from _of(f"DICOM {name} {text!r}", patched(tag, text), ".dcm")
    for syntax in SYNTAXES:
        yield from _of(f"DICOM syntax {syntax!r}", _in_syntax(syntax), ".dcm")
    for share in (0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
        yield from _of(f"DICOM cut at {share}", FILE[: int(share * len(FILE))], ".dcm")
    yield from _flipped("DICOM", FILE, ".dcm", 132)
    yield "DICOM bomb", _bomb
    yield from _of("DICOM without elements", FILE[:132], ".dcm")
    yield from _of("DICOM of nested sequences", FILE[:132] + b"\x28\0\0\x30SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff" * 5000, ".dcm")  # fmt: skip
    yield from _of("DICOM of a large length", FILE[: FILE.index(b"\xe0\x7f\x10\0") + 8] + b"\xff\xff\xff\x7f" + b"\0" * 50, ".dcm")  # fmt: skip
    for words in (("--frame", "1"), ("--frame", "2"), ("--frame", "9" * 18), ("--window=0,1",), ("--window=1e300,1e301",), ("--window=-1e308,1e308",),
                  ("--slice", "1"), ("--axis", "0"), ("--max-pixels", "9"), ("--group-column", "x")):  # fmt: skip
        yield f"good DICOM with {' '.join(words)}", partial(_classes, FILE, ".dcm", words), WORKS


def _bomb(folder: Path) -> int:
    """One deflated file that unpacks to more than the limit, which is lower here: 256 MiB would take ten seconds to make."""
    dicom.LARGEST_DEFLATED = 2**24
    made = medical.dataset(np.zeros((20, 1000, 1000), np.uint8))
    made.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    class_folders(folder / "d")
    (folder / "d" / "a" / "bomb.dcm").write_bytes(medical.saved(made))
    return rank("d", "--sample-size", "all")


def _in_syntax(uid: str) -> bytes:
    old = b"1.2.840.10008.1.2.1\0"
    at = FILE.index(old)
    new = uid.encode() + b"\0" * (len(uid) % 2)
    return FILE[: at - 2] + struct.pack("<H", len(new)) + new + FILE[at + len(old) :]


def _of(name: str, content: bytes, ending: str) -> Iterator[tuple]:
    yield name, partial(_classes, content, ending, ()), WORKS
    yield f"{name}, skipped", partial(_classes, content, ending, ("--skip-corrupt",)), WORKS


def _flipped(name: str, content: bytes, ending: str, first: int, n: int = 30) -> Iterator[tuple]:
    """The file with bytes that are changed at random places of its header."""
    rng = np.random.default_rng(0)
    for number in range(n):
        changed = bytearray(content)
        for place in rng.integers(first, min(len(content), first + 900), 1 + number % 4):
            changed[place] = rng.integers(256)
        yield f"{name} changed {number}", partial(_classes, bytes(changed), ending, ()), WORKS


def _classes(content: bytes, ending: str, words: tuple[str, ...], folder: Path) -> int:
    """One class of such files, and one of PNG images."""
    class_folders(folder / "d")
    for number, file in enumerate(sorted((folder / "d" / "a").iterdir())):
        file.unlink()
        (folder / "d" / "a" / f"{number}{ending}").write_bytes(content)
    return rank("d", *words)


VOLUME = medical.nifti(np.random.default_rng(0).integers(0, 200, (12, 10, 6)).astype(np.int16), slope=1.0)
FIELDS: dict[str, tuple[int, str, tuple]] = {
    "sizeof_hdr": (0, "i", (0, 347, 540, -1)), "dimensions": (40, "h", (0, -1, 1, 2, 7, 8, 32767)), "first length": (42, "h", (0, -1, 1, 32767)), "last length": (46, "h", (0, -1, 1, 32767)),
    "datatype": (70, "h", (0, 1, 2, 16, 32, 64, 128, 512, 1536, 1792, 2304, 9999, -1)), "bits": (72, "h", (0, 1, 8, 64, -1)), "offset": (108, "f", (0.0, 1.0, 352.5, -352.0, 1e9, 1e38, float("nan"), float("inf"))),
    "slope": (112, "f", (0.0, float("nan"), float("inf"), 1e38, -1.0)), "intercept": (116, "f", (float("nan"), float("-inf"), 3e38)), "sform": (254, "h", (-1, 0, 9)), "affine": (280, "f", (float("nan"), float("inf"), 0.0, 1e38)),
    "extension": (348, "i", (1, -1, 2**31 - 1)),
}  # fmt: skip


def _nifti() -> Iterator[tuple]:
    for name, (at, form, values) in FIELDS.items():
        for value in values:
            changed = bytearray(VOLUME)
            changed[at : at + struct.calcsize(form)] = struct.pack(f"<{form}", value)
            yield from _of(f"NIfTI {name} {value}", bytes(changed), ".nii")
    for name, magic in {"a pair": b"ni1\0", "no magic": b"\0\0\0\0", "version 2": b"n+2\0"}.items():
        yield from _of(f"NIfTI of {name}", VOLUME[:344] + magic + VOLUME[348:], ".nii")
    for share in (0.05, 0.2, 0.6, 0.99):
        yield from _of(f"NIfTI cut at {share}", VOLUME[: int(share * len(VOLUME))], ".nii")
        packed = gzip.compress(VOLUME)
        yield from _of(f"packed NIfTI cut at {share}", packed[: int(share * len(packed))], ".nii.gz")
    yield from _flipped("NIfTI", VOLUME, ".nii", 0)
    yield from _of("NIfTI packed twice", gzip.compress(gzip.compress(VOLUME)), ".nii.gz")
    yield from _of("NIfTI that is text", b"hello", ".nii.gz")
    yield from _of("NIfTI that is empty", b"", ".nii")
    claims = bytearray(VOLUME)
    claims[108:112] = struct.pack("<f", 2e9)
    yield from _of("NIfTI bomb", gzip.compress(bytes(claims) + b"\0" * 2**26), ".nii.gz")
    yield from _of("NIfTI of version 2 cut", nibabel.Nifti2Image(np.zeros((4, 4, 4), np.int16), np.eye(4)).to_bytes()[:300], ".nii")  # fmt: skip
    for words in (("--slice", "5"), ("--slice", "6"), ("--slice", "-1"), ("--slice", "9" * 18), ("--axis", "3"), ("--axis", "0"), ("--frame", "1"),
                  ("--window=5000,6000",), ("--window=nan,1",)):  # fmt: skip
        yield f"good NIfTI with {' '.join(words)}", partial(_classes, VOLUME, ".nii", words), WORKS


CARDS: dict[str, str] = {
    "a number": "datasets: 1", "nested lists": "datasets: [[[a]], {b: c}]", "paths": "datasets: [/etc, ../../etc, '~/x', .]", "URLs": "datasets: ['http://127.0.0.1:9/x', 'hf://datasets/a/b', 's3://a/b']",
    "control characters": 'datasets: ["\\e[31mx/y", "a\\0b"]', "long names": f"datasets: [{'x' * 10_000}]", "many": f"datasets: [{', '.join(f'a/d{i}' for i in range(300))}]", "null": "datasets: [null, '', ' ']",
}  # fmt: skip


def _leaks(good: SimpleNamespace) -> Iterator[tuple]:
    for name, card in CARDS.items():
        yield f"leak check: {name}", partial(_checked, good, card, "20"), WORKS
    for number in ("0", "-1", "x", "nan", "1.5", "9" * 30):
        yield f"--leak-check {number[:10]}", partial(_checked, good, "datasets: [a/b]", number)


def _checked(good: SimpleNamespace, card: str, number: str, folder: Path) -> int:
    shutil.copytree(good.checkpoint, folder / "c")
    (folder / "c" / "README.md").write_text(f"---\n{card}\n---\n# Card\n")
    words = ["--leak-check", number, "--metric", "logme", "--no-intervals", "--cache-dir", "arrays"]
    return main(["rank", str(good.dataset), "./c", *words])
