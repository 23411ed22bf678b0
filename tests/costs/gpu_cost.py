"""Everything that issue 16 asks of a GPU, by one command: time, utilisation, memory, and whether the numbers are right.

    .venv/bin/python tests/costs/gpu_cost.py [--images 1100] [--size 224] [--classes 11] [--networks 10] [--processes 2]

Networks of random weights in timm's Hub layout, noise images in class folders, all metrics with intervals, an empty cache. Each
ranking runs in processes of its own. Prints

1. the seconds of the bare forward and backward passes and of the whole ranking, and their ratio (the aim: 1.5);
2. the mean utilisation that nvidia-smi reports meanwhile, and the largest memory of the card;
3. for every candidate, each metric that may compute on the device: its value and seconds there and on the processor;
4. the same ranking with `--processes` processes on the cards that there are, and whether its rows are equal. NCCL may refuse
   two processes on one card: then it says so. `--processes 1` leaves it out.

Without a GPU it runs on the CPU, where the ratio says nothing of a GPU, and part 3 says that nothing computed elsewhere.
`--metrics-device cpu` makes torch compute these metrics on the processor, from any size on: a check of the numbers and of this
script, without a GPU. It ends with status 1 where a number is wrong.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from safetensors import safe_open
from timm.models import save_for_hf

from hf_transferability.accelerated.on_device import OnDevice
from hf_transferability.checkpoints.loading import load
from hf_transferability.checkpoints.resolving import resolve
from hf_transferability.data.options import SampleOptions
from hf_transferability.data.targets import check_images, load_target
from hf_transferability.extraction.cache import Arrays, Cache
from hf_transferability.extraction.passes import gradient_batches
from hf_transferability.metrics import collect_flags, score
from hf_transferability.metrics._accelerator import lent
from hf_transferability.provenance import hardware

NETWORKS = (
    "resnet50", "convnext_tiny", "vit_base_patch16_224", "swin_tiny_patch4_window7_224", "vit_base_patch14_dinov2", "resnet101",
    "densenet121", "regnety_032", "efficientnet_b0", "vit_small_patch16_224",
)  # fmt: skip
_TOLERANCE = 1e-3  # of the values that one and two processes give
# Of a metric on the device, absolute. The optimiser of feature quality amplifies rounding; its form for half-samples is in
# float32, and its docstring allows what it needs.
TOLERANCES = {
    "feature_quality": 0.003,
    "feature_quality (as for halves)": 0.03,
    "knn": 1e-9,
    "linear_probe": 1e-4,
    "parc": 1e-5,
}


def write_pool(folder: Path, n: int, size: int) -> list[Path]:
    """The first networks with random weights, for images of this size where the architecture lets one choose."""
    folders = []
    for name in NETWORKS[:n]:
        torch.manual_seed(0)
        options = {"img_size": size} if name.startswith(("vit", "swin")) else {}
        network = timm.create_model(name, num_classes=1000, **options)
        for module in network.modules():
            if "Norm" in type(module).__name__ and getattr(module, "bias", None) is not None:
                module.bias.data.fill_(0.01)  # at its initial values the network counts as untrained
        network.pretrained_cfg |= {"input_size": (3, size, size), "num_classes": 1000}
        folders.append(folder / name)
        save_for_hf(
            network, str(folders[-1]), model_config={"num_classes": 1000, "model_args": options}, safe_serialization=True
        )
    return folders


def write_images(folder: Path, n: int, size: int, classes: int) -> Path:
    """Class folders of noise whose brightness tells the class."""
    rng = np.random.default_rng(0)
    for number in range(n):
        label = number % classes
        path = folder / "data" / f"class{label}"
        path.mkdir(parents=True, exist_ok=True)
        noise = rng.normal(60 + 12 * label, 40, (size, size, 3)).clip(0, 255)
        Image.fromarray(noise.astype(np.uint8)).save(path / f"{number}.png")
    return folder / "data"


def bare_seconds(folder: str, images: int, size: int) -> float:
    """Seconds of a forward and a backward pass to the same two layers over the same gradient batches of noise."""
    device = accelerator()
    checkpoint = load(resolve(folder))
    checkpoint.network.to(device)
    weights = [layer.weight.requires_grad_(True) for layer in checkpoint.layers]
    pixels = torch.randn(gradient_batches(images)[0].stop, 3, size, size, device=device)

    def step(n: int) -> None:
        features, _ = checkpoint.forward(pixels[:n])
        torch.autograd.grad(features, weights, grad_outputs=torch.ones_like(features), allow_unused=True)

    step(2)  # the first call also chooses algorithms
    wait(device)
    start = time.perf_counter()
    for batch in gradient_batches(images):
        step(batch.stop - batch.start)
    wait(device)
    return time.perf_counter() - start


def accelerator() -> torch.device:
    """The accelerator of this machine, or its processor."""
    return torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")


def wait(device: torch.device) -> None:
    """Return when the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Utilisation:
    """Reads the use of the first card twice a second, in a thread; None without nvidia-smi."""

    def __init__(self) -> None:
        self._values: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> "Utilisation":
        if shutil.which("nvidia-smi"):
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()

    def _read(self) -> None:
        command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--id=0"]
        while not self._ended.wait(0.5):
            self._values.append(float(subprocess.run(command, capture_output=True, text=True, check=True).stdout))

    @property
    def mean(self) -> float | None:
        """Per cent of the time in which the card computed."""
        return float(np.mean(self._values)) if self._values else None


def ranked(data: Path, pool: list[Path], cache: Path, processes: int) -> tuple[float, list[dict]] | None:
    """Seconds of the whole command, with its start, and its rows; None where it gives none, which it says itself."""
    start = [sys.executable, "-m", "hf_transferability"]
    if processes > 1:
        start = [sys.executable, "-m", "torch.distributed.run", f"--nproc_per_node={processes}", "-m", "hf_transferability"]
    output = cache.with_suffix(".json")
    words = ["rank", str(data), *map(str, pool), "--sample-size", "all", "--metric", "all", "--cache-dir", str(cache)]
    began = time.perf_counter()
    done = subprocess.run([*start, *words, "--output", str(output)], stdout=subprocess.DEVNULL, env=os.environ, check=False)
    seconds = time.perf_counter() - began
    if not output.exists():
        print(f"rank with {processes} processes ended with status {done.returncode}")
        return None
    rows = json.loads(output.read_text())["rows"]
    for row in rows:
        if row["error"]:
            print(f"{Path(row['checkpoint']).name}: {row['error']}")
    return seconds, rows


def largest_difference(rows: list[dict], others: list[dict]) -> float:
    """The largest relative difference of features' scores between two rankings of one pool."""
    values = {row["checkpoint"]: row for row in others}
    names = ("logme", "feature_quality", "feature_update_ratio", "h_score")
    pairs = [(row[name], values[row["checkpoint"]][name]) for row in rows for name in names if row.get(name) is not None]
    return max(abs(a - b) / max(abs(a), 1e-9) for a, b in pairs)


def read_arrays(path: Path) -> Arrays | None:
    """The arrays in a file of the cache."""
    with safe_open(path, framework="numpy") as file:
        key = json.loads(file.metadata()["entry"])["key"]
    return Cache(path.parent).read(key)


def compared(arrays: Arrays, labels: np.ndarray, device: OnDevice) -> list[tuple[str, float, float, float, float]]:
    """Each metric that may compute on a device: name, value and seconds on the processor, and the same on the device."""
    found = []
    for name in TOLERANCES:
        metric, _, form = name.partition(" ")
        values = []
        for place in (None, device):
            start = time.perf_counter()
            with collect_flags(), lent(place):
                values += [
                    float(score(metric, features=arrays.features, labels=labels, half_sample=bool(form))),
                    time.perf_counter() - start,
                ]
        found.append((name, *values))
    return found


def check_metrics(data: Path, rows: list[dict], cache: Path, device: OnDevice) -> bool:
    """Print the comparison for every candidate; returns whether all values agree."""
    target = check_images(load_target(str(data), SampleOptions(sample_size="all")))[0]
    entries = [read for path in sorted(cache.glob("*.safetensors")) if (read := read_arrays(path)) is not None]
    done, wrong = set(), 0
    for arrays in entries[:1]:  # the first use of a device checks it and chooses algorithms, which is not timed
        compared(arrays, target.labels, device)
    print(f"{'':32} {'metric':31} {'processor':>22} {device.place.device.type:>22}   difference")
    for row in rows:
        found = [arrays for arrays in entries if arrays.facts.get("architecture") == row["architecture"]]
        for name, here, seconds_here, there, seconds_there in compared(found[0], target.labels, device) if found else ():
            difference = abs(there - here)
            verdict = "" if difference <= TOLERANCES[name] else "  WRONG"
            wrong += bool(verdict)
            done.add(row["checkpoint"])
            print(
                f"{Path(row['checkpoint']).name:32} {name:31} {here:12.6f} {seconds_here:7.2f} s "
                f"{there:12.6f} {seconds_there:7.2f} s   {difference:.1e}{verdict}"
            )
    for note in device.notes():
        print(note)
    used = ", ".join(sorted(work for work, trusted in device.trusted.items() if trusted))
    print(f"computed on {device.place.device}: {used or 'nothing'}")
    print(f"metrics of {len(done)} of {len(rows)} candidates compared: {f'{wrong} WRONG' if wrong else 'all agree'}")
    return not wrong and len(done) == len(rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1100)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--classes", type=int, default=11)
    parser.add_argument("--networks", type=int, default=len(NETWORKS))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--metrics-device", help="a device of torch for part 3, whatever the size; default the accelerator")
    options = parser.parse_args()
    print(hardware(accelerator().type))
    right = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pool = write_pool(folder / "pool", options.networks, options.size)
        data = write_images(folder, options.images, options.size, options.classes)
        bare = sum(bare_seconds(str(path), options.images, options.size) for path in pool)
        with Utilisation() as use:
            alone = ranked(data, pool, folder / "cache1", 1)
        if alone is None:
            sys.exit(1)
        seconds, rows = alone
        print(f"bare passes {bare:.1f} s, ranking {seconds:.1f} s: {seconds / bare:.2f} times (the aim is 1.5)")
        print(f"mean utilisation: {'unknown' if use.mean is None else f'{use.mean:.0f} %'}")
        memory = [row["device_memory"] for row in rows if row.get("device_memory")]
        print(f"largest memory of the card: {f'{max(memory):.2f} GiB' if memory else 'none'}")
        asked = options.metrics_device
        device = OnDevice(torch.device(asked) if asked else accelerator(), always=asked is not None)
        if asked or device.place.device.type != "cpu":
            right &= check_metrics(data, [row for row in rows if row["error"] is None], folder / "cache1", device)
        else:
            print("there is no accelerator, so all metrics were computed on the processor")
        if options.processes > 1 and (several := ranked(data, pool, folder / "cache2", options.processes)):
            difference = largest_difference(rows, several[1])
            verdict = "equal" if difference < _TOLERANCE else "DIFFERENT"
            right &= verdict == "equal"
            print(f"{options.processes} processes: {several[0]:.1f} s; {verdict}, largest relative difference {difference:.1e}")
    sys.exit(not right)


if __name__ == "__main__":
    main()
