"""Feature quality against scikit-learn's NCA and k-NN with the same settings, in one process, in turn, on one thread.

    .venv/bin/python tests/costs/feature_quality_cost.py [--datasets ../shared/datasets] [--pairs 3]

The features are those of a ResNet-18 (512) that the script trains for a few steps on one dataset and applies to that and
another: non-negative, correlated and of low rank, as those of real networks. Prints the processor, processor seconds and
values of both, and the ratio of the medians; scikit-learn gets the features in float64, and once in float32.
"""

import argparse
import io
import platform
import statistics
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torchvision
from PIL import Image
from sklearn.neighbors import KNeighborsClassifier, NeighborhoodComponentsAnalysis
from threadpoolctl import threadpool_limits

from hf_transferability.metrics import collect_flags, score

_STEPS, _BATCH, _PIXELS = 200, 32, 32


def scikit_learn(x: np.ndarray, labels: np.ndarray) -> float:
    """The definition, by scikit-learn alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 50 iterations are too few to converge, by definition
        nca = NeighborhoodComponentsAnalysis(min(50, x.shape[1]), random_state=42, max_iter=50, tol=1e-5)
        z = nca.fit_transform(x, labels)
    shares = KNeighborsClassifier(5).fit(z, labels).predict_proba(z)
    return float(shares[np.arange(len(x)), labels].mean())


def ours(x: np.ndarray, labels: np.ndarray) -> float:
    """This package."""
    with collect_flags():
        return score("feature_quality", features=x, labels=labels)


def read(folder: Path, most: int) -> tuple[torch.Tensor, np.ndarray]:
    """Images [n, 3, 32, 32] and class codes of a dataset's training split, in a seeded random order."""
    table = pd.read_parquet(next(folder.glob("data/train*"))).sample(frac=1, random_state=0)[:most]
    pixels = [Image.open(io.BytesIO(image["bytes"])).convert("RGB").resize((_PIXELS, _PIXELS)) for image in table["image"]]
    images = torch.tensor(np.stack([np.asarray(image) for image in pixels])).permute(0, 3, 1, 2).float() / 127.5 - 1
    return images, np.unique(table["label"], return_inverse=True)[1]


def trained_network(images: torch.Tensor, labels: np.ndarray) -> torch.nn.Module:
    """A ResNet-18 for small images after a few steps of training, its head taken off."""
    torch.manual_seed(0)
    network = torchvision.models.resnet18(num_classes=int(labels.max()) + 1)
    network.conv1 = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False)
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3)
    for _ in range(_STEPS):
        rows = torch.randint(len(images), (_BATCH,))
        loss = torch.nn.functional.cross_entropy(network(images[rows]), torch.tensor(labels)[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    network.fc = torch.nn.Identity()
    return network.eval()


def cases(datasets: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Title -> features [n, 512] in float32, and labels."""
    pools = {name: read(datasets / name, 1100) for name in ("natural_cifar10", "skin_lesion_dermatoscopy")}
    network = trained_network(*pools["natural_cifar10"])
    arrays = {}
    for name, (images, labels) in pools.items():
        with torch.no_grad():
            features = torch.cat([network(batch) for batch in images.split(100)]).numpy()
        for n in (1100, 550, 200):
            arrays[f"{name}, {n} images"] = features[:n], np.unique(labels[:n], return_inverse=True)[1]
    return arrays


def processor() -> str:
    """The processor's name."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=Path, default=Path("../shared/datasets"))
    parser.add_argument("--pairs", type=int, default=3, help="how often each is timed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{processor()}, one thread, processor seconds")
    with threadpool_limits(1):
        for title, (features, labels) in cases(options.datasets).items():
            compare(title, features, labels, options.pairs)


def compare(title: str, features: np.ndarray, labels: np.ndarray, pairs: int) -> None:
    """Print one line for a case."""
    runs = {
        "scikit-learn float64": lambda: scikit_learn(features.astype(np.float64), labels),
        "scikit-learn float32": lambda: scikit_learn(features, labels),
        "ours": lambda: ours(features, labels),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    values = {}
    for _ in range(pairs):
        for name, run in runs.items():
            start = time.process_time()
            values[name] = run()
            seconds[name].append(time.process_time() - start)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    print(f"{title}: " + ", ".join(f"{name} {medians[name]:.2f} s ({values[name]:.4f})" for name in runs), end="")
    ratios = [medians[name] / medians["ours"] for name in list(runs)[:2]]
    print(f", ratio {ratios[0]:.1f} and {ratios[1]:.1f}", flush=True)


if __name__ == "__main__":
    main()
