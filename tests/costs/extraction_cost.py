"""Extraction against the bare work: one forward and one backward pass to the same two layers over the same gradient batches.

Both see the same network and images in one process, in processor seconds. The bare work is measured twice, with each gradient
batch whole and in the micro-batches of the extraction, and the ratio is to the faster of both; preprocessing and the triplet
loss count for the extraction only. Prints the processor and the peak memory.

    .venv/bin/python tests/costs/extraction_cost.py [--network resnet18|vit_s] [--images 1100] [--size 224] [--bare 1]
"""

import argparse
import resource
import tempfile
import time

import numpy as np
import torch
from transformers import (
    AutoModelForImageClassification,
    PretrainedConfig,
    ResNetConfig,
    ViTConfig,
    ViTImageProcessor,
)

from hf_transferability.checkpoints.checkpoint import Checkpoint
from hf_transferability.checkpoints.loading import load
from hf_transferability.checkpoints.resolving import resolve
from hf_transferability.data.targets import Target
from hf_transferability.extraction.passes import extract, gradient_batches
from hf_transferability.provenance import hardware


class Noise(list):
    """Images of random pixels, already decoded."""

    def __init__(self, n: int, size: int):
        rng = np.random.default_rng(0)
        super().__init__(rng.integers(0, 256, (size, size, 3), dtype=np.uint8) for _ in range(n))


def configuration(network: str, size: int) -> PretrainedConfig:
    """ResNet-18 or ViT-S/16 with 1,000 classes."""
    if network == "vit_s":
        return ViTConfig(hidden_size=384, num_attention_heads=6, intermediate_size=1536, image_size=size, num_labels=1000)
    return ResNetConfig(
        embedding_size=64, hidden_sizes=[64, 128, 256, 512], depths=[2, 2, 2, 2], layer_type="basic", num_labels=1000
    )


def random_checkpoint(network: str, size: int) -> Checkpoint:
    """The network with random weights, whose processor only normalises images of that size."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        AutoModelForImageClassification.from_config(configuration(network, size)).save_pretrained(folder)
        ViTImageProcessor(size={"height": size, "width": size}).save_pretrained(folder)
        return load(resolve(folder))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=["resnet18", "vit_s"], default="resnet18")
    parser.add_argument("--images", type=int, default=1100)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--classes", type=int, default=11)
    parser.add_argument("--bare", type=int, default=1, help="0: only the extraction, to see its own peak memory")
    options = parser.parse_args()
    checkpoint = random_checkpoint(options.network, options.size)
    labels = np.random.default_rng(1).integers(0, options.classes, options.images)
    images = Noise(options.images, options.size)
    target = Target(images, labels, [], "single_label", [], "", {})  # type: ignore[arg-type]
    extract(checkpoint, Target(images[:24], labels[:24], [], "single_label", [], "", {}))  # type: ignore[arg-type]

    forwards: list[int] = []
    original = checkpoint.forward
    checkpoint.forward = lambda pixels: forwards.append(len(pixels)) or original(pixels)  # type: ignore
    start = time.process_time()
    arrays = extract(checkpoint, target)
    ours = time.process_time() - start
    del checkpoint.forward
    size = arrays.facts["micro_batch"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    passes = round(sum(forwards) / options.images)
    print(f"{hardware()}, {torch.get_num_threads()} thread(s); {options.network}")
    print(f"extraction of {options.images} images at {options.size} px: {ours:.1f} processor seconds, micro-batches of {size}")
    print(f"{'one pass' if passes == 1 else f'{passes} passes'}; peak resident memory of the process: {peak:.2f} GiB")
    if options.bare:
        bare = {parts: measure_bare(checkpoint, target, parts) for parts in (options.images, size)}
        print("bare forward and backward: " + ", ".join(f"{seconds:.1f} s in parts of {n}" for n, seconds in bare.items()))
        print(f"ratio {ours / min(bare.values()):.2f}")


def measure_bare(checkpoint: Checkpoint, target: Target, size: int) -> float:
    """Processor seconds of the bare pass over preprocessed images, each gradient batch in parts of at most `size`."""
    weights = [layer.weight.requires_grad_(True) for layer in checkpoint.layers]
    seconds = 0.0
    for batch in gradient_batches(len(target)):
        for first in range(batch.start, batch.stop, size):
            pixels = checkpoint.preprocess(target.images[first : min(first + size, batch.stop)])
            start = time.process_time()
            features, _ = checkpoint.forward(pixels)
            torch.autograd.grad(features, weights, grad_outputs=torch.ones_like(features))
            seconds += time.process_time() - start
    for weight in weights:
        weight.requires_grad_(False)
    return seconds


if __name__ == "__main__":
    main()
