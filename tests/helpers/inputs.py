"""Invented images and configurations of networks."""

import numpy as np


def blobs(n: int, n_classes: int, seed: int = 0, size: int = 24) -> tuple[list[np.ndarray], np.ndarray]:
    """RGB images uint8 [size, size, 3] whose colour and stripes depend on the class, and their codes, not sorted by class."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.arange(n) % n_classes)
    stripes = np.arange(size)[:, None, None]
    images = []
    for code in codes:
        base = 90 + 30 * np.sin(stripes * (code + 1) / 3) + 20 * code * np.array([1, 0, -1])
        images.append((base + rng.normal(0, 25, (size, size, 3))).clip(0, 255).astype(np.uint8))
    return images, codes


def resnet_config(n_labels: int = 5, width: int = 8, **changes):
    """The configuration of a ResNet of four small stages."""
    from transformers import ResNetConfig

    sizes = {"embedding_size": width, "hidden_sizes": [width, 2 * width, 3 * width, 4 * width], "depths": [1, 1, 1, 1]}
    return ResNetConfig(**{**sizes, "layer_type": "basic", "num_labels": n_labels, **changes})
