"""Feature quality against scikit-learn's NCA and k-NN with the same settings, in one process, in turn.

    .venv/bin/python tests/costs/feature_quality_cost.py [--images 1100] [--features 512] [--classes 11] [--pairs 3]

Prints seconds and values of both, and the ratio of the medians, for features of three kinds.
"""

import argparse
import statistics
import time
import warnings

import numpy as np
from sklearn.neighbors import KNeighborsClassifier, NeighborhoodComponentsAnalysis

from hf_transferability.metrics import collect_flags, score


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


def kinds(images: int, features: int, classes: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Features with a strong, a weak and no relation to the labels; positive and of decaying width, as networks' are."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, images)
    widths = np.arange(1, features + 1) ** -0.5
    means = rng.standard_normal((classes, features))
    noise = rng.standard_normal((images, features))
    return {
        title: (np.maximum((noise + strength * means[labels]) * widths, 0), labels)
        for title, strength in (("strong signal", 1.0), ("weak signal", 0.2), ("noise", 0.0))
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1100)
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--classes", type=int, default=11)
    parser.add_argument("--pairs", type=int, default=3, help="how often each is timed")
    options = parser.parse_args()
    for title, (x, labels) in kinds(options.images, options.features, options.classes).items():
        seconds: dict[str, list[float]] = {"scikit_learn": [], "ours": []}
        values = {}
        for _ in range(options.pairs):
            for function in (scikit_learn, ours):
                start = time.perf_counter()
                values[function.__name__] = function(x, labels)
                seconds[function.__name__].append(time.perf_counter() - start)
        theirs, own = (statistics.median(seconds[name]) for name in ("scikit_learn", "ours"))
        print(f"{title}: scikit-learn {theirs:.2f} s ({values['scikit_learn']:.4f}), ", end="")
        print(f"ours {own:.2f} s ({values['ours']:.4f}), ratio {theirs / own:.1f}", flush=True)


if __name__ == "__main__":
    main()
