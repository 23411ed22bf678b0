"""Whether the labels have anything to do with the images: the same statistic with labels shuffled."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import gammaln

from hf_transferability.data.targets import Labelled
from hf_transferability.extraction.cache import Arrays, Cache
from hf_transferability.results import Row

_VERSION = 1  # of the test; part of the key of stored values
_SHUFFLES = 99  # the smallest p is then 0.01
_SIGNIFICANT = 0.05
_MOST_IMAGES = 2000  # as many suffice to see a relation, and bound the time


def label_p_value(features: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None, seed: int = 0) -> float | None:
    """The p value of a permutation test: how often shuffled labels relate to the features as much as the labels do.

    The relation is the sum of squared covariances between standardised features and labels (one column a class), which is
    linear HSIC (Gretton et al. 2005, https://doi.org/10.1007/11564089_7). It sees differences of class means only.

    Args:
        features: [n, d].
        labels: [n] codes of classes or numbers, or [n, n_labels] of 0 and 1.
        groups: [n] or None; images of one group keep one label where they have one.
        seed: of the shuffles, and of the 2,000 images that are taken of a larger sample.

    Returns:
        (1 + how many of 99 shuffles reach the true value) / 100; None where groups can be shuffled in so few ways that true
        labels would look like chance, too.
    """
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(labels))[:_MOST_IMAGES])
    labels, groups = labels[chosen], None if groups is None else np.unique(groups[chosen], return_inverse=True)[1]
    if groups is not None and _smallest_p(labels, groups) > _SIGNIFICANT / 2:
        return None
    features = np.asarray(features)[chosen].astype(np.float64)
    features -= features.mean(axis=0)
    spread = features.std(axis=0)
    features = np.ascontiguousarray(features[:, spread > 0] / spread[spread > 0], dtype=np.float32)  # for sparse products

    def relation(order: np.ndarray) -> float:
        return float(np.square(_indicators(order) @ features).sum(dtype=np.float64))

    true = relation(labels)
    reached = sum(relation(shuffled_labels(labels, groups, rng)) >= true * (1 - 1e-5) for _ in range(_SHUFFLES))
    return (1 + reached) / (1 + _SHUFFLES)


def unrelated_flag(arrays: Arrays, target: Labelled, seed: int, cache: Cache) -> dict[str, str]:
    """The flag, with the p value, of a candidate whose features fit the labels no better than shuffled ones; else nothing.

    Args:
        arrays: of the candidate.
        target: the sample's labels and groups.
        seed: of the shuffles.
        cache: where p values are kept.
    """
    p = _stored_p_value(arrays, target, seed, cache)
    if p is None or p <= _SIGNIFICANT:
        return {}
    return {"no_relation": f"permutation test, p = {p:.2f}"}


def _smallest_p(labels: np.ndarray, groups: np.ndarray) -> float:
    """The share of the ways to give whole groups their labels that are the true one, up to the names of the classes.

    It counts for classes [n] that are the same in each group; 0 elsewhere, as images are shuffled then.
    """
    first = np.unique(groups, return_index=True)[1]
    if labels.ndim > 1 or labels.dtype.kind == "f" or (labels != labels[first][groups]).any():
        return 0.0
    counts = np.unique(labels[first], return_counts=True)[1]
    same = np.unique(counts, return_counts=True)[1]
    ways = gammaln(len(first) + 1) - gammaln(counts + 1).sum() - gammaln(same + 1).sum()
    return float(np.exp(-ways))


def candidate_p_value(read: Callable[[], Arrays | None], target: Labelled, seed: int, cache: Cache) -> float | None:
    """`label_p_value` of a candidate; None where its arrays are gone from the cache.

    Args:
        read: gives its arrays.
        target: the sample's labels and groups.
        seed: of the shuffles.
        cache: where p values are kept.
    """
    arrays = read()
    return None if arrays is None else _stored_p_value(arrays, target, seed, cache)


def _stored_p_value(arrays: Arrays, target: Labelled, seed: int, cache: Cache) -> float | None:
    if arrays.features.ndim != 2 or len(arrays.features) != len(target.labels):  # a file may have them beside probabilities
        return None
    labels = hashlib.sha256(f"{target.labels.dtype} {target.labels.shape} ".encode() + target.labels.tobytes())
    if target.groups is not None:
        labels.update(target.groups.astype("<i8").tobytes())
    key: dict[str, Any] = {"kind": "label_p_value", "features": arrays.digest(["features"]), "labels": labels.hexdigest()}
    key |= {"seed": seed, "version": _VERSION}
    stored = cache.read_json(key)
    if not isinstance(stored, dict) or "p_value" not in stored:
        stored = {"p_value": label_p_value(arrays.features, target.labels, target.groups, seed)}
        cache.write_json(key, stored)
    p: float | None = stored["p_value"]
    return p


def checked_labels(rows: Sequence[Row], p_value: Callable[[str], float | None]) -> dict[str, Any] | None:
    """Whether the features of the first candidate say more of the labels than of shuffled ones.

    Args:
        rows: of the ranking, in its order.
        p_value: the `label_p_value` of a candidate by its name, None where it is not known.

    Returns:
        A dict: "p_value", and "alarm", what to tell the reader where they do not, else None. None where nothing is known.
    """
    first = next((row["checkpoint"] for row in rows if row["rank"] is not None), None)
    p = p_value(first) if first else None
    if p is None:
        return None
    note = f"check the labels: class means of {first} differ no more than with shuffled labels (permutation test, p = {p:.2f})."
    return {"p_value": p, "alarm": note if p > _SIGNIFICANT else None}


def shuffled_labels(labels: np.ndarray, groups: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """Labels in random order; whole groups change labels where all images of each group have the same, as with a patient's
    diagnosis: images of one patient are no independent evidence."""
    if groups is None:
        return rng.permutation(labels)
    first = np.unique(groups, return_index=True)[1]
    if (labels != labels[first][groups]).any():
        return rng.permutation(labels)
    return rng.permutation(labels[first])[groups]


def _indicators(labels: np.ndarray) -> Any:
    """Labels as numbers [n_labels, n], those of classes sparse, so that a thousand classes cost no more than ten.

    Classes need not be centred where the features are.
    """
    if labels.ndim == 1 and labels.dtype.kind != "f":
        classes, codes = np.unique(labels, return_inverse=True)
        ones = np.ones(len(codes), dtype=np.float32)
        return csr_matrix((ones, (codes, np.arange(len(codes)))), shape=(len(classes), len(codes)))
    columns = labels.reshape(len(labels), -1).astype(np.float64)
    return (columns - columns.mean(axis=0)).T.astype(np.float32)
