"""Good inputs, made once in a process of their own (the matrix forks, and a fork must find no threads)."""

import os
from pathlib import Path
from types import SimpleNamespace

NO_CHECKPOINT = str(Path(__file__).parent)  # a folder that is there, so that the dataset is read before it fails


def make_good(folder: Path) -> SimpleNamespace:
    """A dataset with training and test split, a checkpoint, and a file of arrays."""
    good = SimpleNamespace(
        folder=folder,
        dataset=folder / "dataset",
        checkpoint=folder / "checkpoint",
        timm=folder / "timm",
        arrays=folder / "a.npz",
    )
    good.images = folder / "images"
    if not good.arrays.exists():
        child = os.fork()
        if child == 0:
            status = 1
            try:
                _make(good)
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0, "the good inputs could not be made"
    return good


def _make(good: SimpleNamespace) -> None:
    import datasets
    import numpy as np
    from helpers.formats import save_timm
    from helpers.inputs import blobs, resnet_config
    from PIL import Image
    from transformers import AutoModelForImageClassification, ViTImageProcessor

    good.folder.mkdir(parents=True)
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    for seed, split in enumerate(("train", "test")):
        images, codes = blobs(24, 2, seed, 16)
        rows = {"image": [Image.fromarray(image) for image in images], "label": codes.tolist()}
        (good.dataset / "data").mkdir(parents=True, exist_ok=True)
        datasets.Dataset.from_dict(rows, features=features).to_parquet(
            good.dataset / "data" / f"{split}-00000-of-00001.parquet"
        )
        for number, (image, code) in enumerate(zip(images, codes, strict=True)):
            place = good.images / split / "ab"[code]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(place / f"{number}.png")
    AutoModelForImageClassification.from_config(resnet_config()).save_pretrained(good.checkpoint)
    ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(good.checkpoint)
    save_timm(good.timm, "test_resnet", {}, 2)
    rng = np.random.default_rng(0)
    np.savez(good.arrays, features=rng.normal(size=(24, 5)), labels=np.arange(24) % 2)
