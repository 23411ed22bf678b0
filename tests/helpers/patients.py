"""An invented target of which one patient fills half of the images."""

import datasets
import numpy as np
from PIL import Image

SIZE = 24


def one_patient_fills_half(n_others: int = 120, seed: int = 0) -> datasets.Dataset:
    """Images of `n_others` patients with one each, half of them ill, and as many images of one ill patient.

    Each patient has a background of its own, which is strong; the illness is a faint pattern of stripes.
    """
    rng = np.random.default_rng(seed)
    patients = [*range(n_others), *[n_others] * n_others]
    ill = rng.permutation(n_others) % 2
    labels = [*ill.tolist(), *[1] * n_others]
    backgrounds = rng.normal(size=(n_others + 1, 4, 4, 3))
    stripes = np.sin(np.arange(SIZE) * 1.5)[:, None, None]
    images = []
    for patient, label in zip(patients, labels, strict=True):
        background = np.kron(backgrounds[patient], np.ones((SIZE // 4, SIZE // 4, 1)))
        pixels = 128 + 40 * background + 12 * label * stripes + 6 * rng.normal(size=(SIZE, SIZE, 3))
        images.append(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)))
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=["healthy", "ill"]),
            "patient": datasets.Value("int64"),
        }
    )
    return datasets.Dataset.from_dict({"image": images, "label": labels, "patient": patients}, features=features)


def one_image_a_patient(n_patients: int, seed: int = 0) -> datasets.Dataset:
    """Images of the same kind, all of different patients."""
    return one_patient_fills_half(n_patients, seed).select(range(n_patients))
