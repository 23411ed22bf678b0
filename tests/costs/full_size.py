"""Processor seconds for each image and peak memory of a ranking with networks of full size, on the CPU.

    .venv/bin/python tests/costs/full_size.py [--data FOLDER] [--images 40] [--network vit_large ...] [--metric all]

For each network: random weights in timm's Hub layout at 224 px, then `hf-transferability rank` in a process of its own, without
a cache. Processor seconds are those of that process, with loading, all metrics and intervals. The peak is its VmHWM, the
largest resident memory since its start (Linux); `ru_maxrss` would count that of the parent process too. OMP_NUM_THREADS=1
gives one thread. Without --data, the images are noise of 224 px in two classes.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from timm.models import save_for_hf

NETWORKS = {
    "vit_base": "vit_base_patch16_224",
    "vit_large": "vit_large_patch16_224",
    "vit_huge": "vit_huge_patch14_224",
    "convnext_large": "convnext_large",
}


def make_checkpoint(folder: Path, architecture: str) -> float:
    """A network of random weights in timm's Hub layout; returns its parameters in millions."""
    torch.manual_seed(0)
    network = timm.create_model(architecture, num_classes=1000)
    network.pretrained_cfg["input_size"] = (3, 224, 224)
    save_for_hf(network, str(folder), model_config={"num_classes": 1000}, safe_serialization=True)
    return sum(weight.numel() for weight in network.parameters()) / 1e6


def make_noise(folder: Path, images: int) -> None:
    """Folders of two classes with noise images."""
    rng = np.random.default_rng(0)
    for number in range(images):
        path = folder / f"class{number % 2}"
        path.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (224, 224, 3), dtype=np.uint8)).save(path / f"{number}.png")


def measure(data: str, checkpoint: Path, images: int, metrics: list[str]) -> tuple[int, float, float]:
    """Exit status, processor seconds and peak GiB of one ranking."""
    words = [word for name in metrics for word in ("--metric", name)]
    command = [sys.executable, "-m", "hf_transferability", "rank", data, str(checkpoint), "--no-cache"]
    process = subprocess.Popen([*command, "--sample-size", str(images), *words], stdout=sys.stderr)
    peak = 0.0
    while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
        peak = max(peak, peak_memory(process.pid))
        time.sleep(0.2)
    _, status, usage = ended
    return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, peak


def peak_memory(pid: int) -> float:
    """VmHWM of a process in GiB; 0 where it has just ended."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**20
    return 0.0


def main() -> None:
    """Measure and print, one network after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="dataset folder; default noise")
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--network", action="append", choices=NETWORKS, help="default: all")
    parser.add_argument("--metric", action="append", default=[], help="default: the default of rank")
    options = parser.parse_args()
    print(f"{'network':16}{'millions':>8}{'s an image':>14}{'seconds':>12}{'peak GiB':>12}{'status':>8}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        if options.data is None:
            make_noise(Path(folder, "noise"), options.images)
        for name in options.network or NETWORKS:
            checkpoint = Path(folder, name)
            millions = make_checkpoint(checkpoint, NETWORKS[name])
            data = options.data or str(Path(folder, "noise"))
            status, seconds, peak = measure(data, checkpoint, options.images, options.metric)
            numbers = f"{millions:8.1f}{seconds / options.images:14.1f}{seconds:12.0f}{peak:12.2f}{status:8}"
            print(f"{name:16}{numbers}", flush=True)
            for file in checkpoint.iterdir():
                file.unlink()


if __name__ == "__main__":
    main()
