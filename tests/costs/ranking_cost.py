"""A ranking with all metrics against the extraction alone: the same checkpoints and images, one after the other.

    .venv/bin/python tests/costs/ranking_cost.py [--images 1000] [--size 224] [--classes 10] [--checkpoints 3]

Prints seconds and processor seconds of both, and their ratios. Metrics of one checkpoint are computed while the next is
extracted, so the ratio of seconds needs free cores to be small; that of processor seconds does not.
"""

import argparse
import tempfile
import time
from pathlib import Path

import datasets
import numpy as np
import torch
from PIL import Image
from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessor

from hf_transferability import rank
from hf_transferability.checkpoints.loading import load
from hf_transferability.checkpoints.resolving import resolve
from hf_transferability.data.targets import check_images, load_target
from hf_transferability.extraction.passes import extract


def make_checkpoint(folder: Path, seed: int, size: int) -> None:
    """A ResNet-18 of random weights."""
    torch.manual_seed(seed)
    configuration = ResNetConfig(
        embedding_size=64, hidden_sizes=[64, 128, 256, 512], depths=[2, 2, 2, 2], layer_type="basic", num_labels=1000
    )
    ResNetForImageClassification(configuration).save_pretrained(folder)
    ViTImageProcessor(size={"height": size, "width": size}).save_pretrained(folder)


def make_dataset(images: int, size: int, classes: int) -> datasets.Dataset:
    """Noise with a little of its class in it, so that the metrics' iterations have something to do."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, images)
    patterns = rng.integers(0, 256, (classes, 16, 16, 3))
    pixels = [
        np.clip(0.3 * patterns[label] + 0.7 * rng.integers(0, 256, (16, 16, 3)), 0, 255).astype(np.uint8) for label in labels
    ]
    columns = {"image": [Image.fromarray(each).resize((size, size)) for each in pixels], "label": labels.tolist()}
    names = [str(k) for k in range(classes)]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=names)})
    return datasets.Dataset.from_dict(columns, features=features)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--checkpoints", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        names = [str(Path(folder, f"checkpoint{seed}")) for seed in range(options.checkpoints)]
        for seed, name in enumerate(names):
            make_checkpoint(Path(name), seed, options.size)
        dataset = make_dataset(options.images, options.size, options.classes)
        target, _ = check_images(load_target(dataset))
        extract(load(resolve(names[0])), load_target(dataset, sample=24))  # warm
        wall, processor = time.perf_counter(), time.process_time()
        for name in names:
            extract(load(resolve(name)), target)
        extraction = time.perf_counter() - wall, time.process_time() - processor
        wall, processor = time.perf_counter(), time.process_time()
        rank(dataset, names, metrics=["all"], cache_dir=Path(folder, "cache"))
        ranking = time.perf_counter() - wall, time.process_time() - processor
    print(f"{options.checkpoints} checkpoints, {options.images} images at {options.size} px, {options.classes} classes")
    for title, (seconds, core_seconds) in (("extraction alone", extraction), ("ranking, all metrics", ranking)):
        print(f"{title:22}{seconds:8.1f} s{core_seconds:8.1f} processor seconds")
    print(f"{'ratio':22}{ranking[0] / extraction[0]:8.2f}  {ranking[1] / extraction[1]:8.2f}")


if __name__ == "__main__":
    main()
