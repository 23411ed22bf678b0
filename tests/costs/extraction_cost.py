"""Extraction against the bare work: one no-grad forward pass, and one forward and backward pass to the same two layers.

Both see the same network, images and micro-batches, in one process, one after the other; prints the ratio and the peak memory.

    .venv/bin/python tests/costs/extraction_cost.py [--images 1100] [--size 224] [--classes 11] [--bare 1]
"""

import argparse
import resource
import tempfile
import time

import numpy as np
import torch
from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessor

from hf_transferability.checkpoints.checkpoint import Checkpoint
from hf_transferability.checkpoints.loading import load
from hf_transferability.checkpoints.resolving import resolve
from hf_transferability.data.targets import Target
from hf_transferability.extraction.passes import extract, gradient_batches


class Noise(list):
    """Images of random pixels, already decoded."""

    def __init__(self, n: int, size: int):
        rng = np.random.default_rng(0)
        super().__init__(rng.integers(0, 256, (size, size, 3), dtype=np.uint8) for _ in range(n))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1100)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--classes", type=int, default=11)
    parser.add_argument("--bare", type=int, default=1, help="0: only the extraction, to see its own peak memory")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        configuration = ResNetConfig(  # ResNet-18
            embedding_size=64, hidden_sizes=[64, 128, 256, 512], depths=[2, 2, 2, 2], layer_type="basic", num_labels=1000
        )
        ResNetForImageClassification(configuration).save_pretrained(folder)
        ViTImageProcessor(size={"height": options.size, "width": options.size}).save_pretrained(folder)
        checkpoint = load(resolve(folder))
    labels = np.random.default_rng(1).integers(0, options.classes, options.images)
    images = Noise(options.images, options.size)
    target = Target(images, labels, [], "single_label", [], "", {})  # type: ignore[arg-type]
    extract(checkpoint, Target(images[:24], labels[:24], [], "single_label", [], "", {}))  # type: ignore[arg-type]

    start = time.perf_counter()
    arrays = extract(checkpoint, target)
    ours = time.perf_counter() - start
    size = arrays.facts["micro_batch"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"extraction of {options.images} images at {options.size} px: {ours:.1f} s, micro-batches of {size}")
    print(f"peak resident memory of the process: {peak:.2f} GiB")
    if options.bare:
        bare = measure_bare(checkpoint, target, size)
        print(f"bare forward + bare forward and backward: {bare:.1f} s; ratio {ours / bare:.2f}")


def measure_bare(checkpoint: Checkpoint, target: Target, size: int) -> float:
    """Seconds of the two bare passes over preprocessed images, in the same micro-batches."""
    weights = [layer.weight.requires_grad_(True) for layer in checkpoint.layers]
    seconds = 0.0
    for batch in gradient_batches(len(target)):
        for first in range(batch.start, batch.stop, size):
            pixels = checkpoint.preprocess(target.images[first : min(first + size, batch.stop)])
            start = time.perf_counter()
            with torch.no_grad():
                checkpoint.forward(pixels)
            features, _ = checkpoint.forward(pixels)
            torch.autograd.grad(features, weights, grad_outputs=torch.ones_like(features))
            seconds += time.perf_counter() - start
    return seconds


if __name__ == "__main__":
    main()
