"""Invented labelled datasets, and checks of targets."""

import io
from collections import Counter

import datasets
import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features
from PIL import Image

from hf_transferability.data.targets import Target, load_target
from hf_transferability.errors import UsageError

AB = ClassLabel(names=["a", "b"])
ABC = ClassLabel(names=["a", "b", "c"])


def png(seed: int, mode: str = "RGB", size: int = 8) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


def mask_png(seed: int, size: int = 16) -> bytes:
    """A white region of its own height on black."""
    pixels = np.zeros((size, size), np.uint8)
    pixels[2 : 6 + seed % 5, 3 : size // 2] = 255
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def table(labels: list, feature, n_images: int | None = None, **more) -> Dataset:
    """A dataset of one random image for each label; `more`: further columns, name=(values, feature)."""
    columns = {"image": [{"bytes": png(i), "path": None} for i in range(len(labels))], "label": labels}
    features = {"image": datasets.Image(), "label": feature}
    for name, (values, kind) in more.items():
        columns[name], features[name] = values, kind
    return Dataset.from_dict(columns, features=Features(features))


def target_of_files(files: list[bytes], **options) -> Target:
    """A target of these encoded images, in two classes by turns."""
    data = [{"bytes": file, "path": None} for file in files]
    features = Features({"image": datasets.Image(), "label": AB})
    table = Dataset.from_dict({"image": data, "label": [i % 2 for i in range(len(files))]}, features=features)
    return load_target(table, **options)


def refused(text: str, *arguments, **options) -> str:
    with pytest.raises(UsageError, match=text) as caught:
        load_target(*arguments, **options)
    return str(caught.value)


def pairs(target: Target) -> Counter:
    """The encoded images of a target with the names of their labels, in any order."""
    names = [target.class_names[code] for code in target.labels]
    return Counter(zip(target.images.encoded, names, strict=True))
