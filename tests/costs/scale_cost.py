"""Memory and time of large samples and of large pools, with a tiny network and small images.

Each measurement runs in a process of its own, with a new cache; prints processor seconds and the peak resident memory.

    .venv/bin/python tests/costs/scale_cost.py                 # 5,000 and 50,000 images: time per image and their ratio
    .venv/bin/python tests/costs/scale_cost.py --pool 100      # peak memory of pools of 10 and of 100 candidates
    .venv/bin/python tests/costs/scale_cost.py --cached        # answering from the cache, and what it imports
"""

import argparse
import io
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from hf_transferability.provenance import hardware

SIZE, CLASSES = 32, 10


def write_images(folder: Path, n: int, size: int = SIZE) -> Path:
    """A `save_to_disk` dataset of n PNG images whose mean brightness tells the class, under noise."""
    from datasets import ClassLabel, Dataset, Features
    from datasets import Image as ImageFeature

    def rows():
        rng = np.random.default_rng(0)
        for index in range(n):
            label = index % CLASSES
            pixels = rng.normal(60 + 12 * label, 40, (size, size, 3)).clip(0, 255).astype(np.uint8)
            encoded = io.BytesIO()
            Image.fromarray(pixels).save(encoded, "png")
            yield {"image": {"bytes": encoded.getvalue(), "path": None}, "label": label}

    features = Features({"image": ImageFeature(), "label": ClassLabel(names=[f"class {i}" for i in range(CLASSES)])})
    Dataset.from_generator(rows, features=features, cache_dir=str(folder / "work")).save_to_disk(str(folder / "data"))
    return folder / "data"


def write_pool(folder: Path, n: int, size: int = SIZE, widths: tuple[int, ...] = (8, 16, 24, 32), depth: int = 1) -> list[Path]:
    """Residual networks with random weights: tiny ones, or ResNet-18s with widths of 64 to 512 and a depth of 2."""
    import torch
    from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessor

    names = []
    for seed in range(n):
        torch.manual_seed(seed)
        configuration = ResNetConfig(
            embedding_size=widths[0], hidden_sizes=list(widths), depths=[depth] * 4, layer_type="basic", num_labels=5
        )
        names.append(folder / f"net{seed}")
        network = ResNetForImageClassification(configuration)
        for name, parameter in network.named_parameters():
            if name.endswith("normalization.bias"):  # a network at its initial values counts as untrained
                parameter.data.fill_(0.01)
        network.save_pretrained(names[-1])
        ViTImageProcessor(size={"height": size, "width": size}).save_pretrained(names[-1])
    return names


def measured(target: Path, pool: list[Path], cache: Path, extra: list[str]) -> tuple[float, float]:
    """Processor seconds and peak GiB of `rank` in a new process."""
    words = ["rank", str(target), *map(str, pool), "--sample-size", "all", "--cache-dir", str(cache), "--format", "json"]
    done = subprocess.run(
        [sys.executable, __file__, "--child", *words, *extra], capture_output=True, text=True, check=False, timeout=36_000
    )
    if done.returncode:
        sys.exit(done.stderr)
    seconds, peak = done.stderr.split()[-2:]
    return float(seconds), float(peak)


def child(words: list[str]) -> int:
    """Run the command, and print its processor seconds and peak GiB as the last line of stderr."""
    from hf_transferability.cli import main as command

    status = command(words)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(time.process_time(), usage.ru_maxrss / 2**20, file=sys.stderr)
    return status


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[5_000, 50_000])
    parser.add_argument("--pool", type=int, default=0, help="candidates of the larger pool")
    parser.add_argument("--cached", action="store_true")
    parser.add_argument("--metric", action="append", default=[])
    options = parser.parse_args()
    extra = [word for name in options.metric for word in ("--metric", name)]
    print(hardware())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.cached or options.pool:
            (folder / "images").mkdir()
            target = write_images(folder / "images", 600)
            for n in (1,) if options.cached else (max(options.pool // 10, 1), options.pool):
                (folder / f"pool{n}").mkdir()
                pool, cache = write_pool(folder / f"pool{n}", n), folder / f"cache{n}"
                for state in ("new", "cached"):
                    seconds, peak = measured(target, pool, cache, extra)
                    print(f"{n} candidates, {state}: {seconds:.1f} processor seconds, {peak:.2f} GiB", flush=True)
            return
        per_image = []
        pool = write_pool(folder, 1)
        for n in options.images:
            (folder / str(n)).mkdir()
            seconds, peak = measured(write_images(folder / str(n), n), pool, folder / f"cache{n}", extra)
            per_image.append(seconds / n)
            print(
                f"{n} images: {seconds:.1f} processor seconds, {1e3 * per_image[-1]:.2f} ms an image, {peak:.2f} GiB",
                flush=True,
            )
        print(f"time an image, last against first: {per_image[-1] / per_image[0]:.2f}")


if __name__ == "__main__":
    sys.exit(child(sys.argv[2:])) if sys.argv[1:2] == ["--child"] else main()
