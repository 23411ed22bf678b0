"""The seeded subsample of metrics whose cost grows faster than the number of images."""

import numpy as np

from hf_transferability.metrics._flags import warn


def seeded_subsample(targets: list[np.ndarray], largest: int, seed: int) -> np.ndarray | slice:
    """Rows to keep, in their order: all of them, or about `largest` with two images of every class of every target
    among them.

    It looks at nothing but the labels, so that all candidates of one sample are scored on the same images. Warns with
    `subsampled`.
    """
    n = len(targets[0])
    if n <= largest:
        return slice(None)
    order = np.random.default_rng(seed).permutation(n)
    first = np.zeros(n, dtype=bool)
    for codes in targets:
        for code in range(codes.max() + 1):
            first[np.flatnonzero(codes[order] == code)[:2]] = True
    kept = np.concatenate([order[first], order[~first]])[: max(largest, int(first.sum()))]
    warn("subsampled", f"{len(kept)} of {n} images")
    return np.sort(kept)
