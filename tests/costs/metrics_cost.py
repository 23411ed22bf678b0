"""Seconds and peak memory of every metric, each alone in a process of its own.

Usage: python tests/costs/metrics_cost.py [--images 20000] [--features 768] [--classes 10] [--isotropic] [METRIC ...]

Features have a decaying spectrum, as networks' have; --isotropic makes all directions equally wide, nleep's worst case.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings

import numpy as np

from hf_transferability.metrics import ScoreWarning, all_metrics, score


def inputs(images: int, features: int, classes: int, isotropic: bool) -> dict[str, np.ndarray]:
    """Made-up arrays with some signal."""
    rng = np.random.default_rng(0)
    labels = rng.integers(classes, size=images)
    widths = np.ones(features) if isotropic else np.arange(1, features + 1) ** -0.5
    x = rng.standard_normal((images, features)) + 0.3 * rng.standard_normal((classes, features))[labels]
    logits = rng.standard_normal((images, 1000)) + 2 * rng.standard_normal((classes, 1000))[labels]
    logits = np.exp(logits - logits.max(axis=1, keepdims=True))
    return {
        "features": (x * widths).astype(np.float32),
        "labels": labels,
        "source_probabilities": logits / logits.sum(axis=1, keepdims=True),
        "gradient_norms": rng.uniform(1, 2, (7, 2)),
    }


def measure(name: str, arrays: dict[str, np.ndarray]) -> dict[str, object]:
    """One metric in this process."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        start = time.perf_counter()
        value = score(name, **{key: arrays[key] for key in all_metrics()[name].inputs})
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    flags = sorted({warning.message.flag for warning in caught if isinstance(warning.message, ScoreWarning)})
    return {"seconds": seconds, "peak_gib": peak / 2**20, "inputs_gib": before / 2**20, "flags": flags, "value": value}


def main() -> None:
    """Parse, run, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("metrics", nargs="*", metavar="METRIC")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--features", type=int, default=768)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--isotropic", action="store_true")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        arrays = inputs(options.images, options.features, options.classes, options.isotropic)
        print(json.dumps(measure(options.metrics[0], arrays)))
        return
    print(f"{'metric':22}{'seconds':>9}{'peak GiB':>10}  flags")
    for name in options.metrics or all_metrics():
        own = [argument for argument in sys.argv[1:] if argument not in options.metrics]
        done = subprocess.run([sys.executable, __file__, *own, "--here", name], capture_output=True, text=True, check=True)
        row = json.loads(done.stdout)
        print(f"{name:22}{row['seconds']:9.1f}{row['peak_gib']:10.2f}  {', '.join(row['flags'])}", flush=True)


if __name__ == "__main__":
    main()
