"""NCTI: Wang, Luo, Zheng, Huang, Baktashmotlagh, "How Far Pre-trained Models Are from Neural Collapse on the Target
Dataset Informs their Transferability", ICCV 2023,
https://openaccess.thecvf.com/content/ICCV2023/html/Wang_How_Far_Pre-trained_Models_Are_from_Neural_Collapse_on_the_ICCV_2023_paper.html

Three numbers per candidate, scaled over the pool and combined. The published tables add all three; the default subtracts
the third, as the original method does. The default's PCA is exact and of at most min(64, n, d) dimensions.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from hf_transferability.metrics._flags import warn
from hf_transferability.metrics._pool import sum_of_scaled
from hf_transferability.metrics._registry import register
from hf_transferability.metrics._sample import as_sample
from hf_transferability.metrics._validation import check_varying, encode_labels
from hf_transferability.quiet import without_warnings

_DIMENSIONS = 64
_SMALLEST_SHRINKAGE = 1e-10
_SATURATED = 0.999


def formula(parts: Mapping[str, np.ndarray], *, variant: str) -> np.ndarray:
    """m(seli) + m(ncc) - m(vc), from -1 to 2; published: the sum of all three, from 0 to 3.

    m(.) scales a component from 0 to 1 over the candidates. A component that is the same for all adds nothing; where
    that holds for all three, the pool has no scores.

    Args:
        parts: seli, ncc and vc, [..., n_candidates] each.
        variant: "default" or "published", the one that the components were computed with.

    Returns:
        Scores [..., n_candidates], NaN for none.

    Example:
        >>> formula({"seli": np.array([1, 2, 3]), "ncc": np.array([5, 6, 7]), "vc": np.array([3, 4, 3])}, variant="default")
        array([0., 0., 2.])
    """
    return sum_of_scaled(parts, {"seli": 1, "ncc": 1, "vc": 1 if variant == "published" else -1})


@register(
    inputs=("features", "labels"),
    range=(-1.0, 2.0),
    published_range=(0.0, 3.0),
    unit="none",
    paper="Wang et al. 2023, https://openaccess.thecvf.com/ICCV2023, pages 5549-5558",
    comparable=False,
    invariances={"sample_order": 1e-4, "label_names": 1e-4, "shift": 1e-4, "rotation": 1e-4},
    smallest_n=3,
    components=("seli", "ncc", "vc"),
    formula=formula,
)
def ncti(*, features: Any, labels: Any, variant: str = "default") -> dict[str, float]:
    """How close the features are to neural collapse on the target, from three numbers scaled over the pool of candidates.

    Comparable within one pool only. One candidate has the raw components alone; `formula` forms the scores of a pool.
    After a PCA to 64 dimensions and a linear discriminant with its shrinkage set by their variance: seli, the nuclear
    norm of the discriminant projection; ncc, the mean posterior of the true class; vc, the log of the summed nuclear
    norms of each class's posteriors.

    Args:
        features: [n_samples, n_features], float; computed in float64.
        labels: [n_samples], classes of any kind.
        variant: "published" takes scikit-learn's automatic PCA solver, randomised for large input.

    Returns:
        {"seli": ..., "ncc": ..., "vc": ...}. Flags: n<=d, saturated (ncc), single_image_class.

    Raises:
        ValueError, TypeError: input that is not finite, does not match in length, has one class, or does not vary
            within classes.

    Cost: O(n d min(n, d)). Smallest n: 3.

    Example:
        >>> import numpy as np
        >>> x = np.array([[0.0], [1.0], [2.0], [2.0], [3.0], [4.0]])
        >>> {name: round(value, 3) for name, value in ncti(features=x, labels=[0, 0, 0, 1, 1, 1]).items()}
        {'seli': 3.873, 'ncc': 0.817, 'vc': 1.354}
    """
    sample = as_sample(features)
    x = sample.features
    codes, classes = encode_labels(labels, len(x))
    check_varying(x, codes)
    if len(x) <= x.shape[1]:
        warn("n<=d", f"{len(x)} images, {x.shape[1]} features")
    if variant == "published":
        projected = PCA(min(_DIMENSIONS, *x.shape), random_state=42).fit_transform(x.astype(np.float64))
    else:
        projected = sample.principal_components(dimensions=_DIMENSIONS)
    discriminant = _fitted_discriminant(projected, codes)
    projection, posterior = discriminant.transform(projected), discriminant.predict_proba(projected)
    ncc = float(posterior[np.arange(len(x)), codes].mean())
    if ncc > _SATURATED:
        warn("saturated", f"ncc {ncc:.6g} of at most 1")
    spread = sum(np.linalg.norm(posterior[codes == k], "nuc") for k in range(len(classes)))
    seli = np.linalg.norm(projection - projection.mean(axis=0), "nuc")
    return {"seli": float(seli), "ncc": ncc, "vc": float(np.log(spread))}


def _fitted_discriminant(projected: np.ndarray, codes: np.ndarray) -> LinearDiscriminantAnalysis:
    variance = projected[:, : _DIMENSIONS // 2].var(axis=0, ddof=1).sum()
    shrinkage = max(float(np.exp(-variance)), _SMALLEST_SHRINKAGE)
    if shrinkage == _SMALLEST_SHRINKAGE:
        discriminant = LinearDiscriminantAnalysis(solver="svd")
    else:
        discriminant = LinearDiscriminantAnalysis(solver="eigen", shrinkage=shrinkage)
    with without_warnings():  # directions without variance within classes, which the svd solver leaves out
        return discriminant.fit(projected, codes)
