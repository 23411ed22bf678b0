"""ETran: Gholami, Akbari, Wang, Kamranian, Zhang, "ETran: Energy-Based Transferability Estimation", ICCV 2023,
https://arxiv.org/abs/2308.02027.

Two numbers per candidate, scaled over the pool and added; the paper's third one, for bounding boxes, has no place here.
What differs from the authors' code: its script averages the energy of only the half per cent of images where it is
lowest, which is no image at all below 200, so all images count here; and its discriminant takes eigenvectors of a
matrix that is not symmetric with a solver for symmetric ones, where here a linear solve gives the discriminant exactly.
The shrinkage is theirs, that of SFDA.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import logsumexp

from hf_transferability.metrics._discriminant import discriminant, mean_posterior
from hf_transferability.metrics._pool import sum_of_scaled
from hf_transferability.metrics._registry import register
from hf_transferability.metrics._sample import as_sample, chunks


def formula(parts: Mapping[str, np.ndarray]) -> np.ndarray:
    """m(energy) + m(posterior), from 0 to 2.

    m(.) scales a component from 0 to 1 over the candidates. A component that is the same for all adds nothing; where
    that holds for both, the pool has no scores.

    Args:
        parts: energy and posterior, [..., n_candidates] each.

    Returns:
        Scores [..., n_candidates], NaN for none.

    Example:
        >>> formula({"energy": np.array([1.0, 2.0, 3.0]), "posterior": np.array([0.9, 0.5, 0.7])})
        array([1. , 0.5, 1.5])
    """
    return sum_of_scaled(parts, {"energy": 1, "posterior": 1})


@register(
    inputs=("features", "labels"),
    range=(0.0, 2.0),
    unit="none",
    paper="Gholami et al. 2023, https://arxiv.org/abs/2308.02027",
    comparable=False,
    invariances={"sample_order": 1e-4, "label_names": 1e-4},  # ill-conditioned near n = d, as SFDA
    smallest_n=3,
    published=False,
    components=("energy", "posterior"),
    formula=formula,
)
def etran(*, features: Any, labels: Any) -> dict[str, float]:
    """How strongly the images excite the features and how well these tell the classes apart, each scaled over the pool.

    Comparable within one pool only. One candidate has the raw components alone; `formula` forms the scores of a pool.
    With x_i the features of an image: energy = mean_i log sum_j exp(x_ij), larger for images like those of the
    pre-training; posterior = mean posterior of the true class under a linear discriminant, fitted and evaluated on the
    same images, whose covariance is shrunk by exp(-5 times its largest eigenvalue). The energy grows with the features'
    number and scale, so that it favours wide networks; the posterior reaches 1 on pure noise when d approaches n.

    Args:
        features: [n_samples, n_features], float; computed in float64.
        labels: [n_samples], classes of any kind.

    Returns:
        {"energy": ..., "posterior": ...}. Flags: n<=d, saturated (posterior), single_image_class.

    Raises:
        ValueError, TypeError: input that is not finite, does not match in length, has one class, or does not vary
            within classes.

    Cost: O(n d min(n, d) + min(n, d)^3). Smallest n: 3.

    Example:
        >>> import numpy as np
        >>> x = np.array([[0.0], [1.0], [2.0], [2.0], [3.0], [4.0]])
        >>> {name: round(value, 3) for name, value in etran(features=x, labels=[0, 0, 0, 1, 1, 1]).items()}
        {'energy': 2.0, 'posterior': 0.817}
    """
    sample = as_sample(features)
    fitted = discriminant(sample, labels)
    posterior = mean_posterior(fitted.log_posteriors, fitted.codes)
    x = sample.features
    energies = [logsumexp(x[part].astype(np.float64), axis=1) for part in chunks(*x.shape)]
    return {"energy": float(np.concatenate(energies).mean()), "posterior": posterior}
