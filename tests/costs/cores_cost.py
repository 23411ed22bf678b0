"""Wall time of a pool of ten on one core and on two or more, in new processes with new caches.

Run it on a quiet machine: wall time on a shared one says nothing.

    .venv/bin/python tests/costs/cores_cost.py [--cores 2] [--images 600] [--candidates 10] [--resnet18] [--size 32]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scale_cost import write_images, write_pool

from hf_transferability.provenance import hardware


def seconds_of(cores: int, target: Path, pool: list[Path], cache: Path) -> float:
    """Wall seconds of `rank` on so many cores."""
    words = ["rank", str(target), *map(str, pool), "--sample-size", "all", "--cache-dir", str(cache), "--format", "json"]
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "hf_transferability", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": str(cores)},
        preexec_fn=lambda: os.sched_setaffinity(0, allowed),
    )
    if done.returncode:
        sys.exit(done.stderr)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--candidates", type=int, default=10)
    parser.add_argument("--resnet18", action="store_true", help="ResNet-18s in place of tiny networks")
    parser.add_argument("--size", type=int, default=32, help="pixels of an image's side")
    options = parser.parse_args()
    print(f"{hardware()}; load before: {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        target = write_images(folder, options.images, options.size)
        network = {"widths": (64, 128, 256, 512), "depth": 2} if options.resnet18 else {}
        pool = write_pool(folder, options.candidates, options.size, **network)
        times = [seconds_of(cores, target, pool, folder / f"cache{cores}") for cores in (1, options.cores)]
    print(f"1 core: {times[0]:.1f} s, {options.cores} cores: {times[1]:.1f} s; {times[0] / times[1]:.2f} times as fast")


if __name__ == "__main__":
    main()
