"""Datasets in memory with invented images and given labels."""

from collections.abc import Callable

import datasets
from PIL import Image

from helpers.inputs import blobs


def in_memory(splits: dict[str, list], label, change: Callable = lambda image: image) -> datasets.DatasetDict:
    """A dataset with these labels for each split, of the feature `label`, and with images of 24 x 24 pixels after `change`."""
    features = datasets.Features({"image": datasets.Image(), "label": label})
    return datasets.DatasetDict(
        {
            split: datasets.Dataset.from_dict(
                {"image": [change(Image.fromarray(image)) for image in blobs(len(labels), 3, k)[0]], "label": labels},
                features=features,
            )
            for k, (split, labels) in enumerate(splits.items())
        }
    )
