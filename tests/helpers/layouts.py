"""Ways in which people lay out a dataset of images, and the account of each.

    PYTHONPATH=.:tests python -m helpers.layouts

prints what `load_target` says of each: the account in one line, or the error with its remedy.
"""

import json
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
from PIL import Image

from helpers.inputs import blobs
from helpers.medical import nifti, phantom, series
from helpers.splits import in_memory
from hf_transferability.data.targets import load_target
from hf_transferability.errors import TransferabilityError

PER_CLASS = 8


def _classes(folder: Path, *parents: str, names: tuple[str, ...] = ("benign", "malignant")) -> dict:
    """PER_CLASS images in each class folder below each of the parents."""
    for number, parent in enumerate(parents or ("",)):
        for i, image in enumerate(blobs(PER_CLASS * len(names), len(names), number)[0]):
            place = folder / parent / names[i % len(names)] / f"{i:02}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(place)
    return {}


def _table(folder: Path, lacking: int = 0, **columns: list) -> dict:
    """Images beside a metadata.csv of these columns, which lacks the last of them."""
    n = 2 * PER_CLASS
    for i, image in enumerate(blobs(n, 2)[0]):
        Image.fromarray(image).save(folder / f"{i:02}.png")
    lines = [[f"{i:02}.png", *(str(values[i]) for values in columns.values())] for i in range(n - lacking)]
    (folder / "metadata.csv").write_text("\n".join(",".join(line) for line in [["file_name", *columns], *lines]) + "\n")
    return {}


def _foreign_files(folder: Path) -> dict:
    for name in ("notes.txt", "labels.xlsx", ".DS_Store"):
        (folder / name).write_bytes(b"x")
    return _classes(folder)


def _class_of_arrays(folder: Path) -> dict:
    (folder / "normal").mkdir()
    for i in range(PER_CLASS):
        np.save(folder / "normal" / f"{i}.npy", np.zeros((8, 8)))
    return _classes(folder)


def _metadata_beside_classes(folder: Path) -> dict:
    _classes(folder, "train")
    lines = [f"{path.relative_to(folder / 'train')},{40 + i}" for i, path in enumerate(sorted(folder.rglob("*.png")))]
    (folder / "train" / "metadata.csv").write_text("\n".join(["file_name,age", *lines]) + "\n")
    return {}


def _zip(folder: Path) -> dict:
    with tempfile.TemporaryDirectory() as made, zipfile.ZipFile(folder / "images.zip", "w") as archive:
        _classes(Path(made))
        for path in sorted(Path(made).rglob("*.png")):
            archive.write(path, path.relative_to(made))
    return {}


def _columns() -> datasets.DatasetDict:
    return in_memory({"train": [0, 1] * 8, "test": [0, 1] * 6}, datasets.ClassLabel(names=["a", "b"]))


def _parquet(folder: Path) -> dict:
    (folder / "data").mkdir()
    for split, table in _columns().items():
        table.to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    return {}


def _save_to_disk(folder: Path) -> dict:
    _columns().save_to_disk(folder)
    return {}


def _dicom_series(folder: Path) -> dict:
    series(folder / "train", PER_CLASS)
    return {"window": (-160, 240)}


def _nifti_volumes(folder: Path) -> dict:
    for i in range(2 * PER_CLASS):
        place = folder / "train" / "ab"[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        volume = np.stack([phantom(i % 2, 10 * i + k) for k in range(3)], axis=2)
        (place / f"{i:02}.nii").write_bytes(nifti(volume))
    return {"slice": "middle", "window": (-160, 240)}


_AB = ["a", "b"] * PER_CLASS
_FINDINGS = ["Effusion", "Effusion|Mass", "Mass", "No Finding"] * (PER_CLASS // 2)
_DEEP = ("benign/P1/40X", "malignant/P2/100X")
LAYOUTS: dict[str, Callable[[Path], dict]] = {
    "class folders": _classes,
    "train and test": lambda folder: _classes(folder, "train", "test"),
    "Training and Testing": lambda folder: _classes(folder, "Training", "Testing"),
    "train, val and test": lambda folder: _classes(folder, "train", "val", "test"),
    "test only": lambda folder: _classes(folder, "test"),
    "classes named like splits": lambda folder: _classes(folder, names=("train_interior", "train_station", "no_test")),
    "nested classes": lambda folder: _classes(folder, names=_DEEP),
    "nested classes, --class-level 1": lambda folder: _classes(folder, names=_DEEP) | {"class_level": 1},
    "foreign files": _foreign_files,
    "a class of .npy files": _class_of_arrays,
    "metadata.csv": lambda folder: _table(folder, label=_AB),
    "metadata.csv that lacks 3 images": lambda folder: _table(folder, lacking=3, label=_AB),
    "metadata.csv beside class folders": _metadata_beside_classes,
    "metadata.csv with patients": lambda folder: (
        _table(folder, label=_AB, patient=[i // 4 for i in range(2 * PER_CLASS)]) | {"group_column": "patient"}
    ),
    "several findings in a text": lambda folder: _table(folder, label=_FINDINGS),
    "several findings, --label-separator": lambda folder: _table(folder, label=_FINDINGS) | {"label_separator": "|"},
    "zip of class folders": _zip,
    "parquet files": _parquet,
    "save_to_disk": _save_to_disk,
    "DICOM series": _dicom_series,
    "NIfTI volumes": _nifti_volumes,
}


def accounted(name: str, folder: Path) -> tuple[dict | None, str]:
    """The account of a layout that is made in a folder, and its line; None and the error where it is refused."""
    options = LAYOUTS[name](folder)
    try:
        account = load_target(folder, sample="all", **options).provenance["account"]
    except TransferabilityError as error:
        return None, str(error).replace(str(folder), folder.name)
    return account, account["line"]


def main() -> None:
    """Print the account of every layout."""
    datasets.disable_progress_bars()
    for layout in LAYOUTS:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place, "data")
            folder.mkdir()
            account, line = accounted(layout, folder)
            print(json.dumps({"layout": layout, "refused" if account is None else "account": line}, ensure_ascii=False))


if __name__ == "__main__":
    main()
