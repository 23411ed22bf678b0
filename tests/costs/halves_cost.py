"""Processor seconds of all metrics of features and labels, with ten half-samples, for one candidate on one thread.

    .venv/bin/python tests/costs/halves_cost.py [--features FILE.npz] [--images 1100] [--dimensions 512] [--classes 11]

FILE.npz holds `x` [n, d] and `y` [n]; without it the arrays are made up: non-negative, of decaying widths. One sample object
for all metrics, as in a ranking, so that a metric's seconds hold what it is the first to need.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from hf_transferability.metrics import all_metrics, collect_flags, score
from hf_transferability.metrics._sample import Sample
from hf_transferability.ranking.scoring import half_samples


def made_up(images: int, dimensions: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Features in float32 with some signal, and labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, images)
    noise = rng.standard_normal((images, dimensions)) + 0.3 * rng.standard_normal((classes, dimensions))[labels]
    return np.maximum(noise * np.arange(1, dimensions + 1) ** -0.5, 0).astype(np.float32), labels


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=Path)
    parser.add_argument("--images", type=int, default=1100)
    parser.add_argument("--dimensions", type=int, default=512)
    parser.add_argument("--classes", type=int, default=11)
    options = parser.parse_args()
    if options.features:
        with np.load(options.features) as arrays:
            x, y = arrays["x"], np.unique(arrays["y"], return_inverse=True)[1]
    else:
        x, y = made_up(options.images, options.dimensions, options.classes)
    names = [name for name, metric in all_metrics().items() if set(metric.inputs) == {"features", "labels"}]
    names = [name for name in names if not all_metrics()[name].is_composite]
    seconds = dict.fromkeys(names, (0.0, 0.0))
    with threadpool_limits(1), collect_flags():
        for name in names:
            score(name, features=x[:60], labels=y[:60] % 3)  # warm
        for half, rows in enumerate([slice(None), *half_samples(y, 10, 0)]):
            sample, labels = Sample(x[rows]), y[rows]
            for name in names:
                start = time.process_time()
                score(name, features=sample, labels=labels, half_sample=half > 0)
                spent = time.process_time() - start
                whole, halves = seconds[name]
                seconds[name] = (whole, halves + spent) if half else (spent, halves)
    print(f"{'metric':18}{'whole':>8}{'halves':>8}  processor seconds, {len(x)} x {x.shape[1]} x {y.max() + 1}")
    for name, (whole, halves) in seconds.items():
        print(f"{name:18}{whole:8.2f}{halves:8.2f}")
    print(f"{'all':18}{sum(map(sum, seconds.values())):8.2f}")


if __name__ == "__main__":
    main()
