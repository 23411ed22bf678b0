"""Should feature quality's projection learn from pairs of images of one group (patient)? Its neighbours never are of one group.

Made-up patients: a class centre, the patient's own offset and noise of each image. `all pairs` is what the package does;
`other groups` leaves pairs of one patient out of the learning too, by a plain implementation here. Beside the two: the
value for one image a patient, and what the projection gives for images of 400 patients that it has not seen, whose
neighbours are those of the sample. Means over seeds. Takes some 10 processor seconds.

    .venv/bin/python tests/costs/group_learning_study.py [--seeds 5]
"""

import argparse
from unittest import mock

import numpy as np
from scipy.optimize import minimize
from sklearn.metrics import euclidean_distances

from hf_transferability.metrics import collect_flags
from hf_transferability.metrics._sample import Sample
from hf_transferability.metrics.feature_quality import feature_quality

PATIENTS, NEW_PATIENTS, DIMENSIONS, NEIGHBOURS = 40, 400, 60, 5


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = range(parser.parse_args().seeds)
    print("signal  images  all pairs: value, new patients   other groups: value, new patients   one image a patient")
    for signal in (0.0, 0.1, 0.2, 0.4):
        one = np.mean([values(signal, 1, seed, False)[0] for seed in seeds])
        for images in (3, 10):
            both = [np.mean([values(signal, images, seed, strict) for seed in seeds], axis=0) for strict in (False, True)]
            print(f"{signal:6.1f}  {images:6d}  " + "  ".join(f"{a:16.3f} {b:10.3f}" for a, b in both) + f"  {one:16.3f}")


def values(signal: float, images: int, seed: int, strict: bool) -> tuple[float, float]:
    """Feature quality with groups, and the share of the own class among the neighbours of new patients' images."""
    x, labels, groups = patients(signal, PATIENTS, images, seed)
    learned = []

    def learn(x: np.ndarray, codes: np.ndarray, start: np.ndarray) -> np.ndarray:
        projection = outside_groups(x, codes, groups, start) if strict else REAL(x, codes, start)
        learned.append(projection)
        return projection

    with collect_flags(), mock.patch.dict(feature_quality.__globals__, neighbourhood_components=learn):
        value = feature_quality(features=Sample(x), labels=labels, groups=groups)
    new, new_labels, _ = patients(signal, NEW_PATIENTS, 1, seed, first=1000)
    distances = euclidean_distances(new @ learned[0].T, x @ learned[0].T)
    nearest = np.argpartition(distances, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]
    return value, float((labels[nearest] == new_labels[:, None]).mean())


def patients(signal: float, number: int, images: int, seed: int, first: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features [number * images, DIMENSIONS], classes and patients; one seed has one pair of class centres."""
    centres = signal * np.random.default_rng(seed).normal(size=(2, DIMENSIONS))
    rng = np.random.default_rng([seed, first])
    groups = np.repeat(np.arange(number), images)
    classes = rng.permutation(number) % 2
    offsets = rng.normal(size=(number, DIMENSIONS))
    noise = 0.3 * rng.normal(size=(len(groups), DIMENSIONS))
    return centres[classes][groups] + offsets[groups] + noise, classes[groups], groups


def outside_groups(x: np.ndarray, codes: np.ndarray, groups: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Neighbourhood components analysis in which images of one group are no neighbours; the optimiser as in the package."""
    left_out, same = groups[:, None] == groups, codes[:, None] == codes

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        z = x @ flat.reshape(start.shape).T
        weights = -euclidean_distances(z, squared=True)
        weights[left_out] = -np.inf
        weights = np.exp(weights - weights.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        right = (weights * same).sum(axis=1, keepdims=True)
        pull = weights * (same - right)
        pull = pull + pull.T - np.diag(pull.sum(axis=0) + pull.sum(axis=1))
        return -right.sum(), (-2 * (pull @ z).T @ x).ravel()

    result = minimize(objective, start.ravel(), method="L-BFGS-B", jac=True, tol=1e-5, options={"maxiter": 50})
    return result.x.reshape(start.shape)


REAL = feature_quality.__globals__["neighbourhood_components"]

if __name__ == "__main__":
    main()
